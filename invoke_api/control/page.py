"""The page at `/_emulator/`: static files of this package, under a strict policy."""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.control.responses import error_answer

FOLDER = "page_files"
INDEX = "index.html"
MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# The page loads files and data of its own origin only, runs no inline script, and assigns no HTML.
POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
HEADERS = {
    "content-security-policy": "; ".join(POLICY),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
    "vary": "Accept",
}


class PageFile(NamedTuple):
    """One file, and its entity tag."""

    data: bytes
    media_type: str
    tag: str


async def page(request: Request, _: bytes) -> Response:
    """Return the page itself."""
    return _to_response(request, page_files()[INDEX])


async def page_file(request: Request, _: bytes) -> Response:
    """Return a script or a style sheet of the page."""
    name = request.url.path.rpartition("/")[2]
    found = page_files().get(name)
    if found is None or name == INDEX:
        return error_answer(f"The page has no file {name[:100]!r}.", status=404)
    return _to_response(request, found)


def _to_response(request: Request, file: PageFile) -> Response:
    headers = {**HEADERS, "etag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.data, media_type=file.media_type, headers=headers)


@cache
def page_files() -> dict[str, PageFile]:
    """Return the files of the page by name."""
    folder = files("invoke_api.control") / FOLDER
    found = {}
    for each in folder.iterdir():
        media_type = MEDIA_TYPES.get(each.name.rpartition(".")[2])
        if media_type:
            data = each.read_bytes()
            found[each.name] = PageFile(data, media_type, f'"{sha256(data).hexdigest()[:32]}"')
    return found
