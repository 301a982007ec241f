"""Where a key may be in a request."""

from datetime import UTC, datetime

import pytest

from invoke_api.authentication.credentials import ApiKey, Credentials
from invoke_api.authentication.gate import Gate
from invoke_api.authentication.signature import RawRequest
from invoke_api.wire.errors import FrontDoorError

KEY = "ABSKQmVkcm9jazEyMzQ1Njc4"
KEYS = Credentials(api_keys=(ApiKey(api_key=KEY, account_id="111122223333"),))


def asked(path: bytes, name: bytes, value: str) -> RawRequest:
    headers = [(name, value.encode())]
    return RawRequest("POST", path, b"", headers, b"{}", datetime.now(UTC))


@pytest.mark.parametrize("auth", ["bearer", "any"])
def test_anthropics_header_holds_a_key_on_anthropics_paths(auth: str) -> None:
    gate = Gate(auth=auth, credentials=KEYS)

    caller = gate.admit(asked(b"/anthropic/v1/messages", b"x-api-key", KEY))

    assert caller.account_id == "111122223333"
    for path, key in ((b"/anthropic/v1/messages", "ABSKother"), (b"/v1/models", KEY)):
        with pytest.raises(FrontDoorError):
            gate.admit(asked(path, b"x-api-key", key))
