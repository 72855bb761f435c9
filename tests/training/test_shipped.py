"""Every shipped recipe takes a real training step, with tiny random encoders in place of pretrained ones."""

import numpy as np
import pytest
import torch

import aisle
from aisle.data import Product, read
from aisle.models.preprocessing import TokenPreprocessor
from aisle.training.recipe import load_recipe, shipped
from tests.models.pretrained import tiny_camembert, tiny_flaubert, tiny_text, tiny_vision
from tests.training.shop import PLACES, products
from tests.training.watching import weights_by_stage

WORDS = [word for words, _ in PLACES.values() for word in words.split()] + ["produit", "d'occasion", "neuf"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("pretrained")
    return {
        "text": tiny_text(home / "text", WORDS),
        "camembert": tiny_camembert(home / "camembert", WORDS),
        "flaubert": tiny_flaubert(home / "flaubert", WORDS),
        "vision": tiny_vision(home / "vision", 32),
    }


@pytest.fixture(scope="module")
def catalog():
    made = []
    for i, p in enumerate(products(40)):
        fields = {**p.fields, "description": f"produit {p.fields['title']} d'occasion"}
        vectors = {"img_feat": np.full(6, i % 5, np.float32) + np.arange(6, dtype=np.float32)}
        made.append(Product(p.id, fields, p.images, vectors, p.categories))
    return read(made)


def small(name, folders):
    """A shipped recipe with tiny encoders and layers; what it says of stages, views and losses stays."""
    data = load_recipe(name).model_dump(exclude_none=True)
    return (_small_linear if data["family"] == "linear" else _small_network)(data, folders)


def _small_network(data, folders):
    for view in data["views"].values():
        encoder = view["encoder"]
        if encoder["type"] == "TransformerTextEncoder":
            kinds = [kind for kind in ("camembert", "flaubert") if kind in encoder["name"]]
            encoder |= {"name": str(folders[(kinds or ["text"])[0]]), "max_length": 12}
        elif encoder["type"] in ("TransformerImageEncoder", "TimmEncoder"):
            view["encoder"] = {"type": "TransformerImageEncoder", "name": str(folders["vision"]), "size": 32}
        elif encoder["type"] == "ConvEncoder":
            encoder |= {"size": 32, "dim": 16}
        elif encoder["type"] == "TfidfEncoder":
            encoder["min_df"] = 1
        if (view.get("finetune") or {}).get("last_layers"):
            view["finetune"]["last_layers"] = 1
    for loss in data["losses"]:
        if "label_encoder" in loss:
            loss["label_encoder"] = str(folders["text"])
    for key, value in {
        "dim": 16,
        "hidden": 16,
        "heads": 2,
        "layers": 1,
        "feedforward_dim": 16,
        "cca_dim": 8,
    }.items():
        if key in data["fusion"] and (key, data["fusion"]["type"]) != ("dim", "LinearFusion"):
            data["fusion"][key] = value
    for stage in data["stages"]:
        stage |= {"epochs": 1, "min_steps": 0, "batch_size": 64}
    return data


def _small_linear(data, folders):
    """The same of a linear recipe."""
    for key, folder in (("text_encoder", "text"), ("image_encoder", "vision")):
        if key in data:
            data[key] = str(folders[folder])
    for view in data["views"].values():
        if view["type"] == "TextEncoder":
            view["max_length"] = 12
        elif view["type"] in ("ImageEncoder", "ImageDescriptor"):
            view["size"] = 32
    return data


NETWORKS = [name for name in shipped() if load_recipe(name).family == "network"]


@pytest.mark.parametrize(
    "name", ["huse", *(pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS if name != "huse")]
)
def test_each_takes_a_step_in_every_stage_and_moves_what_it_trains(name, folders, catalog):
    given = small(name, folders)
    model = aisle.train(catalog, given)
    parameters = {key for key, _ in model.model.named_parameters()}
    moved = [
        {key: not torch.equal(before[key], after[key]) for key in parameters & before.keys() & after.keys()}
        for before, after in weights_by_stage(catalog, given)
    ]
    recipe = load_recipe(given)
    for stage, changed in zip(recipe.stages, moved, strict=True):
        parts = stage.trained_parts(recipe.views)
        for part in (*recipe.views, "fusion", "head"):
            frozen = part in recipe.views and recipe.views[part].freeze
            own = [k for k in changed if k.startswith((f"encoders.{part}.", f"{part}."))]
            if own:
                assert any(changed[k] for k in own) == (part in parts and not frozen), (stage.name, part)
    answers = model.predict(catalog)
    assert [a.id for a in answers] == [p.id for p in catalog]
    assert np.isfinite(model.score(catalog).all()).all()


def test_multilevel_reads_with_two_different_encoders(folders, catalog):
    model = aisle.train(catalog, small("multilevel", folders))
    kinds = {name: type(encoder.body).__name__ for name, encoder in model.model.encoders.items()}
    assert kinds["title_camembert"] == kinds["description_camembert"] == "CamembertModel"
    assert kinds["title_flaubert"] == kinds["description_flaubert"] == "FlaubertModel"
    own = [model.model.encoders[name] for name in ("title_camembert", "description_camembert")]
    assert own[0].body is not own[1].body


def test_a_missing_description_is_an_absent_view_and_not_a_dropped_row(folders, catalog):
    model = aisle.train(catalog, small("multilevel", folders))
    whole = list(catalog)[:4]
    without = [Product(p.id, {"title": p.fields["title"]}, p.images) for p in whole]
    assert len(model.predict(without)) == 4
    asked = model.score(whole, without=["description_camembert", "description_flaubert"]).all()
    np.testing.assert_allclose(model.score(without).all(), asked, atol=1e-5)
    assert np.abs(model.score(whole).all() - asked).max() > 1e-4


@pytest.mark.parametrize("left", ["text", "image"])
def test_cross_attention_alone_on_text_or_on_pictures(left, folders, catalog):
    given = small("cross-attention", folders)
    kept = [(p.id, p.fields, (), {}) if left == "text" else (p.id, {}, p.images, {}) for p in catalog]
    rows = [Product(*parts, p.categories) for parts, p in zip(kept, catalog, strict=True)]
    model = aisle.train(read(rows), given)  # what no row has is left out, and so are the stages that show it
    assert model.views == (left,)
    assert np.isfinite(model.score(rows).all()).all()


def test_flauberts_words_are_split_as_moses_does(folders):
    """As sacremoses 0.2 splits the same lines, French, its punctuation normalised."""
    from aisle.models.flaubert_tokenizer import moses_pre_tokenizer

    said = {
        "L'homme n'a qu'un vélo, bleu-vert (taille 42,5 cm) à 10.99 €!": (
            "L' homme n' a qu' un vélo , bleu-vert ( taille 42,5 cm ) à 10.99 € !"
        ),
        "M. Dupont a 3 U.S.A. d'occasion. Fin...": "M. Dupont a 3 U.S.A. d' occasion . Fin ...",
        "Coque iPhone 6/6s - étui n°3 <b>neuf</b>": "Coque iPhone 6 / 6s - étui n ° 3 < b > neuf < / b >",
    }
    for text, words in said.items():
        assert " ".join(word for word, _ in moses_pre_tokenizer().pre_tokenize_str(text)) == words


def test_flauberts_tokenizer_needs_only_its_two_files_and_travels_in_the_bundle(folders, tmp_path):
    tokens = TokenPreprocessor(str(folders["flaubert"]), max_length=16)
    (ids,) = tokens(["boot «leather»"]).arrays["ids"]
    vocabulary = tokens.tokenizer.get_vocab()
    assert ids[0] == vocabulary["<s>"]
    assert ids[-1] == vocabulary["</s>"]
    assert tokens.tokenizer.encode("boot").tokens[1:-1] == ["boot</w>"]
    tokens.save(tmp_path / "view")
    again = TokenPreprocessor.load(tmp_path / "view")
    assert (again(["boot «leather»"]).arrays["ids"] == ids).all()
