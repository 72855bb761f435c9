"""Scores labels by how much they look like labels that were made wrong on purpose.

A row's features come from models that were not trained on it, so replacing its label changes nothing else.
For each kind of made-up label, classifiers learn to tell made-up labels from given ones. Given labels are a
mixture of right and wrong ones. This shifts the classifiers' log-odds but hardly their order (learning from
positive and unlabelled examples, Elkan & Noto 2008). The share of each kind in the mixture is estimated and
weights the kinds.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from aisle.evaluation.audit.candidates import BETTER, GIVEN, WRONG
from aisle.evaluation.audit.evidence import FEATURES, Evidence

INVERSE_PENALTY = 0.1  # `C` of the logistic regression
ROUNDS, LEAVES, MIN_LEAF = 80, 6, 40  # boosted trees; leaves a tree; rows a leaf
TREES_WEIGHT = 0.2  # of the boosted trees in the ranking: they overfit more easily
MAX_CHANCE = 0.99  # upper bound of `chance`: evidence is never proof
_QUANTILES = np.linspace(0.0, 0.9, 46)  # of the made-up labels' log-odds, where the share is estimated


class LabelScores(NamedTuple):
    """Scores of n labels.

    Attributes:
        suspicion: (n,) 0 to 1, the ranking score.
        chance: (n,) estimated probability that the label is wrong, in the same order.
        proposal: (n,) column of `AuditCases.candidates` that scores best, within `BETTER`.
    """

    suspicion: np.ndarray
    chance: np.ndarray
    proposal: np.ndarray


class LogOdds(NamedTuple):
    """(n, C) log-odds that a candidate is a made-up label of one kind, not a given one.

    Attributes:
        linear: By logistic regression.
        blended: The same with `TREES_WEIGHT` of the boosted trees.
    """

    linear: np.ndarray
    blended: np.ndarray


def score_labels(evidence: Evidence) -> LabelScores:
    """Score every label, each by classifiers that were trained on the other folds.

    Logistic regression estimates shares and chances better. Blended with boosted trees it ranks better: trees
    learn when a feature means nothing, such as the score of a category's only product.
    """
    from sklearn.isotonic import IsotonicRegression

    candidates = evidence.cases.candidates
    highest, odds = np.full(candidates.shape, -np.inf), np.full(candidates.shape, -np.inf)
    for kind in range(WRONG.start, WRONG.stop):
        if (candidates[:, kind] >= 0).sum() < 2:
            continue
        log_odds = _log_odds(evidence, kind)
        share = mixture_share(
            _lowest(log_odds.linear, candidates), log_odds.linear[candidates[:, kind] >= 0, kind]
        )
        highest = np.maximum(highest, np.log(share) + log_odds.blended)
        odds = np.logaddexp(odds, np.log(share) + log_odds.linear)
    suspicion = _lowest(highest, candidates)
    chance = np.minimum(np.exp(np.minimum(_lowest(odds, candidates), 0.0)), MAX_CHANCE)
    monotonic = IsotonicRegression(increasing=True).fit_transform(suspicion, chance)
    better = np.where(candidates[:, BETTER] >= 0, highest[:, BETTER], np.inf)
    return LabelScores(expit(suspicion), np.asarray(monotonic), BETTER.start + better.argmin(1))


def _lowest(scores: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """(n,) the lowest score among the acceptable candidates."""
    return np.where(candidates[:, GIVEN] >= 0, scores[:, GIVEN], np.inf).min(1)


def _log_odds(evidence: Evidence, kind: int) -> LogOdds:
    """Log-odds of every candidate for one kind of made-up label."""
    features, fold, candidates = evidence.features, evidence.cases.fold, evidence.cases.candidates
    has_wrong = candidates[:, kind] >= 0
    linear, trees = np.zeros(candidates.shape), np.zeros(candidates.shape)
    for k in np.unique(fold):
        train, held_out = fold != k, np.flatnonzero(fold == k)
        if not (has_wrong & train).any():
            train = np.ones(len(fold), bool)
        x = np.concatenate([features[train, 0], features[train & has_wrong, kind]])
        y = np.r_[np.zeros(train.sum()), np.ones((train & has_wrong).sum())]
        observed = np.asarray(np.isfinite(x).any(0))  # all NaN: a catalog without images
        mean, deviation = np.nanmean(x[:, observed], axis=0), np.nanstd(x[:, observed], axis=0) + 1e-6
        x = np.nan_to_num((x[:, observed] - mean) / deviation)  # missing features count as average
        rows = np.nan_to_num((features[held_out][..., observed] - mean) / deviation)
        linear[held_out], trees[held_out] = _fit_predict(x, y, rows, observed)
    return LogOdds(linear, (1 - TREES_WEIGHT) * linear + TREES_WEIGHT * trees)


def _fit_predict(
    x: np.ndarray, y: np.ndarray, rows: np.ndarray, observed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(m, C) log-odds of rows (m, C, F), linear and by boosted trees, trained on x (B, F) and y (B,)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(C=INVERSE_PENALTY, max_iter=500, class_weight="balanced").fit(x, y)
    no_early_stopping: Any = False  # scikit-learn takes it; its annotations do not
    boosted = HistGradientBoostingClassifier(
        max_iter=ROUNDS,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=max(2, min(MIN_LEAF, len(x) // 25)),
        l2_regularization=1.0,
        monotonic_cst=np.array(list(FEATURES.values()))[observed],
        class_weight="balanced",
        early_stopping=no_early_stopping,
        random_state=0,
    ).fit(x, y)
    tree_odds = boosted.decision_function(rows.reshape(-1, rows.shape[-1])).reshape(rows.shape[:2])
    return rows @ regression.coef_[0] + regression.intercept_[0], tree_odds


def mixture_share(given_odds: np.ndarray, wrong_odds: np.ndarray) -> float:
    """Upper bound of the share of labels like the made-up ones among the given ones.

    Hardly any right label has the highest log-odds, so the ratio of both tails there estimates the share
    (Blanchard, Lee & Scott, JMLR 2010).

    Args:
        given_odds: (n,) log-odds of given labels.
        wrong_odds: (m,) log-odds of made-up labels.
    """
    given_odds, wrong_odds = np.sort(given_odds), np.sort(wrong_odds)
    thresholds = np.quantile(wrong_odds, _QUANTILES)
    given_tail = 1 - np.searchsorted(given_odds, thresholds, "left") / len(given_odds)
    wrong_tail = 1 - np.searchsorted(wrong_odds, thresholds, "left") / len(wrong_odds)
    error = 2 * np.sqrt(np.maximum(given_tail, 1 / len(given_odds)) / len(given_odds))  # two standard errors
    return float(min(1.0, ((given_tail + error) / wrong_tail).min()))
