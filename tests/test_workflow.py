"""The few verbs of the Python API, on the sample shop."""

import numpy as np
import pytest

import aisle
from aisle import workflow
from aisle.errors import RecipeError

OUTSIDE = '''
import torch
from torch import nn
from aisle.models.registry import Encoder, Fusion, Joint, pooled_only
from aisle.models.preprocessing import VectorPreprocessor


class Length(VectorPreprocessor):
    """How long a text is."""

    def __init__(self, dim=1):
        super().__init__(1)

    def fit(self, values):
        pass

    def __call__(self, values):
        import numpy as np

        return super().__call__([None if v is None else np.array([len(v) / 100]) for v in values])


class Long(Encoder):
    preprocessor_class = Length
    modality = "text"

    def __init__(self, preprocessor, dim=4):
        super().__init__()
        self.dim = dim
        self.layer = nn.Linear(1, dim)

    def forward(self, vector):
        return pooled_only(self.layer(vector))


class Bilinear(Fusion):
    def __init__(self, dims, dim=8, scale=1.0):
        super().__init__()
        self.dim, self.scale = dim, scale
        first, second = dims.values()
        self.join = nn.Bilinear(first, second, dim)

    def forward(self, views):
        first, second = views.values()
        return Joint(self.scale * self.join(first.pooled, second.pooled))


class Shrink(nn.Module):
    def __init__(self, context, strength=0.01):
        super().__init__()
        self.strength = strength

    def forward(self, output, target):
        return self.strength * output.joint.product.square().mean()
'''


def outside_recipe():
    lexical = {"type": "TfidfEncoder", "dim": 8, "min_df": 1}
    return {
        "views": {
            "title": {"encoder": lexical},
            "long": {"encoder": {"type": "my_parts:Long", "dim": 5}, "fields": ["description", "title"]},
        },
        "fusion": {"type": "my_parts:Bilinear", "scale": 2.0},
        "head": {"type": "TreeHead"},
        "losses": [{"type": "CrossEntropyLoss"}, {"type": "my_parts:Shrink", "weight": 0.1}],
        "stages": [{"epochs": 1}],
    }


def test_outside_code_trains_saves_and_loads_if_trusted(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_parts.py").write_text(OUTSIDE)
    few = trained.catalog.select(np.arange(60))
    with pytest.raises(RecipeError, match=r"code from outside Aisle.*trust_code=True"):
        aisle.train(few, outside_recipe())
    model = aisle.train(few, outside_recipe(), trust_code=True, out="run")
    with pytest.raises(RecipeError, match=r"code from outside Aisle.*trust_code=True"):
        aisle.load("run")
    loaded = aisle.load("run", trust_code=True)
    np.testing.assert_allclose(loaded.score(few).all(), model.score(few).all(), atol=1e-5)
    same = loaded.with_taxonomy(loaded.taxonomy)
    np.testing.assert_allclose(same.score(few).all(), model.score(few).all(), atol=1e-5)


def test_the_readmes_first_lines_work(shop, trained, tmp_path):
    catalog = aisle.read(shop.products)
    predictions = aisle.load(trained.model.save(tmp_path / "kept") and tmp_path / "kept").predict(catalog[:5])
    assert [p.id for p in predictions] == [p.id for p in catalog[:5]]
    for name in aisle.__all__:
        assert name == "__version__" or getattr(aisle, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        aisle.trian  # noqa: B018


def test_half_characters_and_empty_fields_are_answered(trained):
    odd = ["\ud800 shoe", "", "\x00", "🛍" * 5000, "<script>", " "]
    answers = trained.model.predict([aisle.Product(str(i), {"title": t}) for i, t in enumerate(odd)])
    assert [a.id for a in answers] == [str(i) for i in range(len(odd))]
    assert all(0 <= c <= 1 for a in answers for c in a.confidence)
    assert trained.model.predict([]) == []
    assert len(trained.model.score([])) == 0


def test_reports_are_written_only_where_rows_are_marked_test(trained, tmp_path):
    bare = trained.catalog.select(np.flatnonzero(trained.catalog.split == "train"))
    model, found = workflow.report(trained.model, bare, tmp_path)
    assert found is None
    assert model is trained.model
    assert not list(tmp_path.iterdir())


def test_training_twice_gives_the_same_model(trained, tmp_path):
    from tests.training.shop import catalog, recipe

    few = catalog(40)
    first, second = (aisle.train(few, recipe()).save(tmp_path / name) for name in ("a", "b"))
    assert first.model_id == second.model_id
    other = aisle.train(few, recipe(), changes=["seed=1"]).save(tmp_path / "c")
    assert other.model_id != first.model_id


def test_embeddings_are_the_joint_vectors(trained):
    few = trained.catalog.select(np.arange(7))
    vectors = trained.model.embed(few)
    assert vectors.shape == (7, trained.model.dim)
    assert np.isfinite(vectors).all()
    assert np.linalg.matrix_rank(vectors) > 1


def test_settings_are_chosen_on_all_rows_but_those_marked_test():
    rows = [{"title": f"red lamp {i}", "category": "Lamps"} for i in range(4)]
    parts = ["train", "calibration", "validation", "test"]
    catalog = aisle.read([{**row, "split": name} for row, name in zip(rows, parts, strict=True)])
    assert [str(name) for name in workflow.rows_to_choose_on(catalog).split] == parts[:3]
    assert len(workflow.rows_to_choose_on(aisle.read(rows))) == 4
    only_test = aisle.read([{**row, "split": "test"} for row in rows])
    assert len(workflow.rows_to_choose_on(only_test)) == 4
