"""What crosses borders keeps its shape: rooms rely on these and on nothing else of each other."""

import dataclasses
import inspect

import numpy as np
import pytest

from aisle.catalog import Product
from aisle.decision import Prediction
from aisle.inference.classifier import Classifier
from aisle.model import encoders, fusions, heads, losses, prepare
from aisle.model.parts import Encoded, Joint, Output
from aisle.model.scores import LevelScores, TreeScores
from aisle.model.scores import Scores as TorchScores
from aisle.taxonomy import Scores


def test_a_predictor_is_a_classifier(trained):
    model: Classifier = trained.model
    for name, member in inspect.getmembers(Classifier):
        if not name.startswith("_"):
            assert hasattr(model, name), name
            if callable(member):
                own = inspect.signature(getattr(type(model), name)).parameters
                assert list(inspect.signature(member).parameters) == list(own)
    few = trained.catalog.take(np.arange(5))
    scores = model.score(few, without=model.views[:1])
    assert isinstance(scores, Scores)
    assert scores.taxonomy == model.taxonomy
    np.testing.assert_allclose(np.exp(scores.all()).sum(1), 1, rtol=1e-4)


@pytest.mark.parametrize("kind", [TreeScores, LevelScores])
def test_torch_scores_answer_what_numpy_scores_answer(kind):
    asked = {
        name
        for name in vars(TorchScores)
        if not name.startswith("_") and callable(getattr(TorchScores, name))
    }
    assert asked == {"nll", "level", "topk", "all"}
    for name in asked | {"__getitem__"}:
        assert callable(getattr(kind, name))
        assert callable(getattr(Scores, name))


def test_records_are_frozen_and_keep_their_fields():
    assert [f.name for f in dataclasses.fields(Product)] == [
        "id",
        "fields",
        "images",
        "vectors",
        "categories",
    ]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Product("1").id = "2"
    names = {f.name for f in dataclasses.fields(Prediction)}
    assert names >= {
        "id", "best", "path", "confidence", "decision", "alternatives", "problems", "model_id", "reason",
    }  # fmt: skip
    assert Encoded._fields == ("pooled", "tokens", "mask", "present")
    assert Joint._fields == ("product", "views")
    assert Output._fields == ("joint", "scores", "by_view", "present")
    assert prepare.Prepared._fields == ("arrays", "present", "problems")


@pytest.mark.parametrize("module", [encoders, fusions, heads, losses, prepare], ids=lambda m: m.__name__)
def test_the_list_of_choices_is_true(module):
    assert list(module.__all__) == sorted(set(module.__all__))
    for name in module.__all__:
        assert inspect.getdoc(getattr(module, name)), name


def test_a_prediction_leaves_as_plain_data(trained):
    (answer,) = trained.model.predict(trained.catalog.take(np.arange(1)))
    data = answer.to_dict()
    assert data["best"] == " > ".join(answer.best)
    assert answer.path == answer.best[: len(answer.path)]
    assert {type(value) for value in data.values()} <= {str, list}
    assert len(data["confidence"]) == len(answer.best)
    assert (np.diff(answer.confidence) <= 1e-6).all()
