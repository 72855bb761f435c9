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
_MIN_LOGP = -20.0  # log-probabilities are clipped here


class Candidates(NamedTuple):
    """C candidates of B products.

    Attributes:
        row: (C,) the product of each.
        terminal: (C,) the terminal of each.
        features: (C, F), see `feature_names`.
    """

    row: np.ndarray
    terminal: np.ndarray
    features: np.ndarray


def feature_names(members: Sequence[str], depth: int) -> list[str]:
    """The names of the F features, as `group: feature`; groups are the members, and `category`."""
    member_features = [
        "log-probability",
        "below its best",
        *(f"level {level}" for level in range(1, depth + 1)),
        "best",
        "entropy",
    ]
    names = [f"{name}: {feature}" for name in members for feature in member_features]
    return [*names, "category: training products", "category: depth"]


def candidates(scores: Sequence[np.ndarray], taxonomy: Taxonomy, counts: np.ndarray) -> Candidates:
    """The candidates of each product: the `TOP` terminals of each member.

    Args:
        scores: (B, N) log-probabilities of each member.
        taxonomy: the tree.
        counts: (N,) training products of each terminal.
    """
    likely = [np.argpartition(-s, min(TOP, s.shape[1]) - 1, axis=1)[:, :TOP] for s in scores]
    rows = np.repeat(np.arange(len(scores[0])), sum(a.shape[1] for a in likely))
    pairs = np.unique(np.stack([rows, np.concatenate(likely, 1).ravel()], 1), axis=0)  # (C, 2)
    row, terminal = pairs.T
    lineage = taxonomy.ancestors[taxonomy.terminals[terminal]]  # (C, L)
    columns = []
    for logp in scores:
        candidate_logp = np.maximum(logp[row, terminal], _MIN_LOGP)
        best = logp.max(1)
        member_scores = Scores(taxonomy, logp)
        columns += [candidate_logp, candidate_logp - np.maximum(best, _MIN_LOGP)[row]]
        for level in range(lineage.shape[1]):
            level_logp = member_scores.level(level + 1)  # (B, n + 1)
            column = np.full(len(taxonomy), level_logp.shape[1] - 1)
            column[taxonomy.level(level + 1)] = np.arange(level_logp.shape[1] - 1)
            columns.append(np.maximum(level_logp[row, column[lineage[:, level]]], _MIN_LOGP))
        entropy = -(np.exp(logp) * np.maximum(logp, _MIN_LOGP)).sum(1)
        columns += [best[row], entropy[row]]
    depth = (lineage >= 0).sum(1)
    columns += [np.log1p(counts[terminal]), depth]
    return Candidates(row, terminal, np.stack(columns, 1).astype(np.float32))


class Stack:
    """A trained LightGBM model over the features of candidates.

    Args:
        members: names of the members, in order.
        model: the model in LightGBM's text format.
    """

    def __init__(self, members: Sequence[str], model: str) -> None:
        self.members, self.model = list(members), model
        self.booster: Any = extra("lightgbm", "stack", "a stacked ensemble").Booster(model_str=model)

    def score(self, scores: Sequence[np.ndarray], taxonomy: Taxonomy, counts: np.ndarray) -> np.ndarray:
        """(B, N) log-probabilities: the members' mean, with the mass of the candidates redistributed."""
        features = candidates(scores, taxonomy, counts)
        margin = np.asarray(self.booster.predict(features.features, raw_score=True))
        mean = mean_of(scores, np.full(len(scores), 1 / len(scores)))
        out = mean.copy()
        peak = np.full(len(out), -np.inf)
        np.maximum.at(peak, features.row, margin)
        share = np.exp(margin - peak[features.row])
        total = np.bincount(features.row, share, minlength=len(out))
        mass = np.bincount(features.row, np.exp(mean[features.row, features.terminal]), minlength=len(out))
        out[features.row, features.terminal] = np.log(share / total[features.row] * mass[features.row])
        return out

    def contributions(
        self, scores: Sequence[np.ndarray], taxonomy: Taxonomy, counts: np.ndarray
    ) -> list[dict[str, float]]:
        """The contribution of each group of features to the log-odds of the predicted category.

        Returns:
            For each product SHAP values (LightGBM's `pred_contrib`), summed by group, and `expected`.
        """
        features = candidates(scores, taxonomy, counts)
        margin = np.asarray(self.booster.predict(features.features, raw_score=True))
        shap = np.asarray(self.booster.predict(features.features, pred_contrib=True))  # (C, F + 1)
        groups = [name.split(":")[0] for name in feature_names(self.members, taxonomy.depth)]
        by_product: list[dict[str, float]] = [{} for _ in range(len(scores[0]))]
        for i in np.lexsort((margin, features.row)):  # the best candidate of each product comes last
            by_group = dict.fromkeys(groups, 0.0)
            for group, value in zip(groups, shap[i], strict=False):
                by_group[group] += float(value)
            by_product[features.row[i]] = by_group | {"expected": float(shap[i, -1])}
        return by_product

    def importances(self, depth: int) -> dict[str, float]:
        """The share of each group of features in the total gain, largest first."""
        gain = np.asarray(self.booster.feature_importance("gain"), dtype=float)
        by_group: dict[str, float] = {}
        for name, value in zip(feature_names(self.members, depth), gain, strict=True):
            group = name.split(":")[0]
            by_group[group] = by_group.get(group, 0.0) + value
        total = sum(by_group.values()) or 1.0
        return dict(sorted(((k, v / total) for k, v in by_group.items()), key=lambda item: -item[1]))


def mean_of(scores: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """(B, N) log of the weighted mean of probabilities."""
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
    """Train the LightGBM model.

    Args:
        members: names of the members, in order.
        scores: (B, N) out-of-fold log-probabilities of each member.
        terminal: (B,) the true terminals, -1 where the label is a branch.
        taxonomy: the tree.
        counts: (N,) training products of each terminal.
        settings: parameters of LightGBM, and `rounds`, 200 by default.
        seed: seed of LightGBM.

    Raises:
        MissingExtraError: LightGBM is not installed.
    """
    lightgbm = extra("lightgbm", "stack", "a stacked ensemble")
    features = candidates(scores, taxonomy, counts)
    right = terminal[features.row] == features.terminal
    used = np.isin(features.row, features.row[right])  # products with the true terminal among the candidates
    names = [name.replace(":", "_").replace(" ", "_") for name in feature_names(members, taxonomy.depth)]
    data = lightgbm.Dataset(features.features[used], right[used].astype(float), feature_name=names)
    parameters = {
        "objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 40,
        "feature_fraction": 0.7, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0,
        "verbosity": -1, "num_threads": 1, "deterministic": True, "seed": seed, **(settings or {}),
    }  # fmt: skip
    rounds = int(parameters.pop("rounds", 200))
    booster = lightgbm.train(parameters, data, num_boost_round=rounds)
    return Stack(members, booster.model_to_string())
