"""What a comparison found: one table, as Markdown, as a page and as JSON."""

from pathlib import Path

from aisle.evaluation.numbers import count, decimal
from aisle.evaluation.pages import environment
from aisle.evaluation.result import Limits, Record
from aisle.inference.prediction_files import whole_file


class Compared(Record):
    """One variant. `accuracy`: of full paths, over all judged products, averaged over seeds; `deviation`: of
    the accuracies of single trainings (null: there was one). `levels`: accuracy level by level, of the
    products whose label reaches it. `gain`, `gain_f1`: against the first variant, paired bootstrap over
    products, near-duplicates drawn together (null: it is the first). `seconds`: of one training; `memory`:
    the most MiB the process held; `per_second`: products answered."""

    name: str
    accuracy: float
    deviation: float | None
    macro_f1: float
    levels: tuple[float, ...]
    contest: float | None
    gain: Limits | None
    gain_f1: Limits | None
    parameters: int
    seconds: float
    per_second: float
    memory: float


class Comparison(Record):
    """Variants trained on the same rows and judged on the same `judged` products. folds: 0 where rows set
    aside for testing were judged."""

    source: str
    judged: int
    folds: int
    seeds: tuple[int, ...]
    levels: int
    rows: tuple[Compared, ...]

    @property
    def how(self) -> str:
        """One line: on what, how often."""
        turns = f"{self.folds} folds" if self.folds else "rows marked `test`"
        seeds = f", {len(self.seeds)} seeds" if len(self.seeds) > 1 else ""
        return f"{self.judged:,} products of {self.source}, {turns}{seeds}"

    @property
    def best(self) -> Compared:
        """The most accurate one."""
        return max(self.rows, key=lambda row: row.accuracy)

    @property
    def winner(self) -> Compared | None:
        """The best one, where that is more than chance: of the others, the limits of its gain over the first
        (of the first, those of all others') do not include zero. None of a single one."""
        best, others = self.best, [row.gain for row in self.rows if row.gain is not None]
        if not others:
            return None
        sure = best.gain.low > 0 if best.gain is not None else all(gain.high < 0 for gain in others)
        return best if sure else None

    @property
    def verdict(self) -> str:
        """One line: which is better, or that none is."""
        if len(self.rows) == 1:
            return f"{self.best.name}: {self.best.accuracy:.3f} of full paths are right"
        if self.winner is None:
            return (
                "No recipe is better than the first beyond chance"
                if self.best.gain is not None
                else ("The first recipe is the most accurate, but not beyond chance")
            )
        over = f"{self.rows[0].name} by {_between(self.best.gain)}" if self.best.gain else "all others"
        return f"{self.best.name} is more accurate than {over}"

    def markdown(self) -> str:
        """The table."""
        contest = any(row.contest is not None for row in self.rows)
        levels = [f"level {level}" for level in range(1, self.levels + 1)]
        head = ["recipe", "accuracy", "macro-F1", *levels, *(["contest score"] if contest else [])]
        head += ["accuracy, gain", "macro-F1, gain", "parameters", "train, s", "answers/s", "memory, MiB"]
        lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for row in self.rows:
            deviation = "" if row.deviation is None else f" ± {row.deviation:.3f}"
            cells = [row.name.replace("|", "\\|"), f"{row.accuracy:.3f}{deviation}", decimal(row.macro_f1)]
            cells += [*map(decimal, row.levels), *([decimal(row.contest)] if contest else [])]
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
        """`compare.md`, `compare.html` and `compare.json` in a folder; returns the page's path."""
        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        texts = {"md": self.markdown() + "\n", "html": self.html(), "json": self.model_dump_json(indent=1)}
        for ending, text in texts.items():
            with whole_file(home / f"compare.{ending}") as handle:
                handle.write(text)
        return home / "compare.html"


def _between(gain: Limits | None) -> str:
    return "–" if gain is None else f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
