"""The frames of a whole stream, for tests that compare them."""

from invoke_api.wire.eventstream import Frame, decode_frame


def split_frames(body: bytes) -> list[Frame]:
    frames = []
    while body:
        size = int.from_bytes(body[:4])
        frames.append(decode_frame(body[:size]))
        body = body[size:]
    return frames
