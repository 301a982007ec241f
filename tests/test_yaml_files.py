"""Small files with huge contents: rejected at once with file and line, and never printed."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from invoke_api.authentication.credentials import load_credentials
from invoke_api.guardrails.guardrails_file import load_guardrails
from invoke_api.models.registry import load_registry
from invoke_api.rules.parser import RuleError, load_rules
from invoke_api.yaml_files import MAX_FILE_BYTES, ConfigError, read_config
from tests.support.servers import run_command

LAUGHS = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
MERGED = "a0: &a0 {k: v}\n" + "".join(
    f"a{level}: &a{level}\n  <<: [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
BOMBS = {
    "aliases": (LAUGHS, ":5: more than 100,000 values, counting each use of an alias"),
    "merges": (MERGED, ":11: more than 100,000 values, counting each use of an alias"),
    "many values": ("- a\n" * 200_000, ":100000: more than 100,000 values"),
    "brackets": ("rules:\n  " + "[" * 20_000, ":2: nested deeper than 64 levels"),
    "braces": ("{a: " * 20_000, ":1: nested deeper than 64 levels"),
    "blocks": (
        "".join(f"{' ' * level}a:\n" for level in range(3_000)),
        ":64: nested deeper than 64 levels",
    ),
    "dashes": ("- " * 3_000 + "a", ":1: nested deeper than 64 levels"),
    "an alias inside of itself": (
        "rules: &a [*a]",
        ":1: an alias refers to a value that contains it",
    ),
    "a whole number": ("rules: " + "9" * 500_000, ":1: a number or date of more than 100"),
    "a sexagesimal": ("rules: 1" + ":1" * 200_000, ":1: a number or date of more than 100"),
    "a binary number": ("rules: 0b" + "1" * 200_000, ":1: a number or date of more than 100"),
    "not a number": ("rules: .nan", ":1: .nan is not a number"),
    "infinity": ("rules: [1,\n -.Inf]", ":2: -.Inf is not a number"),
    "bytes": ("#" * (MAX_FILE_BYTES + 1), ": more than 8,388,608 bytes"),
    "half a pair": ('rules: "\\ud800"', ":1: a lone surrogate is not a character"),
    "a key twice": ("rules: []\nrules: []", ":2: duplicate key 'rules'"),
    "a long text": ("rules: " + "a" * 4_000_000, ":1: rules: 'aaaaa"),
    "long keys": ("{" + "a" * 900 + ": 1}", ":1: "),
    "many mistakes": ("rules:" + "\n  - {wrong: 1}" * 10_000, ":2: "),
    "an unknown tag": ("rules: !" + "a" * 4_000 + " 1", ":1: could not determine a constructor"),
}
LOADERS: dict[str, Callable[[Path], object]] = {
    "rules": load_rules,
    "guardrails": load_guardrails,
    "registry": load_registry,
    "credentials": load_credentials,
}
QUICK = ("aliases", "brackets", "a whole number", "bytes")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("rules", name) for name in BOMBS),
        *((kind, name) for kind in ("guardrails", "registry", "credentials") for name in QUICK),
    ],
)
def test_a_bomb_is_refused_at_once_and_not_printed(kind: str, name: str, tmp_path: Path) -> None:
    text, sentence = BOMBS[name]
    file = tmp_path / "file.yaml"
    file.write_text(text)
    file.chmod(0o600)
    began = time.process_time()
    with pytest.raises((ConfigError, RuleError)) as caught:
        LOADERS[kind](file)
    took = time.process_time() - began

    said = str(caught.value)
    assert f"{file}{sentence}" in said
    assert len(said) < 30_000
    assert max(map(len, said.splitlines())) < 1_500
    assert took < (60 if name == "many values" else 15)  # a long but valid file


def test_the_classic_one_takes_milliseconds(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(LAUGHS)
    read = []
    for _ in range(3):
        began = time.process_time()
        with pytest.raises(ConfigError):
            read_config(file)
        read.append(time.process_time() - began)

    assert min(read) < 0.5


def test_aliases_that_save_typing_are_welcome(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(
        "rules:\n  - &a {reply: x, when: &w {turn: 1}}\n  - *a\n  - {<<: *a, times: 3}\n"
    )

    assert [rule.document["reply"] for rule in load_rules(file)] == ["x", "x", "x"]


def test_a_service_does_not_start_with_one(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(LAUGHS)
    done = run_command("serve", "--engine", "scripted", "--rules", str(file))

    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {file}:5: more than 100,000 values")
    assert len(done.stderr) < 1_000


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("reply: a\n    times: 99999999999", ":3: rule 1, times: 99999999999 is greater"),
        ("pace: {tokens_per_second: 1.0e-320}", ":2: "),
        (
            "reply: {tool_calls: [{name: a, arguments: {day: 2020-01-01}}]}",
            ":2: rule 1: it has a value that JSON lacks, such as a date",
        ),
        (
            "reply: a\n    when: {prompt: {regex: '(?=a)'}}",
            "look-ahead, which cannot run in linear",
        ),
    ],
)
def test_a_file_of_rules_has_the_same_ranges(tmp_path: Path, rule: str, sentence: str) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(f"rules:\n  - {rule}\n")
    with pytest.raises(RuleError) as caught:
        load_rules(file)

    said = str(caught.value)
    assert said.startswith(f"{file}:")
    assert sentence in said
