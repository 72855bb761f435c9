"""`init_from` of an encoder: a text model trained on its own starts a multimodal run."""

import numpy as np
import pytest
import torch

import aisle
from aisle.errors import AisleError, RecipeError
from tests.models.pretrained import tiny_text, tiny_vision
from tests.training.shop import PLACES, catalog, recipe

TFIDF = {"type": "TfidfEncoder", "dim": 16, "min_df": 1}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("pretrained")
    words = [word for words, _ in PLACES.values() for word in words.split()]
    return tiny_text(home / "text", words), tiny_vision(home / "vision", 32)


@pytest.fixture(scope="module")
def text_run(folders, tmp_path_factory):
    """A finetuned text model."""
    out = tmp_path_factory.mktemp("runs") / "text"
    encoder = {"type": "TransformerTextEncoder", "name": str(folders[0]), "max_length": 16}
    given = recipe(views={"text": {"fields": ["title"], "encoder": encoder}})
    return out, aisle.train(catalog(40, images=False), given, out=out)


def multimodal(folders, source, *, freeze=True, name="text", **encoder):
    text = {"type": "TransformerTextEncoder", "init_from": str(source), **encoder}
    image = {"type": "TransformerImageEncoder", "name": str(folders[1]), "size": 32}
    views = {
        name: {"fields": ["title"], "encoder": text, "freeze": freeze},
        "image": {"encoder": image, "freeze": True},
    }
    return recipe(views=views, stages=[{"epochs": 1, "batch_size": 16}])


@pytest.mark.parametrize("name", ["text", "words"])
def test_the_text_encoder_of_a_run_starts_a_multimodal_run(folders, text_run, tmp_path, name):
    run, first = text_run
    # The folder of the pretrained model is another one, and is not read.
    given = multimodal(folders, run, name=name, max_length=9)
    model = aisle.train(catalog(40), given, out=tmp_path / "both")
    theirs, ours = first.model.encoders["text"].state_dict(), model.model.encoders[name].state_dict()
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[key], ours[key]) for key in theirs)
    assert model.preprocessors[name].max_length == 16  # the encoder's options are those of the run
    assert sorted(model.spec.views) == sorted([name, "image"])
    shop = catalog(20)
    loaded = aisle.load(tmp_path / "both")
    np.testing.assert_allclose(loaded.score(shop).logp, model.score(shop).logp, atol=1e-5)


def test_the_encoder_goes_on_learning_unless_it_is_frozen(folders, text_run):
    run, first = text_run
    model = aisle.train(catalog(40), multimodal(folders, run, freeze=False))
    theirs, ours = first.model.encoders["text"].state_dict(), model.model.encoders["text"].state_dict()
    assert any(not torch.equal(theirs[key], ours[key]) for key in theirs)


def test_a_vocabulary_comes_with_its_encoder(tmp_path):
    words = recipe(views={"title": {"encoder": TFIDF}})
    first = aisle.train(catalog(40, images=False), words, out=tmp_path / "words")
    given = recipe()
    given["views"]["title"]["encoder"] = {"type": "TfidfEncoder", "init_from": str(tmp_path / "words")}
    given["views"]["title"]["freeze"] = True
    given["stages"] = [{"epochs": 1, "batch_size": 16}]
    model = aisle.train(catalog(40, seed=5), given)
    theirs, ours = first.model.encoders["title"].state_dict(), model.model.encoders["title"].state_dict()
    assert all(torch.equal(theirs[key], ours[key]) for key in theirs)
    assert model.preprocessors["title"].fingerprint == first.preprocessors["title"].fingerprint


def test_what_no_encoder_can_be_taken_from_is_named(folders, text_run, tmp_path):
    run, _ = text_run
    shop = catalog(20)
    with pytest.raises(RecipeError, match="there is no run"):
        aisle.train(shop, multimodal(folders, tmp_path / "nowhere"))
    given = recipe()
    given["views"]["title"]["encoder"] = {"type": "TfidfEncoder", "init_from": str(run)}
    with pytest.raises(RecipeError, match=r"no view 'title' with a TfidfEncoder.*text \(TransformerTextEn"):
        aisle.train(shop, given)
    linear = {"family": "linear", "views": {"title": {"type": "Tfidf"}}}
    aisle.train(catalog(40, images=False), linear, out=tmp_path / "linear")
    with pytest.raises(AisleError, match="is not a network and has no encoder"):
        aisle.train(shop, multimodal(folders, tmp_path / "linear"))
