"""A conditional logit over candidates: P(t | s) is the softmax of weighted features of the pair.

Weights are fitted by maximum likelihood on checked pairs, with a Gaussian prior around the shipped ones
(McFadden 1974; L-BFGS).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize


@dataclass(frozen=True)
class Choices:
    """N choices among K candidates.

    Attributes:
        x: (N, K, F) features.
        used: (N, K) bool, which places hold a candidate.
        chosen: (N,) the place of the right one.
        weight: (N,) of each choice.
    """

    x: np.ndarray
    used: np.ndarray
    chosen: np.ndarray
    weight: np.ndarray


def probabilities(x: np.ndarray, used: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N, K) softmax over candidates; 0 at unused places.

    Args:
        x: (N, K, F).
        used: (N, K) bool.
        weights: (F,).
    """
    logits = np.where(used, x @ weights, -np.inf)
    logits -= logits.max(1, keepdims=True)
    found = np.exp(logits)
    return found / found.sum(1, keepdims=True)


def fit_weights(choices: Choices, prior: np.ndarray, precision: float = 1.0) -> np.ndarray:
    """(F,) the weights that maximise the posterior.

    Args:
        choices: checked pairs.
        prior: (F,) the mean of the prior.
        precision: of the prior: 1 / its variance.
    """
    n = np.arange(len(choices.chosen))

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        p = probabilities(choices.x, choices.used, w)
        right = np.maximum(p[n, choices.chosen], 1e-12)
        expected = np.einsum("nk,nkf->nf", p, choices.x)
        gradient = (choices.weight[:, None] * (expected - choices.x[n, choices.chosen])).sum(0)
        apart = w - prior
        return (
            float(-(choices.weight * np.log(right)).sum() + precision * apart @ apart / 2),
            gradient + precision * apart,
        )

    return minimize(loss, prior, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
