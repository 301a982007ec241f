"""Imported models' answers, by the forms of their bodies."""

import json
from base64 import b64decode

import orjson
import pytest

from tests.fidelity import imported, imported_answers
from tests.fidelity.wire import REMOTE
from tests.support.servers import invoke
from tests.support.streams import split_frames


@pytest.mark.skipif(REMOTE, reason="an account has imported models of its own")
@pytest.mark.parametrize("row", imported_answers.TABLE, ids=lambda row: row.name)
def test_an_imported_model_answers_in_the_form_of_the_body(
    row: imported_answers.Answered, urls: dict[str, str]
) -> None:
    operation = "invoke-with-response-stream" if row.is_streamed else "invoke"
    _, raw = invoke(urls["open"], row.body, imported.IMPORTED, operation)
    payloads = [json.loads(frame.payload) for frame in split_frames(raw)] if row.is_streamed else []
    chunks = [orjson.dumps(json.loads(b64decode(each["bytes"]))) for each in payloads]

    assert [imported_answers.hide(each.decode()) for each in chunks or [raw]] == row.expected()
