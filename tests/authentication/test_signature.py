"""Signatures at a known time: AWS's error messages about time, to the second."""

from datetime import UTC, datetime, timedelta

import pytest

from invoke_api.authentication.signature import check_age
from invoke_api.wire.errors import InvalidSignatureException

NOW = datetime(2025, 8, 8, 8, 49, 15, tzinfo=UTC)


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_five_minutes_are_allowed(minutes: int) -> None:
    check_age(f"{NOW + timedelta(minutes=minutes):%Y%m%dT%H%M%SZ}", NOW)


def test_an_old_signature_is_answered_as_on_the_recording() -> None:
    with pytest.raises(InvalidSignatureException) as caught:
        check_age("20250521T075304Z", NOW)

    # open-telemetry/opentelemetry-js-contrib, recorded of Mistral Small 2402 (114 bytes with its
    # frame of JSON).
    assert caught.value.message == (
        "Signature expired: 20250521T075304Z is now earlier than 20250808T084415Z"
        " (20250808T084915Z - 5 min.)"
    )
    assert len(caught.value.to_json()) == 114


def test_a_signature_of_the_future_is_not_yet_current() -> None:
    with pytest.raises(InvalidSignatureException) as caught:
        check_age("20250808T085416Z", NOW)

    assert caught.value.message == (
        "Signature not yet current: 20250808T085416Z is still later than 20250808T085415Z"
        " (20250808T084915Z + 5 min.)"
    )
