"""What changed since a model was trained, where, and what that means for its guarantee."""

from pathlib import Path
from typing import Literal

from aisle.evaluation.scores import ConfidenceInterval, ResultRecord
from aisle.inference.prediction_files import whole_file


class Shift(ResultRecord):
    """One value of what changed: its share (or mean) before and now."""

    name: str
    before: float
    now: float


class Aspect(ResultRecord):
    """One way in which products or answers may differ from those the model was calibrated on.

    `effect`: how far apart, in the unit of `measure`; `p`: how often chance alone sets two samples as far
    apart; `changed`: more than chance (all tests together err in at most 5 % of cases, Holm) and more than
    `least`. `moved`: where, most changed first; shares unless `mean` says that they are means.
    """

    key: str
    name: str
    measure: str
    effect: float
    least: float
    p: float
    changed: bool
    mean: bool = False
    moved: tuple[Shift, ...] = ()


class GuaranteeStatus(ResultRecord):
    """Whether the guarantee can still be trusted. `holds`: nothing changed, or what changed is measured to be
    harmless; `doubtful`: it was made for other products; `broken`: measured on labels, even the upper limit
    lies below the guaranteed precision; `none`: the model has no guarantee.

    `guaranteed`: the precision of full paths; `expected`: what the model's own confidence makes of those it
    accepts now; `accepted`, `accepted_before`: shares; `measured`: on the file's own labels (null: too few).
    """

    verdict: Literal["holds", "doubtful", "broken", "none"]
    why: str
    guaranteed: float | None
    expected: float | None
    accepted: float
    accepted_before: float
    measured: ConfidenceInterval | None


class Drift(ResultRecord):
    """A new file compared with the products a model was calibrated on. `rows` of `source` were compared (a
    sample of large files); `seen`: rows left out because the model was trained on them."""

    model_id: str
    source: str
    reference: str
    rows: int
    reference_rows: int
    seen: int
    faulty: int
    aspects: tuple[Aspect, ...]
    guarantee: GuaranteeStatus

    @property
    def changed(self) -> tuple[Aspect, ...]:
        """What changed."""
        return tuple(aspect for aspect in self.aspects if aspect.changed)

    def write(self, folder: str | Path) -> Path:
        """`drift.html` and `drift.json`; returns the page's path.

        Raises:
            OSError: the folder cannot be written.
        """
        from aisle.evaluation.pages import environment

        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        with whole_file(home / "drift.json") as handle:
            handle.write(self.model_dump_json(indent=1))
        with whole_file(home / "drift.html") as handle:
            handle.write(environment().get_template("drift.html").render(d=self))
        return home / "drift.html"
