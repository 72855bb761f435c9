"""`ProductClassifier` behaves as scikit-learn's classifiers do."""

import pickle
from unittest import SkipTest

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

from aisle.sklearn import ProductClassifier
from tests.test_python_api import BEST, NEW, ROWS

TITLES = [row["title"] for row in ROWS]
LABELS = [row["category"] for row in ROWS]
NEW_TITLES = [row["title"] for row in NEW]


@pytest.fixture(scope="module")
def fitted():
    return ProductClassifier().fit(TITLES, LABELS)


def test_paths_are_labels(fitted):
    assert fitted.classes_.tolist() == sorted(set(LABELS))
    assert fitted.predict(NEW_TITLES).tolist() == BEST
    assert fitted.score(TITLES, LABELS) == 1.0
    assert fitted.score(NEW_TITLES, [BEST[0], "Home > Mugs"]) == 0.5
    chances = fitted.predict_proba(NEW_TITLES)
    assert chances.shape == (2, 4)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert fitted.classes_[chances.argmax(1)].tolist() == BEST
    assert fitted.n_features_in_ == 1
    assert [" > ".join(one.best) for one in fitted.model_.predict(NEW_TITLES)] == BEST


@pytest.mark.slow
@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_labels_of_several_columns_are_predicted_level_by_level(kind):
    paths = [tuple(label.split(" > ")) for label in LABELS]
    paths[0] = (*paths[0], "Travel")
    if kind is np.array:
        given = np.array([(*path, "") if len(path) == 2 else path for path in paths])
    else:
        given = [kind(path) for path in paths]
    model = ProductClassifier().fit(TITLES, given)
    assert model.predict(NEW_TITLES).tolist() == [["Clothing", "Hats", ""], ["Home", "Lamps", ""]]
    assert model.classes_.shape == (5, 3)
    assert model.score(NEW_TITLES, [("Clothing", "Hats"), ("Home", "Lamps")]) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("form", [pd.DataFrame, pl.DataFrame, list], ids=["pandas", "polars", "rows"])
def test_frames_and_rows_have_feature_names(form):
    rows = [{"sku": row["sku"], "title": row["title"]} for row in ROWS]
    model = ProductClassifier().fit(form(rows), LABELS)
    assert model.feature_names_in_.tolist() == ["sku", "title"]
    assert model.n_features_in_ == 2
    assert model.predict(form(NEW)).tolist() == BEST
    if form is not list:
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(form([{"sku": "1", "name": "hat"}]))


def test_a_pickle_holds_the_bundle_and_predicts_the_same(fitted):
    data = pickle.dumps(fitted)
    assert b"weights.safetensors" in data
    assert b"LinearPredictor" not in data
    loaded = pickle.loads(data)
    np.testing.assert_array_equal(loaded.predict_proba(NEW_TITLES), fitted.predict_proba(NEW_TITLES))
    again = pickle.loads(pickle.dumps(loaded))
    assert again.predict(NEW_TITLES).tolist() == BEST


def test_parameters_are_cloned_and_set():
    model = ProductClassifier("fast", changes=["guarantee.precision=0.9"], random_state=3)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert copied.set_params(recipe="balanced").recipe == "balanced"
    with pytest.raises(NotFittedError):
        model.predict(NEW_TITLES)


@pytest.mark.slow
def test_pipelines_and_grid_search():
    upper = FunctionTransformer(lambda titles: [title.upper() for title in titles])
    pipeline = make_pipeline(upper, ProductClassifier())
    grid = {"productclassifier__changes": [(), ("label_name_examples=false",)]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(TITLES, LABELS)
    assert search.predict(NEW_TITLES).tolist() == BEST
    assert search.best_score_ >= 0.5
    assert len(search.cv_results_["params"]) == 2


@pytest.mark.slow
def test_every_check_of_scikit_learn_for_estimators_passes():
    skipped = []
    for estimator, check in estimator_checks_generator(ProductClassifier()):
        try:
            check(estimator)
        except SkipTest as reason:
            skipped.append(str(reason))
    assert [reason for reason in skipped if "SCIPY_ARRAY_API" not in reason] == []


@pytest.mark.slow
def test_a_frame_without_column_names_is_read_as_cells():
    frame = pd.DataFrame([[title, "new"] for title in TITLES])
    model = ProductClassifier().fit(frame, LABELS)
    assert model.n_features_in_ == 2
    assert model.predict(pd.DataFrame([[title, "new"] for title in NEW_TITLES])).tolist() == BEST


def test_missing_labels_are_refused():
    for labels in (None, [*LABELS[:-1], None], LABELS[:-1], [("",)] * 40):
        with pytest.raises(ValueError, match=r"y |inconsistent"):
            ProductClassifier().fit(TITLES, labels)
