"""The sharing of this suite among workers, and what `make check` leaves out of it."""

import re

from tests.support.scheduling import FOLDERS, LONGEST, SLOW, TESTS
from tests.support.servers import ROOT


def test_each_folder_and_file_that_is_named_is_there() -> None:
    files = [name for name in LONGEST if name.endswith(".py")]

    assert [name for name in (*FOLDERS, *SLOW, *files) if not (TESTS / name).exists()] == []


def test_each_group_that_is_begun_early_is_one() -> None:
    sources = ("engine/test_contract.py", "reliability/test_ray.py", "support/scheduling.py")
    text = "".join((TESTS / source).read_text() for source in sources)
    groups = [name for name in LONGEST if not name.endswith(".py")]

    assert [name for name in groups if len(re.findall(f'"{name}"', text)) < 2] == []


def test_make_check_says_what_it_leaves_out() -> None:
    [line] = re.findall("^check: ## (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert [name for name in ("vllm", "slow", "property") if name not in line] == []
