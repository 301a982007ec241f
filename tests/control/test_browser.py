"""A page of another origin can do nothing to the service, in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.browser import open_page, page_served
from tests.support.servers import COMMAND, SEVEN_B, call, command_running, invoke, wait_until_ready

# Each way in turn, and what the page gets to see of it: a status, or that the browser let it see
# nothing. `no-cors` sends what needs no preflight, as a form would.
PAGE = """<!doctype html><title>a page</title><pre>working</pre><iframe name="hidden"></iframe>
<script>
const at = %(at)s, model = "/model/%(model)s/invoke"
const said = []
async function attempt(name, path, options) {
  try {
    const answer = await fetch(at + path, options)
    said.push([name, answer.status, await answer.text()])
  } catch (error) {
    said.push([name, 0, ""])
  }
}
const rule = JSON.stringify({reply: "of a page"}), text = {"Content-Type": "text/plain"}
// A blob without a type has no Content-Type, which needs no preflight either.
const body = new Blob([JSON.stringify({prompt: "of a page", max_tokens: 2})])
async function all() {
  await attempt("rule", "/_emulator/rules", {method: "POST", body: rule, headers: text})
  await attempt("rule, blind", "/_emulator/rules", {method: "POST", body: rule, mode: "no-cors"})
  await attempt("journal", "/_emulator/requests")
  await attempt("rules", "/_emulator/rules")
  await attempt("metrics", "/metrics")
  await attempt("health", "/_emulator/health")
  await attempt("reset, blind", "/_emulator/reset", {method: "POST", mode: "no-cors"})
  await attempt("delete", "/_emulator/rules", {method: "DELETE"})
  await attempt("encoded", "/_emulator%%2freset", {method: "POST", mode: "no-cors"})
  await attempt("model", model, {method: "POST", body: body})
  await attempt("model, blind", model, {method: "POST", body: body, mode: "no-cors"})
  navigator.sendBeacon(at + "/_emulator/reset", "")
  const form = document.createElement("form")
  Object.assign(form, {action: at + "/_emulator/reset", method: "post", target: "hidden"})
  document.body.append(form)
  form.submit()
  const frame = document.querySelector("iframe")
  await new Promise(done => { frame.addEventListener("load", done); setTimeout(done, 5000) })
  document.querySelector("pre").textContent = JSON.stringify(said)
}
all()
</script>"""

WAYS = 11  # that are told of; the beacon and the form are not
EVIL = "--host-resolver-rules=MAP evil.example 127.0.0.1"


@pytest.fixture
def url() -> Iterator[str]:
    """Yield the URL of a service with one rule and one call, which it must keep."""
    with command_running([*COMMAND, "--engine", "scripted"]) as started:
        wait_until_ready(started, seconds=30)
        call(started, "POST", "/_emulator/rules", b'{"reply": "of the test"}')
        invoke(started, {"prompt": "of the test"})
        yield started


def state_of(url: str) -> tuple[Any, Any]:
    """Return the rules and the answered calls."""
    rules = json.loads(call(url, "GET", "/_emulator/rules")[1])["rules"]
    requests = json.loads(call(url, "GET", "/_emulator/requests")[1])["requests"]
    return rules, [request for request in requests if request["error"] is None]


def page(at: str) -> str:
    return PAGE % {"at": json.dumps(at), "model": SEVEN_B}


def attack(opened: str, folder: Path, *flags: str) -> dict[str, tuple[int, str]]:
    """Return the status and text that the page saw, by the name of the attack."""
    said = json.loads(open_page(opened, folder, flags))
    return {name: (status, text) for name, status, text in said}


NOTHING = {(0, "")}


def test_a_page_of_another_origin_changes_and_sees_nothing(url: str, tmp_path: Path) -> None:
    before = state_of(url)
    with page_served(page(url)) as origin:
        seen = attack(f"{origin.replace('127.0.0.1', 'evil.example')}/", tmp_path, EVIL)

    assert len(seen) == WAYS
    assert set(seen.values()) == NOTHING
    assert state_of(url) == before


def test_a_page_of_another_port_changes_and_sees_nothing(url: str, tmp_path: Path) -> None:
    """Refuse a page of the same site on this machine, such as an app under development."""
    rules, calls = state_of(url)
    local = f"http://localhost:{urlsplit(url).port}"
    with page_served(page(local)) as origin:
        seen = attack(f"{origin.replace('127.0.0.1', 'localhost')}/", tmp_path)
    after = state_of(url)

    assert set(seen.values()) == NOTHING
    assert [rule["reply"] for rule in after[0]] == [rule["reply"] for rule in rules]
    assert after[1][:1] == calls
    assert [request["body"]["prompt"] for request in after[1][1:]] == ["of a page"] * 2


def test_a_page_of_a_rebound_host_name_changes_and_sees_nothing(url: str, tmp_path: Path) -> None:
    """Refuse a page that the browser sees as of the same origin, so that it hides nothing."""
    before = state_of(url)
    with page_served(page(""), behind=url) as origin:
        seen = attack(f"{origin.replace('127.0.0.1', 'evil.example')}/", tmp_path, EVIL)

    assert len(seen) == WAYS
    assert seen.pop("encoded")[0] in (403, 404)
    assert {status for status, _ in seen.values()} == {403}
    assert not [text for _, text in seen.values() if "of the test" in text]
    assert state_of(url) == before


def test_a_page_of_the_service_itself_can_do_all_of_it(url: str, tmp_path: Path) -> None:
    """Show that the three tests above would notice a success."""
    with page_served(page(""), behind=url) as origin:
        seen = attack(f"{origin.replace('127.0.0.1', 'localhost')}/", tmp_path)
    rules, calls = state_of(url)

    assert {seen[name][0] for name in ("rule", "rule, blind")} == {201}
    assert "of the test" in seen["journal"][1]
    assert "of the test" in seen["rules"][1]
    assert seen["reset, blind"][0] == seen["metrics"][0] == seen["model"][0] == 200
    assert (rules, calls) == ([], [])
