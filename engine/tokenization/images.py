"""Images of a conversation: read from data URLs alone, and counted by their size.

Imports mistral-common and Pillow, and so is imported inside functions only.
"""

import re
from base64 import b64decode
from binascii import Error

import numpy as np
from mistral_common.protocol.instruct.chunk import ImageChunk, ImageURLChunk
from mistral_common.tokens.tokenizers.image import ImageEncoder, ImageEncoding
from PIL import Image

from engine.errors import ChatRefused, EngineBusy, EngineError
from engine.uploads.call import current_call
from engine.uploads.limits import IMAGE, MOST_PIXELS, MOST_SIDE
from engine.uploads.pool import WORKERS
from engine.uploads.refusals import UploadRefused

# Any other URL would have this machine fetch what a client names, or read its files.
DATA = re.compile(r"data:image/[a-z.+-]+;base64,")
UNKNOWN = "An image is no PNG, JPEG, WebP or GIF in base64."
# By the reasons of `UploadRefused`. Guess for all words: Bedrock's own are not known.
SENTENCES = {
    "unknown": UNKNOWN,
    "broken": "An image is damaged.",
    "pixels": f"An image may have {MOST_SIDE} pixels a side, and no more.",
    "many": f"The images of a request may have {MOST_PIXELS} pixels, and no more.",
}


def open_image(url: object, side: int | None = None) -> Image.Image:
    """Return the RGB image of a data URL, what is transparent in it white.

    It is decoded in a worker process. If the images of the call have many pixels, one that is
    larger than `side`, as much as the model takes, is scaled down to it. Raises `ChatRefused`.
    """
    found = DATA.match(url) if isinstance(url, str) else None
    if not found or not isinstance(url, str):
        raise ChatRefused("An image_url must be a data URL of an image, in base64.")
    call = current_call()
    room = {"whole": call.whole, "most": call.pixels}
    try:
        raw = b64decode(url[found.end() :], validate=True)
        read = WORKERS.read("image", raw, IMAGE, **room, side=side)
    except Error as error:
        raise ChatRefused(UNKNOWN) from error
    except UploadRefused as refusal:
        raise _to_error(refusal) from refusal
    try:
        image = Image.frombytes("RGB", tuple(read.head["size"]), read.payload)
    except (KeyError, TypeError, ValueError) as error:  # a worker that was taken over says anything
        raise ChatRefused(SENTENCES["broken"]) from error
    call.keep(image.width * image.height)
    return image


def _to_error(refusal: UploadRefused) -> EngineError:
    if refusal.reason in ("cancelled", "unavailable"):
        return EngineBusy(str(refusal))
    sentence = SENTENCES.get(refusal.reason, f"An image could not be read: {refusal}.")
    return ChatRefused(sentence)


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
