"""What is answered about one product: the same record in Python, in bulk files and over HTTP."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from aisle.taxonomy import CategoryPath, format_path

Verdict = Literal["accept", "partial", "review"]


class Alternative(NamedTuple):
    """One of the most probable full paths."""

    path: CategoryPath
    probability: float


@dataclass(frozen=True)
class Prediction:
    """Where a product belongs, and how sure that is.

    best: the most probable full path. path: as deep as is sure (a prefix of a path in the tree, may
    be empty). confidence: calibrated probability of each level of `best`. decision: `accept` (`path`
    is a full path), `partial` (`path` ends at a branch) or `review` (nothing is sure). reason: why it
    stopped there. best_id and path_id: the nodes' stable ids ("" when `path` is empty).
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

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and strings, for JSON; paths as `A > B`."""
        data = asdict(self)
        data["best"] = format_path(self.best)
        data["path"] = format_path(self.path)
        data["confidence"] = [round(c, 6) for c in self.confidence]
        data["alternatives"] = [
            {"path": format_path(a.path), "probability": round(a.probability, 6)} for a in self.alternatives
        ]
        data["problems"] = list(self.problems)
        return data
