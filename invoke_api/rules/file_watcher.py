"""A file of rules that is read again when it changes."""

import asyncio
import logging
from pathlib import Path

from invoke_api.rules.parser import RuleError, load_rules
from invoke_api.rules.rule_book import RuleBook, TooManyRules
from invoke_api.yaml_files import ConfigError

log = logging.getLogger(__name__)

LOOK = 0.5  # seconds between two looks at the file


async def follow(path: Path, book: RuleBook, ids: list[str]) -> None:
    """Keep the rules of this file, `ids`, as the file says. A mistake leaves them as they are."""
    seen = _stamp(path)
    while True:
        await asyncio.sleep(LOOK)
        stamp = _stamp(path)
        if stamp == seen:
            continue
        seen = stamp
        try:
            ids = book.replace(ids, await asyncio.to_thread(load_rules, path))
        except (ConfigError, RuleError, TooManyRules) as error:
            log.error("the rules stay as they were: %s", error)  # noqa: TRY400 - a sentence, no traceback
        else:
            log.info("%s: %d rules", path, len(ids))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
