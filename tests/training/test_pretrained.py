"""Any transformers text or vision model, by its folder: frozen or finetuned."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

import aisle
from aisle.errors import MissingModelError, RecipeError
from tests.models.pretrained import tiny_text, tiny_vision
from tests.training.shop import PLACES, catalog, recipe
from tests.training.watching import train_watched


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("pretrained")
    words = [word for words, _ in PLACES.values() for word in words.split()]
    return tiny_text(home / "text", words), tiny_vision(home / "vision", 32)


def pretrained(folders, frozen, **more):
    text = {"type": "TransformerTextEncoder", "name": str(folders[0]), "max_length": 16}
    image = {"type": "TransformerImageEncoder", "name": str(folders[1]), "size": 32}
    views = {name: {"encoder": one, "freeze": frozen} for name, one in (("title", text), ("image", image))}
    return recipe(views=views, stages=[{"epochs": 1, "batch_size": 16}], **more)


def encoders_before_and_after(given):
    model, starts = train_watched(catalog(40), given)
    before = {k.removeprefix("encoders."): v for k, v in starts["train"].items() if k.startswith("encoders.")}
    return model, before, model.model.encoders.state_dict()


@pytest.mark.slow
def test_frozen_encoders_and_their_batchnorm_stay_as_they_came(folders):
    model, before, after = encoders_before_and_after(pretrained(folders, frozen=True))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    model.model.train()
    assert not any(
        module.training for module in model.model.encoders.modules() if module is not model.model.encoders
    )


def test_finetuned_encoders_learn_and_so_do_their_statistics(folders):
    _, before, after = encoders_before_and_after(pretrained(folders, frozen=False))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    for part in ("title.body.encoder.layer.0", "image.body.embedder"):
        assert any(name.startswith(part) for name in moved), part
    assert any("running_mean" in name for name in moved)


def test_a_bundle_needs_the_pretrained_folder_no_more(folders, tmp_path):
    kept = [shutil.copytree(folder, tmp_path / folder.name) for folder in folders]
    given = pretrained(kept, frozen=True)
    shop = catalog(40)
    model = aisle.train(shop, given, out=tmp_path / "run")
    expected = model.score(shop).all()
    for folder in kept:
        shutil.rmtree(folder)
    np.testing.assert_allclose(aisle.load(tmp_path / "run").score(shop).all(), expected, atol=1e-4)


@pytest.mark.slow
def test_the_folders_own_mean_and_deviation_are_used(folders, tmp_path):
    other = tiny_vision(tmp_path / "vision", 32, mean=(0.9, 0.9, 0.9))
    shop = catalog(30)
    one = aisle.train(shop, pretrained(folders, frozen=True))
    two = aisle.train(shop, pretrained((folders[0], other), frozen=True))
    assert one.model.encoders["image"].mean.flatten().tolist() == pytest.approx([25.5, 51.0, 76.5])
    assert two.model.encoders["image"].mean.flatten().tolist() == pytest.approx([229.5] * 3)


def test_what_is_missing_or_too_long_is_one_line(folders, tmp_path):
    shop = catalog(10)
    with pytest.raises(MissingModelError, match=r"pretrained model '.*nowhere'.*Name a local folder"):
        aisle.train(shop, pretrained((tmp_path / "nowhere", folders[1]), frozen=True))
    with pytest.raises(RecipeError, match=r"length 65 is more than the 64 positions"):
        aisle.train(shop, pretrained(folders, frozen=True), changes=["views.title.encoder.max_length=65"])
    with pytest.raises(RecipeError, match="needs a `name`"):
        aisle.train(shop, recipe(views={"title": {"encoder": {"type": "TransformerImageEncoder"}}}))


@pytest.mark.slow
def test_ten_thousand_categories_are_learned_saved_and_answered(tmp_path):
    from aisle.data import Product, read

    paths = [(f"top {i // 500}", f"middle {i // 20}", f"leaf {i}") for i in range(10_000)]
    rows = [
        Product(str(i), {"title": f"thing number {i} of {p[1]}"}, (), {}, (p,)) for i, p in enumerate(paths)
    ]
    views = {"title": {"encoder": {"type": "TfidfEncoder", "dim": 64, "min_df": 1, "max_features": 0}}}
    parts = {"validation": 0, "calibration": 0, "threshold": 0}
    stages = [{"epochs": 5, "batch_size": 256, "lr": 0.03}]
    losses = [{"type": "CrossEntropyLoss", "label_smoothing": 0.05}]
    shop = read(rows)
    given = recipe(
        views=views, split=parts, stages=stages, losses=losses, fusion={"type": "LinearFusion", "dim": 64}
    )
    model = aisle.train(shop, given, out=tmp_path / "run")
    assert len(model.taxonomy.terminals) == 10_000
    few = shop.select(np.arange(0, 10_000, 97))
    answers = aisle.load(tmp_path / "run").predict(few)
    right = np.mean([a.best[1] == p.categories[0][1] for a, p in zip(answers, few, strict=True)])
    assert right > 0.8


def test_a_loaded_model_finds_what_training_kept(folders, tmp_path, monkeypatch):
    """What an encoder was asked once, before or after its bundle was written, it is not asked again."""
    shop = catalog(40)
    model = aisle.train(shop, pretrained(folders, frozen=True), out=tmp_path / "run")
    expected = model.score(shop).all()
    loaded = dataclasses.replace(aisle.load(tmp_path / "run"), store=model.store)
    for encoder in loaded.model.encoders.values():
        monkeypatch.setattr(encoder, "forward", None)
    np.testing.assert_allclose(loaded.score(shop).all(), expected, atol=1e-5)
