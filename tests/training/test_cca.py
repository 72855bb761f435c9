"""The fixed part of a shared space: canonical correlations of the views, put in before the first stage."""

import numpy as np
import pytest

import aisle
from aisle.data import Product, read
from aisle.errors import RecipeError
from aisle.models.fusions import HuseFusion
from aisle.training.cca import PENALTY, POWER, Moments, canonical

WIDTHS = {"one": 12, "two": 9}
PLACES = [("A", "a"), ("A", "b"), ("B", "c")]


def shop(count=240, lacking=(), seed=0):
    """Two vectors a product that share six numbers of its own, beside twelve of theirs alone."""
    rng = np.random.default_rng(0)
    maps = {name: rng.normal(size=(18, width)) for name, width in WIDTHS.items()}
    rng = np.random.default_rng(seed + 1)
    made = []
    for i in range(count):
        shared = rng.normal(size=6)
        vectors = {
            name: (np.concatenate([shared, rng.normal(size=12) * 0.15]) @ found + 5).astype(np.float32)
            for name, found in maps.items()
            if name != lacking or i % 4
        }
        made.append(Product(f"p{i}", {}, (), vectors, (PLACES[i % 3],)))
    return made


def recipe(bridge, **more):
    view = {"freeze": True, "encoder": {"type": "VectorEncoder"}}
    return {
        "views": {"one": view, "two": view},
        "fusion": {
            "type": "HuseFusion",
            "dim": 16 + bridge,
            "text_layers": 1,
            "image_layers": 1,
            "cca_dim": bridge,
        },
        "head": {"type": "TreeHead"},
        "stages": [{"epochs": 1, "batch_size": 64}],
        "split": {"validation": 0, "calibration": 0, "threshold": 0},
    } | more


def found(model, products):
    """How often a product's first vector finds its own second one."""
    one, two = (
        model.embed([Product(p.id, {}, (), {view: p.vectors[view]}) for p in products]) for view in WIDTHS
    )
    unit = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in (one, two)]
    return float(((unit[0] @ unit[1].T).argmax(1) == np.arange(len(products))).mean())


@pytest.fixture(scope="module")
def bridged():
    return aisle.train(read(shop()), recipe(8))


def test_a_bridge_finds_pairs_never_seen_that_towers_do_not(bridged):
    strangers = shop(60, seed=7)
    assert found(aisle.train(read(shop()), recipe(0)), strangers) < 0.2
    assert found(bridged, strangers) > 0.5


@pytest.mark.slow
def test_what_it_found_is_kept_in_the_bundle(tmp_path):
    whole = aisle.train(read(shop(60)), recipe(8), out=tmp_path / "run")
    kept = aisle.load(tmp_path / "run")
    rows = shop(20, seed=3)
    np.testing.assert_allclose(kept.embed(rows), whole.embed(rows), atol=1e-5)


def test_learning_further_leaves_it_alone(bridged):
    again = aisle.train(read(shop(90, seed=5)), recipe(8), init_from=bridged)
    for name in WIDTHS:
        before, after = (m.model.fusion.cca[name].weight.numpy() for m in (bridged, again))
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("lacking", ["", "two"])
def test_directions_and_their_weights_are_those_of_a_plain_decomposition(lacking):
    """By the singular vectors of whitened cross-covariance, products that lack a view taking part in means
    and variances of the other alone."""
    products = shop(50, lacking=lacking)
    rows = {v: np.array([p.vectors.get(v, np.zeros(w)) for p in products]) for v, w in WIDTHS.items()}
    here = {v: np.array([v in p.vectors for p in products]) for v in WIDTHS}
    side = np.concatenate(list(rows.values()), 1).astype(float)
    seen = np.stack(list(here.values()), 1).astype(float)
    maps = canonical(Moments(seen.T @ seen, seen.T @ side, side.T @ side), list(WIDTHS.values()), 20)
    centred, whiten = {}, {}
    for v in WIDTHS:
        own = rows[v][here[v]].astype(float)
        centred[v] = rows[v] - own.mean(0)
        spread = np.cov(own.T, bias=True)
        values, axes = np.linalg.eigh(spread + PENALTY * np.trace(spread) / len(spread) * np.eye(len(spread)))
        whiten[v] = axes @ np.diag(values**-0.5) @ axes.T
    both = here["one"] & here["two"]
    cross = sum(np.outer(centred["one"][i], centred["two"][i]) for i in np.flatnonzero(both)) / both.sum()
    left, correlation, right = np.linalg.svd(whiten["one"] @ cross @ whiten["two"])
    for (mean, weight), v, basis in zip(maps, WIDTHS, (left, right.T), strict=True):
        np.testing.assert_allclose(mean, rows[v][here[v]].mean(0), rtol=1e-4)
        plain = (whiten[v] @ basis[:, :9]) * correlation**POWER / np.sqrt(2)
        np.testing.assert_allclose(np.abs(weight[:9]), np.abs(plain.T), atol=1e-4)
        assert weight.shape == (20, WIDTHS[v])
        assert not weight[18:].any() or np.abs(weight[9:]).max() < 1e-3


def test_a_bridge_leaves_room_for_towers():
    with pytest.raises(ValueError, match="leave some to the towers"):
        HuseFusion({"one": 4}, dim=8, cca_dim=8)
    with pytest.raises(RecipeError, match="leave some to the towers"):
        aisle.train(read(shop(30)), recipe(8) | {"fusion": {"type": "HuseFusion", "dim": 8, "cca_dim": 9}})
