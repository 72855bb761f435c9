import json

import numpy as np
import pytest

from aisle.guarantee import Nearest, NeighborIndex, OodDetector, Policy, PolicyError, Sample, fit
from aisle.taxonomy import Scores, Targets, Taxonomy

TREE = Taxonomy.from_paths([(a, b) for a in "ABCDEF" for b in "xyz"])
TOPS = [TREE.nodes[t].id for t in TREE.level(1)]
DIM = 32
CENTRES = np.random.default_rng(7).normal(0, 1, (8, DIM))  # six categories, and two that belong nowhere


def shop(rows, seed, strange=False):
    """Scores, targets and vectors; strange products come from categories that the tree lacks, and the
    network, which knows only the tree, puts them somewhere with confidence."""
    rng = np.random.default_rng(seed)
    top = rng.integers(6, 8, rows) if strange else rng.integers(0, 6, rows)
    vectors = CENTRES[top] + rng.normal(0, 1.0, (rows, DIM))
    said = np.where(strange, rng.integers(0, 6, rows), top)
    leaf = said * 3 + rng.integers(0, 3, rows)
    logits = rng.normal(0, 1, (rows, 18))
    logits[np.arange(rows), leaf] += rng.gamma(4, 1.5, rows)
    scores = Scores(TREE, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    return scores, Targets(TREE.terminals[leaf], np.ones(rows, dtype=bool)), vectors


def auroc(known, strange):
    return (strange[:, None] > known[None]).mean() + 0.5 * (strange[:, None] == known[None]).mean()


@pytest.fixture(scope="module")
def neighbors():
    _, targets, vectors = shop(900, 1)
    return NeighborIndex(vectors, [TREE.nodes[n].id for n in targets.node])


def test_strangers_are_told_better_than_by_confidence(neighbors):
    calibration, known, strange = shop(500, 2), shop(500, 3), shop(500, 4, strange=True)
    ood = OodDetector.fit(calibration[0], calibration[1].node, neighbors.query(calibration[2], TREE))
    told = [ood.score(s, neighbors.query(v, TREE)) for s, _, v in (known, strange)]
    assert auroc(*told) > auroc(-known[0].logp.max(1), -strange[0].logp.max(1)) + 0.05


def test_few_products_that_belong_are_flagged(neighbors):
    calibration, known, strange = shop(800, 2), shop(2000, 3), shop(500, 4, strange=True)
    ood = OodDetector.fit(
        calibration[0], calibration[1].node, neighbors.query(calibration[2], TREE), alarms=0.05
    )
    assert ood.flagged(known[0], neighbors.query(known[2], TREE)).mean() < 0.08
    assert ood.flagged(strange[0], neighbors.query(strange[2], TREE)).mean() > 0.5


@pytest.mark.slow
def test_flagged_products_are_for_review_and_say_why(neighbors):
    parts = [Sample(s, t, None, neighbors.query(v, TREE)) for s, t, v in (shop(1500, 2), shop(3000, 3))]
    policy = Policy.from_json(fit(*parts, precision=0.8).to_json())
    scores, _, vectors = shop(300, 5, strange=True)
    found = policy.predict([""] * 300, scores, nearest=neighbors.query(vectors, TREE))
    flagged = [p for p in found if p.problems]
    assert len(flagged) > 100
    assert {(p.decision, p.path) for p in flagged} == {("review", ())}
    assert "nowhere in the tree" in flagged[0].reason
    with pytest.raises(ValueError, match="nearest"):
        policy.predict([""] * 300, scores)


def test_likeness_is_the_mean_cosine_of_the_nearest_three():
    vectors = np.random.default_rng(0).normal(0, 1, (10, 4))
    near = NeighborIndex(vectors, ["A"] * 6 + ["B"] * 4)
    query = np.random.default_rng(1).normal(0, 1, 4)
    cosine = [v @ query / np.linalg.norm(v) / np.linalg.norm(query) for v in vectors]
    by_hand = [np.mean(sorted(cosine[:6])[-3:]), np.mean(sorted(cosine[6:])[-3:])]
    found = near.query(np.stack([query, np.zeros(4)]), TREE).branch_similarity[:, 0]
    assert found[0, :2] == pytest.approx(by_hand, abs=1e-6)
    assert (found[0, 2:] == -1).all()
    assert np.isnan(found[1]).all()


def test_the_nearest_of_many_are_those_that_sorting_all_gives():
    rng = np.random.default_rng(0)
    vectors, queries = rng.normal(0, 1, (900, 8)), rng.normal(0, 1, (50, 8))
    places = ["A"] * 500 + ["B"] * 330 + ["C"] * 2 + ["gone"] * 68
    found = NeighborIndex(vectors, places).query(queries, TREE)
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, vectors)]
    cosine = unit[0] @ unit[1].T
    order = np.argsort(-cosine, axis=1)[:, :20]
    assert np.sort(found.similarity[:, 0]) == pytest.approx(np.sort(np.take_along_axis(cosine, order, 1)))
    node = np.array([-1 if name == "gone" else TREE.index(name) for name in places])
    np.testing.assert_array_equal(np.sort(found.node[:, 0]), np.sort(node[order]))
    by_hand = [
        np.sort(cosine[:, part])[:, -3:].mean(1) for part in (slice(500), slice(500, 830), slice(830, 832))
    ]
    assert found.branch_similarity[:, 0, :3] == pytest.approx(np.stack(by_hand, 1), abs=1e-6)


def nothing_of(nearest):
    """What a space says of products that lack its view."""
    return Nearest(*(np.full_like(part, -1 if part.dtype.kind == "i" else np.nan) for part in nearest))


def test_a_space_that_a_product_lacks_says_nothing(neighbors):
    scores, targets, vectors = shop(600, 2)
    one = neighbors.query(vectors, TREE)
    two = Nearest.stack_spaces([one, nothing_of(one)])
    alone, beside = (OodDetector.fit(scores, targets.node, near) for near in (one, two))
    assert np.allclose(alone.score(scores, one), beside.score(scores, two))
    assert not beside.flagged(scores, nothing_of(two)).any()


def test_score_is_the_weighted_mean_of_six_standardized_signs():
    """Three tops; of four neighbors two stand where the network is sure, one is gone from the tree."""
    tree = Taxonomy.from_paths([("A",), ("B",), ("C",)])
    a, b = tree.index("A"), tree.index("B")
    scores = Scores(tree, np.log([[0.8, 0.1, 0.1]]))
    nearest = Nearest(
        np.array([[[0.7, 0.6, -1.0]]]),
        np.array([[[a, a, b, -1]]]),
        np.array([[[0.7, 0.7, 0.6, 0.5]]]),
        np.array([[[0.2, 0.4, 0.1]]]),
        np.array([[-3.0]]),
    )
    centre, spread = (0.0, 0.0, 0.5, -5.0, 0.0, 0.0), (1.0, 1.0, 2.0, 4.0, 1.0, 1.0)
    ood = OodDetector((1.0,), {"": 0.9, tree.nodes[b].id: 0.7}, centre, spread)
    vote = 1 / (1 + np.exp(-2))  # similarities .1 apart, at sharpness 20
    signs = [-(0.8 + 0.8 + 0.1) / 4, -np.sqrt(vote * 0.8), (-0.7 - 0.5) / 2, (-3 + 5) / 4, 0.7 - 0.4]
    by_hand = np.dot([1, 1, 0.5, 1.5, 1.5, 0.5], [*signs, -np.log(0.8)]) / 6
    assert ood.score(scores, nearest) == pytest.approx(by_hand, abs=1e-6)


def test_spaces_that_tell_top_categories_count_more(neighbors):
    scores, targets, vectors = shop(600, 2)
    noise = NeighborIndex(np.random.default_rng(0).normal(0, 1, (900, DIM)), neighbors.node_ids)
    both = Nearest.stack_spaces([noise.query(vectors, TREE), neighbors.query(vectors, TREE)])
    ood = OodDetector.fit(scores, targets.node, both)
    assert ood.space[1] > 0.8
    assert sum(ood.space) == pytest.approx(1)
    assert ood == OodDetector.from_dict(json.loads(json.dumps(ood.to_dict())))


def test_in_a_tree_of_one_top_category_likeness_tells():
    """There is nothing to dispute about: what is unlike all is strange."""
    tree = Taxonomy.from_paths([("A", leaf) for leaf in "xyz"])
    rng = np.random.default_rng(0)
    learned = NeighborIndex(
        rng.normal(5, 1, (90, 8)), [tree.nodes[t].id for t in np.repeat(tree.terminals, 30)]
    )

    def asked(vectors):
        return Scores(tree, np.log(np.full((len(vectors), 3), 1 / 3))), learned.query(vectors, tree)

    scores, nearest = asked(rng.normal(5, 1, (200, 8)))
    ood = OodDetector.fit(scores, np.repeat(tree.terminals[0], 200), nearest, alarms=0.05)
    assert ood.flagged(*asked(rng.normal(-5, 1, (50, 8)))).all()
    assert ood.flagged(*asked(rng.normal(5, 1, (200, 8)))).mean() < 0.12


def test_of_many_products_small_categories_keep_all():
    rng = np.random.default_rng(0)
    kept = NeighborIndex(rng.normal(0, 1, (1000, 3)), ["A"] * 950 + ["B"] * 50, max_products=200)
    assert (kept.node_ids == "B").sum() == 50
    assert len(kept.node_ids) == 200


def test_likeness_for_one_part_only_is_refused(neighbors):
    scores, targets, vectors = shop(50, 1)
    with pytest.raises(PolicyError, match="one part only"):
        fit(Sample(scores, targets, None, neighbors.query(vectors, TREE)), Sample(scores, targets))
