"""How training went, as one picture: loss, accuracies and rate over the steps of the run."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from aisle.training.tracking import total_steps

INK, FAINT = "#333333", "#dddddd"
COLOURS = ("#0b6e99", "#c4571b", "#5b8c2a", "#8a4fa3", "#9a7b00", "#55738a", "#b0413e")
_LEGEND: dict[str, Any] = {"fontsize": 9, "labelcolor": INK, "edgecolor": "none", "framealpha": 0.8}
_NAMES = {"accuracy": "full path", "macro_f1": "macro-F1", "hierarchical_f1": "hierarchical F1"}

Row = Mapping[str, Any]


def draw(history: Sequence[Row], file: Path) -> None:
    """Write a PNG beside and rename it; nothing where no epoch is done."""
    if not history:
        return
    steps = total_steps(history)
    judged = [k for k in history[-1] if k == "macro_f1" or k == "accuracy" or k.startswith(("hier", "level"))]
    figure = Figure(figsize=(12.6, 3.9) if judged else (8.4, 3.9), layout="constrained", dpi=110)
    axes = list(figure.subplots(1, 3 if judged else 2))
    if judged:
        for colour, name in zip(COLOURS * 9, judged, strict=False):
            label = _NAMES.get(name, name.replace("level", "level "))
            _line(axes[1], steps, history, name, label, colour, 2.2 if name == "accuracy" else 1.3)
        axes[1].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes[1].set_title("rows kept aside to stop by")
    _line(axes[0], steps, history, "loss", "training loss", COLOURS[0], 2.2)
    if "nll" in history[-1]:
        _line(axes[0], steps, history, "nll", "NLL of rows kept aside", COLOURS[1], 1.8)
    axes[0].set_title("loss")
    _line(axes[-1], steps, history, "lr", "learning rate", COLOURS[2], 1.8)
    axes[-1].set_title("learning rate and gradient norm")
    axes[-1].ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    norm = axes[-1].twinx()
    _line(norm, steps, history, "grad_norm", "gradient norm (right)", COLOURS[3], 1.2)
    for one in axes:
        _dress(one, steps, history)
    norm.spines[["top", "left", "bottom"]].set_visible(False)
    norm.tick_params(colors=INK, labelsize=9, length=0)
    lines = [line for one in (axes[-1], norm) for line in one.get_lines() if line.get_gid() == "curve"]
    axes[-1].legend().remove()
    norm.legend(handles=lines, **_LEGEND)
    beside = file.with_suffix(".png.part")
    figure.savefig(beside, format="png")
    os.replace(beside, file)


def _line(
    axes: Axes, steps: list[int], history: Sequence[Row], name: str, label: str, colour: str, width: float
) -> None:
    values = [float(row.get(name, math.nan)) for row in history]
    mark = "o" if len(history) < 40 else None
    axes.plot(steps, values, label=label, color=colour, lw=width, marker=mark, ms=3, gid="curve")


def _dress(axes: Axes, steps: list[int], history: Sequence[Row]) -> None:
    """Labels, a light grid, and a line with a name where a stage begins."""
    axes.set_xlabel("step", color=INK, fontsize=9)
    axes.title.set(fontsize=10.5, color=INK)
    axes.grid(color=FAINT, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    stages = [row["stage"] for row in history]
    if len(set(stages)) > 1:
        for i, name in enumerate(stages):
            if i == 0 or stages[i - 1] != name:
                start = steps[i - 1] if i else 0
                axes.axvline(start, color=INK, lw=0.8, ls=(0, (3, 3)))
                axes.annotate(
                    f" {name}", (start, 0.01), xycoords=("data", "axes fraction"), fontsize=8, color=INK
                )
    axes.legend(**_LEGEND)
