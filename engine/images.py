"""Images of a conversation: read from data URLs alone, and counted without a pixel being decoded.

Imports mistral-common and Pillow, and so is imported inside functions only.
"""

import re
from base64 import b64decode
from binascii import Error
from io import BytesIO
from typing import Any

import numpy as np
from mistral_common.protocol.instruct.chunk import ImageChunk, ImageURLChunk
from mistral_common.tokens.tokenizers.image import ImageEncoder, ImageEncoding
from PIL import Image, UnidentifiedImageError

from engine.chat import TEXT_ONLY
from engine.errors import ChatRefused

# Any other URL would have this machine fetch what a client names, or read its files.
DATA = re.compile(r"data:image/[a-z.+-]+;base64,")
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")  # those that Bedrock takes
MEDIA = ("image", "image_url", "input_audio", "audio", "audio_url")  # of mistral-common's parts
LONGEST_SIDE = 8_000  # pixels: User Guide, Converse's limits


def open_image(url: object) -> Image.Image:
    """The RGB image of a data URL, what is transparent in it white. Raises `ChatRefused`."""
    found = DATA.match(url) if isinstance(url, str) else None
    if not found or not isinstance(url, str):
        raise ChatRefused("An image_url must be a data URL of an image, in base64.")
    try:
        image = Image.open(BytesIO(b64decode(url[found.end() :], validate=True)), formats=FORMATS)
        if max(image.size) > LONGEST_SIDE:  # said by the head of the file
            raise ChatRefused(f"An image may have {LONGEST_SIDE} pixels a side, and no more.")
        return _to_rgb(image)
    except (Error, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ChatRefused("An image is no PNG, JPEG, WebP or GIF in base64.") from error
    except (OSError, SyntaxError, ValueError, IndexError, TypeError) as error:
        # What Pillow's decoders stumble over in a file that ends too early, or is damaged.
        raise ChatRefused("An image is damaged.") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        image.load()
        return image
    with_alpha = image.convert("RGBA")
    white = Image.new("RGBA", with_alpha.size, "WHITE")
    white.paste(with_alpha, (0, 0), with_alpha)
    return white.convert("RGB")


class CountingEncoder(ImageEncoder):
    """The tokens of an image and no pixels: these are vLLM's to resize.

    It fetches nothing: an image that was not opened before is refused.
    """

    def __call__(self, content: ImageChunk | ImageURLChunk) -> ImageEncoding:
        if not isinstance(content, ImageChunk) or not isinstance(content.image, Image.Image):
            raise ChatRefused("An image was not opened.")
        columns, rows = self._image_to_num_tokens(content.image)
        tokens = ([self.special_ids.img] * columns + [self.special_ids.img_break]) * rows
        tokens[-1] = self.special_ids.img_end
        return ImageEncoding(tokens=tokens, image=np.empty(0))


def with_images(content: Any, images: list[Image.Image], *, sees: bool) -> Any:  # noqa: ANN401 - any JSON
    """A message's content with its images opened; they are added to `images`, in their order.

    Raises `ChatRefused`, for every image unless the model `sees`.
    """
    if not isinstance(content, list):
        return content
    return [_with_image(part, images, sees=sees) for part in content]


def _with_image(part: Any, images: list[Image.Image], *, sees: bool) -> Any:  # noqa: ANN401 - any JSON
    kind = part.get("type") if isinstance(part, dict) else None
    if kind is None or kind not in MEDIA:
        return part  # mistral-common's to read or to refuse
    if not sees:
        raise ChatRefused(TEXT_ONLY)
    if kind != "image_url":
        raise ChatRefused(f"This model takes no {kind}.")
    wanted = part.get("image_url")
    images.append(open_image(wanted.get("url") if isinstance(wanted, dict) else wanted))
    return {"type": "image", "image": images[-1]}
