"""What more labels would change is estimated from the rows, and said to be unknown where it cannot be."""

import dataclasses

import numpy as np
import pytest

from aisle.guarantee import LabelGain, Policy, fit, summarize_curve

from .simulated import draw


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
    policy = dataclasses.replace(fitted(400), label_gain=LabelGain(0.95, 400, 200, decided, expected))
    assert summarize_curve(policy).labels == told
    assert Policy.from_json(policy.to_json()).label_gain == policy.label_gain
