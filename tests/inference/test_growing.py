"""Design rule 8: the tree may grow; what is known keeps its scores, what is new answers from its name."""

import dataclasses

import numpy as np
import pytest

import aisle
from aisle.catalog import Product, read
from aisle.taxonomy import Node, Taxonomy, format_path
from tests.training.shop import catalog, recipe

NEW = [("Clothing", "Shoes", "Leather boots with laces"), ("Garden", "Hoses"), ("Toys",)]


def grown(old):
    """The same nodes, three leaves more, and everything in another order."""
    more = [Node(format_path(path), path) for path in NEW]
    return Taxonomy([*more, *reversed(old.nodes)])


@pytest.fixture(scope="module", params=["Tree", "Levels"])
def learned(request):
    return aisle.train(
        catalog(80),
        recipe(head={"type": request.param}, stages=[{"epochs": 12, "batch": 16, "rate": 0.01}]),
    )


def columns(taxonomy, paths):
    return [taxonomy.terminal_of[taxonomy.index(path)] for path in paths]


def test_known_places_keep_their_relative_scores_and_new_ones_have_finite_answers(learned):
    shop = catalog(30, seed=3)
    tree = grown(learned.taxonomy)
    model = learned.with_taxonomy(tree)
    paths = [
        n.path
        for n in learned.taxonomy.nodes
        if learned.taxonomy.terminal_of[learned.taxonomy.index(n.path)] >= 0
    ]
    before = learned.score(shop).all()[:, columns(learned.taxonomy, paths)]
    after = model.score(shop).all()[:, columns(tree, paths)]
    assert np.isfinite(model.score(shop).all()).all()
    if learned.spec.head.type == "Tree":
        np.testing.assert_allclose(after - after[:, :1], before - before[:, :1], atol=1e-4)
    assert (before.argmax(1) == after.argmax(1)).all()
    assert model.context.counts.sum() == learned.context.counts.sum()


def test_nothing_is_placed_automatically_until_it_is_calibrated_again(learned):
    sure = dataclasses.replace(learned.with_taxonomy(grown(learned.taxonomy)))
    for answer in sure.predict(catalog(30, seed=3)):
        assert answer.decision == "review"
        assert answer.model_id == "unsaved"


def test_a_grown_model_is_saved_and_loaded(learned, tmp_path):
    model = learned.with_taxonomy(grown(learned.taxonomy)).save(tmp_path / "grown")
    loaded, shop = aisle.load(tmp_path / "grown"), catalog(20, seed=4)
    np.testing.assert_allclose(loaded.score(shop).all(), model.score(shop).all(), atol=1e-5)
    assert loaded.model_id != learned.model_id
    again = loaded.with_taxonomy(learned.taxonomy)
    np.testing.assert_allclose(again.score(shop).all(), learned.score(shop).all(), atol=1e-4)


def test_a_branch_that_moves_keeps_what_is_known_of_each_node(learned):
    old = learned.taxonomy
    moved = [
        Node(node.id, ("Outdoors", *node.path) if node.path[0] == "Garden" else node.path)
        for node in old.nodes
    ]
    model = learned.with_taxonomy(Taxonomy(moved))
    shop = catalog(40, seed=5)
    right = [p.best[-1] == g.categories[0][-1] for p, g in zip(model.predict(shop), shop, strict=True)]
    assert np.mean(right) > 0.7


def test_a_new_leaf_that_shares_a_products_words_is_nearer_than_one_that_does_not():
    """Learned on many categories whose names occur in their products' titles, as they do in shops."""
    rng = np.random.default_rng(0)
    animals = ["cat", "dog", "horse", "rabbit", "parrot", "goldfish", "pony", "duck", "sheep", "goat"]
    things = ["bowl", "basket", "collar", "brush", "blanket", "toy"]
    rows = [
        Product(
            f"{a}{t}{i}",
            {"title": f"{rng.choice(['new', 'fine', 'old'])} {a} {t}"},
            (),
            {},
            ((f"{t}s", f"{a} {t}"),),
        )
        for i in range(4)
        for a in animals
        for t in things
        if (a, t) not in {("cat", "toy"), ("sheep", "brush")}
    ]
    views = {"title": {"encoder": {"type": "Lexical", "dim": 64, "least": 2}}}
    model = aisle.train(
        read(rows),
        recipe(views=views, stages=[{"epochs": 40, "batch": 32, "rate": 0.02}]),
    )
    new = [("toys", "cat toy"), ("brushs", "sheep brush")]
    tree = Taxonomy([*model.taxonomy.nodes, *(Node(format_path(p), p) for p in new)])
    found = model.with_taxonomy(tree).score(
        [Product("1", {"title": "new cat toy"}), Product("2", {"title": "sheep brush"})]
    )
    mine = found.all()[:, columns(tree, new)]
    assert mine[0, 0] > mine[0, 1]
    assert mine[1, 1] > mine[1, 0]
