"""The credentials file: its contents, and each mistake with its line but without secrets."""

import json
import os
from pathlib import Path

import pytest

from invoke_api.authentication.credentials import ApiKey, load_credentials
from invoke_api.yaml_files import ConfigError

API_KEY = "ABSKQmVkcm9ja0FQSUtleS1nb29kLWF0LTEyMzQ1Njc4OTAxMjpzZWNyZXQ="
GOOD = f"""\
access_keys:
  - access_key_id: AKIDEXAMPLE
    secret_access_key: hidden/secret
    account_id: "123456789012"
api_keys:
  - api_key: {API_KEY}
    expires: "2999-12-31T23:59:59Z"
"""

MISTAKES = [
    ("keys: 1\n", ":1: Additional properties are not allowed ('keys' was unexpected)"),
    ("{}\n", ":1: the file breaks minProperties 1"),
    ("7\n", ":1: the file breaks type object"),
    (
        GOOD.replace("    secret_access_key: hidden/secret\n", ""),
        ":2: access_keys.0: 'secret_access_key' is a required property",
    ),
    (GOOD.replace("hidden/secret", "''"), ":3: secret_access_key breaks minLength 1"),
    (GOOD.replace('"123456789012"', "123456789012"), ":4: account_id breaks type string"),
    (GOOD.replace(API_KEY, "hidden-key"), ":6: api_key breaks pattern ^ABSK"),
    (GOOD.replace('"2999-12-31T23:59:59Z"', "soon"), ":7: expires breaks pattern"),
    (GOOD.replace("2999-12-31T", "2999-02-31T"), ":7: '2999-02-31T23:59:59Z' is not a valid time"),
    (
        GOOD.replace(
            "api_keys", "  - {access_key_id: AKIDEXAMPLE, secret_access_key: x}\napi_keys"
        ),
        ":5: duplicate access_key_id",
    ),
]


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "credentials.yaml"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_file_holds_keys_of_both_kinds(tmp_path: Path) -> None:
    loaded = load_credentials(write(tmp_path, GOOD))
    key = loaded.access_keys["AKIDEXAMPLE"]
    [api_key] = loaded.api_keys

    assert (key.secret_access_key, key.account_id) == ("hidden/secret", "123456789012")
    assert api_key.api_key == API_KEY
    assert api_key.expires
    assert api_key.expires.year == 2999


def test_json_will_do(tmp_path: Path) -> None:
    text = json.dumps({"api_keys": [{"api_key": API_KEY}]})

    assert load_credentials(write(tmp_path, text)).api_keys == (ApiKey(api_key=API_KEY),)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    shown = repr(load_credentials(write(tmp_path, GOOD)))

    assert "hidden" not in shown
    assert API_KEY not in shown


@pytest.mark.parametrize(("text", "sentence"), MISTAKES)
def test_a_mistake_is_named_with_its_line_and_no_secret(
    tmp_path: Path, text: str, sentence: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_credentials(file)

    assert f"{file}{sentence}" in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    file = write(tmp_path, GOOD, mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {file}"):
        load_credentials(file)


def test_a_secret_that_kubernetes_mounts_is_read_by_the_pods_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, GOOD, 0o440)
    belongs_to_root(file, monkeypatch)

    assert "AKIDEXAMPLE" in load_credentials(file).access_keys


@pytest.mark.parametrize("mode", [0o460, 0o444])
def test_a_secret_that_more_than_the_pods_group_can_touch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    file = write(tmp_path, GOOD, mode)
    belongs_to_root(file, monkeypatch)
    with pytest.raises(ConfigError, match=f"chmod 600 {file}"):
        load_credentials(file)


def belongs_to_root(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the service believe that root owns the file and another user runs the service."""
    fields = list(file.stat())
    fields[4] = 0  # st_uid
    real = Path.stat

    def stat(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(path, follow_symlinks=follow_symlinks)
        return os.stat_result(fields) if path == file else found

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
