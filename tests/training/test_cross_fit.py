"""How the guarantee of a linear model is fitted: on out-of-fold scores, and all rows train."""

from contextlib import contextmanager

import numpy as np
import pytest

import aisle
from aisle.errors import RecipeError
from aisle.progress import SILENT
from aisle.training.fit import folds_of, guarantee_method, split_rows
from aisle.training.recipe import load_recipe
from tests.training.shop import catalog

QUICK = ("views.image=false", "linear_svm.penalty=1.0")


class Messages(type(SILENT)):
    def __init__(self):
        self.said = []
        self.tasks = {}

    @contextmanager
    def __call__(self, label, total=None, unit="products"):
        def advance(n):
            self.tasks[label] = self.tasks.get(label, 0) + n

        yield advance

    def say(self, text):
        self.said.append(text)


@pytest.fixture(scope="module")
def shop():
    return catalog(120)


@pytest.mark.slow
def test_every_labelled_row_trains_and_calibrates(shop):
    messages = Messages()
    model = aisle.train(shop, "fast", changes=QUICK, progress=messages)
    assert "guarantee: cross-fit, because the model is linear: every labelled row trains and calibrates" in (
        messages.said
    )
    assert model.seen(shop).all()
    assert model.policy.method == "cross-fit"
    assert messages.tasks["cross-fitting"] == 5  # a bar over the folds, also where remarks are not shown
    assert {point.rows for point in model.policy.curve} == {120}


def test_near_duplicates_share_a_fold_and_folds_are_even(shop):
    groups = np.arange(120) // 3
    folds = folds_of(shop.targets(), groups, load_recipe("fast"), 4)
    assert all(len(set(folds[groups == group])) == 1 for group in range(40))
    assert sorted(np.bincount(folds)) == pytest.approx([24] * 5, abs=3)


def test_rows_of_an_earlier_model_and_their_duplicates_are_not_scored(shop):
    groups, seen = np.arange(120) // 2, np.zeros(120, bool)
    seen[:20:2] = True
    folds = folds_of(shop.targets(), groups, load_recipe("fast"), 4, seen)
    assert (folds[:20] == -1).all()
    assert (folds[20:] >= 0).all()


@pytest.mark.parametrize(("most", "scored"), [(480, 5), (479, 4), (192, 2), (1, 1)])
def test_beyond_max_scores_the_first_folds_alone_are_scored(shop, most, scored):
    recipe = load_recipe("fast", [f"guarantee.max_scores={most}"])
    folds = folds_of(shop.targets(), np.arange(120), recipe, 4)
    assert sorted(set(folds[folds >= 0])) == list(range(scored))


def test_one_scored_fold_still_gives_a_curve(shop):
    model = aisle.train(shop, "fast", changes=(*QUICK, "guarantee.max_scores=1"))
    assert model.seen(shop).all()
    assert {point.rows for point in model.policy.curve} == {24}


def test_hold_out_keeps_fewer_rows_aside_of_a_large_tree(shop):
    shares = ["split.validation=0", "split.calibration=0.2", "split.threshold=0.2"]
    recipe = load_recipe("fast", ['guarantee.method="hold-out"', *shares])
    nodes = len(np.unique(shop.targets().node))
    parts = split_rows(shop, shop.targets(), recipe, np.arange(120))
    assert [len(part) for part in parts] == [72, 0, 24, 24]
    few = load_recipe("fast", ['guarantee.method="hold-out"', *shares, f"guarantee.max_scores={nodes * 12}"])
    parts = split_rows(shop, shop.targets(), few, np.arange(120))
    assert [len(part) for part in parts] == [95, 0, 12, 13]


@pytest.mark.parametrize(
    ("changes", "rows", "method", "reason"),
    [
        ([], 100_000, "cross-fit", "the model is linear"),
        ([], 100_001, "hold-out", "100,001 rows are more than guarantee.max_rows = 100,000"),
        (["split.by=time"], 50, "hold-out", "split.by is time"),
        (['guarantee.method="none"'], 50, "none", "the recipe says so"),
    ],
)
def test_the_method_and_its_reason(changes, rows, method, reason):
    found, why = guarantee_method(load_recipe("fast", changes), rows)
    assert found == method
    assert reason in why


def test_a_network_is_not_cross_fitted():
    method, why = guarantee_method(load_recipe("simple"), 50)
    assert (method, why) == ("hold-out", "a network is too expensive to train for each fold")
    with pytest.raises(RecipeError, match="trains a network, which is not cross-fitted"):
        guarantee_method(load_recipe("simple", ['guarantee.method="cross-fit"']), 50)


def test_a_split_by_time_is_not_cross_fitted():
    recipe = load_recipe("fast", ['guarantee.method="cross-fit"', "split.by=time"])
    with pytest.raises(RecipeError, match=r'needs guarantee.method = "hold-out"'):
        guarantee_method(recipe, 50)


@pytest.mark.slow
def test_a_likely_category_without_a_guarantee_is_not_called_unsure():
    words = ("lamp", "sofa", "boot", "ring")
    rows = [{"title": f"{word} {i}", "category": word} for i in range(12) for word in words]
    prediction = aisle.train(aisle.read(rows), "fast").predict(aisle.read([{"title": "lamp 3"}]))[0]
    assert prediction.decision == "review"
    sure = prediction.confidence[-1]
    assert sure >= 0.95
    assert prediction.reason == f"lamp is likely ({sure:.2f}), but no full path is guaranteed at 95%"
