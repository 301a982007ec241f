"""Images that are small and costly to read."""

import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from struct import pack

from PIL import Image

MEGABYTE = 1_000_000
SIDE = 8_000  # pixels, the limit


def converse_images(kind: str, images: Sequence[bytes]) -> bytes:
    """Return a Converse body with these images."""
    blocks = [
        {"image": {"format": kind, "source": {"bytes": b64encode(raw).decode()}}} for raw in images
    ]
    content = [{"text": "What is it?"}, *blocks]
    return json.dumps({"messages": [{"role": "user", "content": content}]}).encode()


def drawn(kind: str, size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    file = BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return pack("!I", len(content)) + name + content + pack("!I", zlib.crc32(name + content))


def png_of(size: tuple[int, int], *chunks: bytes) -> bytes:
    """Return an 8-bit grey PNG of this size, with these chunks after its header."""
    head = _chunk(b"IHDR", pack("!IIBBBBB", *size, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + _chunk(b"IEND", b"")


@cache
def packed(megabytes: int) -> bytes:
    return zlib.compress(bytes(megabytes * MEGABYTE))


def many_scans() -> bytes:
    """Return a progressive JPEG that repeats its last scan three hundred times."""
    raw = drawn("JPEG", (SIDE, SIDE), "L", progressive=True, quality=1)
    start = raw.rindex(b"\xff\xda")
    return raw[:start] + raw[start:-2] * 300 + raw[-2:]


def gif_of(screen: int, frames: int) -> bytes:
    head = b"GIF89a" + pack("<HHBBB", screen, screen, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    frame = b"," + pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b";"


def many_frames() -> bytes:
    file = BytesIO()
    frames = [Image.new("RGB", (2_000, 2_000), (shade, 0, 0)) for shade in range(20)]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True, method=0)
    return file.getvalue()


def webp_of(size: tuple[int, int]) -> bytes:
    """Return a lossless WebP that declares a wrong size."""
    raw = drawn("WEBP", (1, 1), lossless=True)
    bits = (raw[24] & 0xF0) << 24 | (size[1] - 1) << 14 | (size[0] - 1)
    return raw[:21] + pack("<I", bits) + raw[25:]


def large_webp() -> bytes:
    return drawn("WEBP", (SIDE, SIDE), "L", lossless=True, method=0)


IDAT = _chunk(b"IDAT", zlib.compress(b"\0\0"))


def packed_png(name: bytes, before: bytes = b"") -> bytes:
    """Return a PNG of one pixel, with a chunk of 300 MB after `before`."""
    return png_of((1, 1), _chunk(name, before + packed(300)), IDAT)


IMAGE_BOMBS: dict[str, tuple[str, Callable[[], list[bytes]]]] = {
    "twenty large PNGs": ("png", lambda: [drawn("PNG", (SIDE, SIDE), "1")] * 20),
    "a PNG with too much in it": ("png", lambda: [packed_png(b"IDAT")]),
    "a PNG with a long text": ("png", lambda: [packed_png(b"zTXt", b"a\0\0")]),
    "a PNG with a long profile": ("png", lambda: [packed_png(b"iCCP", b"a\0\0")]),
    "a PNG that says it is huge": ("png", lambda: [png_of((2**31 - 1, 2**31 - 1), IDAT)]),
    "a JPEG of many scans": ("jpeg", lambda: [many_scans()]),
    "a JPEG that is too wide": ("jpeg", lambda: [drawn("JPEG", (60_000, 60), "L")]),
    "a GIF with a huge screen": ("gif", lambda: [gif_of(65_535, 1)]),
    "a GIF of many frames": ("gif", lambda: [gif_of(SIDE, 100_000)]),
    "a WebP of many frames": ("webp", lambda: [many_frames()]),
    "large WebPs": ("webp", lambda: [large_webp()] * 20),
    "a WebP that says it is huge": ("webp", lambda: [webp_of((16_383, 16_383))]),
}
