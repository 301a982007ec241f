"""A server that answers all requests with a constant stream, as fast as it can.

usage: python -m bench.streams.canned TOKENS
It measures the limit of the load: an answer has TOKENS events, each in its own write.
"""

import asyncio
import json
import sys
from base64 import b64encode
from collections.abc import Iterator

# The length makes an event as long as Bedrock's event of one token, with frame and padding.
PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[:30]


def main() -> None:
    asyncio.run(serve(int(sys.argv[1])))


async def serve(tokens: int) -> None:
    answer = list(events(tokens))

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(size))
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for event in answer:
            writer.write(event)
            await asyncio.sleep(0)  # so that no two events are written together
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0, limit=2**20)
    print(f"listens on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def events(tokens: int) -> Iterator[bytes]:
    """Yield an HTTP chunk for each token, and the end."""
    metrics = {"inputTokenCount": 0, "outputTokenCount": tokens}
    for number in range(tokens):
        body: dict[str, object] = {"outputs": [{"text": " word", "stop_reason": None}]}
        if number == tokens - 1:
            body["amazon-bedrock-invocationMetrics"] = metrics
        data = b64encode(json.dumps(body).encode()).decode()
        payload = json.dumps({"bytes": data, "p": PADDING}, separators=(",", ":")).encode()
        frame = b":event-type chunk :content-type application/json :message-type event" + payload
        yield b"%x\r\n%b\r\n" % (len(frame), frame)
    yield b"0\r\n\r\n"


if __name__ == "__main__":
    main()
