"""The operating curve in numbers and words."""

import dataclasses

import numpy as np
import pytest

from aisle.guarantee import OperatingPoint, Policy, Settings, fit, summarize_curve
from aisle.guarantee.rule import NEVER, Guarantee
from aisle.taxonomy import Scores, Targets, Taxonomy

from .simulated import TREE, draw


@pytest.fixture(scope="module")
def policy():
    return fit(draw(2000, 1), draw(4000, 2), precision=0.9)


def point(precision, full=0.0, branch=(), needed=None):
    missing = () if full else (Guarantee("accept", precision, "", False, 0, 0, needed),)
    return OperatingPoint(precision, 1.0 if full else NEVER, NEVER, missing, 500, full, branch)


def with_curve(precision, *points):
    return Policy(Settings(precision), curve=points)


@pytest.mark.slow
def test_its_shares_are_those_decided_of_new_products(policy):
    found = summarize_curve(policy)
    assert [p.precision for p in found.points] == [0.99, 0.98, 0.95, 0.9, 0.85, 0.8]
    assert (found.precision, found.alpha, found.rows, found.method) == (0.9, 0.05, 4000, "hold-out")
    scores, _ = draw(20_000, 4)
    for one in found.points:
        decided = policy.at(one.precision).predict([""] * len(scores), scores)
        accepted = np.mean([p.decision == "accept" for p in decided])
        assert accepted == pytest.approx(one.full, abs=0.03)
        for level, share in enumerate(one.branch, 1):
            there = np.mean([p.decision == "partial" and len(p.path) == level for p in decided])
            assert there == pytest.approx(share, abs=0.03)
        assert one.decided == pytest.approx(one.full + sum(one.branch))
        assert one.review == pytest.approx(1 - one.decided)


def test_the_guarantee_of_all_points_at_once_is_stated(policy):
    found = summarize_curve(policy)
    assert found.together == pytest.approx(1 - 6 * 0.05)
    assert "With probability 95% or more" in found.statement
    assert "4,000 labelled rows" in found.statement
    assert "all 6 precisions hold at once with probability 70% or more" in found.statement
    loose = dataclasses.replace(policy, settings=Settings(0.9, 0.2))
    assert summarize_curve(loose).together == 0
    assert "no bound is left for all 6 precisions at once" in summarize_curve(loose).statement


def test_a_sentence_says_what_happens_at_each_precision():
    curve = with_curve(
        0.95,
        point(0.99),
        point(0.95, 0.168, (0.09, 0.118)),
        point(0.9, 0.4, (0.0, 0.1)),
        point(0.8, 0.9),
        point(0.7, 0.0, (0.5,)),
    )
    texts = [one.text for one in summarize_curve(curve).points]
    assert texts == [
        "nothing can be guaranteed, every product is left for review",
        "16.8% of products get a full path, 20.8% a branch (9.0% down to level 1, 11.8% down to level 2), "
        "62.4% are left for review",
        "40.0% of products get a full path, 10.0% a branch (level 2), 50.0% are left for review",
        "90.0% of products get a full path, 10.0% are left for review",
        "50.0% of products get a branch (level 1), none a full path, 50.0% are left for review",
    ]


def test_where_nothing_is_decided_another_precision_is_named():
    found = summarize_curve(with_curve(0.95, point(0.95), point(0.9, 0.4), point(0.8, 0.7)))
    assert found.instead == 0.9
    assert found.advice.startswith("at 95% nothing can be guaranteed; at 90%, 40.0% of products get a full")
    decides = summarize_curve(with_curve(0.9, point(0.95), point(0.9, 0.4)))
    assert (decides.advice, decides.instead) == ("", None)


def test_where_no_precision_decides_the_rows_that_are_missing_are_named():
    few = summarize_curve(with_curve(0.95, point(0.95, needed=900), point(0.8, needed=1234)))
    assert few.instead is None
    assert few.advice == (
        "at 95% nothing can be guaranteed, nor at any precision down to 80%, with 500 labelled rows; for 80% "
        "about 1,300 would do"
    )
    hopeless = summarize_curve(with_curve(0.95, point(0.95), point(0.8)))
    assert "at no confidence" in hopeless.advice
    uncalibrated = summarize_curve(Policy.uncalibrated(TREE))
    assert uncalibrated.points == ()
    assert "not calibrated" in uncalibrated.advice


def test_a_handful_of_rows_is_told_how_many_would_do():
    tree = Taxonomy.from_paths([("A",), ("B",)])
    rows = np.arange(8) % 2
    scores = Scores(tree, np.log(np.where(np.eye(2)[rows] > 0, 0.99, 0.01)))
    few = scores, Targets(tree.terminals[rows], np.ones(8, bool))
    found = summarize_curve(fit(few, few))
    assert not any(one.decided for one in found.points)
    assert "with 8 labelled rows; for 80% about 14 would do" in found.advice  # 0.8 ** 14 < 0.045
