"""A browser and a service for the tests of the page."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page

from tests.support.playwright import Watch, browser_running, page_open
from tests.support.servers import COMMAND, call, command_running, wait_until_ready

Open = Callable[[str], Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Yield Chromium. It ends with this folder's tests: Playwright occupies the event loop."""
    with browser_running() as browser:
        yield browser


@pytest.fixture(scope="package")
def service() -> Iterator[str]:
    """Yield the URL of a service with scripted engines."""
    with command_running([*COMMAND, "--engine", "scripted"]) as url:
        wait_until_ready(url, seconds=30)
        yield url


@pytest.fixture
def url(service: str) -> Iterator[str]:
    """Yield the service's URL, without rules and calls."""
    call(service, "POST", "/_emulator/reset")
    yield service
    call(service, "POST", "/_emulator/reset")


@pytest.fixture
def open_page(browser: Browser, url: str) -> Iterator[Open]:
    """Yield a function that opens the page with a query, such as `?view=engines`.

    Fails the test if the page asked another origin, violated its policy, or logged an error.
    """
    opened: list[tuple[Page, Watch]] = []
    with ExitStack() as stack:

        def show(query: str = "") -> Page:
            page, watch = stack.enter_context(page_open(browser))
            opened.append((page, watch))
            page.goto(f"{url}/_emulator/{query}")
            page.wait_for_selector("h1")
            return page

        yield show
        for page, watch in opened:
            assert watch.errors == []
            assert page.evaluate("window.violations") == []
            assert {
                each for each in watch.asked if not each.startswith((url, "blob:", "data:"))
            } == set()
