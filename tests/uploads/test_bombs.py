"""Bombs of every format: refused or answered, in bounded memory, and nobody else waits for it."""

from collections.abc import Iterator

import pytest

from engine.uploads.limits import DOCUMENT, IMAGE, MEGABYTE
from tests.images import png
from tests.servers import (
    COMMAND,
    LARGE,
    LARGE_3,
    PIXTRAL,
    SEVEN_B,
    call,
    command_running,
    invoke,
    wait_until_ready,
)
from tests.uploads.bombs import BOMBS, converse_body
from tests.uploads.image_bombs import IMAGE_BOMBS, converse_images
from tests.uploads.service import PLAIN, memory_watched, others_answered, service_at

LONGEST_WAIT = 1.0  # seconds that another call may take meanwhile
# Bytes that the service may need for bodies, prompts and decoded images, and a worker for its
# libraries.
OWN = 300 * MEGABYTE


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A service that has seen a text, a document and an image, so that all is loaded."""
    with command_running([*COMMAND, "--engine", "scripted"]) as url:
        wait_until_ready(url, seconds=30)
        invoke(url, PLAIN)
        ask(url, SEVEN_B, converse_body("html", b"<p>north</p>"))
        ask(url, PIXTRAL, converse_images("png", [png()]))
        yield url


def ask(url: str, model: str, body: bytes) -> tuple[int, bytes]:
    path = f"/model/{model.replace(':', '%3A')}/converse"
    response, answer = call(url, "POST", path, body)
    return response.status, answer


@pytest.mark.parametrize("name", BOMBS)
def test_a_document_costs_others_nothing(url: str, name: str) -> None:
    kind, make = BOMBS[name]
    check(url, SEVEN_B, converse_body(kind, make()), DOCUMENT.memory)


@pytest.mark.parametrize("name", IMAGE_BOMBS)
def test_an_image_costs_others_nothing(url: str, name: str) -> None:
    kind, make = IMAGE_BOMBS[name]
    check(url, PIXTRAL, converse_images(kind, make()), IMAGE.memory)


@pytest.mark.parametrize("model", [LARGE, LARGE_3])
def test_a_long_text_for_a_chat_costs_others_nothing(url: str, model: str) -> None:
    check(url, model, converse_body("md", b"The north is wet. " * 110_000), 0)


def check(url: str, model: str, body: bytes, memory: int) -> None:
    service = service_at(url)
    before = service.memory_info().rss
    with others_answered(url) as waits, memory_watched(service) as sums:
        status, answer = ask(url, model, body)

    assert status in (200, 400), answer
    assert b'"message":' in answer
    assert max(sums) < before + memory + OWN
    assert max(waits) < LONGEST_WAIT
    assert service.is_running()
