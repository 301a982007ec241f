"""An HTTP/2 client with prior knowledge, frame by frame: what no library lets a test do."""

import socket
from collections.abc import Iterable
from typing import Any, Self
from urllib.parse import urlsplit

import h2.connection
import h2.events
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

Headers = Iterable[tuple[str, str]]


class Client:
    """One connection: the methods do what a well or badly behaved client may, with one request
    unless another `stream` is named.
    """

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
        """How many bytes of each stream to come the client takes at first."""
        self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: size})
        self._flush()

    def give_room(self, size: int) -> None:
        """For so many bytes more."""
        self._h2.acknowledge_received_data(size, 1)
        self._flush()

    def say_goodbye(self, code: ErrorCodes) -> None:
        # Written by hand: h2 itself would refuse to read on after saying goodbye.
        self._flush()
        frame = (8).to_bytes(3) + b"\x07\x00" + bytes(4) + bytes(4) + int(code).to_bytes(4)
        self._socket.sendall(frame)

    def request_and_keep_sending(self, path: str) -> None:
        """A GET that announces a body and sends it only once it has been answered."""
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
        """Give up the request and keep the connection."""
        self._h2.reset_stream(1, ErrorCodes.CANCEL)
        self._flush()

    def read(self, *, until: type[h2.events.Event] | None = None) -> list[Any]:
        """All events up to one of this kind, or up to the end of the connection."""
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
