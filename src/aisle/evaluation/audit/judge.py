"""Which labels look like wrong ones? Labels that were made wrong on purpose show what wrong ones look like.

A row's evidence comes from models that have not seen it, so giving it another label changes nothing else. For
every kind of made-up label a judge learns to tell it from the given ones. Given labels are a mixture of right
ones and wrong ones, which shifts a judge's answers but hardly their order (learning from positive and
unlabelled examples, Elkan & Noto 2008); how much of the mixture each kind is tells how the kinds add up.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from aisle.evaluation.audit.candidates import BETTER, GIVEN, WRONG
from aisle.evaluation.audit.evidence import FEATURES, Evidence

STRENGTH = 0.1  # inverse of the ridge penalty of a straight judge
ROUNDS, LEAVES, FEWEST = 80, 6, 40  # trees of a bent one, and rows a leaf
BENT = 0.2  # weight of the bent one in the ranking: of both, it learns by heart more easily
SUREST = 0.99  # no chance above this: evidence is never proof
_HIGHEST = np.linspace(0.0, 0.9, 46)  # quantiles of a kind's suspicion at which its share is looked for


class LabelScores(NamedTuple):
    """Of n labels: `suspicion` (n,) 0 to 1, to rank by; `chance` (n,) of being wrong, estimated, in the same
    order; `proposal` (n,) which of the places weighed looks best besides."""

    suspicion: np.ndarray
    chance: np.ndarray
    proposal: np.ndarray


class Told(NamedTuple):
    """(n, C) log of how much likelier a place looks as it does if it were made up in one way than if
    it were given: by the `straight` judge alone, and weighed together by both."""

    straight: np.ndarray
    both: np.ndarray


def judge(evidence: Evidence) -> LabelScores:
    """Weigh every label; none is judged by a judge that learned from its own fold.

    The straight judge (logistic regression) tells shares and chances better, with a little of the bent one it
    ranks better: trees know when a feature means nothing, as does the probability of a category's only one.
    """
    from sklearn.isotonic import IsotonicRegression

    places = evidence.cases.places
    highest, odds = np.full(places.shape, -np.inf), np.full(places.shape, -np.inf)
    for kind in range(WRONG.start, WRONG.stop):
        if (places[:, kind] >= 0).sum() < 2:
            continue
        told = _told(evidence, kind)
        share = mixed_in(_least(told.straight, places), told.straight[places[:, kind] >= 0, kind])
        highest = np.maximum(highest, np.log(share) + told.both)
        odds = np.logaddexp(odds, np.log(share) + told.straight)
    suspicion = _least(highest, places)
    chance = np.minimum(np.exp(np.minimum(_least(odds, places), 0.0)), SUREST)
    rising = IsotonicRegression(increasing=True).fit_transform(suspicion, chance)
    better = np.where(places[:, BETTER] >= 0, highest[:, BETTER], np.inf)
    return LabelScores(expit(suspicion), np.asarray(rising), BETTER.start + better.argmin(1))


def _least(told: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(n,) of the acceptable places the least suspicious."""
    return np.where(places[:, GIVEN] >= 0, told[:, GIVEN], np.inf).min(1)


def _told(evidence: Evidence, kind: int) -> Told:
    """What both judges say of every place, of one kind of made-up label."""
    features, fold, places = evidence.features, evidence.cases.fold, evidence.cases.places
    made = places[:, kind] >= 0
    straight, bent = np.zeros(places.shape), np.zeros(places.shape)
    for k in np.unique(fold):
        learn, asked = fold != k, np.flatnonzero(fold == k)
        if not (made & learn).any():
            learn = np.ones(len(fold), bool)
        x = np.concatenate([features[learn, 0], features[learn & made, kind]])
        y = np.r_[np.zeros(learn.sum()), np.ones((learn & made).sum())]
        heard = np.asarray(np.isfinite(x).any(0))  # images say nothing in a shop without any
        middle, spread = np.nanmean(x[:, heard], axis=0), np.nanstd(x[:, heard], axis=0) + 1e-6
        x = np.nan_to_num((x[:, heard] - middle) / spread)  # silence is neither for nor against
        rows = np.nan_to_num((features[asked][..., heard] - middle) / spread)
        straight[asked], bent[asked] = _weighed(x, y, rows, heard)
    return Told(straight, (1 - BENT) * straight + BENT * bent)


def _weighed(
    x: np.ndarray, y: np.ndarray, rows: np.ndarray, heard: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(m, C) what two judges that learned from x (B, F) and y (B,) say of rows (m, C, F)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    line = LogisticRegression(C=STRENGTH, max_iter=500, class_weight="balanced").fit(x, y)
    stop: Any = False  # scikit-learn takes it; its annotations do not
    trees = HistGradientBoostingClassifier(
        max_iter=ROUNDS,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=max(2, min(FEWEST, len(x) // 25)),
        l2_regularization=1.0,
        monotonic_cst=np.array(list(FEATURES.values()))[
            heard
        ],  # evidence for a label never counts against it
        class_weight="balanced",
        early_stopping=stop,
        random_state=0,
    ).fit(x, y)
    told = trees.decision_function(rows.reshape(-1, rows.shape[-1])).reshape(rows.shape[:2])
    return rows @ line.coef_[0] + line.intercept_[0], told


def mixed_in(given: np.ndarray, made: np.ndarray) -> float:
    """The share of made-up ones among given ones, by what is told of each, as an upper limit.

    Where suspicion is highest there are hardly any right labels, so the ratio of the two there tells it
    (Blanchard, Lee & Scott, JMLR 2010).
    """
    given, made = np.sort(given), np.sort(made)
    limits = np.quantile(made, _HIGHEST)
    above = 1 - np.searchsorted(given, limits, "left") / len(given)
    of_made = 1 - np.searchsorted(made, limits, "left") / len(made)
    error = 2 * np.sqrt(np.maximum(above, 1 / len(given)) / len(given))  # a few rows tell little
    return float(min(1.0, ((above + error) / of_made).min()))
