"""Images for tests, as files and as data URLs."""

from base64 import b64encode
from io import BytesIO

from PIL import Image


def png(color: str = "red", size: tuple[int, int] = (64, 48), mode: str = "RGB") -> bytes:
    file = BytesIO()
    Image.new(mode, size, color).save(file, "PNG")
    return file.getvalue()


def to_url(raw: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{b64encode(raw).decode()}"
