"""What more labels would change is estimated from the rows, and said to be unknown where it cannot be."""

import dataclasses
import functools

import numpy as np
import pytest

from aisle.guarantee import LabelGain, Policy, chosen_labels, fit, summarize_curve

from .simulated import draw


@functools.cache
def fitted(rows):
    return fit(draw(rows // 2, 1), draw(rows - rows // 2, 2))


@pytest.mark.slow
def test_few_rows_gain_most():
    few, many = fitted(400).label_gain, fitted(6000).label_gain
    assert (few.precision, few.rows) == (0.95, 400)
    assert few.expected >= few.decided + 0.01
    assert many.rows == 6000
    assert 0 <= many.points < few.points


@pytest.mark.slow
def test_it_is_close_to_what_labelling_more_rows_gives():
    """The mean of several shops, against rows of the same kind drawn anew."""
    expected, real = [], []
    for seed in range(10, 18):
        calibration = draw(300, seed)
        gain = fit(calibration, draw(300, seed + 100)).label_gain
        half = gain.labels // 2  # the test gets as large a share of further rows as it has now
        real.append(fit(calibration, draw(300 + half, seed + 200)).point.decided)
        expected.append(gain.expected)
    assert np.mean(expected) == pytest.approx(np.mean(real), abs=0.12)


def test_where_it_cannot_be_estimated_that_is_said():
    tiny = fitted(60)
    assert tiny.label_gain is None
    assert summarize_curve(tiny).labels == "What more labels would change at 95% is not estimated."
    moved = fitted(400).at(0.9)  # estimated at the precision that was asked for
    assert summarize_curve(moved).label_gain is None
    assert "is not estimated" in summarize_curve(moved).labels
    assert summarize_curve(Policy()).labels == ""


@pytest.mark.parametrize(
    ("decided", "expected", "told"),
    [
        (0.342, 0.431, "Label 200 more products, drawn at random: expected +9 points of automatic decisions "
         "at 95% (34.2% to 43.1%), without what the model learns from them."),
        (0.342, 0.345, "200 more labelled products, drawn at random, would be expected to change automatic "
         "decisions at 95% by less than a point."),
        (0.0, 0.0, "200 more labelled products, drawn at random, would not be expected to guarantee anything "
         "at 95%."),
    ],
)  # fmt: skip
def test_it_is_said_in_words(decided, expected, told):
    gain = LabelGain(0.95, 400, 200, decided, expected, ((200, expected),))
    policy = dataclasses.replace(fitted(400), label_gain=gain)
    assert summarize_curve(policy).labels == told
    assert Policy.from_json(policy.to_json()).label_gain == policy.label_gain


@pytest.mark.parametrize(
    ("count", "method", "told"),
    [
        (200, "random", "Labels of these 200 products: expected +10 points of automatic decisions at 95% "
         "(30.0% to 40.0%), without what the model learns."),
        (100, "random", "Labels of these 100 products: expected +5 points of automatic decisions at 95% "
         "(30.0% to 35.0%), without what the model learns."),
        (200, "mixed", "Labels of the 100 drawn at random: expected +5 points of automatic decisions at 95% "
         "(30.0% to 35.0%), without what the model learns."),
        (10, "random", "Labels of these 10 products would be expected to change automatic decisions at 95% "
         "by less than a point."),
        (2000, "random", "What these labels would change at 95% is not estimated."),
        (200, "informative", "What these labels would change at 95% is not estimated: informative "
         "products are harder than those to come."),
    ],
)  # fmt: skip
def test_of_products_chosen_to_be_labelled_those_drawn_at_random_count(count, method, told):
    gain = LabelGain(0.95, 400, 200, 0.3, 0.4, ((200, 0.4), (500, 0.45)))
    policy = dataclasses.replace(fitted(400), label_gain=gain)
    assert chosen_labels(policy, count, method) == told
    assert "not estimated" in chosen_labels(policy.at(0.9), count, method)


def test_more_labels_never_decide_less():
    gain = fitted(400).label_gain
    assert gain is not None
    numbers, shares = zip(*gain.tried, strict=True)
    assert numbers == (200, 500)
    assert list(shares) == sorted(shares)
    assert gain.with_labels(gain.labels) == gain
    assert gain.with_labels(0).points == 0
    assert gain.with_labels(501) is None
