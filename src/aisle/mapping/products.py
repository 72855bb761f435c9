"""Single products of a category that straddles several targets."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from aisle.mapping.match import TreeMatch
from aisle.mapping.sides import TreeSide
from aisle.mapping.similarity import word_vectors

_TITLE_WEIGHT = 12.0  # of the cosine between a title and a target, in log-odds
_CANDIDATES = 8
_NEAREST = 2  # targets nearest to each title
_FLOOR = 0.01  # of a candidate's probability: titles may have targets that the category's name does not
_SHARE, _FEWEST = 0.15, 2  # of a category's products that a target must have


class ProductTarget(NamedTuple):
    """A product's target, and its probability."""

    position: int
    node: int
    probability: float


def straddling(
    source: TreeSide,
    target: TreeSide,
    match: TreeMatch,
    products: Sequence[Sequence[tuple[int, str]]],
) -> dict[int, list[ProductTarget]]:
    """Categories whose products have several targets, with the target of each product.

    A product's log-odds are those of its category's candidates, plus the weighted cosine of its title with
    each candidate's name and path. A category straddles if at least two targets have a fair share of its
    products.

    Args:
        source: the shop's tree.
        target: the tree that is mapped onto.
        match: of the categories.
        products: position and title of the products of each category, by node.
    """
    rows = [(node, position, title) for node, found in enumerate(products) for position, title in found]
    if not rows:
        return {}
    categories = np.array([node for node, _, _ in rows])
    titles = [title for _, _, title in rows]
    vectors = word_vectors(titles, [target.paths(j) for j in range(len(target.variants))])
    top = match.top(_CANDIDATES)
    found: dict[int, list[ProductTarget]] = {}
    for node, group in _groups(categories):
        candidates, prior = _candidates(top, node, vectors.best_of(group, _NEAREST))
        cosine = vectors.pairs(group.repeat(len(candidates)), np.tile(candidates, len(group)))
        logits = np.log(prior) + _TITLE_WEIGHT * cosine.reshape(len(group), -1)
        logits -= logits.max(1, keepdims=True)
        posterior = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        best = posterior.argmax(1)
        targets = [
            ProductTarget(rows[k][1], int(candidates[b]), float(posterior[i, b]))
            for i, (k, b) in enumerate(zip(group.tolist(), best.tolist(), strict=True))
        ]
        if _straddles(targets):
            found[node] = targets
    return found


def _groups(categories: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each category, and its rows."""
    order = np.argsort(categories, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(categories[order])) + 1):
        yield int(categories[part[0]]), part


def _candidates(
    top: tuple[np.ndarray, np.ndarray], node: int, nearest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The category's candidates and those nearest to its products' titles, with prior probabilities."""
    known = {int(n): float(q) for n, q in zip(top[0][node], top[1][node], strict=True) if n >= 0}
    every = {**known, **{int(n): known.get(int(n), 0.0) for n in np.unique(nearest)}}
    return np.array(list(every)), np.maximum(np.array(list(every.values())), _FLOOR)


def _straddles(targets: Sequence[ProductTarget]) -> bool:
    counts = Counter(one.node for one in targets)
    least = max(_FEWEST, _SHARE * len(targets))
    return sum(count >= least for count in counts.values()) >= 2
