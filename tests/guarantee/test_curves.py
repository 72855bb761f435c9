import numpy as np
import pytest

from aisle.guarantee import Policy, clopper_pearson, fit, risk_coverage
from aisle.metrics import Truth
from aisle.taxonomy import Targets

from .simulated import TREE, draw


@pytest.fixture(scope="module")
def policy():
    return fit(draw(2000, 1), draw(5000, 2), precision=0.9)


def judged(policy, scores, targets):
    return risk_coverage(policy.predict([""] * len(scores), scores), Truth.of(TREE, targets), policy)


@pytest.mark.slow
def test_a_curve_is_what_counting_by_hand_gives(policy):
    scores, targets = draw(1500, 3)
    found = judged(policy, scores, targets)
    full = next(c for c in found.curves if c.level == 0 and not c.branch)
    calibrated = policy.calibrate(scores)
    sure = np.array([p.confidence[-1] for p in policy.predict([""] * 1500, scores)])
    right = calibrated.best() == targets.node
    for i in (len(full.threshold) // 4, len(full.threshold) // 2, -1):
        answered = sure >= full.threshold[i]
        assert full.coverage[i] == pytest.approx(answered.mean())
        assert full.precision[i] == pytest.approx(right[answered].mean())
        assert full.upper[i] == clopper_pearson(int(right[answered].sum()), int(answered.sum()))[1]
    assert (np.diff(full.coverage) > 0).all()
    assert full.coverage[-1] == 1
    assert {c.level for c in found.curves if not c.branch} == {0, 1, 2, 3}
    assert {c.branch for c in found.curves} == {"", "A", "B", "C", "D", "E"}


@pytest.mark.slow
def test_what_was_promised_stands_beside_what_happened(policy):
    scores, targets = draw(6000, 4)
    found = judged(policy, scores, targets)
    verdicts = [p.decision for p in policy.predict([""] * 6000, scores)]
    for kind in ("accept", "partial"):
        outcome = next(k for k in found.outcomes if k.verdict == kind and not k.branch and not k.level)
        assert outcome.rows == verdicts.count(kind)
        assert outcome.coverage == pytest.approx(outcome.rows / 6000)
        assert outcome.asked_precision == 0.9
        assert outcome.holds
        assert not outcome.broken
        by_level = [k.rows for k in found.outcomes if k.verdict == kind and k.level]
        assert sum(by_level) == outcome.rows


@pytest.mark.slow
def test_a_promise_that_the_rows_contradict_is_called_broken(policy):
    scores, targets = draw(6000, 5)
    wrong = Targets(np.roll(targets.node, 1), targets.exact)
    assert all(k.broken for k in judged(policy, scores, wrong).outcomes if k.holds and k.rows > 200)


def test_without_a_promise_there_are_curves_all_the_same():
    scores, targets = draw(300, 6)
    found = judged(Policy.uncalibrated(TREE), scores, targets)
    assert found.outcomes == ()
    assert len(found.curves) > 4


@pytest.mark.slow
def test_labels_count_as_far_as_they_tell_and_several_places_may_be_right(policy):
    scores, targets = draw(3000, 7)
    found = policy.predict([""] * 3000, scores)
    tops = Targets(TREE.ancestors[targets.node, 0], np.zeros(3000, dtype=bool))
    known = risk_coverage(found, Truth.of(TREE, tops), policy)
    assert {(c.level, c.rows) for c in known.curves if not c.branch} == {(1, 3000 - one_level(found))}
    by_top = next(c for c in known.curves if c.level == 1 and not c.branch)
    deep = [
        p.best[0] == TREE.nodes[t].path[0]
        for p, t in zip(found, targets.node, strict=True)
        if len(p.best) > 1
    ]
    assert by_top.precision[-1] == pytest.approx(np.mean(deep))
    best = [[TREE.index(p.best)] for p in found]
    either = risk_coverage(found, Truth.of(TREE, targets, best), policy)
    assert all((c.precision == 1).all() for c in either.curves)


def one_level(found):
    """Whose full path a label known to the top category only cannot judge."""
    return sum(len(p.best) == 1 for p in found)
