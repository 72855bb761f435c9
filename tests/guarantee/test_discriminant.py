import numpy as np
import pytest

from aisle.guarantee import Nearest, NeighborIndex
from aisle.guarantee.discriminant import Discriminant
from aisle.taxonomy import Taxonomy

TREE = Taxonomy.from_paths([("A", "x"), ("A", "y"), ("B", "x"), ("B", "y"), ("C", "x")])
CENTRES = np.random.default_rng(3).normal(0, 1, (6, 16))  # five categories, and one that the tree lacks


def products(category, seed, noise=0.5):
    vectors = CENTRES[category] + np.random.default_rng(seed).normal(0, noise, (len(category), 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


LABELS = np.random.default_rng(0).integers(0, 5, 400)
VECTORS = products(LABELS, 1)


@pytest.fixture(scope="module")
def fitted():
    found = Discriminant.fit(VECTORS, TREE.terminals[LABELS], TREE)
    assert found is not None
    return found


def test_the_branch_of_a_product_scores_highest_and_none_for_a_stranger(fitted):
    label = np.random.default_rng(5).integers(0, 5, 300)
    known, strange = products(label, 6), products(np.full(300, 5), 7)
    top = np.searchsorted(TREE.level(1), TREE.ancestors[TREE.terminals[label], 0])
    scores = fitted.branch_scores(known)
    assert (scores.argmax(1) == top).mean() > 0.95
    assert np.quantile(scores.max(1), 0.1) > np.median(fitted.branch_scores(strange).max(1))
    assert np.quantile(fitted.distance(known), 0.9) < np.median(fitted.distance(strange))


def test_the_ridge_regression_solves_its_normal_equations(fitted):
    top = np.searchsorted(TREE.level(1), TREE.ancestors[TREE.terminals[LABELS], 0])
    weight = 1 / np.sqrt(np.bincount(top)[top])
    weight /= weight.mean()
    x = np.concatenate([VECTORS, np.full((len(VECTORS), 1), 0.3)], 1).astype(float)
    gradient = (x * weight[:, None]).T @ (x @ fitted.weights - np.eye(3)[top])
    assert gradient + len(x) / 300 * fitted.weights == pytest.approx(np.zeros((17, 3)), abs=1e-3)


def test_distance_is_that_to_a_mean_within_less_that_to_the_mean_of_all(fitted):
    """Differences between products are those of the textbook formula; a constant is left out."""
    code = LABELS
    sizes = np.bincount(code)[:, None]
    sums = np.array([VECTORS[code == k].sum(0) for k in range(5)], float)
    centre = VECTORS.mean(0, dtype=float)
    means = (sums + 3 * centre) / (sizes + 3)

    def inverse(rows):
        covariance = rows.T @ rows / len(rows)
        return np.linalg.inv(0.5 * covariance + 0.5 * np.trace(covariance) / 16 * np.eye(16))

    within, overall = inverse(VECTORS - means[code]), inverse(VECTORS - centre)
    query = products(np.arange(5), 9).astype(float)
    off = query[:, None] - means
    by_hand = np.einsum("bcd,de,bce->bc", off, within, off).min(1)
    by_hand -= np.einsum("bd,de,be->b", query - centre, overall, query - centre)
    assert np.diff(fitted.distance(query)) == pytest.approx(np.diff(by_hand), abs=1e-3)


def test_products_outside_the_tree_and_one_product_alone():
    node = np.append(TREE.terminals[LABELS], -1)
    vectors = np.concatenate([VECTORS, products(np.array([5]), 2)])
    found, without = Discriminant.fit(vectors, node, TREE), Discriminant.fit(VECTORS, node[:-1], TREE)
    assert found is not None
    assert without is not None
    assert found.distance(VECTORS[:9]) == pytest.approx(without.distance(VECTORS[:9]))
    assert Discriminant.fit(VECTORS[:1], node[:1], TREE) is None
    near = NeighborIndex(VECTORS[:1], [TREE.nodes[node[0]].id]).query(VECTORS[:2], TREE)
    assert np.isnan(near.branch_score).all()
    assert np.isnan(near.distance).all()
    assert near.branch_similarity[0].max() == pytest.approx(1, abs=1e-6)


def test_a_product_has_the_same_neighbors_in_every_batch():
    rng = np.random.default_rng(5)
    vectors, nodes = rng.normal(size=(160, 96)), [TREE.nodes[t].id for t in rng.choice(TREE.terminals, 160)]
    index, queries = NeighborIndex(vectors, nodes), rng.normal(size=(41, 96))
    together = index.query(queries, TREE)
    for size in (1, 7, 16):
        batches = [index.query(queries[i : i + size], TREE) for i in range(0, len(queries), size)]
        for name, expected, found in zip(together._fields, together, Nearest.join(batches), strict=True):
            np.testing.assert_array_equal(found, expected, err_msg=f"{name}, batches of {size}")
