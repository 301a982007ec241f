"""Plots of a result, with a line for each server and a panel for each prompt length."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.streams.servers import FLOOR, OURS, OURS_WHOLE, THEIRS, THEIRS_WHOLE

MISSING = (
    "matplotlib is not installed, so no plot is drawn: `scripts/setup test` installs it, and"
    " `python -m bench.serving --draw` then draws the results that are there"
)


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot. `lines` are keys of a row with their dashes."""

    name: str
    title: str
    unit: str
    lines: Mapping[str, str]
    scale: float = 1.0


PLOTS = (
    Plot("throughput", "Throughput", "tokens/s", {"tokens_per_second": "-"}),
    Plot(
        "first-token",
        "Time to first token: p50, p99 dashed",
        "ms",
        {"first_p50": "-", "first_p99": "--"},
        1e3,
    ),
    Plot("cpu", "CPU time of the front end", "µs per token", {"cpu_per_token": "-"}),
)
# Okabe and Ito's palette for colour-blind readers. Empty markers are not streamed.
STYLES = {
    OURS: {"color": "#0072b2", "marker": "o"},
    OURS_WHOLE: {"color": "#56b4e9", "marker": "o", "markerfacecolor": "white"},
    THEIRS: {"color": "#d55e00", "marker": "s"},
    THEIRS_WHOLE: {"color": "#e69f00", "marker": "s", "markerfacecolor": "white"},
    FLOOR: {"color": "#555555", "marker": "^"},
}


def is_possible() -> bool:
    return find_spec("matplotlib") is not None


def draw(result: Mapping[str, Any], folder: Path, stem: str) -> None:
    """Write a file for each of `PLOTS`. Raises `ImportError` without matplotlib."""
    for plot in PLOTS:
        draw_plot(plot, result["rows"], folder / file_name(stem, plot))


def file_name(stem: str, plot: Plot) -> str:
    return f"{stem}-{plot.name}.svg"


def digest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a digest of the figures, which the plots contain, so that stale plots are detected."""
    return sha256(json.dumps(rows).encode()).hexdigest()[:16]


def draw_plot(plot: Plot, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - only tests and benchmarks need it
    from matplotlib.figure import Figure  # noqa: PLC0415

    lengths = sorted({row["words"] for row in rows})
    # Reproducible files: no date, and no random ids.
    with mpl.rc_context({"svg.hashsalt": plot.name, "font.size": 10, "axes.grid": True}):
        figure = Figure(figsize=(1.2 + 3.4 * len(lengths), 4.0), layout="constrained")
        figure.suptitle(plot.title)
        panels = figure.subplots(1, len(lengths), squeeze=False)[0]
        for words, panel in zip(lengths, panels, strict=True):
            draw_panel(panel, plot, [row for row in rows if row["words"] == words])
            panel.set_title(f"{words:,} words in", fontsize=10)
        panels[0].set_ylabel(plot.unit)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        about = {"Date": None, "Creator": None, "Description": digest(rows)}
        figure.savefig(path, metadata=about)


def draw_panel(panel: Any, plot: Plot, rows: Sequence[Mapping[str, Any]]) -> None:  # noqa: ANN401 - matplotlib's Axes
    for server, style in STYLES.items():
        for key, dashes in plot.lines.items():
            points = [
                (row["users"], plot.scale * row[key])
                for row in rows
                if row["server"] == server and row[key] is not None
            ]
            if points:
                label = server if dashes == "-" else "_"  # one legend entry for both lines
                panel.plot(*zip(*points, strict=True), dashes, label=label, **style)
    users = sorted({row["users"] for row in rows})
    panel.set_xscale("log", base=2)
    panel.set_xticks(users, [str(count) for count in users])
    panel.minorticks_off()
    panel.set_xlabel("users")
    panel.set_ylim(bottom=0)
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
