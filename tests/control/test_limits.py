"""Limits of rules over HTTP: an excess gets status 400, and the service keeps running."""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from invoke_api.cassettes.writer import CassetteWriter
from invoke_api.control.routes import MAX_CONTROL_BODY_BYTES
from tests.cassettes.test_reader import a_recording
from tests.support.servers import (
    COMMAND,
    call,
    command_running,
    connect,
    invoke,
    sockets_of,
    wait_until_ready,
)

SECRET = "SECRETWORD"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with recordings and other files."""
    folder = tmp_path_factory.mktemp("recordings")
    CassetteWriter(folder / "good.json").write(a_recording())
    CassetteWriter(folder / "below" / "good.json").write(a_recording())
    outside = tmp_path_factory.mktemp("outside") / "outside.json"
    CassetteWriter(outside).write(a_recording())
    (folder / "link.json").symlink_to(outside)
    (folder / "loop.json").symlink_to(folder / "loop.json")
    (folder / "up").symlink_to(outside.parent)
    (folder / "device.json").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo.json")
    (folder / "folder.json").mkdir()
    (folder / "secret.json").write_text(f'{{"{SECRET}": "{SECRET}"}}')
    (folder / "text.json").write_text(SECRET)
    (folder / "good.txt").write_text((folder / "good.json").read_text())
    with (folder / "huge.json").open("wb") as file:
        file.truncate(1 << 34)  # sparse, so it takes no space on the disk
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    flags = ["--engine", "scripted", "--recordings", str(folder)]
    with command_running([*COMMAND, *flags]) as started:
        wait_until_ready(started, seconds=30)
        yield started


@pytest.fixture(autouse=True)
def _fresh(url: str) -> Iterator[None]:
    yield
    began = time.monotonic()
    assert call(url, "POST", "/_emulator/reset")[0].status == 200
    assert time.monotonic() - began < 5  # whatever came before, the loop is free


def post(url: str, document: object) -> tuple[int, str]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    response, raw = call(url, "POST", "/_emulator/rules", body)
    return response.status, json.loads(raw).get("error", "")


def test_a_pace_takes_a_recording_by_its_name(url: str) -> None:
    assert post(url, {"pace": {"recording": "good.json"}}) == (201, "")
    assert post(url, {"pace": {"recording": "below/good.json"}}) == (201, "")


@pytest.mark.parametrize(
    "name",
    [
        "none.json",
        "../recordings0/good.json",
        "below/../good.json",
        "./good.json",
        "below//good.json",
        "/proc/kmsg",
        "/proc/self/environ",
        "/dev/zero",
        "link.json",
        "loop.json",
        "up/outside.json",
        "device.json",
        "fifo.json",
        "folder.json",
        "secret.json",
        "text.json",
        "good.txt",
        "huge.json",
        "a" * 1_000 + ".json",
        "good.json\0",
        "..\\good.json",
        "",
    ],
)
def test_no_other_file_is_opened_nor_told_of(url: str, folder: Path, name: str) -> None:
    for each in (name, str(folder / name)):
        status, sentence = post(url, {"pace": {"recording": each}})

        assert status == 400
        assert SECRET not in sentence
        assert len(sentence) < 500


def test_without_folders_a_pace_over_http_takes_none(scripted: str, folder: Path) -> None:
    status, sentence = post(scripted, {"pace": {"recording": str(folder / "good.json")}})

    assert (status, "--recordings names their folder" in sentence) == (400, True)


def test_the_folder_of_the_rules_file_is_one(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: [{pace: {recording: a.json}}]")
    (tmp_path / "a.json").write_bytes((folder / "good.json").read_bytes())
    flags = ["--engine", "scripted", "--rules", str(tmp_path / "rules.yaml")]
    with command_running([*COMMAND, *flags]) as started:
        assert post(started, {"pace": {"recording": "a.json"}}) == (201, "")


OUT_OF_RANGE: list[dict[str, Any]] = [
    {"reply": "a", "times": 10**10},
    {"reply": "a", "times": 10**99},
    {"reply": "a", "seconds": 1e9},
    {"reply": "a", "seconds": 1e-9},
    {"reply": "a", "probability": 1.1},
    {"reply": "a", "seed": 2**63},
    {"reply": "a", "scope": "a" * 129},
    {"reply": "a" * 1_000_001},
    {"reply": ["a"] * 10_001},
    {"reply": {"texts": ["a"] * 10_001}},
    {"reply": {"tool_calls": [{"name": "a"}] * 129}},
    {"reply": "a", "when": {"prompt": "a" * 100_001}},
    {"reply": "a", "when": {"prompt": {"regex": "a" * 10_001}}},
    {"reply": "a", "when": {"model_id": "*" * 2_049}},
    {"reply": "a", "when": {"tool": "*" * 257}},
    {"reply": "a", "when": {"turn": 10**7}},
    {"pace": {"tokens_per_second": 1e-320}},
    {"pace": {"tokens_per_second": 1e300}},
    {"pace": {"first_token": 1e300}},
    {"pace": {"first_token": 1, "jitter": 1.5}},
    {"fault": {"exception": "ThrottlingException", "retry_after": 10**12}},
    {"fault": {"exception": "ThrottlingException", "after_tokens": 10**12}},
    {"fault": {"exception": "ThrottlingException", "message": "a" * 100_001}},
    {"fault": {"exception": "ModelErrorException", "members": {"originalStatusCode": 2**70}}},
    {"fault": "a" * 200},
]


@pytest.mark.parametrize("document", OUT_OF_RANGE, ids=range(len(OUT_OF_RANGE)))
def test_what_is_out_of_range_is_refused_in_a_short_sentence(
    url: str, document: dict[str, Any]
) -> None:
    status, sentence = post(url, document)

    assert status == 400
    assert "rule 1" in sentence
    assert len(sentence) < 1_000


BAD_BODIES = {
    b'{"reply": "a", "times": ' + b"9" * 5_000 + b"}": "a number has more than 100 digits",
    b'{"reply": "a", "seconds": 1e999}': "1e999 is too large for a number",
    b'{"reply": "a", "seconds": NaN}': "not JSON: NaN is not a number",
    b'{"reply": "a", "seconds": -Infinity}': "not JSON: -Infinity is not a number",
    b'{"reply": "a", "reply": "b"}': "the key 'reply' occurs twice",
    b'{"reply": "\\ud800"}': "not JSON: a lone surrogate is not a character",
    b'{"reply": "\xff"}': "not JSON: byte 12 is not UTF-8",
    b"[" * 100_000: "nested deeper than 32 levels",
    b'{"reply": {"tool_calls": [{"name": "a", "arguments": ' + b'{"a":' * 40 + b"1" + b"}" * 40: (
        "nested deeper than 32 levels"
    ),
    b"": "not JSON: Expecting value",
}


@pytest.mark.parametrize(("body", "sentence"), BAD_BODIES.items(), ids=range(len(BAD_BODIES)))
def test_a_body_that_no_careful_reader_takes_is_a_400(url: str, body: bytes, sentence: str) -> None:
    status, said = post(url, body)

    assert status == 400
    assert said.startswith(sentence)


def test_a_scope_in_the_query_has_a_limit_too(url: str) -> None:
    response, _ = call(url, "POST", f"/_emulator/rules?scope={'a' * 129}", b'{"reply": "a"}')

    assert response.status == 400


def test_numbers_that_a_client_may_read_again_are_kept(url: str) -> None:
    calls = [{"name": "f", "arguments": {"whole": 10**30, "real": 1.5, "text": "[{]}" * 50}}]

    assert post(url, {"reply": {"tool_calls": calls}}) == (201, "")
    _, body = call(url, "GET", "/_emulator/rules")
    assert json.loads(body)["rules"][0]["reply"]["tool_calls"] == calls


def process_of(url: str) -> psutil.Process:
    [pid] = sockets_of(url, "LISTEN")
    return psutil.Process(pid)


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("path", ["/_emulator/rules", "/_emulator/reset", "/_emulator/none"])
def test_a_body_over_the_limit_is_neither_held_nor_taken(
    url: str, path: str, *, is_chunked: bool
) -> None:
    process = process_of(url)
    before = most = process.memory_info().rss
    connection = connect(url)
    connection.putrequest("POST", path)
    if is_chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(60 * MAX_CONTROL_BODY_BYTES))
    connection.endheaders()
    for _ in range(60):
        part = b" " * MAX_CONTROL_BODY_BYTES
        connection.send(b"%x\r\n%s\r\n" % (len(part), part) if is_chunked else part)
        most = max(most, process.memory_info().rss)
    if is_chunked:
        connection.send(b"0\r\n\r\n")
    response, body = _answer(connection)

    assert response == (404 if path.endswith("none") else 413)
    assert list(json.loads(body)) == ["error"]
    assert most - before < 25 << 20


def _answer(connection: HTTPConnection) -> tuple[int, bytes]:
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def test_rules_have_a_limit_in_all_and_for_one(url: str) -> None:
    many = [{"reply": "a"}] * 1_000
    first, _ = post(url, many)
    more, for_one = post(url, {"reply": "a"})
    call(url, "POST", "/_emulator/rules?scope=AKIDA", json.dumps(many).encode())
    above, in_all = post(url, {"reply": "a", "scope": "AKIDB"})
    _, listed = call(url, "GET", "/_emulator/rules")

    assert (first, more, above) == (201, 400, 400)
    assert for_one == "there would be more than 1,000 rules for everybody; remove some first"
    assert in_all == "there would be more than 2,000 rules; remove some first"
    assert len(json.loads(listed)["rules"]) == 2_000


def test_regular_expressions_have_a_limit_of_their_own(url: str) -> None:
    pattern = {"reply": "a", "when": {"prompt": {"regex": "a+"}}}

    assert post(url, [pattern] * 512) == (201, "")
    assert post(url, pattern)[1].startswith("there would be more than 512 regular expressions")


def test_rules_that_have_spoken_make_room(url: str) -> None:
    once = {"reply": "a", "times": 1}
    assert post(url, [once] + [{"reply": "b", "when": {"prompt": "none"}}] * 999)[0] == 201
    invoke(url, {"prompt": "Hi"})

    assert post(url, once) == (201, "")


def test_a_pattern_of_python_that_hangs_answers_at_once(url: str) -> None:
    for regex in ("^(a+)+$", "(a|a)*b", "(a*)*b"):
        assert post(url, {"reply": "a", "when": {"prompt": {"regex": regex}}}) == (201, "")
    began = time.monotonic()
    response, _ = invoke(url, {"prompt": "a" * 40 + "!"})

    assert response.status == 200
    assert time.monotonic() - began < 5


def test_globs_do_not_go_back_and_forth(url: str) -> None:
    began = time.monotonic()
    unknown, _ = post(url, {"reply": "a", "when": {"model_id": "*a" * 1_000 + "b"}})
    assert unknown == 400
    assert post(url, {"reply": "a", "when": {"tool": "*a" * 100 + "b"}}) == (201, "")

    assert invoke(url, {"prompt": "Hi"})[0].status == 200
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("regex", "sentence"),
    [
        ("(?=a)", "rule 1: prompt uses look-ahead, which cannot run in linear time"),
        (r"(a)\1", "rule 1: prompt uses a back-reference, which cannot run in linear time"),
        (r"\w{1,45}", "rule 1: prompt may take 6"),
        (r"\w{1,1000}", "rule 1: prompt is too large for linear time"),
        ("(", "rule 1: prompt is not a valid regular expression: missing ): ("),
    ],
)
def test_a_pattern_that_cannot_be_linear_is_refused(url: str, regex: str, sentence: str) -> None:
    status, said = post(url, {"reply": "a", "when": {"prompt": {"regex": regex}}})

    assert status == 400
    assert said.startswith(sentence)


def test_a_long_prompt_is_looked_at_while_others_are_served(url: str) -> None:
    slow = {"reply": "a", "when": {"prompt": {"regex": "[a-q][^u-z]{1,999}x"}}}
    assert post(url, [slow] * 2) == (201, "")
    longest = 0.0
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(invoke, url, {"prompt": "abcdefghijklmnop q" * 2_000})
        while not answer.done():
            began = time.monotonic()
            call(url, "GET", "/_emulator/health")
            longest = max(longest, time.monotonic() - began)

    assert answer.result()[0].status in (200, 400)  # for a context that is too short for it
    assert longest < 2


def test_a_prompt_too_long_for_the_patterns_of_rules_is_told_so(url: str) -> None:
    slow = {"reply": "a", "when": {"prompt": {"regex": "[a-q][^u-z]{1,999}x"}}}
    assert post(url, [slow] * 10) == (201, "")
    response, body = invoke(url, {"prompt": "abcdefghijklmnop q" * 20_000})
    call(url, "POST", "/_emulator/reset")
    assert post(url, {**slow, "scope": "AKIDOTHER"}) == (201, "")
    short, _ = invoke(url, {"prompt": "Hi"})

    assert response.status == 400
    assert "regular expressions may take" in json.loads(body)["message"]
    assert short.status == 200
