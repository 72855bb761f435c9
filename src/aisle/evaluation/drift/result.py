"""Result of comparing a new file with the rows that a model was calibrated on."""

from pathlib import Path
from typing import Literal

from aisle.atomic_files import atomic_text
from aisle.evaluation.scores import ConfidenceInterval, OperatingCurve, ResultRecord, RuleDecisions


class Shift(ResultRecord):
    """One value of a changed aspect, with its share or mean before and now."""

    name: str
    before: float
    now: float


class Aspect(ResultRecord):
    """A property of products or predictions, compared with those the model was calibrated on.

    Attributes:
        effect: The effect size, in the unit of `measure`.
        least: The smallest effect that counts as a change.
        p: The p-value.
        changed: Whether the effect is significant (Holm, family-wise error at most 5 %) and at least `least`.
        mean: Whether `moved` holds means instead of shares.
        moved: The values that changed most, largest change first.
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
    """Whether the guarantee can still be trusted.

    Attributes:
        verdict: `holds`: nothing changed, or what changed is measured to be harmless; `doubtful`: it was made
            for other products; `broken`: measured on labels, even the upper limit lies below the guaranteed
            precision, of full paths or of branches; `none`: nothing is guaranteed.
        why: The reason in words.
        guaranteed: The precision of automatic decisions, full paths and branches; null if there are none.
        expected: Mean confidence of the accepted products.
        accepted: Share of products that get a full path from the model alone, without rules.
        accepted_before: The same of the reference.
        partial: Share of products that get a branch from the model alone.
        partial_before: The same of the reference.
        measured: Accepted products that are right by the file's own labels, of those on which no rule acts;
            null if there are too few.
        measured_branch: Products with a branch that is right by the labels; null if there are too few.
        by_rules: What rules decide of the labelled products, or of all where too few are labelled; null for a
            model without rules. No guarantee covers them.
    """

    verdict: Literal["holds", "doubtful", "broken", "none"]
    why: str
    guaranteed: float | None
    expected: float | None
    accepted: float
    accepted_before: float
    partial: float
    partial_before: float
    measured: ConfidenceInterval | None
    measured_branch: ConfidenceInterval | None
    by_rules: RuleDecisions | None = None


class Drift(ResultRecord):
    """A new file compared with the products a model was calibrated on.

    Attributes:
        rows: Rows of `source` that were compared; of large files a sample.
        seen: Rows left out because the model was trained on them.
        operating_curve: What the model decides at each precision of the file's labelled rows, and how often
            rightly; null if too few are labelled.
    """

    model_id: str
    source: str
    reference: str
    rows: int
    reference_rows: int
    seen: int
    faulty: int
    aspects: tuple[Aspect, ...]
    guarantee: GuaranteeStatus
    operating_curve: OperatingCurve | None

    @property
    def changed(self) -> tuple[Aspect, ...]:
        """The changed aspects."""
        return tuple(aspect for aspect in self.aspects if aspect.changed)

    def write(self, folder: str | Path) -> Path:
        """Write `drift.html` and `drift.json`; returns the page's path.

        Raises:
            OSError: The folder cannot be written.
        """
        from aisle.evaluation.pages import environment

        folder_path = Path(folder)
        folder_path.mkdir(parents=True, exist_ok=True)
        with atomic_text(folder_path / "drift.json") as handle:
            handle.write(self.model_dump_json(indent=1))
        with atomic_text(folder_path / "drift.html") as handle:
            handle.write(environment().get_template("drift.html").render(d=self))
        return folder_path / "drift.html"
