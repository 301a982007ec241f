"""Images as pixels. Runs in a worker process."""

from collections.abc import Callable

from engine.uploads.messages import Message

READERS: dict[str, Callable[..., Message]] = {}
