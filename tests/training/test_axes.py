"""Learning along principal axes, folded into a small table, answers as the unfolded network did."""

import errno
import os

import numpy as np
import pytest

import aisle
from aisle.errors import AisleError, RecipeError
from aisle.training import fit as fitting
from aisle.training import pca_training
from tests.training.shop import catalog, recipe


def folding(axes=80, dim=300, kernels=None, **more):
    views = {
        "title": {
            "encoder": {"type": "Lexical", "dim": dim, "least": 1},
            "frozen": True,
            "axes": axes,
            "scale": 3.0,
        },
        "clip": {"encoder": {"type": "Vector"}, "axes": 5, "scale": 2.0},
        "image": {"encoder": {"type": "SmallConv", "size": 32, "dim": 16}},
    }
    return recipe(
        views=views,
        fusion={"type": "Linear", "dim": dim, "direct": ["title"], "kernels": kernels or {}},
        head={"type": "Tree", "norm": False},
        **more,
    )


@pytest.mark.parametrize("kernels", [{}, {"clip": 2.0}])
def test_the_folded_network_answers_as_the_rotated_one_did(monkeypatch, kernels):
    shop = catalog(60, vectors=True)
    rotated = {}
    original = fitting.fold

    def fold(trained, axes, *others):
        rotated["model"], rotated["axes"] = trained.eval(), axes
        original(trained, axes, *others)

    monkeypatch.setattr(fitting, "fold", fold)
    model = aisle.train(
        shop, folding(kernels=kernels, stages=[{"epochs": 6, "rate": 0.02, "batch": 16}], view_dropout=0.3)
    )
    reader = model._reader
    inputs = reader(list(shop))
    trained, axes = rotated["model"], rotated["axes"]
    import torch

    from aisle.models.preprocessing import Prepared

    for present in (inputs.present, inputs.present & torch.tensor([True, False, True])):
        given = {"image": inputs.arrays["image"]}
        for i, name in enumerate(("title", "clip")):
            arrays = {k: v.numpy() for k, v in inputs.arrays[name].items()}
            prepared = Prepared(arrays, inputs.present[:, i].numpy(), {})
            given[name] = {"vector": torch.from_numpy(axes[name].along(prepared)).float()}
        with torch.no_grad():
            before = trained(given, present).scores.all().numpy()
            after = model.model(inputs.arrays, present).scores.all().numpy()
        np.testing.assert_allclose(after, before, atol=1e-2)
        assert before.max() - before.min() > 1


def test_axes_need_parts_that_fold():
    for change in ("fusion.type=Concat", "head.norm=true", "head.type=Levels"):
        with pytest.raises(RecipeError, match=r"only linear ones fold|has no option"):
            aisle.train(catalog(20, vectors=True), folding(), changes=[change])
    with pytest.raises(RecipeError, match="SmallConv cannot be learned along axes"):
        aisle.train(catalog(20, vectors=True), folding(), changes=["views.image.axes=4"])


def test_more_axes_than_rows_or_words_are_as_many_as_there_are():
    model = aisle.train(catalog(4, vectors=True), folding(axes=5000))
    assert len(model.predict(catalog(4, seed=3, vectors=True))) == 4


def test_coordinates_that_do_not_fit_in_memory_lie_on_disk_and_change_nothing(monkeypatch):
    shop = catalog(60, vectors=True)
    in_memory = aisle.train(shop, folding())
    kinds = set()
    original = pca_training.Room.empty

    def empty(self, shape):
        made = original(self, shape)
        kinds.add(type(made))
        return made

    monkeypatch.setattr(pca_training.Room, "empty", empty)
    monkeypatch.setattr(pca_training, "KEEP_BYTES", 1000)
    monkeypatch.setattr(pca_training, "_BLOCK", 7)
    on_disk = aisle.train(shop, folding())
    assert np.memmap in kinds
    assert np.abs(on_disk.score(shop).all() - in_memory.score(shop).all()).max() < 1e-3


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="files cannot be reserved here")
def test_a_disk_without_room_for_them_is_said_before_anything_is_written(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(pca_training, "KEEP_BYTES", 1000)
    with pytest.raises(AisleError, match=r"fit neither memory nor .*No space left.*lower the views' `axes`"):
        aisle.train(catalog(60, vectors=True), folding())
