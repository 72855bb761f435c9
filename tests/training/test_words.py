"""Words by all their features: what the vector machine finds, and that a run's model answers by it."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

import aisle
from aisle.errors import RecipeError
from aisle.training import svm
from aisle.training.svm import squared_hinge
from tests.training.shop import recipe

STILL = [{"epochs": 1, "rate": 1e-12, "batch": 64}]  # the stages learn nothing


def rows(n=300, classes=7, features=60, seed=3, told=0.4):
    """(n, features) sparse rows of length 1, and their classes."""
    rng = np.random.default_rng(seed)
    place = rng.integers(classes, size=n)
    dense = rng.random((n, features)) * (rng.random((n, features)) < 0.15) + told * np.eye(features)[place]
    return sparse.csr_matrix(dense / np.linalg.norm(dense, axis=1, keepdims=True)), place


@pytest.mark.parametrize("weight", [None, np.linspace(0.2, 3, 300)])
def test_it_finds_what_scikit_learn_finds(monkeypatch, weight):
    monkeypatch.setattr(svm, "_ROUNDS", 20)
    monkeypatch.setattr(svm, "_STEPS", 60)
    monkeypatch.setattr(svm, "_CLASSES", 3)  # several blocks, the last one smaller
    x, place = rows()
    told = []
    found, offset = squared_hinge(x, place, 7, 0.5, weight, advance=told.append)
    rival = LinearSVC(C=1, tol=1e-8, max_iter=100_000).fit(x, place, sample_weight=weight)
    np.testing.assert_allclose(x @ found + offset, rival.decision_function(x), atol=2e-3)
    assert told == [3, 3, 1]


def test_as_shipped_it_is_as_right_as_scikit_learn():
    (x, place), (new, wanted) = rows(), rows(4000, seed=4)
    found, offset = squared_hinge(x, place, 7, 0.5)
    rival = LinearSVC(C=1).fit(x, place)
    mine = (new @ found + offset).argmax(1)
    assert np.mean(mine == rival.predict(new)) >= 0.98
    assert np.mean(mine == wanted) >= np.mean(rival.predict(new) == wanted) - 0.01


def test_rows_of_no_known_class_change_nothing():
    x, place = rows()
    more = sparse.vstack([x, sparse.csr_matrix(np.eye(40, 60))]).tocsr()
    unknown = np.concatenate([place, np.full(40, -1)])
    found, offset = squared_hinge(x, place, 7, 0.5)
    again, beside = squared_hinge(more, unknown, 7, 0.5)
    np.testing.assert_allclose(x @ again + beside, x @ found + offset, atol=1e-4)


def test_of_very_many_rows_each_class_sees_its_own(monkeypatch):
    """With 100 others for each, a class of four rows is still found, and all are as right."""
    monkeypatch.setattr(svm, "_OTHERS", 100)
    monkeypatch.setattr(svm, "_CLASSES", 2)
    x, place = rows(2000, told=1.5)
    keep = (place != 6) | (np.cumsum(place == 6) <= 4)
    x, place = x[keep], place[keep]
    found, offset = squared_hinge(x, place, 7, 0.5)
    answer = (x @ found + offset).argmax(1)
    assert np.mean(answer == place) > 0.95
    assert np.mean(answer[place == 6] == 6) == 1


def shop(n, seed=0):
    """Categories told by one word that few rows share, among many words that say nothing."""
    rng = np.random.default_rng(seed)
    noise = [f"noise{i}" for i in range(30)]
    found = []
    for i in range(n):
        kind = i % 40
        title = " ".join([f"model{kind}", *rng.choice(noise, 3)])
        found.append({"id": f"{seed}-{i}", "title": title, "category": f"Parts > Kind {kind}"})
    return aisle.read(found)


def wordy(words=True, axes=4, dim=64, **more):
    return recipe(
        views={
            "title": {
                "encoder": {"type": "Lexical", "dim": dim, "least": 1, "grams": 0},
                "frozen": True,
                "axes": axes,
            }
        },
        fusion={"type": "Linear", "dim": dim, "direct": ["title"]},
        head={"type": "Tree", "norm": False},
        stages=STILL,
        words={} if words else None,
        parts={"stop": 0, "calibrate": 0, "promise": 0},
        **more,
    )


def right(model, catalog):
    found = model.predict(list(catalog))
    return np.mean([one.best == row.categories[0] for one, row in zip(found, catalog, strict=True)])


def test_words_that_the_axes_cut_off_are_known():
    """Four axes hold none of forty words, each of three rows; all features do."""
    train, new = shop(120), shop(80, seed=1)
    assert right(aisle.train(train, wordy(words=False)), new) < 0.3
    assert right(aisle.train(train, wordy()), new) > 0.95


def test_a_saved_model_knows_them_too(tmp_path):
    model = aisle.train(shop(120), wordy(), out=tmp_path / "run")
    new = list(shop(40, seed=2))
    np.testing.assert_array_equal(aisle.load(tmp_path / "run").score(new).all(), model.score(new).all())
    assert right(model, new) > 0.95


def test_fewer_dimensions_than_categories_keep_what_varies_most():
    train, new = shop(120), shop(80, seed=1)
    assert right(aisle.train(train, wordy(dim=40)), new) > 0.95  # 39 would hold them all
    assert right(aisle.train(train, wordy(dim=10)), new) > right(aisle.train(train, wordy(dim=2)), new) + 0.1


def test_words_need_a_view_of_words_with_axes():
    with pytest.raises(RecipeError, match=r"\[words\].*no view of words has `axes`.*words=false"):
        aisle.train(shop(40), wordy(axes=0))
