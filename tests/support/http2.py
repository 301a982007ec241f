"""HTTP/2 clients with prior knowledge and control over each frame."""

import socket
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import h2.connection
import h2.events
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

Headers = Iterable[tuple[str, str]]


class Client:
    """A connection of any client, well behaved or not. Its methods use one stream by default."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=10)
        self._authority = address.netloc
        self._h2 = h2.connection.H2Connection()
        self._h2.initiate_connection()
        self.closed_by_server = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(
        self,
        path: str,
        body: bytes,
        *,
        method: str = "POST",
        headers: Headers = (),
        stream: int = 1,
        is_whole: bool = True,
    ) -> None:
        self._h2.send_headers(
            stream,
            [
                (":method", method),
                (":path", path),
                (":scheme", "http"),
                (":authority", self._authority),
                *((name.lower(), value) for name, value in headers),
            ],
        )
        self._h2.send_data(stream, body, end_stream=is_whole)
        self._flush()

    def set_window(self, size: int) -> None:
        """Set the initial window of streams, in bytes."""
        self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: size})
        self._flush()

    def give_room(self, size: int) -> None:
        """Enlarge the window by so many bytes."""
        self._h2.acknowledge_received_data(size, 1)
        self._flush()

    def say_goodbye(self, code: ErrorCodes) -> None:
        # A frame of our own: h2 refuses to read after it has sent a GOAWAY.
        self._flush()
        frame = (8).to_bytes(3) + b"\x07\x00" + bytes(4) + bytes(4) + int(code).to_bytes(4)
        self._socket.sendall(frame)

    def request_and_keep_sending(self, path: str) -> None:
        """Send a GET with a body, but the body only after the answer."""
        self._h2.send_headers(
            1,
            [
                (":method", "GET"),
                (":path", path),
                (":scheme", "http"),
                (":authority", self._authority),
            ],
        )
        self._flush()
        self.read(until=h2.events.StreamEnded)
        while self._h2.local_flow_control_window(1):
            size = min(self._h2.local_flow_control_window(1), self._h2.max_outbound_frame_size)
            self._h2.send_data(1, bytes(size))
        self._flush()

    def reset(self) -> None:
        """Reset the stream and keep the connection."""
        self._h2.reset_stream(1, ErrorCodes.CANCEL)
        self._flush()

    def read(self, *, until: type[h2.events.Event] | None = None) -> list[Any]:
        """Return all events up to one of this kind, or up to the end of the connection."""
        events: list[Any] = []
        while not any(until and isinstance(event, until) for event in events):
            data = self._socket.recv(65_536)
            if not data:
                self.closed_by_server = True
                break
            events += self._h2.receive_data(data)
            self._flush()
        return events

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


class Session:
    """A connection with requests of any length, one after the other."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self._authority = address.netloc
        self._h2 = h2.connection.H2Connection()
        self._h2.initiate_connection()
        self.is_open = True
        self.was_reset = False

    def close(self) -> None:
        self.is_open = False
        self._socket.close()

    def ask(
        self, method: str, path: str, headers: Headers, body: bytes
    ) -> tuple[list[tuple[str, str]], bytes]:
        """Return the headers of the answer, `:status` first, and its body."""
        stream = self._h2.get_next_available_stream_id()
        pseudo = {":method": method, ":path": path, ":scheme": "http"}
        fields = [*pseudo.items(), (":authority", self._authority)]
        fields += [(name.lower(), value) for name, value in headers]
        self._h2.send_headers(stream, fields, end_stream=not body)
        events = self._send(stream, body)
        while not any(isinstance(event, ENDS) for event in events):
            events += self._receive()
        [response] = [event for event in events if isinstance(event, h2.events.ResponseReceived)]
        data = [event.data for event in events if isinstance(event, h2.events.DataReceived)]
        pairs = [(name.decode(), value.decode()) for name, value in response.headers]
        return pairs, b"".join(data)

    def _send(self, stream: int, body: bytes) -> list[Any]:
        """Send the body as flow control permits; return the events meanwhile."""
        events: list[Any] = []
        rest = memoryview(body)
        while rest:
            room = self._h2.local_flow_control_window(stream)
            size = min(len(rest), room, self._h2.max_outbound_frame_size)
            if size == 0:
                events += self._receive()
                continue
            self._h2.send_data(stream, bytes(rest[:size]), end_stream=size == len(rest))
            rest = rest[size:]
        self._socket.sendall(self._h2.data_to_send())
        return events

    def _receive(self) -> list[Any]:
        self._socket.sendall(self._h2.data_to_send())
        data = self._socket.recv(65_536)
        if not data:
            self.close()
            raise ConnectionError("the server has closed the connection")
        events = self._h2.receive_data(data)
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                size = event.flow_controlled_length
                self._h2.acknowledge_received_data(size, event.stream_id)
            self.is_open &= not isinstance(event, h2.events.ConnectionTerminated)
            self.was_reset |= isinstance(event, h2.events.StreamReset)
        self._socket.sendall(self._h2.data_to_send())
        return events


ENDS = (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)


class Frame(NamedTuple):
    """A frame that the server has sent."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def code(self) -> ErrorCodes:
        """Return the error code of a GOAWAY or RST_STREAM."""
        return ErrorCodes(int.from_bytes(self.payload[4 * (self.kind == GOAWAY) :][:4]))


DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, PRIORITY_UPDATE = 6, 7, 8, 9, 16
ACK = END_STREAM = 1
END_HEADERS = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


# With windows for all answers of a test.
HELLO = PREFACE + frame(SETTINGS) + frame(WINDOW_UPDATE, payload=(2**30).to_bytes(4))


def head(
    stream: int,
    path: str = "/_emulator/health",
    *,
    method: str = "GET",
    flags: int = END_STREAM | END_HEADERS,
) -> bytes:
    """Encode a request's HEADERS without a compression table, for any connection."""
    fields = {":method": method, ":scheme": "http", ":authority": "localhost", ":path": path}
    return frame(HEADERS, flags, stream, encode_fields(fields))


def encode_fields(fields: Mapping[str, str]) -> bytes:
    """Encode literals without indexing (RFC 7541, 6.2.2), of at most 126 bytes each."""
    return b"".join(
        b"\0" + b"".join(bytes([len(part)]) + part.encode() for part in field)
        for field in fields.items()
    )


def reset(stream: int) -> bytes:
    return frame(RST_STREAM, 0, stream, bytes(3) + b"\x08")


def frames_of(data: bytes) -> tuple[list[Frame], bytes]:
    """Parse the complete frames of received bytes; return them and the rest."""
    frames = []
    while len(data) >= 9 and len(data) >= (end := 9 + int.from_bytes(data[:3])):
        frames.append(Frame(data[3], data[4], int.from_bytes(data[5:9]), data[9:end]))
        data = data[end:]
    return frames, data


class RawClient:
    """A connection on which a test sends arbitrary bytes."""

    def __init__(self, url: str, hello: bytes = HELLO) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=30)
        self._rest = b""
        self._frames: deque[Frame] = deque()
        self.closed_by_server = False
        self.send(hello)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *frames: bytes) -> None:
        """Send bytes until all are sent or the server closes the connection."""
        with suppress(ConnectionError):
            self._socket.sendall(b"".join(frames))

    def read(self, until: Callable[[Frame], bool] | None = None) -> list[Frame]:
        """Return all frames up to one like this, or up to the end of the connection."""
        frames: list[Frame] = []
        while True:
            while self._frames:
                frames.append(self._frames.popleft())
                if until and until(frames[-1]):
                    return frames
            try:
                data = self._socket.recv(65_536)
            except ConnectionError:
                data = b""
            if not data:
                self.closed_by_server = True
                return frames
            more, self._rest = frames_of(self._rest + data)
            self._frames += more

    def read_goodbye(self) -> Frame | None:
        """Return the GOAWAY; None if the server closes the connection without one."""
        frames = self.read(until=lambda each: each.kind == GOAWAY)
        return frames[-1] if frames and frames[-1].kind == GOAWAY else None
