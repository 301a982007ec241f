"""Cassette files: any bytes are refused with a line number, or can be replayed."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from invoke_api.cassettes.answer_reader import error_of, to_deltas
from invoke_api.cassettes.json_encoding import to_bytes, to_readable
from invoke_api.cassettes.matcher import CassetteLibrary, NoMatch, to_cassettes, to_comparable
from invoke_api.cassettes.reader import load_recordings
from invoke_api.cassettes.recording import Recording, to_recording
from invoke_api.cassettes.writer import to_slug, to_text
from invoke_api.yaml_files import ConfigError

FOLDER = TemporaryDirectory()
FILE = Path(FOLDER.name) / "cassette.json"


def check(data: bytes) -> None:
    assert to_bytes(json.loads(json.dumps(to_readable(data)))) == data
    FILE.write_bytes(data)
    try:
        recordings = load_recordings(FILE)
    except ConfigError as error:
        assert str(FILE) in str(error)
        return
    for _, recording in recordings:
        _check_recording(recording)
    library = CassetteLibrary(to_cassettes(recordings, lambda *_: None), nearest=True)
    for _, recording in recordings:
        asked = to_comparable(
            recording.method, recording.path, recording.request_headers, recording.request_body
        )
        assert library.find(asked, None)
    try:
        library.compare(to_comparable("POST", "/model/a/invoke", (), data))
    except NoMatch as error:
        assert str(error)


def _check_recording(recording: Recording) -> None:
    """Check that the recording is written as it was read, and can be listed and sent."""
    assert to_recording(json.loads(to_text(recording.to_document()))) == recording
    assert to_slug(recording.path)
    deltas = to_deltas(recording)
    assert deltas
    assert all(isinstance(delta.text, str) for delta in deltas)
    "".join(delta.text for delta in deltas).encode()
    failure = error_of(recording)
    assert failure is None or (failure.type + failure.message).encode() is not None
    for name, value in recording.headers:
        (name + value).encode("latin-1")
