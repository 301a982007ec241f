"""A real browser for tests: headless Chromium, which opens a page and returns its text."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.servers import call

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "tests of web pages need Chromium: apt-get install chromium, or scripts/setup test as root"
)


def find_browser() -> str:
    """Return the path of a browser. Raises `AssertionError` with instructions to get one."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, MISSING
    return found


@contextmanager
def page_served(html: str, behind: str | None = None) -> Iterator[str]:
    """Serve a page on a port, and so an origin, of its own. Yield its URL.

    With a service `behind`, all other paths are forwarded to it, so that the browser sees one
    origin, as after DNS rebinding.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, html.encode(), behind))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, html: bytes, behind: str | None, *rest: Any) -> None:
        self._html = html
        self._behind = behind
        super().__init__(*rest)

    def _answer(self) -> None:
        status, body = 200, self._html
        if self._behind and self.path != "/":
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name != "Connection"}
            response, body = call(self._behind, self.command, self.path, sent, **headers)
            status = response.status
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        pass


def open_page(url: str, folder: Path, flags: Sequence[str] = ()) -> str:
    """Return the text of the page's `<pre>` after 20 seconds of the page's clock."""
    command = [
        find_browser(),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=20000",
        *flags,
        "--dump-dom",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    found = re.search(r"<pre[^>]*>(.*?)</pre>", done.stdout, re.DOTALL)
    assert found, f"{done.stdout}\n{done.stderr}"
    return unescape(found[1])
