"""Learning curves as SVG: loss, accuracies, learning rate and gradient norm over the steps of a run."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from aisle.atomic_files import atomic_text
from aisle.charts import Chart, figure
from aisle.metrics import metric_label, overall
from aisle.training.tracking import total_steps

COLORS = ("#0b6e99", "#c4571b", "#5b8c2a", "#8a4fa3", "#9a7b00", "#55738a", "#b0413e")
_NAMES = {"accuracy": "full path"}

Row = Mapping[str, float | str]


def draw(history: Sequence[Row], file: Path) -> None:
    """Write the curves of a run's history as SVG; no file before the first epoch.

    Args:
        history: a row per epoch, with `stage`, `step`, `loss` and what was measured.
        file: written under a temporary name, then renamed.

    Raises:
        OSError: the file cannot be written.
    """
    if not history:
        return
    measured = [k for k in history[-1] if k in overall.__all__ or k.startswith("level")]
    charts = [
        _chart(history, "loss", {"loss": "training", "nll": "validation NLL"}),
        _chart(history, "learning rate", {"lr": ""}),
        _chart(history, "gradient norm", {"grad_norm": ""}),
    ]
    if measured:
        labels = {k: _NAMES.get(k, metric_label(k.replace("level", "level "))) for k in measured}
        charts.insert(1, _chart(history, "validation", labels, percent="y"))
    with atomic_text(file) as handle:
        handle.write(figure(charts, title="Learning curves"))


def _chart(history: Sequence[Row], title: str, labels: Mapping[str, str], percent: str = "") -> Chart:
    """One chart with a line per column of the history, and a dashed line where a stage begins."""
    steps = total_steps(history)
    lines = {
        name: [(step, float(row.get(name, math.nan))) for step, row in zip(steps, history, strict=True)]
        for name in labels
        if name in history[-1]
    }
    values = [y for line in lines.values() for _, y in line if math.isfinite(y)] or [0.0]
    margin = (max(values) - min(values)) * 0.06 or 0.05 * abs(values[0]) or 0.5
    chart = Chart(
        300 + (110 if any(labels.values()) else 0), 280, x=(0, max(steps) * 1.02),
        y=(min(values) - margin, max(values) + margin), title=title, x_label="step", percent=percent,
        x_ticks=4, legend=110 if any(labels.values()) else 0,
    )  # fmt: skip
    starts = [i for i, row in enumerate(history) if (i and row["stage"] != history[i - 1]["stage"]) or i == 0]
    for i in starts if len(starts) > 1 else ():
        start = steps[i - 1] if i else 0
        chart.line([(start, chart.y[0]), (start, chart.y[1])], chart.ink, 0.8, dashed=True)
        chart.text(start, chart.y[0] + margin / 2, f" {history[i]['stage']}")
    for (name, points), color in zip(lines.items(), cycle(COLORS)):
        chart.line(points, color, label=labels[name])
        for x, y in points if len(points) < 40 else ():
            if math.isfinite(y):
                chart.dot(x, y, color, 2)
    return chart
