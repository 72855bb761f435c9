"""Ridge regression along the axes: what it finds, and that it is added to the head."""

import numpy as np
import pytest

import aisle
from aisle.errors import RecipeError
from tests.training.shop import PLACES, catalog, products, recipe

STILL = [{"epochs": 1, "rate": 1e-12, "batch": 64}]  # the stages learn nothing


def regressing(penalty=0.1, strength=30.0, kernels=None, **more):
    views = {
        "title": {"encoder": {"type": "Lexical", "dim": 64, "least": 1}, "frozen": True, "axes": 40},
        "clip": {"encoder": {"type": "Vector"}, "axes": 30},
    }
    return recipe(
        views=views,
        fusion={"type": "Linear", "dim": 64, "direct": ["title"], "kernels": kernels or {}},
        head={"type": "Tree", "norm": False},
        stages=STILL,
        ridge={"penalty": penalty, "strength": strength},
        parts={"stop": 0, "calibrate": 0, "promise": 0},
        **more,
    )


def right(model, rows):
    found = model.predict(rows)
    return np.mean([one.best == row.categories[0] for one, row in zip(found, rows, strict=True)])


def mean_probability(model, rows):
    """Of where the rows belong."""
    tree = model.taxonomy
    place = [tree.terminal_of[tree.index(row.categories[0])] for row in rows]
    return np.exp(np.asarray(model.score(list(rows)).all())[np.arange(len(rows)), place]).mean()


@pytest.mark.parametrize("kernels", [{}, {"clip": 2.0}])
@pytest.mark.parametrize("count", [30, 300])  # fewer rows than axes, and more
def test_it_learns_where_the_stages_do_not(kernels, count):
    shop, new = catalog(count, vectors=True), catalog(50, seed=9, vectors=True)
    still = aisle.train(shop, {**regressing(kernels=kernels), "ridge": None})
    model = aisle.train(shop, regressing(kernels=kernels))
    assert mean_probability(still, new) < 0.4 < 0.9 < mean_probability(model, new)
    assert right(model, new) >= 0.95


def test_scores_are_those_of_regularised_least_squares():
    """One view of vectors, five classes: the head's logits against the normal equations by hand."""
    rows = products(40, vectors=True, text=False, images=False)
    shop = aisle.read(
        [r.__class__(r.id, r.fields, (), {"clip": r.vectors["clip"]}, r.categories) for r in rows]
    )
    one = regressing(penalty=0.3, strength=7.0)
    one["views"] = {"clip": one["views"]["clip"]}
    one["head"] = {"type": "Tree", "norm": False, "generated": False}
    model = aisle.train(shop, one)
    x = np.stack([r.vectors["clip"] for r in rows]).astype(np.float64)
    x = x - x.mean(0)
    x /= np.sqrt((x**2).sum(1).mean())
    places = list(PLACES)
    y = np.eye(len(places))[[places.index(r.categories[0]) for r in rows]]
    weights = np.linalg.solve(x.T @ x + 0.3 * np.eye(6), x.T @ (y - y.mean(0)))
    prior = np.log((y.sum(0) + 0.5) / (y.sum(0) + 0.5).sum())
    logits = prior + 7.0 * (x @ weights + y.mean(0))
    wanted = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    scores = model.score(list(shop))
    terminals = [model.taxonomy.nodes[n].path for n in model.taxonomy.terminals]
    order = [places.index(path) for path in terminals]
    np.testing.assert_allclose(np.asarray(scores.all()), wanted[:, order], atol=1e-3)


@pytest.mark.parametrize("heavy", [0, 1])
def test_heavier_rows_win(heavy):
    """The same titles under two categories: the answer is the one whose rows weigh more."""
    paths = [("Home", "Lamps"), ("Garden",)]
    rows = [
        {"title": f"lamp {i % 10}", "category": " > ".join(path), "sample_weight": 3.0 if n == heavy else 1.0}
        for n, path in enumerate(paths)
        for i in range(20)
    ]
    plain = regressing()
    plain["views"] = {"title": plain["views"]["title"]}
    found = aisle.train(aisle.read(rows), plain).predict(aisle.read([{"title": "lamp 3"}]))
    assert found[0].best == paths[heavy]


def test_a_new_category_is_not_at_a_disadvantage():
    """What names tell of the solution is in the generated part, so a new sibling has a share in it."""
    model = aisle.train(catalog(100, vectors=True), regressing())
    paths = [*PLACES, ("Home", "Lamps and bulbs")]
    grown = model.with_taxonomy(aisle.Taxonomy.from_paths(paths))
    rows = catalog(20, seed=4, vectors=True)
    found = grown.score(list(rows))
    new = grown.taxonomy.terminal_of[grown.taxonomy.index(paths[-1])]
    lamps = np.array([r.categories[0] == ("Home", "Lamps") for r in rows])
    probability = np.exp(np.asarray(found.all())[:, new])
    assert probability[lamps].mean() > 3 * probability[~lamps].mean()


def test_it_needs_axes():
    with pytest.raises(RecipeError, match=r"\[ridge\] .* `axes`"):
        aisle.train(catalog(20), recipe(ridge={"penalty": 0.1}))
