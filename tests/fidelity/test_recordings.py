"""Recorded and guessed answers: with a rule for the model's text, the service's are the same."""

import json
from base64 import b64decode
from dataclasses import replace

import pytest

from invoke_api.testing import Bedrock
from tests.fidelity import chats, recordings
from tests.fidelity.case import Signer
from tests.fidelity.checks import check_head
from tests.fidelity.recording import Recording
from tests.fidelity.wire import PROTOCOLS, REMOTE, Wire, send
from tests.support.streams import split_frames


@pytest.mark.skipif(REMOTE, reason="the real models say other things")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("row", [*recordings.TABLE, *chats.TABLE], ids=lambda row: row.name)
def test_an_answer_is_the_recorded_one(
    row: Recording, protocol: str, scripted: str, wire: Wire
) -> None:
    bedrock = Bedrock(scripted)
    bedrock.rule(reply=row.reply)
    case = replace(row.case, signer=Signer(access_key_id=bedrock.access_key_id))
    answer = send(wire, case, row.operation, scripted, protocol)

    assert answer.status == 200, answer.body
    check_head(row.operation, answer)
    if row.deltas:
        frames = split_frames(answer.body)
        made = [(each.headers[":event-type"], row.hide(each.payload.decode())) for each in frames]
        assert made == row.events()
    elif row.chunks:
        payloads = [json.loads(frame.payload) for frame in split_frames(answer.body)]
        told = [b64decode(payload["bytes"]).decode() for payload in payloads]
        assert list(map(row.hide, told)) == row.parts()
    else:
        assert row.hide(answer.body.decode()) == row.whole()
