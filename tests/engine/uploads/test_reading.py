"""Texts and pixels that workers read: the same as from the libraries directly."""

from io import BytesIO

import pytest
from docx import Document
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook
from PIL import Image

from engine.tokenization.images import open_image
from engine.tokenization.tokenizer import load_tokenizer
from engine.uploads.call import CURRENT_SESSION, UploadSession
from engine.uploads.limits import DOCUMENT_LIMITS, MAX_CHARACTERS, MAX_UNSCALED_PIXELS
from engine.uploads.pixels import fit, read_image
from engine.uploads.pool import WORKERS
from engine.uploads.refusals import UploadRefused
from engine.uploads.texts import READERS
from invoke_api.dialects.documents import read_document
from invoke_api.wire.errors import ServiceUnavailableException
from tests.engine.uploads.bombs import MEGABYTE, far_cell
from tests.engine.uploads.pdf import pages_of, text_page
from tests.support.images import png, to_url


def docx() -> bytes:
    file, written = BytesIO(), Document()
    written.add_paragraph("The north is wet.")
    table = written.add_table(2, 2)
    for number, cell in enumerate(table._cells):  # noqa: SLF001 - in their order
        cell.text = str(number)
    written.save(file)
    return file.getvalue()


def xlsx() -> bytes:
    file, book = BytesIO(), Workbook()
    sheet = book.active
    assert sheet
    for row in (["place", "weather"], ["north", None], [None, 1.5]):
        sheet.append(row)
    book.save(file)
    return file.getvalue()


READ = [
    ("docx", docx(), "The north is wet.\n0\t1\n2\t3"),
    ("xlsx", xlsx(), "Sheet:\nplace\tweather\nnorth\n1.5"),
    ("xlsx", far_cell(), "Sheet:\n7"),
    ("pdf", pages_of([text_page(["one", "two"]), text_page(["three"])]), "one\ntwo\n\n\nthree"),
    ("html", b"<script>dry()</script><p>The <b>north</b> is wet.</p>", "The\nnorth\nis wet."),
    ("html", "<p>Z\u00fcrich \U0001f99c</p>".encode(), "Z\u00fcrich \U0001f99c"),
]


@pytest.mark.parametrize(("kind", "raw", "text"), READ, ids=[kind for kind, *_ in READ])
def test_a_document_is_read(kind: str, raw: bytes, text: str) -> None:
    assert WORKERS.read(kind, raw, DOCUMENT_LIMITS).payload.decode() == text
    assert READERS[kind](raw).payload.decode() == text  # in this process, for the coverage


def test_a_text_that_is_too_long_is_not_read_to_its_end() -> None:
    pages = pages_of([text_page(["word " * 20_000] * 10)] * 5)
    for kind, raw in (("pdf", pages), ("html", b"x" * MAX_CHARACTERS + b"y<p>")):
        with pytest.raises(UploadRefused) as caught:
            READERS[kind](raw)
        assert caught.value.reason == "output"


def drawn(mode: str, size: tuple[int, int]) -> Image.Image:
    """Return an image of differing pixels, some transparent if the mode allows it."""
    noise = Image.effect_noise(size, 90).convert("L")
    if mode == "RGBA":
        return Image.merge("RGBA", [noise, noise.rotate(90), noise.rotate(180), noise])
    return noise.convert(mode) if mode != "LA" else Image.merge("LA", [noise, noise.rotate(180)])


def on_white(image: Image.Image) -> Image.Image:
    """Convert a whole image at once."""
    if image.mode == "RGB":
        return image
    with_alpha = image.convert("RGBA")
    white = Image.new("RGBA", with_alpha.size, "WHITE")
    white.paste(with_alpha, (0, 0), with_alpha)
    return white.convert("RGB")


MODES = [
    *(("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    ("PNG", "P", {"transparency": 7}),
    ("PNG", "L", {"transparency": 7}),
    *(("JPEG", mode, {}) for mode in ("L", "RGB", "CMYK")),
    ("GIF", "P", {"transparency": 7}),
    ("WEBP", "RGBA", {"lossless": True}),
]


@pytest.mark.parametrize(("kind", "mode", "options"), MODES)
def test_pixels_are_those_of_the_whole_image(kind: str, mode: str, options: dict[str, int]) -> None:
    file = BytesIO()
    drawn(mode, (70, 1_100)).save(file, kind, **options)
    expected = on_white(Image.open(file))
    opened = open_image(to_url(file.getvalue(), kind.lower()))

    assert opened.size == (70, 1_100)
    assert opened.tobytes() == expected.tobytes()
    assert read_image(file.getvalue(), unscaled=77_000, most=77_000, side=None).payload == (
        expected.tobytes()
    )


@pytest.mark.parametrize(("kind", "mode", "options"), MODES)
def test_an_image_is_scaled_as_pillow_would(kind: str, mode: str, options: dict[str, int]) -> None:
    file = BytesIO()
    image = Image.new("L", (1_200, 2_000))
    image.paste(Image.linear_gradient("L").resize((1_200, 2_000)))
    image.convert(mode).save(file, kind, **options)
    expected = on_white(Image.open(file)).resize((120, 200), Image.Resampling.BICUBIC)
    read = read_image(file.getvalue(), unscaled=0, most=77_000, side=200)
    pairs = zip(read.payload, expected.tobytes(), strict=True)

    assert read.head == {"size": (120, 200)}
    assert sum(abs(ours - theirs) for ours, theirs in pairs) / len(read.payload) < 3


SIDES = st.integers(1, 8_000)


@given(SIDES, SIDES, st.sampled_from([1_024, 1_540]))
def test_a_scaled_image_is_as_large_as_mistral_common_makes_it(w: int, h: int, side: int) -> None:
    width, height = fit((w, h), side)
    ratio = max(h / side, w / side)
    expected = (round(w / ratio), round(h / ratio)) if ratio > 1 else (w, h)

    assert (width, height) in (expected, (w, h))
    if 0 not in expected:
        assert (width, height) == expected
        assert fit((width, height), side) == (width, height)


@pytest.mark.parametrize("name", ["v7", "tekken"])
@pytest.mark.parametrize("size", [(3_000, 2_000), (2_001, 333), (100, 7_999), (1_540, 1_541)])
def test_an_image_that_is_scaled_has_as_many_tokens(name: str, size: tuple[int, int]) -> None:
    part = {"type": "image_url", "image_url": {"url": to_url(png(size=size))}}
    chat = load_tokenizer(name).chat
    whole = chat.encode([{"role": "user", "content": [part]}])
    token = CURRENT_SESSION.set(UploadSession(unscaled=0))
    try:
        scaled = chat.encode([{"role": "user", "content": [part]}])
    finally:
        CURRENT_SESSION.reset(token)

    assert whole.images[0].size == size
    assert scaled.images[0].size != size
    assert scaled.tokens == whole.tokens


def test_images_are_kept_whole_until_they_are_many() -> None:
    token = CURRENT_SESSION.set(UploadSession())
    try:
        url = to_url(png(size=(4_000, 3_000)))
        sizes = [open_image(url, 1_024).size for _ in range(3)]
    finally:
        CURRENT_SESSION.reset(token)

    assert MAX_UNSCALED_PIXELS == 25 * MEGABYTE
    assert sizes == [(4_000, 3_000), (4_000, 3_000), (1_024, 768)]


def test_a_document_of_a_call_that_has_ended_is_no_mistake_of_its_own() -> None:
    call = UploadSession()
    call.cancel()
    token = CURRENT_SESSION.set(call)
    source = {"bytes": "PHA+aGk8L3A+"}
    try:
        with pytest.raises(ServiceUnavailableException):
            read_document({"name": "notes", "format": "html", "source": source})
    finally:
        CURRENT_SESSION.reset(token)
