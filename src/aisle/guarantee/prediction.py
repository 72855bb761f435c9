"""The prediction of one product: the same record in Python, in files and over HTTP."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from aisle.taxonomy import CategoryPath, format_path

Verdict = Literal["accept", "partial", "review"]


class Alternative(NamedTuple):
    """One of the full paths of highest confidence."""

    path: CategoryPath
    confidence: float


@dataclass(frozen=True)
class Prediction:
    """The predicted category of one product, and how sure it is.

    Attributes:
        id: The product's id.
        best: The full path of highest confidence.
        best_id: The stable id of its node.
        path: The part of a path that is decided; empty for review.
        path_id: The stable id of its node; `""` for review.
        confidence: The calibrated confidence of each level of `best`; the last is that of the full path.
        decision: `accept` (a full path is decided), `partial` (a branch is decided) or `review`.
        reason: Why the decision stopped there.
        alternatives: The full paths of highest confidence; the first is `best`.
        problems: What is wrong with the product's row.
        model_id: The model.
        threshold: The confidence from which `best` is accepted; None where nothing is guaranteed for it.
        rule: The ids of the rules that acted, separated by `, `; empty without any. The guarantee does not
            count such a product.
    """

    id: str
    best: CategoryPath
    best_id: str
    path: CategoryPath
    path_id: str
    confidence: tuple[float, ...]
    decision: Verdict
    reason: str
    alternatives: tuple[Alternative, ...]
    problems: tuple[str, ...] = ()
    model_id: str = ""
    threshold: float | None = None
    rule: str = ""

    @property
    def path_confidence(self) -> float:
        """The confidence of `path`; where that is empty, of `best`."""
        return self.confidence[len(self.path) - 1]

    def _repr_html_(self) -> str:
        from aisle.guarantee.prediction_html import prediction_html

        return prediction_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and strings, for JSON; paths as `A > B`."""
        return {
            "id": self.id,
            "best": format_path(self.best),
            "best_id": self.best_id,
            "path": format_path(self.path),
            "path_id": self.path_id,
            "confidence": [round(c, 6) for c in self.confidence],
            "decision": self.decision,
            "reason": self.reason,
            "rule": self.rule,
            "alternatives": [
                {"path": format_path(path), "confidence": round(c, 6)} for path, c in self.alternatives
            ],
            "threshold": None if self.threshold is None else round(self.threshold, 6),
            "problems": list(self.problems),
            "model_id": self.model_id,
        }
