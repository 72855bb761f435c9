import numpy as np
import pytest

from aisle.metrics import expected_calibration_error, precision_coverage, reliability


def test_calibration_error_by_a_plain_loop_over_fifteen_equal_bins():
    rng = np.random.default_rng(0)
    confidence = rng.random(500)
    right = rng.random(500) < confidence**2
    total = 0.0
    for b in range(15):
        inside = [i for i in range(500) if b / 15 < confidence[i] <= (b + 1) / 15]
        if inside:
            total += abs(np.mean(right[inside]) - np.mean(confidence[inside])) * len(inside) / 500
    assert expected_calibration_error(confidence, right) == pytest.approx(total)


def test_sure_and_always_right_is_perfect_sure_and_always_wrong_the_worst():
    ones = np.ones(10)
    assert expected_calibration_error(ones, ones == 1) == 0
    assert expected_calibration_error(ones, ones == 0) == 1


def test_the_reliability_curve_holds_every_product_once():
    confidence = np.array([0.0, 0.05, 0.5, 0.95, 1.0])
    bins = reliability(confidence, np.array([0, 1, 1, 0, 1]), bins=10)
    assert bins.count.tolist() == [2, 0, 0, 0, 1, 0, 0, 0, 0, 2]
    assert bins.accuracy[0] == 0.5
    assert np.isnan(bins.accuracy[1])
    assert bins.confidence[9] == pytest.approx(0.975)
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability(np.array([1.5]), np.array([True]))


def test_precision_at_every_coverage():
    curve = precision_coverage(np.array([0.5, 0.9, 0.5, 0.7]), np.array([False, True, True, False]))
    assert curve.threshold.tolist() == [0.9, 0.7, 0.5]
    assert curve.coverage.tolist() == [0.25, 0.5, 1.0]
    assert curve.precision.tolist() == [1.0, 0.5, 0.5]
