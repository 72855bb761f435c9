"""What is answered about one product: the same record in Python, in bulk files and over HTTP."""

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
    """Where a product belongs, and how sure that is.

    best: the full path of highest confidence. path: as deep as is sure (a prefix of a path in the tree,
    may be empty). confidence: of each level of `best`, calibrated, with what neighbors say where the policy
    asks them; the last is the full path's. decision: `accept` (`path` is a full path), `partial` (`path` ends
    at a branch) or `review` (nothing is sure). reason: why it stopped there. threshold: the confidence from
    which `best` is accepted, None where nothing is promised for it. alternatives: best first; the first is
    `best` itself. best_id and path_id: the nodes' stable ids ("" when `path` is empty).
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
            "alternatives": [
                {"path": format_path(path), "confidence": round(c, 6)} for path, c in self.alternatives
            ],
            "threshold": None if self.threshold is None else round(self.threshold, 6),
            "problems": list(self.problems),
            "model_id": self.model_id,
        }
