"""The page's files over HTTP: who gets them, and with which headers."""

import json
import re
from importlib.resources import files

import pytest

from invoke_api.control.page import FOLDER, page_files
from tests.control.test_doors import PAGES
from tests.support.servers import COMMAND, call, command_running, wait_until_ready

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
KEY = "ABSKQUFBQUFBQUFBQUFBQUFBQQ=="


@pytest.mark.parametrize("path", ["/_emulator/", "/_emulator", "/_emulator/?view=engines"])
def test_a_browser_gets_the_page(scripted: str, path: str) -> None:
    response, body = call(scripted, "GET", path, None, Accept=BROWSER)

    assert response.status == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert body.startswith(b"<!doctype html>")


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_other_clients_get_json(scripted: str, accept: str) -> None:
    response, body = call(scripted, "GET", "/_emulator/", None, Accept=accept)

    assert response.status == 404
    assert "there are /_emulator/health" in json.loads(body)["error"]


@pytest.mark.parametrize("path", ["/_emulator/", "/_emulator/page/main.js"])
def test_the_policy_allows_files_of_the_service_only(scripted: str, path: str) -> None:
    response, _ = call(scripted, "GET", path, None, Accept=BROWSER)
    policy = dict(
        part.split(" ", 1) for part in response.headers["content-security-policy"].split("; ")
    )

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["vary"] == "Accept"


@pytest.mark.parametrize("page", PAGES, ids=str)
@pytest.mark.parametrize("path", ["/_emulator/", "/_emulator/page/main.js", "/_emulator/calls"])
def test_pages_of_other_origins_get_nothing(scripted: str, path: str, page: dict[str, str]) -> None:
    response, body = call(scripted, "GET", path, None, Accept=BROWSER, **page)

    assert response.status == 403
    assert list(json.loads(body)) == ["error"]


@pytest.mark.parametrize("name", ["none.js", "index.html", "..%2fpage.py", "%2e%2e", "__init__.py"])
def test_other_files_are_not_found(scripted: str, name: str) -> None:
    response, body = call(scripted, "GET", f"/_emulator/page/{name}")

    assert response.status == 404
    assert "error" in json.loads(body)


def test_an_unchanged_file_is_not_sent_again(scripted: str) -> None:
    first, _ = call(scripted, "GET", "/_emulator/page/page.css")
    tag = first.headers["etag"] or ""
    again, body = call(scripted, "GET", "/_emulator/page/page.css", None, **{"If-None-Match": tag})

    assert (again.status, body) == (304, b"")


def test_files_have_no_inline_code_and_no_other_origins() -> None:
    for name, file in page_files().items():
        text = file.data.decode()
        assert not re.search(r"\bon\w+=\"|<style|style=\"|<script>|javascript:", text), name
        addresses = set(re.findall(r"https?://[^\s\"'`)$]+", text)) - {"http://www.w3.org/2000/svg"}
        assert addresses == set(), name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|localStorage", text
        ), name


def test_each_imported_file_is_there() -> None:
    found = page_files()
    for name, file in found.items():
        for each in re.findall(r"(?:from \"\./|/_emulator/page/)([\w.]+)\"", file.data.decode()):
            assert each in found, f"{name} imports {each}"
    assert len(found) == len(list((files("invoke_api.control") / FOLDER).iterdir()))


def test_without_control_routes_there_is_no_page() -> None:
    flags = ["--engine", "scripted", "--auth", "bearer"]
    with command_running([*COMMAND, *flags], {"INVOKE_API_API_KEY": KEY}) as url:
        wait_until_ready(url, seconds=30)
        response, body = call(url, "GET", "/_emulator/", None, Accept=BROWSER)

    assert response.status == 404
    assert "without --control there are" in json.loads(body)["error"]
