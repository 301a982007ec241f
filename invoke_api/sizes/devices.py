"""The GPUs to plan for: named ones of a table, or those of this machine."""

import shutil
import subprocess
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from engine.memory.fit import Card
from invoke_api.yaml_files import load_schema

MIB = 1024**2
MOST = 4_096  # GPUs
ASK_NVIDIA_SMI = (
    "--query-gpu=name,memory.total,compute_cap",
    "--format=csv,noheader,nounits",
)
SECONDS = 10  # for nvidia-smi


class Devices(NamedTuple):
    """GPUs of one kind."""

    card: Card
    number: int

    def __str__(self) -> str:
        return f"{self.number} x {self.card.name}"


@cache
def known_cards() -> dict[str, Card]:
    """Return the table of GPUs, by their names in lower case."""
    rows = load_schema("gpus.json")["gpus"]
    cards = [Card(row["name"], row["mib"] * MIB, round(10 * row["capability"])) for row in rows]
    return {card.name.lower(): card for card in cards}


def parse_devices(text: str) -> Devices:
    """Return the GPUs of a text like `H100-80GB:4`. Raises `ValueError` with an explanation."""
    name, colon, number = text.strip().partition(":")
    card = known_cards().get(name.lower())
    if card is None:
        close = get_close_matches(name.lower(), known_cards(), n=1)
        hint = f" Did you mean {known_cards()[close[0]].name}?" if close else ""
        names = ", ".join(each.name for each in known_cards().values())
        raise ValueError(f"there is no GPU {name!r} in the table.{hint} It has {names}.")
    if not colon:
        return Devices(card, 1)
    if not (number.isascii() and number.isdigit() and 1 <= int(number[:9]) <= MOST):
        raise ValueError(f"{number!r} is no number of GPUs from 1 to {MOST}.")
    return Devices(card, int(number))


def find_devices() -> Devices | None:
    """Return the GPUs of this machine as nvidia-smi reports them, or None.

    If they differ, all count as the one with the least memory.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [program, *ASK_NVIDIA_SMI],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        rows = [line.split(", ") for line in done.stdout.splitlines() if line]
        cards = [
            Card(name, int(mib) * MIB, round(10 * float(capability)))
            for name, mib, capability in rows
        ]
    except (OSError, subprocess.SubprocessError, ValueError):
        return None  # no driver, or a version that answers otherwise
    return Devices(min(cards, key=lambda card: card.memory), len(cards)) if cards else None
