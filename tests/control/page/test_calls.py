"""The page's list of calls, and one call of it, in a real browser."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page, expect

from invoke_api.cassettes.reader import load_recordings
from tests.support.clients import client
from tests.support.servers import LARGE, MIXTRAL, ROOT, SEVEN_B, call, invoke

Open = Callable[[str], Page]
HOSTILE = (
    "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    "</pre></td><svg onload=document.title='taken'>\u202e\u0000"
)


def rule(url: str, **document: Any) -> None:
    response, body = call(url, "POST", "/_emulator/rules", json.dumps(document).encode())
    assert response.status == 201, body


def ask(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"text": text}]}]


def converse(url: str, text: str, key: str = "AKIDPAGE") -> str:
    """Call Converse and return the request id."""
    with client(url, key, "us-east-1") as runtime:
        answer = runtime.converse(modelId=LARGE, messages=ask(text))
    found: str = answer["ResponseMetadata"]["RequestId"]
    return found


def stream(url: str, text: str) -> str:
    """Call ConverseStream, read the stream, and return the request id."""
    with client(url, "AKIDPAGE", "us-east-1") as runtime:
        answer = runtime.converse_stream(modelId=LARGE, messages=ask(text))
        list(answer["stream"])
    found: str = answer["ResponseMetadata"]["RequestId"]
    return found


def refused(url: str, body: object) -> str:
    """Make a call that fails, and return the request id."""
    with client(url, "AKIDPAGE", "us-east-1") as runtime, pytest.raises(ClientError) as caught:
        runtime.invoke_model(modelId=SEVEN_B, body=json.dumps(body))
    found: str = caught.value.response["ResponseMetadata"]["RequestId"]
    return found


def test_a_call_comes_into_the_list_by_itself(url: str, open_page: Open) -> None:
    page = open_page("")
    expect(page.get_by_text("No calls yet")).to_be_visible()
    rule(url, reply="It is cold.")
    converse(url, "How is the weather?")

    row = page.locator("tbody tr")
    expect(row.locator("td").nth(5)).to_have_text("stop")  # the row may have come before
    cells = row.locator("td").all_inner_texts()
    assert cells[1:7] == ["Converse", LARGE, "AKIDPAGE", "200", "stop", "rule 1"]
    assert all(cells[7:])
    expect(page.locator("#said")).to_have_text("1 new call")


def test_a_running_call_ends_in_the_list(url: str, open_page: Open) -> None:
    rule(url, reply="One two three four.", pace={"first_token": 3})
    page = open_page("")
    with client(url, "AKIDPAGE", "us-east-1") as runtime:
        answer = runtime.converse_stream(modelId=LARGE, messages=ask("Hi"))
        # The head of the answer comes with its first token, so the row was there before.
        list(answer["stream"])
    expect(page.locator("tbody tr td:nth-child(6)")).to_have_text("stop")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_filters_are_in_the_address_and_stay_after_reloading(url: str, open_page: Open) -> None:
    invoke(url, {"prompt": "one"})
    converse(url, "two")
    page = open_page("")
    page.get_by_label("Operation").select_option("Converse")

    expect(page.locator("tbody tr:visible")).to_have_count(1)
    expect(page.locator("#count")).to_have_text("1 of 2 calls")
    assert "operation=Converse" in page.url
    page.reload()
    expect(page.locator("tbody tr:visible")).to_have_count(1)
    expect(page.get_by_label("Operation")).to_have_value("Converse")
    page.get_by_label("Search in the list").fill(SEVEN_B)
    expect(page.locator("tbody tr:visible")).to_have_count(0)


def test_a_call_is_opened_by_keyboard_and_left_by_the_back_button(
    url: str, open_page: Open
) -> None:
    converse(url, "first")
    converse(url, "second")
    page = open_page("")
    page.locator("tbody tr a").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_have_text(f"Converse of {LARGE}")
    assert '"text": "first"' in page.locator("section[aria-labelledby=request]").inner_text()
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_violations_stand_below_their_lines_in_bedrocks_words(url: str, open_page: Open) -> None:
    body = {"prompt": "hi", "temperature": 7, "max_tokens": 0, "nonsense": 1}
    page = open_page(f"?view=calls&call={refused(url, body)}")
    marks = [text.strip().splitlines() for text in page.locator("mark").all_inner_texts()]

    assert [[line.strip() for line in lines if line] for lines in marks] == [
        ['"temperature": 7,', "#/temperature: 7 is not less or equal to 1"],
        ['"max_tokens": 0,', "#/max_tokens: 0 is not greater or equal to 1"],
        ['"nonsense": 1', "#: extraneous key [nonsense] is not permitted"],
    ]
    assert "ValidationException (400)" in page.locator("#error").inner_text()


def test_constraints_of_converse_are_marked_at_their_place(url: str, open_page: Open) -> None:
    body = {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "inferenceConfig": {"topP": 7},
    }
    response, _ = call(url, "POST", f"/model/{LARGE}/converse", json.dumps(body).encode())
    request_id = response.headers["x-amzn-requestid"]
    page = open_page(f"?view=calls&call={request_id}")

    [mark] = page.locator("mark").all_inner_texts()
    assert mark.strip().startswith('"topP": 7')
    assert "at 'inferenceConfig.topP' failed to satisfy constraint" in mark


def test_frames_have_their_times_and_gaps_and_bytes(url: str, open_page: Open) -> None:
    rule(url, reply="One two three.", pace={"first_token": 0.2, "tokens_per_second": 10})
    page = open_page(f"?view=calls&call={stream(url, 'Hi')}")
    items = page.locator(".timeline li")
    gaps = [text for text in items.locator(".gap").all_inner_texts() if text]

    assert items.count() > 3
    assert len(gaps) == items.count() - 1
    assert max(int(text.removeprefix("+").removesuffix(" ms")) for text in gaps) >= 50
    names = page.locator(".timeline b").all_inner_texts()
    assert names[0] == "messageStart"
    assert names[-2:] == ["messageStop", "metadata"]
    assert "".join(page.locator(".timeline q").all_inner_texts()).replace("“", "").replace("”", "")
    items.first.locator("summary").click()
    expect(items.first.locator("pre")).to_contain_text("65 6e 74 2d 74 79 70 65")


def test_each_rule_has_a_tick_or_the_reason(url: str, open_page: Open) -> None:
    rule(url, when={"prompt": "weather"}, reply="Cold.")
    rule(url, when={"prompt": "news"}, reply="None.")
    page = open_page(f"?view=calls&call={converse(url, 'How is the weather?')}")
    lines = page.locator("ul.rules li").all_inner_texts()

    assert [line[0] for line in lines] == ["✗", "✓"]
    assert lines[0].endswith("did not match: prompt lacks 'news'")


def test_two_calls_are_compared(url: str, open_page: Open) -> None:
    before = converse(url, "How is the weather?")
    now = converse(url, "How is the news?")
    page = open_page(f"?view=calls&call={now}")
    page.get_by_text("Difference to another call").click()
    page.get_by_label("Other call").select_option(before)

    expect(page.locator("del").first).to_contain_text("How is the weather?")
    expect(page.locator("ins").first).to_contain_text("How is the news?")


def test_a_hostile_call_is_shown_as_text(url: str, open_page: Open) -> None:
    rule(url, when={"prompt": "onerror"}, reply=HOSTILE.replace("\x00", ""))
    request_id = stream(url, HOSTILE.replace("\x00", ""))
    with client(url, "AKIDPAGE", "us-east-1") as runtime, pytest.raises(ClientError):
        runtime.converse(modelId="<b>bold</b>", messages=ask(HOSTILE))
    page = open_page(f"?view=calls&call={request_id}&text=<img src=x onerror=alert(1)>")
    for summary in page.locator("summary").all():
        summary.click()
    assert HOSTILE[:40] in page.locator("#text").inner_text()
    page.get_by_role("link", name="All calls").click()
    page.get_by_label("Search in the list").fill("")
    expect(page.locator("tbody tr:visible")).to_have_count(2)
    page.get_by_role("link", name="Rules").click()
    expect(page.locator("tbody tr")).to_have_count(1)

    assert page.locator("main img, main svg, main script, main b b").count() == 0
    assert page.title() == "Rules and faults · Invoke API"


@pytest.mark.parametrize("kind", ["boto3", "AWS CLI", "curl", "pytest"])
@pytest.mark.parametrize("operation", ["converse", "invoke", "stream"])
def test_copied_code_repeats_the_call(
    url: str, open_page: Open, tmp_path: Path, kind: str, operation: str
) -> None:
    text = 'It\'s "quoted" \\ $HOME `x` äöü 😀 </script>'
    if operation == "invoke":
        with client(url, "AKIDPAGE", "us-east-1") as runtime:
            body = json.dumps({"prompt": text, "max_tokens": 5})
            answer = runtime.invoke_model(modelId=MIXTRAL, body=body)
        request_id = answer["ResponseMetadata"]["RequestId"]
    else:
        request_id = (converse if operation == "converse" else stream)(url, text)
    page = open_page(f"?view=calls&call={request_id}")
    page.locator("summary", has_text=kind).click()
    page.get_by_role("button", name=f"Copy as {kind}").click()
    expect(page.locator("#said")).to_have_text(f"Copied: Copy as {kind}")
    code = page.evaluate("navigator.clipboard.readText()")
    run_code(kind, code, tmp_path)

    listed = json.loads(call(url, "GET", "/_emulator/requests")[1])["requests"]
    if kind != "pytest":  # which has a server of its own
        assert len(listed) == 2
        assert listed[1]["body"] == listed[0]["body"]
        assert listed[1]["status"] == 200


def run_code(kind: str, code: str, folder: Path) -> None:
    path = folder / {"boto3": "code.py", "pytest": "test_code.py"}.get(kind, "code.sh")
    path.write_text(code)
    commands = {
        "boto3": [sys.executable, str(path)],
        "pytest": [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), str(path)],
    }
    aws = ROOT / ".venv-clients" / "bin"
    environment = {
        "PATH": f"{aws}:/usr/bin:/bin",
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": "AKIDPAGE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        commands.get(kind, ["sh", "-e", str(path)]),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",  # frames are binary
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


def test_a_call_becomes_a_rule(url: str, open_page: Open) -> None:
    rule(url, reply="It is cold.", times=1)
    [first] = json.loads(call(url, "GET", "/_emulator/rules")[1])["rules"]
    page = open_page(f"?view=calls&call={converse(url, 'How is the weather?')}")
    page.get_by_role("button", name="Make a rule of it").click()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(2)

    converse(url, "How is the weather?")
    listed = json.loads(call(url, "GET", "/_emulator/requests")[1])["requests"]
    assert int(listed[-1]["rule_id"]) == int(first["id"]) + 1
    assert listed[-1]["text"] == listed[0]["text"]


@pytest.mark.parametrize("operation", [converse, stream])
def test_a_call_is_saved_as_a_recording(
    url: str, open_page: Open, tmp_path: Path, operation: Callable[[str, str], str]
) -> None:
    page = open_page(f"?view=calls&call={operation(url, 'How is the weather?')}")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as a recording").click()
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    [(_, found)] = load_recordings(path)

    assert path.name.startswith("converse")
    assert found.status == 200
    assert b"How is the weather?" in found.request_body


def test_a_thousand_calls_are_listed_quickly(url: str, open_page: Open) -> None:
    for number in range(1_100):
        invoke(url, {"prompt": f"number {number}", "max_tokens": 1})
    began = time.monotonic()
    page = open_page("")
    expect(page.locator("#count")).to_have_text("1,000 calls")
    shown = time.monotonic() - began
    took = page.evaluate(
        """() => {
          const field = document.querySelector("input[type=search]"), began = performance.now()
          field.value = "mixtral"
          field.dispatchEvent(new Event("input"))
          document.body.offsetHeight
          return performance.now() - began
        }"""
    )

    assert shown < 20, "a second on an idle machine"
    assert took < 2_000, "milliseconds; a tenth of it on an idle machine"
    converse(url, "one more")
    expect(page.locator("tbody tr")).to_have_count(1_000)
