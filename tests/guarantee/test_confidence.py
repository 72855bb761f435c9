"""One calibrated confidence of every category: neighbors change the best path, all else keeps its share."""

import numpy as np
import pytest

from aisle.guarantee import Policy, Sample, fit
from aisle.guarantee.knn_calibration import KnnCalibration, Line
from aisle.taxonomy import Scores, Targets, Taxonomy
from tests.guarantee.simulated import TREE, draw
from tests.guarantee.test_knn_calibration import neighbors as neighbors  # a fixture
from tests.guarantee.test_knn_calibration import sample


@pytest.fixture(scope="module")
def asked(neighbors):
    """A policy that asks neighbors, and rows it was not fitted on."""
    policy = fit(sample(neighbors, 700, 2), sample(neighbors, 2500, 3), precision=0.93)
    return policy, sample(neighbors, 3000, 4)


def mass(confidences):
    return np.exp(confidences.logp.astype(np.float64))


def test_alternatives_begin_with_the_answer_fall_and_fit_into_one(asked):
    policy, fresh = asked
    found = policy.predict([""] * len(fresh.scores), fresh.scores, nearest=fresh.nearest)
    changed = 0
    for one, raw in zip(found, np.exp(policy.calibrate(fresh.scores).logp), strict=True):
        values = [other.confidence for other in one.alternatives]
        assert one.alternatives[0].path == one.best
        assert values[0] == one.confidence[-1]
        assert values == sorted(values, reverse=True)
        assert sum(values) <= 1 + 1e-9
        changed += abs(values[0] - raw.max()) > 0.01
    assert changed > 1000  # neighbors do say something


def test_every_level_fits_into_one_and_holds_the_path_as_predicted(asked):
    policy, fresh = asked
    found = policy.predict([""] * len(fresh.scores), fresh.scores, nearest=fresh.nearest)
    confidences = policy.confidences(fresh.scores, fresh.nearest)
    tree = confidences.taxonomy
    own = np.array([tree.index(one.best) for one in found])
    np.testing.assert_array_equal(confidences.best(), own)
    for depth in range(1, tree.depth + 1):
        level = np.exp(confidences.level(depth))
        assert level.sum(1).max() <= 1 + 1e-6
        mine = [tree.level(depth).tolist().index(tree.ancestors[n, depth - 1]) for n in own]
        expected = [one.confidence[depth - 1] for one in found]
        np.testing.assert_allclose(level[np.arange(len(own)), mine], expected, atol=1e-9)
    lineage = np.exp(confidences.lineage(own))
    np.testing.assert_allclose(lineage, [one.confidence for one in found], atol=1e-9)


def agreeing(offset):
    """A policy whose neighbors, whatever they say, move log-odds by so much."""
    line = Line(offset, 1.0, (0.0,), (0.0,))
    return Policy(knn_calibration=KnnCalibration(line, line))


def nothing_near(rows, tree):
    from aisle.guarantee import Nearest

    shape = (rows, 1, 20)
    return Nearest.voters(np.full(shape, -1), np.full(shape, -np.inf))


TWO = Taxonomy.from_paths([("A", "x"), ("A", "y"), ("B", "x"), ("B", "y")])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rest_of_a_parent_shares_what_its_best_child_loses(dtype):
    scores = Scores(TWO, np.log(np.array([[0.5, 0.1, 0.3, 0.1]], dtype)))
    found = mass(agreeing(1.0).confidences(scores, nothing_near(1, TWO)))[0]
    odds = lambda p: p / (1 - p) * np.e  # noqa: E731
    top, full = (odds(p) / (1 + odds(p)) for p in (0.6, 0.5))
    np.testing.assert_allclose(found, [full, top - full, (1 - top) * 0.75, (1 - top) * 0.25], atol=1e-6)
    assert found.sum() == pytest.approx(1, abs=1e-6)


def test_what_neighbors_speak_against_stays_the_best_and_no_other_is_surer():
    scores = Scores(TWO, np.log(np.array([[0.4, 0.05, 0.35, 0.2]])))
    found = mass(agreeing(-3.0).confidences(scores, nothing_near(1, TWO)))[0]
    full = 1 / (1 + np.exp(3.0) * 0.6 / 0.4)
    assert found[0] == pytest.approx(full)
    assert found[0] > found[1:].max()
    assert found[2] / found[3] == pytest.approx(0.35 / 0.2)
    assert found.sum() < 1  # where else it belongs nobody knows


def test_extremes_stay_numbers():
    logp = np.full((3, 4), -np.inf, np.float32)
    logp[0, 1] = 0.0
    logp[1] = np.log([1 - 3e-7, 1e-7, 1e-7, 1e-7])
    logp[2] = np.log(0.25)
    for offset in (-40.0, -3.0, 0.0, 3.0, 40.0):
        found = agreeing(offset).confidences(Scores(TWO, logp), nothing_near(3, TWO))
        assert not np.isnan(found.logp).any()
        assert mass(found).sum(1).max() <= 1 + 1e-6
        np.testing.assert_array_equal(found.best(), TWO.terminals[[1, 0, 0]])


@pytest.mark.slow
def test_a_path_that_ends_at_a_branch_is_as_sure_as_that_it_ends_there():
    scores, targets = draw(2000, seed=1)
    parts = (
        Sample(scores[rows], Targets(targets.node[rows], targets.exact[rows]))
        for rows in (slice(0, 1000), slice(1000, 2000))
    )
    policy = fit(*parts, precision=0.8)
    found = [p for p in policy.predict([""] * 2000, scores) if p.best == ("D",)]
    assert len(found) > 5
    place = policy.confidences(scores).place(TREE.index(("D",)))
    for one in found:
        assert one.confidence == (pytest.approx(one.alternatives[0].confidence, abs=1e-12),)
        assert np.isclose(np.exp(place), one.confidence[0]).any()


def test_without_neighbors_they_are_the_calibrated_probabilities():
    scores, _ = draw(50, seed=2)
    policy = Policy.uncalibrated(TREE)
    np.testing.assert_allclose(policy.confidences(scores).logp, policy.calibrate(scores).logp)


def test_a_prediction_says_what_it_would_take_to_be_accepted(asked):
    policy, fresh = asked
    found = policy.predict([""] * len(fresh.scores), fresh.scores, nearest=fresh.nearest)
    strange = np.array(["may belong nowhere" in one.reason for one in found])
    for one, odd in zip(found, strange, strict=True):
        assert 0 < one.threshold <= 1
        assert (one.decision == "accept") == (one.confidence[-1] >= one.threshold and not odd)
    assert {one.decision for one in found} >= {"accept", "review"}
    assert all(one.threshold is None for one in Policy.uncalibrated(TREE).predict(["a"], draw(1)[0]))
    unsure = [one.reason for one in found if one.decision == "review" and "may belong" not in one.reason]
    assert len(unsure) > 300
    assert all("level unsure: " in reason for reason in unsure)
    assert len(set(unsure)) > 1  # different for different products
