"""The part of Docker's Engine API that Testcontainers calls; containers are processes of ours."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

from tests.support.servers import COMMAND, command_running

VERSION = "1.47"
PORT = "8080/tcp"
VERSIONED = re.compile(r"^/v[\d.]+(?=/)")
ID = "0123456789abcdef" * 4


class Engine:
    """Containers of one image. Its entry point is `invoke-api`. There is one at a time."""

    def __init__(self, image: str) -> None:
        self.image = image
        self.created: list[dict[str, Any]] = []
        self.removed = 0
        self._stack = ExitStack()
        self._lock = Lock()
        self._port: str | None = None

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        """Return the status and the document of an answer. None is an empty body."""
        asked = f"{method} {VERSIONED.sub('', path)}"
        routes: Mapping[str, Callable[[], tuple[int, object]]] = {
            "(GET|HEAD) /_ping": lambda: (200, "OK"),
            "GET /version": lambda: (200, {"ApiVersion": VERSION, "MinAPIVersion": "1.24"}),
            "GET /info": lambda: (200, {"ServerVersion": "27.0", "OperatingSystem": "Linux"}),
            f"GET /images/{self.image}/json": lambda: (200, {"Id": ID, "RepoTags": [self.image]}),
            "GET /containers/json": lambda: (200, []),
            "POST /containers/create": lambda: self._create(json.loads(body)),
            f"GET /containers/{ID}/json": lambda: (200, self._inspect()),
            f"POST /containers/{ID}/start": self._start,
            f"POST /containers/{ID}/stop": self._stop,
            f"DELETE /containers/{ID}": self._remove,
        }
        with self._lock:
            for pattern, handle in routes.items():
                if re.fullmatch(pattern, asked):
                    return handle()
        return 404, {"message": f"there is no {asked}"}

    def _create(self, container: dict[str, Any]) -> tuple[int, object]:
        self.created.append(container)
        return 201, {"Id": ID, "Warnings": []}

    def _start(self) -> tuple[int, object]:
        command = self.created[-1]["Cmd"]
        assert self.created[-1]["Image"] == self.image
        assert command[0] == "serve"
        url = self._stack.enter_context(command_running([*COMMAND, *command[1:]]))
        self._port = url.rpartition(":")[2]
        return 204, None

    def _stop(self) -> tuple[int, object]:
        self.close()
        return 204, None

    def _remove(self) -> tuple[int, object]:
        self.close()
        self.removed += 1
        return 204, None

    def _inspect(self) -> dict[str, Any]:
        bound = [{"HostIp": "127.0.0.1", "HostPort": self._port}]
        ports = {PORT: bound} if self._port else {}
        return {
            "Id": ID,
            "Name": "/service",
            "Image": ID,
            "Created": "2026-01-01T00:00:00Z",
            "Config": {"Image": self.image, "Hostname": "service", "Labels": {}},
            "State": {"Status": "running", "Running": True, "StartedAt": "2026-01-01T00:00:00Z"},
            "HostConfig": {"PortBindings": ports},
            "NetworkSettings": {"Ports": ports, "Networks": {}},
        }

    def close(self) -> None:
        self._stack.close()


@contextmanager
def docker_engine(image: str) -> Iterator[tuple[Engine, str]]:
    """Yield the engine, and its address for DOCKER_HOST."""
    engine = Engine(image)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = engine.answer(self.command, urlsplit(self.path).path, body)
            text = document if isinstance(document, str) else json.dumps(document)
            data = b"" if document is None else text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Api-Version", VERSION)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else data)

        do_GET = do_HEAD = do_POST = do_DELETE = _handle  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the same
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield engine, f"tcp://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            engine.close()
