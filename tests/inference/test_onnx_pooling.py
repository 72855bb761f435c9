"""An exported model pools tokens as the model it was made of, whichever way that is."""

import numpy as np
import pytest

import aisle
from aisle.models.encoders.pooling import POOLINGS
from tests.extras import require
from tests.models.pretrained import tiny_text
from tests.training.shop import products, recipe
from tests.training.test_shipped import WORDS

require("onnxruntime", "torch")
require("onnx", "torch")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_text(tmp_path_factory.mktemp("pretrained") / "text", WORDS)


@pytest.mark.slow  # a graph is exported for each
@pytest.mark.parametrize("pooling", list(POOLINGS))
def test_an_exported_model_pools_as_the_model_does(pooling, encoder, tmp_path):
    """Titles of no word, one word and several, so that what padding counts would show."""
    from aisle.inference.onnx.export import export

    rows = products(40, images=False)
    text = {"type": "TransformerTextEncoder", "name": str(encoder), "max_length": 16, "pooling": pooling}
    given = recipe(
        views={"title": {"fields": ["title"], "encoder": text}}, stages=[{"epochs": 1, "batch_size": 16}]
    )
    model = aisle.train(aisle.read(rows), given, out=tmp_path / "run", track=[])
    catalog = aisle.read(rows)
    export(model, catalog, tmp_path / "onnx")
    exported = aisle.load(tmp_path / "onnx")
    odd = [
        aisle.Product(str(i), {"title": title})
        for i, title in enumerate(["", "red", "red mug " * 12, "a b c"])
    ]
    for some in (list(catalog), odd):
        np.testing.assert_allclose(exported.score(some).logp, model.score(some).logp, atol=1e-4)
        np.testing.assert_allclose(exported.embed(some), model.embed(some), atol=1e-4)
