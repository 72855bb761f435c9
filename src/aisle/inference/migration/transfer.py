"""Carries log-probabilities over an old tree to a new one.

Each terminal of the old tree hands its probability to one new terminal, or shares it among the parts of a
split category. A new terminal gets the sum, in log space, so that merges are exact.

Shapes: B products, K old and N new terminals, E edges from an old to a new terminal, D features.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from aisle.guarantee import Nearest
from aisle.inference.migration.split_head import SplitHead
from aisle.taxonomy import Taxonomy
from aisle.taxonomy.tree_diff.moves import Move

_NOTHING = -60.0  # log-probability of a terminal that no old one hands anything to


@dataclass(frozen=True)
class Transfer:
    """Edges from old to new terminals.

    Attributes:
        old: the tree of the earlier model.
        new: the new tree.
        source: (E,) old terminals, sorted by target.
        target: (E,) new terminals, sorted.
        node: (M,) the new node of each old one, the deepest above its parts where it was split; -1: none.
        head: tells the parts of split categories apart; None without split categories.
        examples: (n,) content hashes of the examples that taught the new categories.
    """

    old: Taxonomy
    new: Taxonomy
    source: np.ndarray
    target: np.ndarray
    node: np.ndarray
    head: SplitHead | None = None
    examples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))

    @classmethod
    def of(
        cls, old: Taxonomy, new: Taxonomy, every: Sequence[Move], node: np.ndarray, examples: np.ndarray
    ) -> "Transfer":
        """The edges that the moves of all old nodes say; without a head.

        Args:
            old: the tree of the earlier model.
            new: the new tree.
            every: (M,) where the products of each old node go.
            node: (M,) as the attribute.
            examples: (n,) as the attribute.
        """
        pairs = [
            (int(new.terminal_of[target]), terminal)
            for terminal, old_node in enumerate(old.terminals.tolist())
            for target in every[old_node].targets
            if new.terminal_of[target] >= 0
        ]
        table = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        return cls(old, new, table[:, 1], table[:, 0], node, examples=examples)

    @property
    def split(self) -> np.ndarray:
        """(S,) old terminals with several targets."""
        terminal, count = np.unique(self.source, return_counts=True)
        return terminal[count > 1]

    @property
    def without_source(self) -> np.ndarray:
        """New leaves that no old terminal hands anything to. Inner nodes are left out: a tree that lists them
        does not say that products end there."""
        leaf = np.array([not self.new.children[node] for node in self.new.terminals.tolist()], bool)
        return np.setdiff1d(np.flatnonzero(leaf), self.target)

    def apply(self, logp: np.ndarray, features: Any = None) -> np.ndarray:
        """Log-probabilities (B, N) over the new tree.

        Args:
            logp: (B, K) over the old tree.
            features: returns the features of some rows for the split head, called only where it matters.
        """
        edges = logp[:, self.source].astype(np.float64)
        if self.head is not None and features is not None:
            edges += self.head.log_shares(logp, self.source, features)
        else:  # alike
            share = np.bincount(self.source, minlength=logp.shape[1])[self.source]
            edges -= np.log(share)
        out = np.full((len(logp), len(self.new.terminals)), _NOTHING)
        if len(self.target):
            starts = np.flatnonzero(np.diff(self.target, prepend=-1))
            out[:, self.target[starts]] = np.logaddexp.reduceat(edges, starts, axis=1)
        out = np.maximum(out, _NOTHING)
        return (out - np.logaddexp.reduce(out, 1)[:, None]).astype(np.float32)

    def counts(self, counts: np.ndarray) -> np.ndarray:
        """(N,) training products of each new terminal, of the old ones' (K,); none of a split category."""
        unsplit = ~np.isin(self.source, self.split)
        return np.bincount(
            self.target[unsplit], np.asarray(counts)[self.source[unsplit]], minlength=len(self.new.terminals)
        ).astype(np.int64)

    def nearest(self, neighbors: Nearest | None) -> Nearest | None:
        """Neighbors by the nodes and top categories of the new tree."""
        if neighbors is None:
            return None
        node = np.where(neighbors.node >= 0, self.node[neighbors.node], -1)
        tops, belongs = self.new.level(1), self._tops()
        shape = (*neighbors.branch_similarity.shape[:2], len(tops))
        similarity = np.full(shape, -1.0, neighbors.branch_similarity.dtype)
        score = np.full(shape, np.nan, neighbors.branch_score.dtype)
        with np.errstate(invalid="ignore"):
            lowest = np.min(neighbors.branch_score, 2, initial=np.inf)
            for j in range(len(tops)):
                from_old = np.flatnonzero(belongs[:, j])
                if len(from_old):
                    similarity[:, :, j] = neighbors.branch_similarity[:, :, from_old].max(2)
                    score[:, :, j] = neighbors.branch_score[:, :, from_old].max(2)
                else:
                    score[:, :, j] = np.where(np.isfinite(lowest), lowest, np.nan)
        similarity[np.isnan(neighbors.branch_similarity).any(2)] = np.nan
        return neighbors._replace(branch_similarity=similarity, node=node, branch_score=score)

    def _tops(self) -> np.ndarray:
        """(T, T') bool: old top categories with products that go to each new one."""
        before, after = self.old.level(1), self.new.level(1)
        a = np.searchsorted(before, self.old.ancestors[self.old.terminals[self.source], 0])
        b = np.searchsorted(after, self.new.ancestors[self.new.terminals[self.target], 0])
        out = np.zeros((len(before), len(after)), bool)
        out[a, b] = True
        return out

    def save(self, folder: Path) -> None:
        """Write `transfer.json` and `transfer.safetensors`."""
        data = {"old": json.loads(self.old.to_json()), "new": json.loads(self.new.to_json())}
        data["head"] = None if self.head is None else self.head.to_dict()
        (folder / "transfer.json").write_text(json.dumps(data, ensure_ascii=False))
        names = ("source", "target", "node", "examples")
        arrays = {name: getattr(self, name) for name in names}
        arrays |= {} if self.head is None else self.head.arrays()
        save_file(
            {k: np.ascontiguousarray(v) for k, v in arrays.items()}, str(folder / "transfer.safetensors")
        )

    @classmethod
    def load(cls, folder: Path) -> "Transfer":
        """Read what `save` wrote."""
        data = json.loads((folder / "transfer.json").read_text())
        arrays = load_file(str(folder / "transfer.safetensors"))
        head = None if data["head"] is None else SplitHead.read(data["head"], arrays)
        old, new = (Taxonomy.from_json(json.dumps(data[side])) for side in ("old", "new"))
        return cls(old, new, arrays["source"], arrays["target"], arrays["node"], head, arrays["examples"])
