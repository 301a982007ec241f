"""HTTP/1.1 requests as bytes, and random mutations of them."""

from collections.abc import Iterator
from random import Random

BODY = b'{"prompt": "Hi"}'


def ask(*fields: bytes, line: bytes = b"POST /a%3A2?b=c HTTP/1.1", body: bytes = BODY) -> bytes:
    return b"\r\n".join([line, *fields, b"", b""]) + body


HOST = b"Host: x"
LENGTH = b"Content-Length: 16"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"4\r\nabcd\r\na;b=c\r\n0123456789\r\n0\r\n\r\n"

PLAIN = [
    ask(HOST, LENGTH),
    ask(HOST, b"content-length:16", b"Accept: */*;q=1, a/b", b"Empty:", b"X:\t a\t b \xe4  "),
    ask(HOST, b"Content-Length: 0", body=b""),
    ask(HOST, CHUNKED, body=CHUNKS),
    ask(HOST, CHUNKED, body=CHUNKS[:-2] + b"Trailer: x\r\n\r\n"),
    ask(HOST, line=b"GET /metrics HTTP/1.1", body=b""),
    ask(HOST, b"Connection: close", LENGTH),
    ask(HOST, b"Connection: keep-alive", b"Expect: 100-continue", LENGTH),
    ask(line=b"GET / HTTP/1.0", body=b""),
    ask(HOST, line=b"HEAD /_emulator/health HTTP/1.1", body=b""),
    ask(HOST, LENGTH, line=b"PUT /logging/modelinvocations HTTP/1.1"),
]
PIECES = [
    *(bytes([each]) for each in b"\r\n: \t\0\x0b\x7f\x80a2,;#*"),
    b"\r\n", b"\r\n\r\n", b"{}", b"Host", HOST + b"\r\n", LENGTH + b"\r\n", CHUNKED + b"\r\n",
    b"Content-Length: 2, 2\r\n", b"Content-Length: +2\r\n", b"Content-Length: 02\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: identity\r\n",
    b"Connection: close\r\n", b"Upgrade: h2c\r\n", b"Connection: Upgrade\r\n", b" folded\r\n",
    b"X : a\r\n", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"http://y:80", b"POST ", b"0\r\n\r\n",
    b"ffffffffffffffffff\r\n", b"-1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]  # fmt: skip


def mutations(random: Random) -> Iterator[bytes]:
    """Yield an endless series of requests: up to three in a row, unchanged, mutated or cut."""
    while True:
        raw = b"".join(random.choices(PLAIN, k=random.choice([1, 1, 2, 3])))
        for _ in range(random.choice([0, 1, 1, 2, 3])):
            raw = _mutate(raw, random)
        if random.random() < 0.2:
            raw = raw[: random.randrange(len(raw) + 1)]
        yield raw


def _mutate(raw: bytes, random: Random) -> bytes:
    place, cut = random.randrange(len(raw) + 1), random.choice([0, 0, 1, 2, 6])
    kind = random.randrange(4)
    if kind == 0:  # insert a piece anywhere, perhaps replacing bytes
        return raw[:place] + random.choice(PIECES) + raw[place + cut :]
    if kind == 1:  # insert a piece at the start of a line, which is valid more often
        starts = [at + 2 for at in range(len(raw)) if raw.startswith(b"\r\n", at)] or [0]
        place = random.choice(starts)
        return raw[:place] + random.choice(PIECES) + raw[place:]
    if kind == 2:  # repeat a part
        return raw[:place] + raw[place : place + 20] + raw[place:]
    return raw[:place] + raw[place + random.randrange(1, 20) :]


def split(raw: bytes, random: Random) -> list[bytes]:
    """Split the bytes into some packets."""
    cuts = sorted(random.randrange(len(raw) + 1) for _ in range(random.choice([1, 2, 5])))
    return [raw[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
