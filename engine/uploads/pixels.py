"""Decoding of images to RGB pixels; large images are scaled down. Runs in a worker process."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from engine.uploads.limits import MAX_SIDE_PIXELS
from engine.uploads.messages import Message
from engine.uploads.refusals import UploadRefused

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")  # as Bedrock takes
BAND_ROWS = 512  # converted at once: a copy of the whole image could have 256 MB
# Ratio of the image to its target size before the last scaling step, as Pillow advises.
REDUCING_GAP = 2.0
# Without transparency, unless the file declares a transparent colour.
OPAQUE_MODES = ("1", "L")

Size = tuple[int, int]


def read_image(raw: bytes, *, unscaled: int, most: int, side: int | None) -> Message:
    """Return the first frame with its `size`. Transparent pixels become white.

    An image of more than `unscaled` pixels is scaled down to `side` pixels, as for the model.
    Raises `UploadRefused` if it still has more than `most` pixels.
    """
    image = _open(raw)
    size = image.size
    if size[0] * size[1] > unscaled and side:
        size = fit(size, side)
    if size[0] * size[1] > most:
        raise UploadRefused("many", "too many pixels")
    try:
        if size != image.size:
            image.draft("RGB", size)  # decodes a JPEG at a reduced size, at least this one
        scaled = _scale(image, size) if size != image.size else _to_rgb(image)
    except (OSError, SyntaxError, ValueError, IndexError, TypeError) as error:
        # Pillow's decoders raise these for a truncated or damaged file.
        raise UploadRefused("broken", "it is damaged") from error
    return Message({"size": scaled.size}, scaled.tobytes())


def fit(size: Size, side: int) -> Size:
    """Return the size to which mistral-common scales a larger image, so that its tokens stay.

    An image so thin that a side would be 0 keeps its size.
    """
    ratio = max(size) / side
    width, height = round(size[0] / ratio), round(size[1] / ratio)
    return (width, height) if ratio > 1 and width and height else size


def _open(raw: bytes) -> "Image":
    """Read the header of the file, with the image's size. Raises `UploadRefused`."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(BytesIO(raw), formats=IMAGE_FORMATS)
    except UnidentifiedImageError as error:
        raise UploadRefused("unknown", "it is no PNG, JPEG, WebP or GIF") from error
    except Image.DecompressionBombError as error:
        raise UploadRefused("pixels", "too many pixels") from error
    except (OSError, SyntaxError, ValueError, IndexError, TypeError) as error:
        raise UploadRefused("broken", "it is damaged") from error
    if max(image.size) > MAX_SIDE_PIXELS:
        raise UploadRefused("pixels", "too many pixels")
    return image


def _to_rgb(image: "Image") -> "Image":
    from PIL import Image

    image.load()
    if image.mode == "RGB":
        return image
    opaque = Image.new("RGB", image.size)
    for top, band in _bands(image, BAND_ROWS):
        opaque.paste(band, (0, top))
    return opaque


def _scale(image: "Image", size: Size) -> "Image":
    """Reduce the image by a whole factor, band by band, then resize it, as Pillow does."""
    from PIL import Image

    image.load()
    factor = [
        max(1, int(ours / theirs / REDUCING_GAP))
        for ours, theirs in zip(image.size, size, strict=True)
    ]
    across, down = factor
    width, height = (-(-ours // by) for ours, by in zip(image.size, factor, strict=True))
    reduced = Image.new("RGB", (width, height))
    for top, band in _bands(image, -(-BAND_ROWS // down) * down):
        reduced.paste(band.reduce((across, down)), (0, top // down))
    edge = (0, 0, image.width / across, image.height / down)
    return reduced.resize(size, Image.Resampling.BICUBIC, box=edge)


def _bands(image: "Image", rows: int) -> Iterator[tuple[int, "Image"]]:
    """Yield bands of rows, grey or RGB on white, each with the number of its first row."""
    from PIL import Image

    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        if band.mode in OPAQUE_MODES and "transparency" not in band.info:
            band = band.convert("L")
        elif band.mode != "RGB":
            with_alpha = band.convert("RGBA")
            white = Image.new("RGBA", band.size, "WHITE")
            white.paste(with_alpha, (0, 0), with_alpha)
            band = white.convert("RGB")
        yield top, band


READERS: dict[str, Callable[..., Message]] = {"image": read_image}
