"""The page's other views: rules and faults, engines, Try, and the key."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from invoke_api.models.registry import DEFAULT_REGISTRY
from tests.support.clients import client
from tests.support.images import png
from tests.support.playwright import page_open
from tests.support.servers import (
    COMMAND,
    LARGE,
    MIXTRAL,
    PIXTRAL,
    SEVEN_B,
    call,
    command_running,
    invoke,
    wait_until_ready,
)

Open = Callable[[str], Page]
API_KEY = "ABSKQUFBQUFBQUFBQUFBQUFBQQ=="


def listed(url: str, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call(url, "GET", f"/_emulator/{kind}")[1])[kind]
    return found


def test_a_fault_is_switched_on_and_counted_and_off(url: str, open_page: Open) -> None:
    page = open_page("?view=rules")
    page.get_by_role("button", name="Throttle the next call").click()
    cells = page.locator("tbody tr td")
    expect(cells.nth(3)).to_have_text("active")
    expect(cells.nth(5)).to_have_text("1 times")
    response, _ = invoke(url, {"prompt": "Hi"})
    assert response.status == 429

    expect(cells.nth(3)).to_have_text("over: it has applied once")
    expect(cells.nth(4)).to_have_text("1")
    expect(cells.nth(5)).to_have_text("0 times")
    page.get_by_role("button", name="Remove rule").click()
    expect(page.get_by_text("No rules: the engines answer every call.")).to_be_visible()
    assert listed(url, "rules") == []


def test_every_fault_of_the_switchboard_is_a_rule(url: str, open_page: Open) -> None:
    page = open_page("?view=rules")
    buttons = page.locator("section[aria-labelledby=faults] button")
    for at in range(buttons.count()):
        buttons.nth(at).click()
        expect(page.locator("tbody tr")).to_have_count(at + 1)

    assert len(listed(url, "rules")) == buttons.count() >= 8
    page.get_by_role("button", name="Remove all rules").click()
    expect(page.locator("tbody tr")).to_have_count(0)


def test_a_rule_that_is_wrong_is_refused_beside_its_text(url: str, open_page: Open) -> None:
    page = open_page("?view=rules")
    page.get_by_label("New rule").fill('{"reply": ')
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("form .error")).to_contain_text("JSON")
    page.evaluate("window.stay = true")
    page.get_by_label("New rule").fill('{"when": {"prompt": "x"}, "fault": "hang"}')
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(1)

    assert page.evaluate("window.stay") is True
    assert listed(url, "rules")[0]["fault"] == "hang"


def test_cards_show_the_engines_and_their_last_errors(url: str, open_page: Open) -> None:
    page = open_page("?view=engines")
    card = page.locator(".card", has_text=SEVEN_B)
    expect(card.locator(".state")).to_have_text("ready")
    call(url, "POST", "/_emulator/rules", b'{"fault": "ServiceUnavailableException", "times": 1}')
    invoke(url, {"prompt": "Hi"})
    invoke(url, {"prompt": "Hi"})

    expect(card).to_contain_text("ServiceUnavailableException")
    facts = dict(
        zip(card.locator("dt").all_inner_texts(), card.locator("dd").all_inner_texts(), strict=True)
    )
    assert facts["Calls"] == "2"
    assert facts["First token, p50"].endswith(" ms")
    assert facts["KV cache"] == "not measured"
    card.locator(".card a, li a").last.click()
    expect(page.locator("h1")).to_contain_text("InvokeModel")


@pytest.mark.skipif(not find_spec("vllm"), reason="it would be missed before the weights")
def test_a_failed_engine_tells_why(browser: Browser, tmp_path: Path) -> None:
    text = DEFAULT_REGISTRY.read_text().replace("engine: vllm", "engine: scripted")
    text = text.replace("engine: scripted", "engine: vllm", 1)
    file = tmp_path / "registry.yaml"
    file.write_text(text.replace("mistralai/Mistral-7B-Instruct-v0.2", "/nowhere/7b"))
    flags = ["--registry", str(file), "--model", SEVEN_B, "--model", MIXTRAL]
    with command_running([*COMMAND, *flags]) as url, page_open(browser) as (page, _):
        page.goto(f"{url}/_emulator/?view=engines")
        card = page.locator(".card", has_text=SEVEN_B)
        expect(card.locator(".state")).to_have_text("failed")
        expect(card.locator(".error")).to_contain_text("there is no folder /nowhere/7b")
        expect(page.locator(".card", has_text=MIXTRAL).locator(".state")).to_have_text("ready")


def choose(page: Page, model: str, api: str) -> None:
    page.get_by_label("Model", exact=True).select_option(model)
    page.get_by_label("API", exact=True).select_option(api)


def send(page: Page) -> None:
    page.get_by_role("button", name="Send").click()
    expect(page.locator("section[aria-labelledby=answer] .hint").first).to_contain_text(
        "whole answer after"
    )


def test_parameters_have_their_defaults_and_bounds(open_page: Open) -> None:
    page = open_page("?view=try")
    choose(page, SEVEN_B, "invoke")

    expect(page.locator("#parameter-top_k-hint")).to_have_text("integer, 1 to 200, default 50")
    expect(page.locator("#parameter-max_tokens-hint")).to_have_text(
        "integer, 1 to 8192, default 512"
    )
    choose(page, LARGE, "converse")
    assert page.locator(".field label").all_inner_texts() == [
        "maxTokens",
        "temperature",
        "topP",
        "stopSequences",
    ]


@pytest.mark.parametrize("api", ["converse", "invoke"])
@pytest.mark.parametrize("model", [SEVEN_B, LARGE])
def test_a_prompt_is_answered_by_either_api(
    url: str, open_page: Open, model: str, api: str
) -> None:
    call(url, "POST", "/_emulator/rules", b'{"reply": "one two three"}')
    page = open_page("?view=try")
    choose(page, model, api)
    send(page)
    expect(page.locator(".said")).to_have_text("one two three")
    expect(page.get_by_role("link", name="See the call")).to_be_visible()
    page.get_by_text("Raw frames").click()
    page.locator(".timeline summary").first.click()

    expect(page.locator(".timeline pre").first).to_contain_text("65 6e 74 2d 74 79 70 65")
    [made] = listed(url, "requests")
    assert (made["model_id"], made["access_key_id"], made["ended"]) == (model, "AKIDPAGE", "stop")
    page.get_by_role("link", name="See the call").click()
    expect(page.locator("h1")).to_contain_text(model)


def test_a_conversation_with_tools_a_system_text_and_parameters(url: str, open_page: Open) -> None:
    tool = {"name": "get_weather", "arguments": {"city": "Zurich"}}
    call(url, "POST", "/_emulator/rules", json.dumps({"reply": {"tool_calls": [tool]}}).encode())
    page = open_page("?view=try")
    choose(page, LARGE, "converse")
    page.get_by_label("Stream").uncheck()  # the model streams no tool calls, as on Bedrock
    page.get_by_label("System").fill("Be brief.")
    page.get_by_role("button", name="Add a message").click()
    page.get_by_label("Text of message 2").fill("It scatters.")
    page.get_by_role("button", name="Add a message").click()
    page.get_by_label("Text of message 3").fill("And the weather?")
    page.locator("summary", has_text="Tools").click()
    page.get_by_role("button", name="An example of a tool").click()
    page.get_by_label("maxTokens").fill("90")
    page.get_by_label("stopSequences").fill('["x"]')
    send(page)

    [made] = listed(url, "requests")
    assert made["status"] == 200, made
    assert [each["role"] for each in made["body"]["messages"]] == ["user", "assistant", "user"]
    assert made["body"]["inferenceConfig"] == {"maxTokens": 90, "stopSequences": ["x"]}
    assert made["body"]["system"] == [{"text": "Be brief."}]
    expect(page.locator(".said")).to_contain_text("get_weather")
    expect(page.locator(".said")).to_contain_text('"city": "Zurich"')


@pytest.mark.parametrize("api", ["converse", "invoke"])
def test_an_image_is_sent(url: str, open_page: Open, api: str) -> None:
    page = open_page("?view=try")
    choose(page, PIXTRAL.removeprefix("us."), api)
    picture = FilePayload(name="a.png", mimeType="image/png", buffer=png())
    page.get_by_label("Images").set_input_files(picture)
    expect(page.get_by_text("1 attached")).to_be_visible()
    send(page)

    [made] = listed(url, "requests")
    assert made["status"] == 200, made["error"]
    assert "image" in json.dumps(made["body"])


def test_an_error_is_shown_in_bedrocks_words(open_page: Open) -> None:
    page = open_page("?view=try")
    choose(page, SEVEN_B, "invoke")
    page.get_by_label("temperature").fill("7")
    page.get_by_role("button", name="Send").click()

    expect(page.locator("section[aria-labelledby=answer] .error")).to_contain_text(
        "ValidationException (400) Malformed input request: #/temperature: 7 is not less or equal"
    )


def test_a_call_is_asked_again_with_changes(url: str, open_page: Open) -> None:
    with client(url, "AKIDAGAIN", "us-east-1") as runtime:
        asked = [{"role": "user", "content": [{"text": "How is the weather?"}]}]
        made = runtime.converse(modelId=LARGE, messages=asked)
    page = open_page(f"?view=calls&call={made['ResponseMetadata']['RequestId']}")
    page.get_by_role("button", name="Ask again with changes").click()
    body = page.get_by_role("textbox", name="Body")
    body.fill(body.input_value().replace("weather", "news"))
    send(page)

    again = listed(url, "requests")[-1]
    assert again["body"]["messages"][0]["content"][0]["text"] == "How is the news?"
    assert (again["operation"], again["access_key_id"]) == ("Converse", "AKIDAGAIN")


def test_the_code_beside_repeats_the_call(url: str, open_page: Open, tmp_path: Path) -> None:
    page = open_page("?view=try")
    choose(page, LARGE, "converse")
    send(page)
    page.get_by_role("button", name="Copy as boto3").click()
    code = tmp_path / "code.py"
    code.write_text(page.evaluate("navigator.clipboard.readText()"))
    subprocess.run([sys.executable, str(code)], check=True, capture_output=True, timeout=60)

    first, again = listed(url, "requests")
    assert again["body"] == first["body"]


def test_tokens_are_shown_as_they_come_until_the_call_is_stopped(url: str, open_page: Open) -> None:
    rule = {"reply": "one two three", "fault": {"break": "hang", "after_tokens": 2}}
    call(url, "POST", "/_emulator/rules", json.dumps(rule).encode())
    page = open_page("?view=try")
    choose(page, SEVEN_B, "converse")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".said")).to_have_text("one two")
    expect(page.get_by_text("The call is running.")).to_be_visible()
    page.get_by_role("button", name="Stop").click()

    expect(page.get_by_text("The call was stopped.")).to_be_visible()
    page.get_by_role("link", name="Calls").click()
    expect(page.locator("tbody tr td").nth(5)).to_have_text("cancelled")


def test_behind_keys_the_page_asks_for_one_and_keeps_it_in_the_tab(
    browser: Browser, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(f"api_keys:\n  - api_key: {API_KEY}\n    operator: true\n")
    keys.chmod(0o600)
    flags = ["--engine", "scripted", "--auth", "bearer", "--control", "--credentials", str(keys)]
    with (
        command_running([*COMMAND, *flags]) as url,
        page_open(browser) as (page, _),
    ):
        wait_until_ready(url, seconds=30)
        page.goto(f"{url}/_emulator/")
        expect(page.locator("#notice")).to_be_visible()
        page.get_by_label("API key of an operator").fill(API_KEY)
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_text("No calls yet")).to_be_visible()
        expect(page.locator("#notice")).to_be_hidden()
        page.get_by_role("link", name="Try").click()
        send(page)
        kept = page.evaluate(
            "[Object.values(sessionStorage), localStorage.length, document.cookie]"
        )
        page.reload()
        page.get_by_role("link", name="Calls").click()
        expect(page.locator("tbody tr")).to_have_count(1)

    assert kept == [[API_KEY], 0, ""]


@pytest.mark.parametrize("view", ["calls", "try", "rules", "engines"])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_view_fits_its_window_and_names_all_its_controls(
    browser: Browser, url: str, view: str, width: int
) -> None:
    invoke(url, {"prompt": "Hi"})
    for dark in (False, True):
        with page_open(browser, dark=dark, width=width) as (page, watch):
            page.goto(f"{url}/_emulator/?view={view}")
            page.wait_for_selector("h1")
            page.keyboard.press("Tab")
            first = page.evaluate("document.activeElement.textContent")
            wide = page.evaluate("document.documentElement.scrollWidth")
            unnamed = page.evaluate(
                """() => [...document.querySelectorAll("input, select, textarea, button")]
                  .filter(each => !each.labels?.length && !each.ariaLabel && !each.textContent)
                  .map(each => each.outerHTML)"""
            )
            back = page.evaluate("getComputedStyle(document.body).backgroundColor")

        assert first == "Skip to the content"
        assert wide <= width
        assert unnamed == []
        assert watch.errors == []
        assert (back == "rgb(255, 255, 255)") is not dark
