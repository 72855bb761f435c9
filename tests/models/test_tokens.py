"""A fusion that reads tokens sees the same ones whether a frozen encoder ran or its output was kept."""

import numpy as np
import pytest
import torch

from aisle.data import Product
from aisle.inference.input_pipeline import InputPipeline
from aisle.models.encoders import TransformerImageEncoder, TransformerTextEncoder
from aisle.models.encoders.pooling import limit_tokens
from aisle.models.features import FeatureStore
from aisle.models.heads import TreeHead
from aisle.models.model import Model
from aisle.models.preprocessing import ImagePreprocessor, TokenPreprocessor
from aisle.models.registry import Fusion, Joint
from aisle.models.views import View
from tests.evaluation.shop import picture
from tests.models.build import context
from tests.models.pretrained import tiny_text, tiny_vision
from tests.training.test_stages import Lines

TITLES = ["red boots", "a blue lamp for a desk", "green", "chair of red wood and blue wool and green wool"]
PRODUCTS = [
    Product("0", {"title": TITLES[0]}, (picture((9, 90, 9)),)),
    Product("1", {"title": TITLES[1]}),
    Product("2", {}, (picture((200, 3, 9)), picture((20, 30, 90)))),
    Product("3", {"title": TITLES[3]}, (picture((20, 30, 90)),)),
]


class Longest(Fusion):
    """Each feature's largest value over all tokens of all views: nothing of it is in the pooled vectors."""

    reads_tokens = True

    def __init__(self, dims, dim=16):
        super().__init__()
        self.dims, self.dim = dims, dim

    def forward(self, views):
        seen = [v.tokens.masked_fill(~v.mask.unsqueeze(2), -1e4).max(1).values for v in views.values()]
        return Joint(torch.stack(seen).max(0).values)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("pretrained")
    return tiny_text(home / "text", TITLES), tiny_vision(home / "vision", 64)


def reader(folders, store, most=64):
    preprocessors = {
        "title": TokenPreprocessor(str(folders[0]), max_length=24),
        "image": ImagePreprocessor(64, 2),
    }
    encoders = {
        "title": TransformerTextEncoder(preprocessors["title"], str(folders[0])),
        "image": TransformerImageEncoder(preprocessors["image"], str(folders[1])),
    }
    fusion = Longest({name: encoder.dim for name, encoder in encoders.items()})
    torch.manual_seed(3)
    model = Model(encoders, fusion, TreeHead(context(), 16), max_tokens=most).eval()
    model.freeze({"title", "image"})
    views = {"title": View("title", "text", ("title",)), "image": View("image", "image", images=2)}
    return InputPipeline(model, views, preprocessors, store)


def answer(reader, products=PRODUCTS):
    found = reader(products)
    return reader.model(found.arrays, found.present).joint.product.detach().numpy()


@pytest.mark.parametrize("most", [64, 3])
def test_kept_tokens_give_the_answer_that_running_the_encoder_gives(folders, tmp_path, most):
    fresh = answer(reader(folders, None, most))
    first = answer(reader(folders, FeatureStore(tmp_path), most))
    again = reader(folders, FeatureStore(tmp_path), most)
    for encoder in again.model.encoders.values():
        encoder.forward = None  # it may not run
    np.testing.assert_allclose(first, fresh, atol=2e-3)  # tokens are kept in half precision
    np.testing.assert_array_equal(answer(again), first)
    np.testing.assert_allclose(answer(again, PRODUCTS[::-1])[::-1], first, atol=1e-5)
    assert not np.allclose(answer(reader(folders, None, 64)), answer(reader(folders, None, 3)), atol=1e-3)


def test_pooled_vectors_and_tokens_of_another_number_are_kept_apart(folders, tmp_path):
    store = FeatureStore(tmp_path)
    spaces = {reader(folders, store, most).namespace("title") for most in (3, 64)}
    pooling = reader(folders, store)
    pooling.model.fusion.reads_tokens = False
    assert len(spaces | {pooling.namespace("title")}) == 3


def test_their_size_is_told_before_they_are_written(folders, tmp_path):
    lines = Lines()
    lines.say = lambda message: lines.said.append((message, list(tmp_path.rglob("*.safetensors"))))
    one = reader(folders, FeatureStore(tmp_path))
    one.encoded("title", TITLES, lines)
    ((message, written),) = lines.said
    assert not written
    assert message.startswith("encoding title: the fusion reads tokens; 4 rows of about ")
    assert "MiB in " in message
    one.encoded("title", TITLES, lines)
    assert len(lines.said) == 1


def test_at_most_so_many_tokens_and_each_of_them_counts():
    torch.manual_seed(0)
    tokens, mask = torch.randn(3, 10, 4), torch.ones(3, 10, dtype=torch.bool)
    mask[1, 4:], mask[2, ::2] = False, False
    few, seen = limit_tokens(tokens, mask, 5)
    assert seen.sum(1).tolist() == [5, 4, 5]
    for run in range(5):
        torch.testing.assert_close(few[0, run], tokens[0, 2 * run : 2 * run + 2].mean(0))
    torch.testing.assert_close(few[1, :4], tokens[1, :4])
    torch.testing.assert_close(few[2], tokens[2, 1::2])
    whole, same = limit_tokens(tokens, mask, 10)
    assert torch.equal(whole, tokens)
    assert torch.equal(same, mask)
