"""Cassette files are read as they were written, and each mistake is an error with its line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from invoke_api.cassettes.reader import load_recordings, load_waits
from invoke_api.cassettes.recording import RecordedPart, Recording
from invoke_api.cassettes.writer import CassetteWriter, to_slug
from invoke_api.wire.events import encode_chunk
from invoke_api.yaml_files import ConfigError


def a_recording(body: bytes = b'{"prompt":"Hi"}', **other: Any) -> Recording:
    given: dict[str, Any] = {
        "recorded": "2026-11-24T05:00:00.000+00:00",
        "upstream": "https://bedrock-runtime.us-east-1.amazonaws.com",
        "method": "POST",
        "path": "/model/mistral.mistral-7b-instruct-v0%3A2/invoke",
        "request_headers": (("accept", "*/*"),),
        "request_body": body,
        "status": 200,
        "headers": (("Content-Type", "application/json"), ("X-Empty", "")),
        "at": 12,
        "parts": (RecordedPart(at=12, raw=b'{"outputs":[{"text":" A","stop_reason":"stop"}]}'),),
        **other,
    }
    return Recording(**given)


def a_stream(**other: Any) -> Recording:
    frames = [encode_chunk(b'{"outputs":[{"text":"%d"}]}' % number, 4) for number in range(3)]
    parts = tuple(RecordedPart(at=100 * number, raw=raw) for number, raw in enumerate(frames, 1))
    return a_recording(is_stream=True, parts=parts, at=100, **other)


RECORDINGS = [a_recording(), a_recording(b"\xff"), a_stream(), a_stream(complete=False)]


@pytest.mark.parametrize("name", ["folder", "one.json"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    writer = CassetteWriter(tmp_path / name)
    for recording in RECORDINGS:
        writer.write(recording)

    assert [recording for _, recording in load_recordings(tmp_path / name)] == RECORDINGS


def test_a_folder_gets_a_file_each_and_goes_on_counting(tmp_path: Path) -> None:
    CassetteWriter(tmp_path).write(a_recording())
    CassetteWriter(tmp_path).write(a_recording())

    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "0001-invoke-mistral.mistral-7b-instruct-v0-2.json",
        "0002-invoke-mistral.mistral-7b-instruct-v0-2.json",
    ]


def test_a_frame_is_a_line(tmp_path: Path) -> None:
    text = CassetteWriter(tmp_path).write(a_stream()).read_text()

    assert text.count('\n   {"at": ') == 3
    assert json.loads(text)["response"]["frames"][2]["at"] == 300


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/model/a.b-v0%3A2/converse-stream", "converse-stream-a.b-v0-2"),
        ("/foundation-models?byProvider=x", "foundation-models"),
        ("/", "call"),
        ("/../../etc/passwd", "etc-passwd"),
    ],
)
def test_a_path_becomes_a_name(path: str, slug: str) -> None:
    assert to_slug(path) == slug


def test_the_waits_are_those_between_the_parts(tmp_path: Path) -> None:
    path = CassetteWriter(tmp_path).write(a_stream())

    assert load_waits(path) == (0.1, 0.1, 0.1)


MISTAKES = [
    ("{", ":1: not JSON: Expecting property name enclosed in double quotes"),
    ("\n\n{}", ":3: it: 'cassette' is a required property"),
    ("7", ":1: it: 7 is not of type 'object'"),
    ("[" * 100_000, ":1: nested too deeply"),
]


@pytest.mark.parametrize(("text", "sentence"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_a_sentence_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_recordings(tmp_path)

    assert f"{path}{sentence}" in str(caught.value)


def test_every_mistake_of_every_file_is_said(tmp_path: Path) -> None:
    good = json.loads(CassetteWriter(tmp_path).write(a_recording()).read_text())
    (tmp_path / "a.json").write_text(json.dumps({**good, "cassette": 2}))
    bad = {**good, "response": {**good["response"], "status": 7, "body": {"base64": "a"}}}
    (tmp_path / "b.json").write_text(json.dumps(bad))
    bad = {**good, "response": {**good["response"], "body": {"base64": "a==="}}}
    (tmp_path / "c.json").write_text(json.dumps(bad))
    bad = {**good, "request": {**good["request"], "body": {"base64": "a"}}}
    (tmp_path / "d.json").write_text(json.dumps(bad))
    with pytest.raises(ConfigError) as caught:
        load_recordings(tmp_path)

    said = str(caught.value).splitlines()
    assert [line.removeprefix(f"{tmp_path}/").partition(": ")[0] for line in said] == [
        "a.json:1",
        "b.json:1",
        "c.json:1",
        "d.json:1",
    ]
    assert "cassette: 1 was expected" in said[0]
    assert "response/status: 7 is less than the minimum of 200" in said[1]


def test_nothing_to_answer_from_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no cassette"):
        load_recordings(tmp_path)
    with pytest.raises(ConfigError, match="there is no such file or folder"):
        load_recordings(tmp_path / "none")


@pytest.mark.parametrize("text", ["9" * 5_000, "[" * 100_000, '{"cassette": 1e400}'])
def test_a_file_that_no_reader_takes_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "odd.json"
    file.write_text(f"\n{text}")

    with pytest.raises(ConfigError, match=re.escape(f"{file}:2: ")):
        load_recordings(file)
