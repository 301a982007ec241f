"""Pages in headless Chromium through Playwright, with a record of everything that went wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.support.browser import find_browser

TIMEOUT_MILLISECONDS = 60_000  # the machine may be busy
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
# Reported in the page's own world, where the policy applies.
NOTE_VIOLATIONS = """
window.violations = []
document.addEventListener("securitypolicyviolation",
  event => violations.push(`${event.violatedDirective} ${event.blockedURI}`))
"""


@dataclass
class Watch:
    """A record of a page: addresses that it asked, and errors of its scripts and console."""

    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def attach(self, page: Page) -> None:
        page.on("request", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._hear)
        page.add_init_script(NOTE_VIOLATIONS)

    def _hear(self, said: ConsoleMessage) -> None:
        # Chromium logs each status of an error, which tests look for in the page.
        if said.type == "error" and not said.text.startswith("Failed to load resource"):
            self.errors.append(said.text)

    def _note(self, request: Request) -> None:
        self.asked.append(request.url)


@contextmanager
def browser_running() -> Iterator[Browser]:
    """Run the Chromium of this machine. Fails with instructions if there is none."""
    path = find_browser()
    expect.set_options(timeout=TIMEOUT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def page_open(
    browser: Browser, *, dark: bool = False, width: int = 1280, height: int = 900
) -> Iterator[tuple[Page, Watch]]:
    """Open an empty page in a context of its own, with a record of what it does."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        permissions=["clipboard-read", "clipboard-write"],
        accept_downloads=True,
    )
    context.set_default_timeout(TIMEOUT_MILLISECONDS)
    page = context.new_page()
    watch = Watch()
    watch.attach(page)
    try:
        yield page, watch
    finally:
        context.close()
