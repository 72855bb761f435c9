import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisle.guarantee import Calibration, Sample, fit
from aisle.taxonomy import Scores, Targets, Taxonomy
from tests.examples import examples

from .simulated import TREE, draw, normal

names = st.sampled_from("abc")
trees = st.lists(st.lists(names, min_size=1, max_size=4).map(tuple), min_size=1, max_size=20)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 2.5])
def test_calibrating_lowers_the_likelihood_loss_of_held_out_rows(sharpness):
    calibration = Calibration.fit(*draw(2000, 1, sharpness=sharpness))
    scores, targets = draw(4000, 2, sharpness=sharpness)
    before, after = scores.nll(targets).mean(), calibration.apply(scores).nll(targets).mean()
    truth = draw(4000, 2)[0].nll(targets).mean()
    assert after < (before if sharpness != 1 else truth + 0.01)  # nothing to gain where all is well
    assert after < truth + 0.07  # near what the true probabilities reach


def test_an_over_confident_model_says_afterwards_how_often_it_is_right():
    calibration = Calibration.fit(*draw(3000, 1, sharpness=3.0))
    scores, targets = draw(6000, 2, sharpness=3.0)
    raw, mended = scores.logp.max(1), calibration.apply(scores).logp.max(1)
    right = (scores.best() == targets.node).mean()
    assert np.exp(raw).mean() > right + 0.1
    assert np.exp(mended).mean() == pytest.approx(right, abs=0.02)


def test_wrong_labels_do_not_dull_everything_else():
    scores, targets = draw(3000, 1)
    node = targets.node.copy()
    node[::20] = np.random.default_rng(0).choice(TREE.terminals, len(node[::20]))
    calibration = Calibration.fit(scores, targets._replace(node=node))
    fresh, truth = draw(3000, 2)
    assert calibration.apply(fresh).logp.max() > np.log(0.9)
    assert (calibration.apply(fresh).best() == truth.node).mean() > (fresh.best() == truth.node).mean() - 0.01


@settings(max_examples=examples(40), deadline=None)
@given(trees, st.integers(0, 3), st.floats(0.1, 8), st.floats(0, 0.4), st.floats(0, 1))
def test_the_result_is_one_distribution_with_no_child_above_its_parent(paths, seed, sharpness, scale, power):
    tree = Taxonomy.from_paths(paths)
    rng = np.random.default_rng(seed)
    scores = Scores(tree, np.log(normal(rng.normal(0, 5, (5, len(tree.terminals))))))
    groups = {node.id: float(rng.uniform(0.1, 5)) for node in tree.nodes[::2]}
    found = Calibration((sharpness, 1.0), ((scale, power),), groups).apply(scores)
    assert np.allclose(np.exp(found.logp).sum(1), 1)
    every = np.stack([found.node(np.full(5, i)) for i in range(len(tree))], 1)
    for child, parent in enumerate(tree.parent):
        if parent >= 0:
            assert (every[:, child] <= every[:, parent] + 1e-9).all()


def test_a_group_with_few_rows_stays_near_its_level():
    scores, targets = draw(1500, 1, sharpness=2.0)
    rare = TREE.ancestors[targets.node, 0] == TREE.index("D")
    keep = np.flatnonzero(~rare | (np.cumsum(rare) <= 3))
    found = Calibration.fit(scores[keep], Targets(targets.node[keep], targets.exact[keep]))
    assert found.groups["D"] == pytest.approx(found.levels[1], rel=0.25)


def test_a_label_known_only_to_a_branch_teaches_what_it_tells():
    scores, targets = draw(2000, 1, sharpness=3.0)
    tops = Targets(TREE.ancestors[targets.node, 0], np.zeros(2000, dtype=bool))
    found = Calibration.fit(scores, tops)
    assert found.levels[0] < 0.6
    assert found.levels[1:] == (1.0, 1.0)


def test_impossible_categories_stay_impossible_and_nothing_becomes_nan():
    scores, targets = draw(200, 1)
    logp = scores.logp.copy()
    logp[:, :9] = -np.inf  # everything in A
    logp -= np.logaddexp.reduce(logp, axis=1, keepdims=True)
    found = Calibration.fit(Scores(TREE, logp), targets).apply(Scores(TREE, logp))
    assert np.isfinite(found.logp[:, 9:]).all()
    assert not np.isnan(found.logp).any()
    assert np.allclose(np.exp(found.logp).sum(1), 1)


def test_no_rows_leave_scores_as_they_are():
    scores, targets = draw(3, 1)
    nothing = Calibration.fit(scores[:0], Targets(targets.node[:0], targets.exact[:0]))
    assert nothing.apply(scores).logp is scores.logp


def test_each_row_counts_so_that_confidence_is_right_for_products_like_the_rows():
    """Mistakes come in groups of near-duplicates: with one vote a group, confidence would be far too high."""
    scores, targets = draw(1500, 5)
    right = scores.best() == targets.node
    groups = np.where(right, np.arange(1500), 1500 + np.cumsum(~right) // 8)
    policy = fit(Sample(scores, targets, groups), Sample(scores, targets, groups))
    path = policy.descend(scores)
    confidence = path.confidence[np.arange(1500), path.depth - 1]
    assert confidence.mean() == pytest.approx(right.mean(), abs=0.01)
