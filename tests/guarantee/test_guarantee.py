import math

import numpy as np
import pytest

from aisle.guarantee.exact_tests import (
    betting_p,
    binomial_p,
    clopper_pearson,
    reject_in_order,
    rows_for_certainty,
    rows_to_show,
)


def test_the_binomial_p_value_is_the_tail_summed_by_hand():
    by_hand = sum(math.comb(100, k) * 0.05**k * 0.95 ** (100 - k) for k in range(3))
    assert binomial_p(2, 100, 0.05) == pytest.approx(by_hand)
    assert binomial_p(0, 0, 0.05) == 1


def test_rows_to_show_are_about_enough():
    rng = np.random.default_rng(0)
    rows = int(rows_to_show(np.array([0.03]), 0.05, 0.05, 0.8)[0])
    shown = binomial_p(rng.binomial(rows, 0.03, 4000), rows, 0.05) <= 0.05
    assert shown.mean() == pytest.approx(0.8, abs=0.05)
    assert rows_to_show(np.array([0.06, 0.0]), 0.05, 0.05, 0.8).tolist() == [np.inf, 59]


def test_testing_in_order_stops_at_the_first_failure():
    assert reject_in_order(np.array([0.01, 0.04, 0.06, 0.001]), 0.05) == 2
    assert reject_in_order(np.array([0.5]), 0.05) == 0
    assert reject_in_order(np.array([]), 0.05) == 0


def test_rows_for_certainty_are_just_enough():
    assert rows_for_certainty(0.95, 0.05) == 59  # 0.95 ** 59 = 0.0485, 0.95 ** 58 = 0.0510
    assert rows_for_certainty(0.99, 0.05) == 299


def test_clopper_pearson_against_published_limits():
    # 95 % two-sided limits of 81 in 263 are (0.2527, 0.3676) (Newcombe 1998); one-sided 97.5 % are the same.
    assert clopper_pearson(81, 263, 0.975) == pytest.approx((0.2527, 0.3676), abs=1e-4)
    assert clopper_pearson(10, 10)[1] == 1
    assert clopper_pearson(0, 10)[0] == 0
    assert clopper_pearson(0, 0) == (0, 1)


def test_the_betting_p_value_is_valid_and_has_power():
    rng = np.random.default_rng(0)
    costs = np.array([1.0, 5.0])
    at_the_edge, well_below = [], []
    for _ in range(400):
        cost = costs[rng.integers(0, 2, 1500)]
        at_the_edge.append(
            betting_p((rng.random(1500) < 0.05 / 3) * cost, 0.05, 5.0)
        )  # a mean of exactly 0.05
        well_below.append(betting_p((rng.random(1500) < 0.001) * cost, 0.05, 5.0))
    assert np.mean(np.array(at_the_edge) <= 0.05) <= 0.05
    assert np.mean(np.array(well_below) <= 0.05) > 0.9
