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
_HELD_OUT_SHARES = (0.02, 0.05, 0.1, 0.2)  # of the leaves that count as new in a draw
_DRAWS = 3  # per share
_MAX_ROWS = 1_500  # products that the weights are fitted on
EXAMPLES = 5  # examples of a category that counts as new, in the fit of the few-shot weights


class Weights(NamedTuple):
    """Weights of the log-odds of a new category.

    Attributes:
        bias: constant.
        margin: weight of the similarity margin.
        sure: weight of the log-probability of the model's best category.
    """

    bias: float
    margin: float
    sure: float


@dataclass(frozen=True)
class ZeroShot:
    """Scores new categories.

    Attributes:
        named: weights of categories known by name only (zero-shot).
        shown: weights of categories with a few examples (few-shot).
        new: K ids of the new nodes.
        names: (N, D) embeddings of the terminals' names, by view.
        means: (N, D) mean embeddings of the terminals' products, by view; zeros where there are none.
        shown_ids: the ids among `new` that have examples.
    """

    named: Weights
    shown: Weights
    new: tuple[str, ...] = ()
    names: Spaces = field(default_factory=dict)
    means: Spaces = field(default_factory=dict)
    shown_ids: tuple[str, ...] = ()

    def apply(self, logp: np.ndarray, spaces: Spaces, taxonomy: Taxonomy) -> np.ndarray:
        """Combine log-probabilities (B, N) with the scores of the new categories.

        Args:
            logp: (B, N) the model's log-probabilities.
            spaces: (B, D) embeddings by view.
            taxonomy: the tree.

        Returns:
            (B, N) log-probabilities.
        """
        if not self.new:
            return logp
        new = np.array([taxonomy.terminal_of[taxonomy.index(node)] for node in self.new])
        known = np.setdiff1d(np.arange(logp.shape[1]), new)
        if not len(known):
            return logp
        has_example = np.isin(self.new, self.shown_ids)
        zero_shot = log_odds_of_new(self.named, logp, mean_cosine(spaces, self.names), known, new)
        few_shot = zero_shot
        if has_example.any():
            few_shot = log_odds_of_new(self.shown, logp, mean_cosine(spaces, self.means), known, new)
        z = np.where(has_example, few_shot, zero_shot)  # (B, K)
        total = np.logaddexp(0.0, np.logaddexp.reduce(z, 1))[:, None]
        out = logp - np.logaddexp.reduce(logp[:, known], 1)[:, None] - total
        out[:, new] = z - total
        return out.astype(logp.dtype)

    def with_examples(self, spaces: Spaces, ids: Sequence[str], taxonomy: Taxonomy) -> "ZeroShot":
        """A copy with examples.

        Args:
            spaces: (n, D) embeddings of the examples by view.
            ids: n ids of their nodes.
            taxonomy: the tree.
        """
        number = {node: int(taxonomy.terminal_of[taxonomy.index(node)]) for node in set(ids)}
        terminal = np.array([number[node] for node in ids])
        means = {name: update_means(spaces[name], terminal, old) for name, old in self.means.items()}
        shown_ids = tuple(sorted({*self.shown_ids, *(set(ids) & set(self.new))}))
        return replace(self, means=means, shown_ids=shown_ids)

    def save(self, folder: Path) -> None:
        """Write `zero_shot.json` and `zero_shot.safetensors`."""
        data = {"named": self.named, "shown": self.shown, "new": self.new, "shown_ids": self.shown_ids}
        (folder / "zero_shot.json").write_text(json.dumps(data, ensure_ascii=False))
        arrays = (("names", self.names), ("means", self.means))
        vectors = {f"{key}.{k}": v.astype(np.float16) for key, table in arrays for k, v in table.items()}
        save_file(vectors, str(folder / "zero_shot.safetensors"))

    @classmethod
    def load(cls, folder: Path) -> "ZeroShot | None":
        """Read what `save` wrote; None where there are no such files."""
        if not (folder / "zero_shot.json").exists():
            return None
        data = json.loads((folder / "zero_shot.json").read_text())
        tables: dict[str, dict[str, np.ndarray]] = {"names": {}, "means": {}}
        for key, vectors in load_file(str(folder / "zero_shot.safetensors")).items():
            table, _, view = key.partition(".")
            tables[table][view] = vectors.astype(np.float32)
        return cls(
            Weights(*data["named"]), Weights(*data["shown"]), tuple(data["new"]), **tables,
            shown_ids=tuple(data["shown_ids"]),
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
    """Vectors (…, D) scaled to length 1; zeros stay zeros."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(min=1e-9)


def update_means(vectors: np.ndarray, terminal: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Replace the means (N, D) of terminals that have examples.

    Args:
        vectors: (n, D) the examples.
        terminal: (n,) the terminal of each.
        means: (N, D) the earlier means.

    Returns:
        (N, D) mean directions.
    """
    total = np.zeros_like(means)
    np.add.at(total, terminal, unit(vectors))
    return np.where(np.abs(total).sum(1, keepdims=True) > 0, unit(total), means)


def mean_cosine(spaces: Spaces, terminals: Spaces) -> np.ndarray:
    """(B, N) cosine of products and terminals, averaged over the views that both have; NaN where there is
    none.
    """
    total: np.ndarray | float = 0.0
    count: np.ndarray | float = 0.0
    for name, vectors in terminals.items():
        product_has = np.abs(spaces[name]).sum(1, keepdims=True) > 0  # (B, 1)
        has_both = product_has & (np.abs(vectors).sum(1) > 0)[None, :]  # (B, N)
        total = total + unit(spaces[name]) @ unit(vectors).T * has_both
        count = count + has_both
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total) / np.where(np.asarray(count) > 0, count, np.nan)


def log_odds_of_new(
    weights: Weights, logp: np.ndarray, cosine: np.ndarray, known: np.ndarray, new: np.ndarray
) -> np.ndarray:
    """(B, K) log-odds of each new terminal against all known ones; arguments as of `log_odds_features`."""
    return log_odds_features(logp, cosine, known, new) @ np.array(weights)


def log_odds_features(logp: np.ndarray, cosine: np.ndarray, known: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The features that the log-odds are linear in.

    Args:
        logp: (B, N) the model's log-probabilities.
        cosine: (B, N) similarity to each terminal; NaN (unknown) counts as -1.
        known: the terminals with training products.
        new: K terminals without.

    Returns:
        (B, K, 3), in the order of `Weights`.
    """
    filled = np.nan_to_num(cosine, nan=-1.0)
    margin = filled[:, new] - filled[:, known].max(1, keepdims=True)
    known_logp = logp[:, known]
    confidence = known_logp.max(1) - np.logaddexp.reduce(known_logp, 1)
    return np.stack([np.ones_like(margin), margin, np.broadcast_to(confidence[:, None], margin.shape)], 2)


def fit(
    logp: np.ndarray, spaces: Spaces, truth: np.ndarray, names: Spaces, means: Spaces, seed: int = 0
) -> ZeroShot:
    """Fit the weights on held-out products; in each draw some terminals count as new.

    Args:
        logp: (B, N) the model's log-probabilities.
        spaces: (B, D) embeddings by view.
        truth: (B,) terminals.
        names: (N, D) embeddings of the terminals' names, by view.
        means: (N, D) means of a few examples of each terminal, by view.
        seed: seed of the draws.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(truth))[:_MAX_ROWS]
    logp, truth = logp[rows].astype(np.float64), truth[rows]
    spaces = {name: vectors[rows] for name, vectors in spaces.items()}
    named, shown = (
        _fit_weights(logp, mean_cosine(spaces, terminals), truth, np.random.default_rng(seed))
        for terminals in (names, means)
    )
    return ZeroShot(named, shown)


def _fit_weights(
    logp: np.ndarray, cosine: np.ndarray, truth: np.ndarray, rng: np.random.Generator
) -> Weights:
    from scipy.optimize import minimize

    n, labels = logp.shape[1], np.unique(truth)
    draws: list[tuple[np.ndarray, np.ndarray]] = []
    for share in _HELD_OUT_SHARES:
        for _ in range(_DRAWS):
            count = max(1, min(round(share * len(labels)), n - 1, len(labels)))
            new = rng.choice(labels, count, replace=False)
            known = np.setdiff1d(np.arange(n), new)
            if not len(known):
                continue
            column = np.full(n, -1)
            column[new] = np.arange(len(new))
            draws.append((log_odds_features(logp, cosine, known, new), column[truth]))

    def loss(w: np.ndarray) -> float:
        total = 0.0
        for x, column in draws:
            z = x @ w
            z_true = np.where(column >= 0, np.take_along_axis(z, column.clip(0)[:, None], 1)[:, 0], 0.0)
            nll = np.logaddexp(0.0, np.logaddexp.reduce(z, 1)) - z_true
            # New and known categories weigh the same: a category is added because there are products for it.
            total += float(np.mean([nll[part].mean() for part in (column >= 0, column < 0) if part.any()]))
        return total / max(len(draws), 1) + 1e-4 * float(w @ w)

    best = minimize(
        loss, np.array([-2.0, 5.0, -0.5]), method="L-BFGS-B", bounds=[(-20, 20), (0, 60), (-5, 5)]
    )
    return Weights(*(float(x) for x in best.x))
