"""Parts of an answer in SageMaker's frames. Pure, but for the places of the cuts."""

from collections.abc import Sequence
from random import random

from engine.protocol import Delta
from invoke_api.dialects.question import InvocationMetrics
from invoke_api.pipeline.model_request import AnswerWriter, ChoicesWriter
from invoke_api.sagemaker.errors import PART_HEADERS
from invoke_api.wire.eventstream import encode_payloads


def encode_parts(data: bytes) -> bytes:
    """Return PayloadPart frames with these bytes, cut in two at a random place.

    SageMaker cuts a container's stream anywhere, so clients must put its lines together again.
    """
    if not data:
        return b""
    cut = 1 + int(random() * (len(data) - 1))  # noqa: S311 - hides no secret
    return encode_payloads(PART_HEADERS, [part for part in (data[:cut], data[cut:]) if part])


class PartsWriter(ChoicesWriter):
    """A writer that encloses another one's answer in frames, at each step if it `streams`."""

    def __init__(self, inner: AnswerWriter | ChoicesWriter, *, streams: bool) -> None:
        self._inner = inner
        self._streams = streams
        self._held: list[Delta] = []

    def choices(self, deltas: Sequence[Delta], metrics: InvocationMetrics) -> bytes:
        if isinstance(self._inner, ChoicesWriter):
            return encode_parts(self._inner.choices(deltas, metrics))
        finish = deltas[-1].finish
        assert finish, "these are all deltas"
        text = "".join(delta.text for delta in deltas)
        logprobs = [delta.logprobs for delta in deltas if delta.logprobs]
        return encode_parts(self._inner.whole(text, finish, metrics, logprobs or None))

    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        if self._streams:
            return encode_parts(self._inner.frames(deltas, metrics))
        self._held += deltas
        return self.choices(self._held, metrics) if metrics else b""
