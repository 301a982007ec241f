"""Bombs of each format: refused or answered in bounded memory, without delay for other calls."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from engine.uploads.limits import (
    AUDIO_LIMITS,
    CALL_SECONDS,
    DOCUMENT_LIMITS,
    IMAGE_LIMITS,
    MEGABYTE,
)
from tests.engine.uploads.audio_bombs import AUDIO_BOMBS, converse_audio
from tests.engine.uploads.bombs import BOMBS, converse_body, small_wide_cell
from tests.engine.uploads.image_bombs import IMAGE_BOMBS, converse_images, drawn, many_scans
from tests.engine.uploads.service import PLAIN, memory_watched, others_answered, service_at
from tests.support.images import png, to_url
from tests.support.servers import (
    COMMAND,
    LARGE,
    LARGE_3,
    MIXTRAL,
    PIXTRAL,
    SEVEN_B,
    VOXTRAL_MINI,
    command_running,
    connect,
    invoke,
    wait_until_ready,
)
from tests.support.sounds import tone

MAX_WAIT_SECONDS = 2.0  # of another call meanwhile, on a busy machine
# Bytes of the service for bodies, prompts and decoded images, and of a worker for its libraries.
OWN = 300 * MEGABYTE


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Return a service that has read an upload of each kind, so that all libraries are loaded."""
    with command_running([*COMMAND, "--engine", "scripted"]) as url:
        wait_until_ready(url, seconds=30)
        invoke(url, PLAIN)
        ask(url, SEVEN_B, converse_body("html", b"<p>north</p>"))
        ask(url, PIXTRAL, converse_images("png", [png()]))
        ask(url, VOXTRAL_MINI, converse_audio("wav", [tone()]))
        yield url


def ask(url: str, model: str, body: bytes, operation: str = "converse") -> tuple[int, bytes]:
    path = f"/model/{model.replace(':', '%3A')}/{operation}"
    with closing(connect(url)) as connection:
        connection.timeout = 2 * CALL_SECONDS
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, response.read()


@pytest.mark.parametrize("name", BOMBS)
def test_a_document_costs_others_nothing(url: str, name: str) -> None:
    kind, make = BOMBS[name]
    check(url, SEVEN_B, converse_body(kind, make()), DOCUMENT_LIMITS.memory)


@pytest.mark.parametrize("name", IMAGE_BOMBS)
def test_an_image_costs_others_nothing(url: str, name: str) -> None:
    kind, make = IMAGE_BOMBS[name]
    check(url, PIXTRAL, converse_images(kind, make()), IMAGE_LIMITS.memory)


@pytest.mark.parametrize("name", AUDIO_BOMBS)
def test_audio_costs_others_nothing(url: str, name: str) -> None:
    kind, make = AUDIO_BOMBS[name]
    check(url, VOXTRAL_MINI, converse_audio(kind, make()), AUDIO_LIMITS.memory)


@pytest.mark.parametrize("model", [LARGE, LARGE_3])
def test_a_long_text_for_a_chat_costs_others_nothing(url: str, model: str) -> None:
    check(url, model, converse_body("md", b"The north is wet. " * 110_000), 0)


HIDDEN = {
    b'"document"': b'"docum\\u0065nt"',
    b'"image"': b'"im\\u0061ge"',
    b'"audio"': b'"aud\\u0069o"',
}


def hide(body: bytes) -> bytes:
    """Return the same document in other bytes, which a search for known bytes does not find."""
    for plain, hidden in HIDDEN.items():
        body = body.replace(plain, hidden)
    return body


def test_a_document_in_disguise_costs_others_nothing(url: str) -> None:
    check(url, SEVEN_B, hide(converse_body("docx", small_wide_cell())), DOCUMENT_LIMITS.memory)


@pytest.mark.parametrize("words", [1, 10_000])
def test_a_document_in_disguise_is_read(url: str, words: int) -> None:
    raw = b"<p>%s</p>" % (b"north " * words)
    plain, hidden = (ask(url, MIXTRAL, body(converse_body("html", raw))) for body in (bytes, hide))

    assert plain[0] == 200
    assert text_of(plain[1]) == text_of(hidden[1])


def text_of(answer: bytes) -> str:
    [block] = json.loads(answer)["output"]["message"]["content"]
    text: str = block["text"]
    return text


def test_images_in_disguise_cost_others_nothing(url: str) -> None:
    check(url, PIXTRAL, hide(converse_images("jpeg", [many_scans()])), IMAGE_LIMITS.memory)


def test_an_image_of_another_operation_in_disguise_costs_others_nothing(url: str) -> None:
    image = {"type": "image_url", "image_url": {"url": to_url(drawn("PNG", (8_000, 8_000), "1"))}}
    message = {"role": "user", "content": [{"type": "text", "text": "Hi"}, image]}
    body = json.dumps({"messages": [message] * 2, "max_tokens": 1}).encode()
    disguised = body.replace(b"image_url", b"im\\u0061ge_url")
    check(url, PIXTRAL, disguised, IMAGE_LIMITS.memory, operation="invoke")


def test_audio_in_disguise_costs_others_nothing(url: str) -> None:
    kind, make = AUDIO_BOMBS["hours of silence in a small FLAC"]
    check(url, VOXTRAL_MINI, hide(converse_audio(kind, make())), AUDIO_LIMITS.memory)


def check(url: str, model: str, body: bytes, memory: int, operation: str = "converse") -> None:
    service = service_at(url)
    before = service.memory_info().rss
    with others_answered(url) as waits, memory_watched(service) as sums:
        status, answer = ask(url, model, body, operation)

    assert status in (200, 400), answer
    assert b'"message":' in answer or b'"choices":' in answer
    assert max(sums) < before + memory + OWN
    assert max(waits) < MAX_WAIT_SECONDS
    assert service.is_running()
