"""Images in a conversation: opened and counted as by mistral-common, or refused."""

from io import BytesIO
from typing import Any

import pytest
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from PIL import Image

from engine.errors import ChatRefused
from engine.tokenization.images import open_image
from engine.tokenization.mistral_files import carried
from engine.tokenization.tokenizer import MISTRAL, load_tokenizer
from engine.vllm.plugins.vision_standin import count_patches
from tests.support.images import png, to_url

SIZES = [(1, 1), (16, 16), (17, 16), (700, 333), (3_000, 2_000), (1, 5_000)]


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": "What is it?"}, *parts]}


def image(url: object) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize("size", SIZES)
def test_an_image_has_as_many_tokens_as_mistral_common_gives_it(size: tuple[int, int]) -> None:
    message = user(image(to_url(png(size=size))))
    theirs = MistralTokenizer.from_file(carried(MISTRAL["v7"].file))
    document: Any = {"messages": [message], "model": "any"}
    request: Any = ChatCompletionRequest.model_validate(document)
    prompt = load_tokenizer("v7").chat.encode([message])

    assert list(prompt.tokens) == theirs.encode_chat_completion(request).tokens
    assert [each.size for each in prompt.images] == [size]


def test_images_keep_their_order_and_a_url_may_stand_alone() -> None:
    parts = [image(to_url(png("red"))), {"type": "image_url", "image_url": to_url(png("blue"))}]
    prompt = load_tokenizer("v7").chat.encode([user(*parts)])

    assert [each.getpixel((0, 0)) for each in prompt.images] == [(255, 0, 0), (0, 0, 255)]


def test_tekken_counts_larger_patches() -> None:
    one = load_tokenizer("tekken").chat.encode([user(image(to_url(png(size=(280, 280)))))])
    none = load_tokenizer("tekken").chat.encode([user()])

    assert len(one.tokens) - len(none.tokens) == 110  # 10 rows of 10, each with a break or end


def test_what_is_transparent_is_white() -> None:
    opened = open_image(to_url(png("#00000000", mode="RGBA")))

    assert (opened.mode, opened.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def tiff() -> bytes:
    file = BytesIO()
    Image.new("RGB", (2, 2)).save(file, "TIFF")
    return file.getvalue()


NO_URL = "must be a data URL"
NO_IMAGE = "is no PNG, JPEG, WebP or GIF"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:9/cat.png", NO_URL),
        ("https://example.com/cat.png", NO_URL),
        ("file:///etc/passwd", NO_URL),
        ("data:text/plain;base64,AAAA", NO_URL),
        (None, NO_URL),
        (7, NO_URL),
        ("data:image/png;base64,@@@", NO_IMAGE),
        ("data:image/png;base64,", NO_IMAGE),
        ("data:image/svg+xml;base64,PHN2Zz4=", NO_IMAGE),
        (to_url(tiff(), "tiff"), NO_IMAGE),
        (to_url(png()[:60]), "is damaged"),
        (to_url(png(size=(8_001, 1))), "8000 pixels a side"),
    ],
)
def test_what_can_not_be_opened_is_refused(url: object, sentence: str) -> None:
    with pytest.raises(ChatRefused, match=sentence):
        load_tokenizer("v7").chat.encode([user(image(url))])


def test_a_model_of_texts_and_other_kinds_are_refused() -> None:
    with pytest.raises(ChatRefused, match="text only"):
        load_tokenizer("v3").chat.encode([user(image(to_url(png())))])
    with pytest.raises(ChatRefused, match="no input_audio"):
        load_tokenizer("v7").chat.encode([user({"type": "input_audio"})])


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 16), (333, 700)])
def test_the_stand_in_counts_as_transformers_does(size: tuple[int, int]) -> None:
    expected = ((size[0] - 1) // 16 + 1, (size[1] - 1) // 16 + 1)

    assert count_patches(size, 16) == count_patches(size, (16, 16)) == expected
