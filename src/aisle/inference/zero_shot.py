"""Zero- and few-shot scoring of new categories.

Combines the cosine similarity to a category's name, or to the mean of its examples, with the model's log-
probabilities. The log-odds of a new category against all learned ones are linear in the similarity margin
(its own similarity minus the highest of a learned category) and in the log-probability of the model's best
category. The weights are fitted on held-out products, with some learned leaves treated as new: calibrated
stacking (Chao et al., ECCV 2016) with a margin in place of a constant.

Shapes: B products, N terminals, K of them new, D the dimension of an embedding.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file

from aisle.data import Product
from aisle.taxonomy import Taxonomy

Spaces = Mapping[str, np.ndarray]
_SHARES = (0.02, 0.05, 0.1, 0.2)  # of the leaves that are held out in each draw of the fit
_DRAWS = 3
_MOST = 1_500  # products fitted on
EXAMPLES = 5  # products a pretended category has in the fit of those with a few


class Weights(NamedTuple):
    """Log-odds: `bias + margin * (likeness - best learned likeness) + sure * log of the network's best`."""

    bias: float
    margin: float
    sure: float


@dataclass(frozen=True)
class ZeroShot:
    """named, shown: weights for categories known by name alone, and by a few examples. new (K,): ids of the
    nodes without learned examples; names, means: by space, vectors of every terminal's name and of its
    products (N, D), zeros where there are none; shown_ids: those of `new` that have examples."""

    named: Weights
    shown: Weights
    new: tuple[str, ...] = ()
    names: Spaces = field(default_factory=dict)
    means: Spaces = field(default_factory=dict)
    shown_ids: tuple[str, ...] = ()

    def apply(self, logp: np.ndarray, spaces: Spaces, taxonomy: Taxonomy) -> np.ndarray:
        """(B, N) the network's log-probabilities with those of the new categories put in."""
        if not self.new:
            return logp
        new = np.array([taxonomy.terminal_of[taxonomy.index(node)] for node in self.new])
        known = np.setdiff1d(np.arange(logp.shape[1]), new)
        if not len(known):
            return logp
        shown = np.isin(self.new, self.shown_ids)
        named = odds(self.named, logp, likeness(spaces, self.names), known, new)
        few = odds(self.shown, logp, likeness(spaces, self.means), known, new) if shown.any() else named
        z = np.where(shown, few, named)  # (B, K)
        total = np.logaddexp(0.0, np.logaddexp.reduce(z, 1))[:, None]
        out = logp - np.logaddexp.reduce(logp[:, known], 1)[:, None] - total
        out[:, new] = z - total
        return out.astype(logp.dtype)

    def with_examples(self, spaces: Spaces, places: Sequence[str], taxonomy: Taxonomy) -> "ZeroShot":
        """The same with these products (n, D) as examples of the nodes with these ids."""
        number = {node: int(taxonomy.terminal_of[taxonomy.index(node)]) for node in set(places)}
        rows = np.array([number[node] for node in places])
        means = {name: averages(spaces[name], rows, kept) for name, kept in self.means.items()}
        shown = tuple(sorted({*self.shown_ids, *(set(places) & set(self.new))}))
        return replace(self, means=means, shown_ids=shown)

    def save(self, folder: Path) -> None:
        """`zero_shot.json` and `zero_shot.safetensors`."""
        told = {"named": self.named, "shown": self.shown, "new": self.new, "shown_ids": self.shown_ids}
        (folder / "zero_shot.json").write_text(json.dumps(told, ensure_ascii=False))
        vectors = {f"names.{k}": v for k, v in self.names.items()} | {
            f"means.{k}": v for k, v in self.means.items()
        }
        save_file(
            {k: v.astype(np.float16) for k, v in vectors.items()}, str(folder / "zero_shot.safetensors")
        )

    @classmethod
    def load(cls, folder: Path) -> "ZeroShot | None":
        """What `save` wrote; None where nothing was."""
        if not (folder / "zero_shot.json").exists():
            return None
        told = json.loads((folder / "zero_shot.json").read_text())
        kept = load_file(str(folder / "zero_shot.safetensors"))
        parts: dict[str, dict[str, np.ndarray]] = {"names": {}, "means": {}}
        for key, vectors in kept.items():
            kind, _, space = key.partition(".")
            parts[kind][space] = vectors.astype(np.float32)
        return cls(
            Weights(*told["named"]), Weights(*told["shown"]), tuple(told["new"]), **parts,
            shown_ids=tuple(told["shown_ids"]),
        )  # fmt: skip


def name_products(taxonomy: Taxonomy, nodes: np.ndarray | None = None) -> list[Product]:
    """The names of nodes as products: the title is the name, the description the names on the path.

    Args:
        taxonomy: the tree.
        nodes: (K,) the nodes; all terminals by default.
    """
    paths = [taxonomy.nodes[node].path for node in (taxonomy.terminals if nodes is None else nodes)]
    return [Product("", {"title": path[-1], "description": " ".join(path)}) for path in paths]


def unit(vectors: np.ndarray) -> np.ndarray:
    """The same, each of length 1; zeros stay."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(min=1e-9)


def averages(vectors: np.ndarray, rows: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """(N, D) `kept`; for each terminal that `rows` (n,) names the mean direction of its vectors (n, D)."""
    total = np.zeros_like(kept)
    np.add.at(total, rows, unit(vectors))
    return np.where(np.abs(total).sum(1, keepdims=True) > 0, unit(total), kept)


def likeness(spaces: Spaces, places: Spaces) -> np.ndarray:
    """(B, N) mean cosine of products with terminals, over the spaces where both have vectors; NaN without."""
    total: np.ndarray | float = 0.0
    count: np.ndarray | float = 0.0
    for name, vectors in places.items():
        here = np.abs(spaces[name]).sum(1, keepdims=True) > 0  # (B, 1)
        there = (np.abs(vectors).sum(1) > 0)[None, :]  # (1, N)
        total = total + unit(spaces[name]) @ unit(vectors).T * (here & there)
        count = count + (here & there)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total) / np.where(np.asarray(count) > 0, count, np.nan)


def odds(
    weights: Weights, logp: np.ndarray, alike: np.ndarray, known: np.ndarray, new: np.ndarray
) -> np.ndarray:
    """(B, K) log-odds of each new terminal against all known ones together."""
    return signs(logp, alike, known, new) @ np.array(weights)


def signs(logp: np.ndarray, alike: np.ndarray, known: np.ndarray, new: np.ndarray) -> np.ndarray:
    """(B, K, 3) what the log-odds are linear in. Where nothing is known of a likeness it is the lowest."""
    filled = np.nan_to_num(alike, nan=-1.0)
    margin = filled[:, new] - filled[:, known].max(1, keepdims=True)
    seen = logp[:, known]
    sure = seen.max(1) - np.logaddexp.reduce(seen, 1)
    return np.stack([np.ones_like(margin), margin, np.broadcast_to(sure[:, None], margin.shape)], 2)


def fit(
    logp: np.ndarray, spaces: Spaces, truth: np.ndarray, names: Spaces, means: Spaces, seed: int = 0
) -> ZeroShot:
    """Weights from products (B) that the network never saw, at the terminals `truth` (B,): in several draws
    some leaves are taken from what was learned, and are to be told from the rest by their names (or by the
    mean of a few); products of both count alike. names, means: by space (N, D)."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(truth))[:_MOST]
    logp, truth = logp[rows].astype(np.float64), truth[rows]
    spaces = {name: vectors[rows] for name, vectors in spaces.items()}
    found = [
        _fitted(logp, likeness(spaces, places), truth, np.random.default_rng(seed))
        for places in (names, means)
    ]
    return ZeroShot(found[0], found[1])


def _fitted(logp: np.ndarray, alike: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> Weights:
    from scipy.optimize import minimize

    n, here = logp.shape[1], np.unique(truth)
    draws: list[tuple[np.ndarray, np.ndarray]] = []
    for share in _SHARES:
        for _ in range(_DRAWS):
            new = rng.choice(here, max(1, min(round(share * len(here)), n - 1, len(here))), replace=False)
            known = np.setdiff1d(np.arange(n), new)
            if not len(known):
                continue
            column = np.full(n, -1)
            column[new] = np.arange(len(new))
            draws.append((signs(logp, alike, known, new), column[truth]))

    def loss(w: np.ndarray) -> float:
        total = 0.0
        for x, column in draws:
            z = x @ w
            own = np.where(column >= 0, np.take_along_axis(z, column.clip(0)[:, None], 1)[:, 0], 0.0)
            lost = np.logaddexp(0.0, np.logaddexp.reduce(z, 1)) - own
            # As if half of all products lay in new categories: who makes one has products for it.
            total += float(np.mean([lost[part].mean() for part in (column >= 0, column < 0) if part.any()]))
        return total / max(len(draws), 1) + 1e-4 * float(w @ w)

    best = minimize(
        loss, np.array([-2.0, 5.0, -0.5]), method="L-BFGS-B", bounds=[(-20, 20), (0, 60), (-5, 5)]
    )
    return Weights(*(float(x) for x in best.x))
