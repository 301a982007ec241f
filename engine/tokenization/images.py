"""Images of a conversation: read from data URLs only, and counted by their size.

This module imports mistral-common and Pillow; import it inside functions only.
"""

import re
from base64 import b64decode
from binascii import Error

import numpy as np
from mistral_common.protocol.instruct.chunk import ImageChunk, ImageURLChunk
from mistral_common.tokens.tokenizers.image import ImageEncoder, ImageEncoding
from PIL import Image

from engine.errors import ChatRefused, EngineBusy, EngineError
from engine.uploads.call import current_session
from engine.uploads.limits import IMAGE_LIMITS, MAX_PIXELS, MAX_SIDE_PIXELS
from engine.uploads.pool import WORKERS
from engine.uploads.refusals import UploadRefused

# Other URLs would let a client make this machine fetch addresses or read local files.
IMAGE_DATA_URL = re.compile(r"data:image/[a-z.+-]+;base64,")
NOT_AN_IMAGE = "An image is no PNG, JPEG, WebP or GIF in base64."
# By the reasons of `UploadRefused`. All are guesses: Bedrock's own sentences are not known.
IMAGE_REFUSALS = {
    "unknown": NOT_AN_IMAGE,
    "broken": "An image is damaged.",
    "pixels": f"An image may have {MAX_SIDE_PIXELS} pixels a side, and no more.",
    "many": f"The images of a request may have {MAX_PIXELS} pixels, and no more.",
}


def open_image(url: object, side: int | None = None) -> Image.Image:
    """Return the RGB image of a data URL. Transparent pixels become white.

    A worker process decodes it. If the images of the call have many pixels, an image is scaled down
    to `side`, the most pixels that the model takes on a side. Raises `ChatRefused`.
    """
    found = IMAGE_DATA_URL.match(url) if isinstance(url, str) else None
    if not found or not isinstance(url, str):
        raise ChatRefused("An image_url must be a data URL of an image, in base64.")
    session = current_session()
    room = {"unscaled": session.unscaled, "most": session.pixels}
    try:
        raw = b64decode(url[found.end() :], validate=True)
        read = WORKERS.read("image", raw, IMAGE_LIMITS, **room, side=side)
    except Error as error:
        raise ChatRefused(NOT_AN_IMAGE) from error
    except UploadRefused as refusal:
        raise _to_error(refusal) from refusal
    try:
        image = Image.frombytes("RGB", tuple(read.head["size"]), read.payload)
    except (KeyError, TypeError, ValueError) as error:  # a worker that was taken over
        raise ChatRefused(IMAGE_REFUSALS["broken"]) from error
    session.count_pixels(image.width * image.height)
    return image


def _to_error(refusal: UploadRefused) -> EngineError:
    if refusal.reason in ("cancelled", "unavailable"):
        return EngineBusy(str(refusal))
    sentence = IMAGE_REFUSALS.get(refusal.reason, f"An image could not be read: {refusal}.")
    return ChatRefused(sentence)


class CountingEncoder(ImageEncoder):
    """An encoder that counts the tokens of an image. vLLM resizes the pixels.

    It fetches nothing: an image that was not opened before is refused.
    """

    def __call__(self, content: ImageChunk | ImageURLChunk) -> ImageEncoding:
        if not isinstance(content, ImageChunk) or not isinstance(content.image, Image.Image):
            raise ChatRefused("An image was not opened.")
        columns, rows = self._image_to_num_tokens(content.image)
        tokens = ([self.special_ids.img] * columns + [self.special_ids.img_break]) * rows
        tokens[-1] = self.special_ids.img_end
        return ImageEncoding(tokens=tokens, image=np.empty(0))
