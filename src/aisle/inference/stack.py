"""Stacking: a LightGBM model re-scores the categories that the members of an ensemble consider likely.

Each product has a few candidates, the terminals that any member ranks high. A candidate's features are
every member's log-probabilities of it and of its ancestors, and how certain that member is. One binary
model scores all candidates, so cost does not grow with the number of categories.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from aisle.errors import extra
from aisle.taxonomy import Scores, Taxonomy

TOP = 5  # terminals of each member that become candidates
_FLOOR = -20.0  # a log-probability that says never


class Candidates(NamedTuple):
    """C candidates of B products: `row` (C,) whose they are, `terminal` (C,) which, `features` (C, F)."""

    row: np.ndarray
    terminal: np.ndarray
    features: np.ndarray


def feature_names(members: Sequence[str], depth: int) -> list[str]:
    """The columns of `Candidates.features`; what stands before the colon is the group."""
    own = [
        "log-probability",
        "below its best",
        *(f"level {level}" for level in range(1, depth + 1)),
        "best",
        "entropy",
    ]
    return [f"{name}: {what}" for name in members for what in own] + [
        "category: training products",
        "category: depth",
    ]


def candidates(scores: Sequence[np.ndarray], taxonomy: Taxonomy, counts: np.ndarray) -> Candidates:
    """What the trees are asked. scores: each member's (B, N) log-probabilities; counts: (N,) training
    products of each terminal."""
    likely = [np.argpartition(-s, min(TOP, s.shape[1]) - 1, axis=1)[:, :TOP] for s in scores]
    rows = np.repeat(np.arange(len(scores[0])), sum(a.shape[1] for a in likely))
    pairs = np.unique(np.stack([rows, np.concatenate(likely, 1).ravel()], 1), axis=0)  # (C, 2)
    row, terminal = pairs.T
    lineage = taxonomy.ancestors[taxonomy.terminals[terminal]]  # (C, L)
    columns = []
    for logp in scores:
        own = np.maximum(logp[row, terminal], _FLOOR)
        best = logp.max(1)
        whole = Scores(taxonomy, logp)
        columns += [own, own - np.maximum(best, _FLOOR)[row]]
        for level in range(lineage.shape[1]):
            here = whole.level(level + 1)  # (B, n + 1)
            place = np.full(len(taxonomy), here.shape[1] - 1)
            place[taxonomy.level(level + 1)] = np.arange(here.shape[1] - 1)
            columns.append(np.maximum(here[row, place[lineage[:, level]]], _FLOOR))
        p = np.exp(logp)
        columns += [best[row], -(p * np.maximum(logp, _FLOOR)).sum(1)[row]]
    depth = (lineage >= 0).sum(1)
    columns += [np.log1p(counts[terminal]), depth]
    return Candidates(row, terminal, np.stack(columns, 1).astype(np.float32))


class Stack:
    """A trained booster over candidates' features. members: their names, in order. model: LightGBM's text."""

    def __init__(self, members: Sequence[str], model: str) -> None:
        self.members, self.model = list(members), model
        self.booster: Any = extra("lightgbm", "stack", "a stacked ensemble").Booster(model_str=model)

    def score(self, scores: Sequence[np.ndarray], taxonomy: Taxonomy, counts: np.ndarray) -> np.ndarray:
        """(B, N) log-probabilities: the members' mean, whose mass on the candidates is shared out anew."""
        asked = candidates(scores, taxonomy, counts)
        margin = np.asarray(self.booster.predict(asked.features, raw_score=True))
        mean = mean_of(scores, np.full(len(scores), 1 / len(scores)))
        out = mean.copy()
        peak = np.full(len(out), -np.inf)
        np.maximum.at(peak, asked.row, margin)
        share = np.exp(margin - peak[asked.row])
        total = np.bincount(asked.row, share, minlength=len(out))
        mass = np.bincount(asked.row, np.exp(mean[asked.row, asked.terminal]), minlength=len(out))
        out[asked.row, asked.terminal] = np.log(share / total[asked.row] * mass[asked.row])
        return out

    def contributions(
        self, scores: Sequence[np.ndarray], taxonomy: Taxonomy, counts: np.ndarray
    ) -> list[dict[str, float]]:
        """For each product, what each group of features adds to the log-odds of the place it was given
        (LightGBM's `pred_contrib`: SHAP values, summed by group, and `expected` for the rest)."""
        asked = candidates(scores, taxonomy, counts)
        margin = np.asarray(self.booster.predict(asked.features, raw_score=True))
        shap = np.asarray(self.booster.predict(asked.features, pred_contrib=True))  # (C, F + 1)
        groups = [name.split(":")[0] for name in feature_names(self.members, taxonomy.depth)]
        found: list[dict[str, float]] = [{} for _ in range(len(scores[0]))]
        for i in np.lexsort((margin, asked.row)):  # the best of each product comes last
            told = dict.fromkeys(groups, 0.0)
            for name, value in zip(groups, shap[i], strict=False):
                told[name] += float(value)
            found[asked.row[i]] = told | {"expected": float(shap[i, -1])}
        return found

    def importances(self, depth: int) -> dict[str, float]:
        """The share of the total gain that each group of features earned, most first."""
        gain = np.asarray(self.booster.feature_importance("gain"), dtype=float)
        told: dict[str, float] = {}
        for name, value in zip(feature_names(self.members, depth), gain, strict=True):
            told[name.split(":")[0]] = told.get(name.split(":")[0], 0.0) + value
        total = sum(told.values()) or 1.0
        return dict(sorted(((k, v / total) for k, v in told.items()), key=lambda item: -item[1]))


def mean_of(scores: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """(B, N) logs of the weighted mean of probabilities."""
    with np.errstate(divide="ignore"):
        return np.logaddexp.reduce([s + w for s, w in zip(scores, np.log(weights), strict=True)], axis=0)


def fit_stack(
    members: Sequence[str],
    scores: Sequence[np.ndarray],
    terminal: np.ndarray,
    taxonomy: Taxonomy,
    counts: np.ndarray,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Stack:
    """Train the booster. scores: each member's out-of-fold (B, N) log-probabilities; terminal: (B,) the true
    ones, -1 where a row teaches nothing.

    Raises:
        MissingExtraError: LightGBM is not installed.
    """
    lightgbm = extra("lightgbm", "stack", "a stacked ensemble")
    asked = candidates(scores, taxonomy, counts)
    right = terminal[asked.row] == asked.terminal
    told = np.isin(asked.row, asked.row[right])  # a row none of whose candidates is right teaches nothing
    names = [name.replace(":", "_").replace(" ", "_") for name in feature_names(members, taxonomy.depth)]
    data = lightgbm.Dataset(asked.features[told], right[told].astype(float), feature_name=names)
    chosen = {
        "objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 40,
        "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0,
        "verbosity": -1, "num_threads": 1, "deterministic": True, "seed": seed, **(settings or {}),
    }  # fmt: skip
    rounds = int(chosen.pop("rounds", 200))
    booster = lightgbm.train(chosen, data, num_boost_round=rounds)
    return Stack(members, booster.model_to_string())
