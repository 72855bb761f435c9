"""Maps the categories of one tree onto another: candidates, two scorers, and a pass down the tree."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from aisle.mapping.features import NULL, STRUCTURE, TargetCandidates, find_candidates
from aisle.mapping.scorer import Choices, fit_weights, probabilities
from aisle.mapping.sides import TreeSide
from aisle.mapping.similarity import Encoder
from aisle.mapping.structure import structure_features

_WEIGHTS = Path(__file__).with_name("weights.json")
_PASSES = 2
_ABSENT_EVERY = 4  # one checked pair in four is also seen with its branch of the target tree taken away
_ABSENT_WEIGHT = 0.1


@dataclass(frozen=True)
class MatchWeights:
    """Weights of the features, by name: of the first scorer, and of the second one."""

    first: Mapping[str, float]
    second: Mapping[str, float]

    @classmethod
    def shipped(cls, embedded: bool) -> "MatchWeights":
        """Those fitted on public pairs; for runs with an encoder, or without."""
        found = _shipped()["embedded" if embedded else "lexical"]
        return cls(found["first"], found["second"])

    def arrays(self, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """MatchWeights in the order of the features; 0 where there is none."""
        both = (*names, *STRUCTURE)
        return (
            np.array([self.first.get(name, 0.0) for name in names]),
            np.array([self.second.get(name, 0.0) for name in both]),
        )


@cache
def _shipped() -> dict[str, dict[str, dict[str, float]]]:
    return json.loads(_WEIGHTS.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class TreeMatch:
    """For each of S categories, candidates in the other tree and their probabilities.

    Attributes:
        candidates: candidates and features.
        p: (S, K) probabilities; of NULL too.
    """

    candidates: TargetCandidates
    p: np.ndarray

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(S, k) the most probable nodes, -1 where there are fewer, and their probabilities."""
        real = np.where(self.candidates.node >= 0, self.p, -1.0)
        order = np.argsort(-real, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(self.candidates.node, order, 1), np.take_along_axis(self.p, order, 1)


class TreeMatcher:
    """Maps the categories of one tree onto another.

    Args:
        source: the tree whose categories are mapped.
        target: the tree they are mapped onto.
        encoder: of names and paths.
    """

    def __init__(self, source: TreeSide, target: TreeSide, encoder: Encoder | None = None) -> None:
        self.source, self.target, self.embedded = source, target, encoder is not None
        self.candidates = find_candidates(source, target, encoder)

    def match(self, weights: MatchWeights | None = None) -> TreeMatch:
        """Probabilities of all categories."""
        first, second = (weights or MatchWeights.shipped(self.embedded)).arrays(self.candidates.names)
        return TreeMatch(self.candidates, self._down(self._first(first), second))

    def _first(self, weights: np.ndarray) -> np.ndarray:
        return probabilities(self.candidates.x, self.candidates.used, weights)

    def _features(self, found: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        more = structure_features(self.source, self.target, self.candidates, found, nodes)
        return np.concatenate([self.candidates.x[nodes], more], 2)

    def _down(self, found: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Top-down: each level sees what its parents were mapped to, and what its children look like."""
        found = found.copy()
        tree = self.source.taxonomy
        for _ in range(_PASSES):
            for depth in range(1, tree.depth + 1):
                nodes = tree.level(depth)
                x = self._features(found, nodes)
                found[nodes] = probabilities(x, self.candidates.used[nodes], weights)
        return found

    def fit(
        self, nodes: np.ndarray, truth: np.ndarray, prior: MatchWeights | None = None, precision: float = 1.0
    ) -> MatchWeights:
        """MatchWeights fitted on checked pairs.

        Args:
            nodes: (N,) categories.
            truth: (N,) their nodes in the other tree, NULL for none. A pair whose node is no candidate is
                left out.
            prior: around which they are fitted; 0 by default.
            precision: of the prior.
        """
        names = self.candidates.names
        zero = MatchWeights({}, {})
        first_prior, second_prior = (prior or zero).arrays(names)
        first = fit_weights(self._choices(self.candidates.x[nodes], nodes, truth), first_prior, precision)
        found, second = self._first(first), second_prior
        for _ in range(_PASSES):
            x = self._features(found, nodes)
            second = fit_weights(self._choices(x, nodes, truth), second_prior, precision)
            found = self._down(self._first(first), second)
        both = (*names, *STRUCTURE)
        return MatchWeights(
            dict(zip(names, first.tolist(), strict=True)), dict(zip(both, second.tolist(), strict=True))
        )

    def _choices(self, x: np.ndarray, nodes: np.ndarray, truth: np.ndarray) -> Choices:
        """The pairs as choices; some again without the branch of the target, where nothing corresponds."""
        node, used = self.candidates.node[nodes], self.candidates.used[nodes]
        hit = (node == truth[:, None]) & used
        kept = np.flatnonzero(hit.any(1))
        tops = self.target.taxonomy.ancestors[:, 0]
        absent = kept[(kept % _ABSENT_EVERY == 0) & (truth[kept] != NULL)]
        away = used[absent] & ~(
            (node[absent] >= 0) & (tops[np.maximum(node[absent], 0)] == tops[truth[absent]][:, None])
        )
        blank = x[absent].copy()
        if x.shape[2] > self.candidates.x.shape[2]:
            blank[:, :, -len(STRUCTURE) :] = 0
        return Choices(
            np.concatenate([x[kept], blank]),
            np.concatenate([used[kept], away]),
            np.concatenate([hit[kept].argmax(1), np.zeros(len(absent), np.int64)]),
            np.concatenate([np.ones(len(kept)), np.full(len(absent), _ABSENT_WEIGHT)]),
        )
