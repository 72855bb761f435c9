"""The result of an evaluation: typed, frozen, written to and read from JSON."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aisle.errors import AisleError
from aisle.evaluation.scores import (
    BaselineResult,
    ConfidenceInterval,
    Confusion,
    CoveragePoint,
    Decisions,
    GuaranteeReport,
    Matrix,
    NodeScore,
    OperatingCurve,
    ReliabilityBin,
    ResultRecord,
    RowCounts,
    StageScore,
    Summary,
    ViewRemoved,
)
from aisle.evaluation.shown_products import Examples, RobustnessScore

FORMAT_VERSION = 1


class MetricChange(ResultRecord):
    """A number in an earlier evaluation and in this one. `key`: its keys in JSON, joined by dots."""

    key: str
    name: str
    before: float | None
    now: float | None


class NodeChange(ResultRecord):
    """A branch's accuracy in an earlier evaluation and in this one."""

    path: tuple[str, ...]
    products: int
    before: float
    now: float


class ReportComparison(ResultRecord):
    """An earlier evaluation compared with this one.

    Attributes:
        same: Whether both were evaluated on the same products.
        accuracy: The change of accuracy with paired limits; null unless `same`.
        worse: The branches of at least ten products whose accuracy fell most.
        better: Those whose accuracy rose most.
    """

    model_id: str
    source: str
    split: str | None
    evaluated: int
    same: bool
    accuracy: ConfidenceInterval | None
    changes: tuple[MetricChange, ...]
    worse: tuple[NodeChange, ...]
    better: tuple[NodeChange, ...]


class Evaluation(ResultRecord):
    """Everything that one evaluation measured.

    Attributes:
        training_products: Labelled products that the model was trained on.
        stages: Stages of a cascade.
        operating_curve: What is decided at each precision; null for a model that decides nothing.
        products: A hash of the evaluated products in order.
        hits: One bit per product: whether its full path is right (base64). A later evaluation of the same
            products is compared with these.
    """

    format_version: int = FORMAT_VERSION
    model_id: str
    source: str = ""
    split: str | None = None
    rows: RowCounts
    training_products: int | None = None
    model: Summary
    baseline: BaselineResult | None = None
    views: tuple[ViewRemoved, ...] = ()
    stages: tuple[StageScore, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()
    coverage: tuple[CoveragePoint, ...] = ()
    decisions: Decisions | None = None
    guarantee: GuaranteeReport | None = None
    operating_curve: OperatingCurve | None = None
    nodes: tuple[NodeScore, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    matrix: Matrix | None = None
    examples: Examples = Examples()
    products: str = ""
    hits: str = ""
    comparison: ReportComparison | None = None
    robustness: tuple[RobustnessScore, ...] = ()

    def _repr_html_(self) -> str:
        from aisle.evaluation.evaluation_html import evaluation_html

        return evaluation_html(self)

    def to_json(self) -> str:
        """The result as JSON, without images."""
        return self.model_dump_json(indent=2)

    def to_dict(self) -> dict[str, Any]:
        """The content of `to_json` as lists, strings and numbers."""
        return self.model_dump(mode="json")

    def write(self, folder: str | Path) -> Path:
        """Write `report.html` and `report.json`.

        Args:
            folder: The folder; it is created if necessary.

        Returns:
            The path of the page.

        Raises:
            OSError: The folder cannot be written.
        """
        from aisle.evaluation.report import render

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(self.to_json(), encoding="utf-8")
        page = folder / "report.html"
        page.write_text(render(self), encoding="utf-8")
        return page

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """Read the output of `to_json`.

        Raises:
            AisleError: The text is something else, or comes from a newer version.
        """
        try:
            evaluation = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            location = ".".join(str(part) for part in first["loc"]) or "the file"
            raise AisleError(f"not a saved evaluation: {location}: {first['msg']}") from error
        if evaluation.format_version > FORMAT_VERSION:
            raise AisleError(
                f"this evaluation has format {evaluation.format_version}, not {FORMAT_VERSION}: update aisle"
            )
        return evaluation
