"""The corpus of each harness, and seeded mutations of it."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from random import Random

CORPUS = Path(__file__).parent / "corpus"
HARNESSES = (
    *("cassettes", "completions", "eventstream", "rules", "sigv4", "tool_calls", "wording"),
)
# Bytes that random mutations would hardly find.
TOKENS = [
    *(b'"', b"{", b"}", b"[", b"]", b":", b",", b"\n", b"\0", b"\xff", b"\\u0000", b"\\ud800"),
    *(b"1e400", b"18446744073709551616", b"9" * 4_301, b"-0.0", b"NaN", b"null", b"true", b'""'),
    *(b"[" * 300, b"]" * 300, b"[" * 1_100 + b"]" * 1_100, b"\x00\x00\x00\x10", b"[TOOL_CALLS]"),
    *(b"[ARGS]", b"data: ", b"%ff", b"/../", b"=", b";", b"\xc2\x80", b"\xf0\x9f\xa6\x9c"),
]
MAX_MUTATION_BYTES = 20_000  # bytes of a mutation


def check_of(name: str) -> Callable[[bytes], None]:
    check: Callable[[bytes], None] = import_module(f"tests.fuzzing.harnesses.{name}").check
    return check


def corpus_of(name: str) -> list[bytes]:
    """Return the corpus of a harness, in the order of the files' names."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


def mutations(name: str, random: Random) -> Iterator[bytes]:
    """Yield items of the corpus, changed in some places, without end."""
    corpus = corpus_of(name)
    while True:
        data = random.choice(corpus)
        for _ in range(random.choice([1, 1, 2, 4, 8])):
            data = random.choice(CHANGES)(random, data, corpus)
        yield data[:MAX_MUTATION_BYTES]


def _flip(random: Random, data: bytes, _: list[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]


def _insert(random: Random, data: bytes, _: list[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(TOKENS) + data[at:]


def _replace(random: Random, data: bytes, _: list[bytes]) -> bytes:
    at, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:at] + random.choice(TOKENS) + data[min(end, at + 20) :]


def _cut(random: Random, data: bytes, _: list[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.randrange(1, 30) :]


def _repeat(random: Random, data: bytes, _: list[bytes]) -> bytes:
    at, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[at:end] * random.choice([1, 2, 50]) + data[end:]


def _splice(random: Random, data: bytes, corpus: list[bytes]) -> bytes:
    other = random.choice(corpus)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


CHANGES = [_flip, _insert, _replace, _cut, _repeat, _splice]
