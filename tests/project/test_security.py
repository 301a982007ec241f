"""The limits, flags and links in SECURITY.md are those of the code."""

import dataclasses
import importlib
import re
from typing import Any

import pytest

from invoke_api.server.flags import with_options
from invoke_api.server.settings import SERVE_OPTIONS
from tests.support.servers import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
LIMITS = re.findall(r"^\| ([^|]+) \| ([\d,]+)([^|]*) \| `([\w.]+)` \|$", TEXT, re.MULTILINE)


def look_up(name: str) -> Any:
    """Return a constant of a module, or the default of a field of a dataclass in it."""
    module, _, constant = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), constant)
    except ModuleNotFoundError:
        fields = {field.name: field for field in dataclasses.fields(look_up(module))}
        return fields[constant].default


@pytest.mark.parametrize(("what", "limit", "unit", "name"), LIMITS)
def test_a_limit_is_the_one_in_force(what: str, limit: str, unit: str, name: str) -> None:
    assert look_up(name) == int(limit.replace(",", "")), f"{what}: {limit}{unit}"


def test_every_row_of_the_limits_is_compared() -> None:
    section = TEXT.partition("## Limits")[2].partition("\n## ")[0]

    assert section.count("\n| ") - 2 == len(LIMITS) > 15


def test_its_flags_exist() -> None:
    @with_options(SERVE_OPTIONS)
    def command() -> None: ...

    known = {
        flag
        for option in command.__click_params__  # type: ignore[attr-defined]  # click's own
        for flag in [*option.opts, *option.secondary_opts]
    }

    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def test_what_it_links_to_is_there() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", TEXT)]

    assert all((ROOT / link).exists() for link in links if link)


def test_it_names_no_address_to_write_to() -> None:
    assert "@" not in TEXT
