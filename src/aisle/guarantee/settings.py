"""What a shop asks for: how precise, how sure of it, where never, and what mistakes cost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from aisle.errors import AisleError
from aisle.taxonomy import Taxonomy


class PolicyError(AisleError):
    """A guarantee was asked for that makes no sense, or a saved policy cannot be read."""


@dataclass(frozen=True)
class Settings:
    """What is asked of a policy. Categories are named by their stable ids.

    precision: the least share of automatic decisions that must be right. alpha: the chance that the
    guarantee does not hold, over the draw of the rows it was fitted on. prefer: `depth` (full paths) or
    `coverage` (as many decisions as possible). never: at or below these nothing is
    decided automatically. costs: what a mistake costs where this node or one below it is named,
    an ordinary mistake costing 1; the guarantee then reads "the average cost of an automatic decision is at
    most 1 - precision". branch_precision: another precision for a node and all below it.
    level_precision: another precision for decisions that end at this level (1 is the top); a branch's
    own precision comes first.

    Raises:
        PolicyError: a number out of its range.
    """

    precision: float = 0.95
    alpha: float = 0.05
    never: tuple[str, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)
    branch_precision: Mapping[str, float] = field(default_factory=dict)
    level_precision: Mapping[int, float] = field(default_factory=dict)
    prefer: str = "depth"

    def __post_init__(self) -> None:
        named = [("precision", self.precision), ("alpha", self.alpha)]
        named += [(f"branch_precision[{k!r}]", v) for k, v in self.branch_precision.items()]
        named += [(f"level_precision[{k!r}]", v) for k, v in self.level_precision.items()]
        for name, value in named:
            if not 0 < value < 1:
                raise PolicyError(
                    f"{name} is {value:g}; give a number between 0 and 1 (1 itself would need endless rows)"
                )
        for name, cost in self.costs.items():
            if not 0 < cost < float("inf"):
                raise PolicyError(f"costs[{name!r}] is {cost:g}; a mistake's cost is above 0 (1 is ordinary)")
        if self.prefer not in ("depth", "coverage"):
            raise PolicyError(f"prefer is {self.prefer!r}; give depth or coverage")
        for level in self.level_precision:
            if level < 1:
                raise PolicyError(f"level_precision names level {level}; 1 is the top")

    def on(self, taxonomy: Taxonomy) -> "Demands":
        """These settings spread over the nodes of a tree; ids that are not in it are passed over."""
        precision = np.array([self.level_precision.get(int(d), self.precision) for d in taxonomy.node_depth])
        _spread(taxonomy, self.branch_precision, precision)
        cost = np.ones(len(taxonomy))
        _spread(taxonomy, self.costs, cost)
        never = np.zeros(len(taxonomy))
        _spread(taxonomy, dict.fromkeys(self.never, 1.0), never)
        return Demands(precision, cost, never.astype(bool))

    def check(self, taxonomy: Taxonomy) -> None:
        """Raises:
        TaxonomyError: an id is not in the tree; the message names the nearest one.
        """
        for name in (*self.never, *self.costs, *self.branch_precision):
            taxonomy.index(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, for JSON."""
        data = asdict(self)
        data["level_precision"] = {str(k): v for k, v in self.level_precision.items()}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Settings":
        """Read back what `to_dict` wrote."""
        levels = {int(k): float(v) for k, v in data["level_precision"].items()}
        return cls(**{**data, "never": tuple(data["never"]), "level_precision": levels})


class Demands(NamedTuple):
    """Settings over the M nodes of one tree: precision (M,), cost (M,), never (M,) bool."""

    precision: np.ndarray
    cost: np.ndarray
    never: np.ndarray


def _spread(taxonomy: Taxonomy, values: Mapping[str, float], onto: np.ndarray) -> None:
    """Write each value onto its node and all below; the nearest named ancestor counts."""
    found = [(taxonomy.find(node_id), value) for node_id, value in values.items()]
    for node, value in sorted((n, v) for n, v in found if n is not None):  # ancestors come first
        onto[node : subtree_end(taxonomy, node)] = value


def subtree_end(taxonomy: Taxonomy, node: int) -> int:
    """One past the last node at or below `node`, in tree order."""
    deeper = taxonomy.node_depth[node + 1 :] > taxonomy.node_depth[node]
    outside = np.flatnonzero(~deeper)
    return node + 1 + int(outside[0]) if len(outside) else len(taxonomy)
