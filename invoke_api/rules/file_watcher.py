"""Reloading of a rules file when it changes."""

import asyncio
import logging
from pathlib import Path

from invoke_api.rules.parser import ModelNames, RuleError, load_rules
from invoke_api.rules.rule_book import RuleBook, TooManyRules
from invoke_api.yaml_files import ConfigError

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


async def follow(path: Path, book: RuleBook, ids: list[str], models: ModelNames = None) -> None:
    """Replace the file's rules, `ids`, whenever it changes. Runs until it is cancelled.

    If the file is invalid, the rules stay unchanged. `models` are the names that rules may have.
    """
    seen = _stamp(path)
    while True:
        await asyncio.sleep(POLL_SECONDS)
        stamp = _stamp(path)
        if stamp == seen:
            continue
        seen = stamp
        try:
            ids = book.replace(ids, await asyncio.to_thread(load_rules, path, models))
        except (ConfigError, RuleError, TooManyRules) as error:
            log.error("rules not reloaded: %s", error)  # noqa: TRY400 - without a traceback
        else:
            log.info("%s: %d rules loaded", path, len(ids))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
