"""Result of comparing recipes: one table, as Markdown, as a page and as JSON."""

from pathlib import Path

from aisle.atomic_files import atomic_text
from aisle.evaluation.numbers import count, decimal
from aisle.evaluation.pages import environment
from aisle.evaluation.scores import ConfidenceInterval, ResultRecord
from aisle.metrics import metric_label


class VariantScores(ResultRecord):
    """One variant.

    Attributes:
        name: of the variant.
        accuracy: of full paths, over all evaluated products, averaged over seeds.
        deviation: standard deviation of the accuracies of single trainings; None: there was one.
        metrics: the other metrics of `aisle.metrics.overall`, averaged over seeds.
        levels: accuracy of each level, over the products whose label reaches it.
        gain: accuracy minus the first variant's, paired bootstrap over products, near-duplicates drawn
            together; None: it is the first.
        gain_f1: the same of macro-F1.
        parameters: of the model.
        seconds: of one training.
        per_second: products classified.
        memory: the most MiB that the process held.
    """

    name: str
    accuracy: float
    deviation: float | None
    metrics: dict[str, float]
    levels: tuple[float, ...]
    gain: ConfidenceInterval | None
    gain_f1: ConfidenceInterval | None
    parameters: int
    seconds: float
    per_second: float
    memory: float


class PairedDifference(ResultRecord):
    """Accuracy of `better` minus that of `worse` on the same products, with 95 % limits."""

    better: str
    worse: str
    accuracy: ConfidenceInterval


class Comparison(ResultRecord):
    """Variants trained on the same rows and evaluated on the same products.

    Attributes:
        source: name of the rows.
        evaluated: number of products.
        folds: 0 where rows marked `test` were evaluated.
        seeds: each variant was trained with all of them.
        levels: depth of the tree.
        rows: a variant each, as given.
        differences: every pair of variants, the more accurate one first.
    """

    source: str
    evaluated: int
    folds: int
    seeds: tuple[int, ...]
    levels: int
    rows: tuple[VariantScores, ...]
    differences: tuple[PairedDifference, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of `aisle.metrics.overall`, except accuracy, that every variant has."""
        first, *others = (row.metrics for row in self.rows)
        return tuple(name for name in first if all(name in other for other in others))

    @property
    def how(self) -> str:
        """One line: on what, how often."""
        parts = f"{self.folds} folds" if self.folds else "rows marked `test`"
        seeds = f", {len(self.seeds)} seeds" if len(self.seeds) > 1 else ""
        return f"{self.evaluated:,} products of {self.source}, {parts}{seeds}"

    @property
    def best(self) -> VariantScores:
        """The most accurate one."""
        return max(self.rows, key=lambda row: row.accuracy)

    @property
    def significant(self) -> tuple[PairedDifference, ...]:
        """The pairs whose interval excludes zero."""
        return tuple(pair for pair in self.differences if pair.accuracy.low > 0)

    @property
    def winner(self) -> VariantScores | None:
        """The variant that is more accurate than every other beyond chance; None without one."""
        beaten = {pair.worse for pair in self.significant if pair.better == self.best.name}
        return self.best if beaten and len(beaten) == len(self.rows) - 1 else None

    @property
    def verdict(self) -> str:
        """Which recipe is more accurate than which beyond chance, or that none is."""
        if len(self.rows) == 1:
            return f"{self.best.name}: {self.best.accuracy:.3f} of full paths are right"
        worse_by_better: dict[str, list[str]] = {}
        for pair in self.significant:
            worse_by_better.setdefault(pair.better, []).append(f"{pair.worse} by {_between(pair.accuracy)}")
        statements = [
            f"{better} is more accurate than {' and '.join(worse)}"
            for better, worse in worse_by_better.items()
        ]
        return "; ".join(statements) or "No recipe is more accurate than another beyond chance"

    def markdown(self) -> str:
        """The table."""
        levels = [f"level {level}" for level in range(1, self.levels + 1)]
        head = ["recipe", "accuracy", *map(metric_label, self.metrics), *levels]
        head += ["accuracy, gain", "macro-F1, gain", "parameters", "train, s", "products/s", "memory, MiB"]
        lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for row in self.rows:
            deviation = "" if row.deviation is None else f" ± {row.deviation:.3f}"
            cells = [row.name.replace("|", "\\|"), f"{row.accuracy:.3f}{deviation}"]
            cells += map(decimal, [*(row.metrics[name] for name in self.metrics), *row.levels])
            cells += [_between(row.gain), _between(row.gain_f1)]
            cells += [
                count(row.parameters),
                f"{row.seconds:,.0f}",
                f"{row.per_second:,.0f}",
                f"{row.memory:,.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        note = "Gains are over the first row, with 95 % limits (paired bootstrap over products)."
        return "\n".join([f"{self.how}. {note}", "", f"{self.verdict}.", "", *lines])

    def html(self) -> str:
        """One self-contained page."""
        gains = [limit for row in self.rows if row.gain for limit in (row.gain.low, row.gain.high)]
        low, high = min([0.0, *gains]), max([0.0, *gains])
        margin = 0.06 * (high - low or 1)
        return environment().get_template("compare.html").render(c=self, low=low - margin, high=high + margin)

    def write(self, folder: str | Path) -> Path:
        """Write `compare.md`, `compare.html` and `compare.json` into a folder; returns the page's path."""
        folder_path = Path(folder)
        folder_path.mkdir(parents=True, exist_ok=True)
        texts = {"md": self.markdown() + "\n", "html": self.html(), "json": self.model_dump_json(indent=1)}
        for suffix, text in texts.items():
            with atomic_text(folder_path / f"compare.{suffix}") as handle:
                handle.write(text)
        return folder_path / "compare.html"


def _between(gain: ConfidenceInterval | None) -> str:
    return "–" if gain is None else f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
