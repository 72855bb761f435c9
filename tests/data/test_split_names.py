"""Split columns as people fill them: one meaning whatever the spelling, and an error for what has none."""

import numpy as np
import pytest

import aisle
from aisle import workflow
from aisle.data.check import check
from aisle.data.splits import leakage
from aisle.errors import CatalogError

QUICK = ("views.image=false",)
SPELLED = {
    "train": (
        "train",
        "Train",
        "TRAIN",
        "train ",
        " Training",
        "training set",
        "train_split",
        "Entraînement",
    ),
    "test": ("test", "Test", "TESTING", "test\t", "testset", "Test-Data", "holdout", "hold-out", "ＴＥＳＴ"),
    "validation": ("val", "Valid", "validation", "VALIDATION SET", "dev", "Dev ", "Validierung"),
    "calibration": ("calibration", "Calib"),
    "": ("", "  "),
}


def rows(values):
    return [
        {"title": f"{'pen ink' if i % 2 else 'pan pot'} {i}", "category": "AB"[i % 2], "split": value}
        for i, value in enumerate(values)
    ]


@pytest.mark.parametrize(("meant", "value"), [(m, v) for m, values in SPELLED.items() for v in values])
def test_a_value_means_its_split_however_it_is_spelled(meant, value):
    assert aisle.read(rows([value, "train"])).split.tolist() == [meant, "train"]


@pytest.mark.slow
def test_test_rows_never_train_and_are_the_ones_that_are_judged():
    catalog = aisle.read(rows(["Train", "Test", "train ", "TRAIN", "Dev"] * 12))
    assert len(workflow.part(catalog, "train")) == 36
    assert len(workflow.part(catalog, "test")) == 12
    model = aisle.train(catalog, "fast", changes=QUICK)
    seen = model.seen(catalog)
    assert not seen[np.isin(catalog.split, ("test", "validation"))].any()
    found = aisle.evaluate(model, catalog)
    assert (found.rows.evaluated, found.rows.trained_on) == (12, 0)
    assert check(catalog, images=False).splits == (("test", 12), ("train", 36), ("validation", 12))


def test_unknown_values_are_named_with_their_rows(tmp_path):
    with pytest.raises(CatalogError, match=r"'fold 2' \(3 rows\), 'wall' \(1 row\).*-c split="):
        aisle.read(rows(["train", "fold 2", "fold 2", "fold 2", "wall"]))
    catalog = aisle.read(rows(["wall", "train"]), columns={"split": ""})
    assert (catalog.split, catalog[0].fields["split"]) == (None, "wall")
    assert len(aisle.read(rows(["wall"]), labels=False)) == 1  # nothing is judged, so nothing is asked


def test_one_split_in_two_spellings_leaks_nothing():
    same = [{"title": "Red pen", "category": "A", "split": split} for split in ("Train", "training")]
    assert leakage(aisle.read(same)) == []
    (leak,) = leakage(aisle.read([*same, {"title": "red PEN", "category": "A", "split": "Testing"}]))
    assert leak.splits == ("test", "train")
