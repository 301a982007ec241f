"""Sizes in words."""

from collections.abc import Sequence


def gigabytes(count: float) -> str:
    """Return a number of bytes in GB, which are 1,000,000,000 bytes."""
    return f"{count / 1e9:,.1f} GB" if abs(count) >= 1e9 else f"{count / 1e9:.2f} GB"


def billions(count: int) -> str:
    return f"{count / 1e9:,.2f} billion"


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines with columns of equal width. The first row has the headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
