import numpy as np
import pytest
from scipy.stats import binomtest

from aisle.metrics import clopper_pearson, macro_f1_of_pairs, paired_bootstrap, paired_difference


def test_limits_of_a_share_are_the_published_ones():
    """Clopper & Pearson's limits for 4 of 20 at 95 %, in every table: 0.0573 to 0.4366."""
    value, low, high = clopper_pearson(4, 20)
    assert (value, round(low, 4), round(high, 4)) == (0.2, 0.0573, 0.4366)


@pytest.mark.parametrize(("right", "count"), [(0, 7), (7, 7), (3, 11), (950, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_limits_of_a_share_agree_with_scipy(right, count, confidence):
    theirs = binomtest(right, count).proportion_ci(confidence, method="exact")
    assert clopper_pearson(right, count, confidence)[1:] == pytest.approx((theirs.low, theirs.high))


def test_no_trial_says_nothing_and_nonsense_is_refused():
    assert clopper_pearson(0, 0)[1:] == (0, 1)
    with pytest.raises(ValueError, match="5 successes in 4"):
        clopper_pearson(5, 4)


def test_the_interval_of_a_mean_is_close_to_the_normal_one():
    rng = np.random.default_rng(0)
    b = rng.normal(0, 1, 2000)
    a = b + rng.normal(0.2, 0.5, 2000)
    found = paired_bootstrap(a, b)
    wide = 1.96 * np.std(a - b) / np.sqrt(2000)
    assert found.value == pytest.approx(np.mean(a - b))
    assert found.low == pytest.approx(found.value - wide, abs=0.1 * wide)
    assert found.high == pytest.approx(found.value + wide, abs=0.1 * wide)
    assert found.excludes_zero


def test_pairing_beats_two_separate_samples():
    """What is hard for both cancels: an unpaired comparison of these could not tell them apart."""
    rng = np.random.default_rng(1)
    hard = rng.random(400) < 0.5
    a, b = ~hard | (rng.random(400) < 0.06), ~hard
    assert paired_bootstrap(a, b).excludes_zero
    assert not paired_bootstrap(a, rng.permutation(b)).excludes_zero


@pytest.mark.slow
def test_the_limits_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(2)
    held = 0
    for seed in range(200):
        a, b = rng.random(150) < 0.7, rng.random(150) < 0.6
        held += (i := paired_bootstrap(a, b, resamples=300, seed=seed)).low <= 0.1 <= i.high
    assert 0.9 <= held / 200 <= 0.99


def test_any_statistic_and_whole_groups():
    true = np.repeat([0, 1, 2], 40)
    good, bad = np.stack([true, true], 1), np.stack([true, np.roll(true, 7)], 1)
    found = paired_bootstrap(good, bad, macro_f1_of_pairs, resamples=200)
    assert found.value == pytest.approx(1 - macro_f1_of_pairs(bad))
    assert found.low > 0
    # Ten copies of each of 30 products say no more than the 30 do.
    rng = np.random.default_rng(3)
    a, b = rng.random(30) < 0.8, rng.random(30) < 0.5
    copies = np.repeat(np.arange(30), 10)
    alone = paired_bootstrap(a, b)
    grouped = paired_bootstrap(a[copies], b[copies], groups=copies)
    naive = paired_bootstrap(a[copies], b[copies])
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert naive.high - naive.low < (grouped.high - grouped.low) / 2


def test_the_same_seed_gives_the_same_limits_and_unequal_samples_are_refused():
    a, b = np.arange(50) % 3 == 0, np.arange(50) % 2 == 0
    assert paired_bootstrap(a, b, seed=5) == paired_bootstrap(a, b, seed=5)
    with pytest.raises(ValueError, match="same products: 50 against 49"):
        paired_bootstrap(a, b[1:])


def test_a_paired_difference_in_closed_form():
    a, b = np.array([1, 1, 1, 0, 0, 1], bool), np.array([1, 1, 0, 1, 0, 0], bool)
    found = paired_difference(a, b, 0.9)
    assert found.value == pytest.approx(1 / 6)
    n, gained, lost = 8, 2.5, 1.5  # half a product added to each kind
    spread = 1.6448536 * ((gained + lost) - (gained - lost) ** 2 / n) ** 0.5 / n
    assert found.low == pytest.approx((gained - lost) / n - spread)
    assert found.high == pytest.approx((gained - lost) / n + spread)
    assert paired_difference(b, a, 0.9) == pytest.approx((-found.value, -found.high, -found.low))


def test_rows_without_a_difference_are_no_proof_until_there_are_many():
    few, many = np.ones(100, bool), np.ones(1000, bool)
    assert paired_difference(few, few, 0.9).high > 0.01
    assert 0 < paired_difference(many, many, 0.9).high < 0.005
    assert paired_difference(few[:0], few[:0])[1:] == (-1, 1)
    with pytest.raises(ValueError, match="same products"):
        paired_difference(few, many)
