"""Design rule 8: the tree may grow; what is known keeps its scores, what is new answers from its name."""

import dataclasses

import numpy as np
import pytest

import aisle
from aisle.data import Product, read
from aisle.taxonomy import Node, Taxonomy, format_path
from tests.training.shop import catalog, recipe

NEW = [("Clothing", "Shoes", "Leather boots with laces"), ("Garden", "Hoses"), ("Toys",)]


def grown(old):
    """The same nodes, three leaves more, and everything in another order."""
    more = [Node(format_path(path), path) for path in NEW]
    return Taxonomy([*more, *reversed(old.nodes)])


@pytest.fixture(scope="module", params=["TreeHead", "LevelsHead"])
def learned(request):
    return aisle.train(
        catalog(80),
        recipe(head={"type": request.param}, stages=[{"epochs": 12, "batch_size": 16, "lr": 0.01}]),
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
    if learned.spec.head.type == "TreeHead":
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


@pytest.mark.slow
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
    views = {"title": {"encoder": {"type": "TfidfEncoder", "dim": 64, "min_df": 2}}}
    model = aisle.train(
        read(rows),
        recipe(views=views, stages=[{"epochs": 40, "batch_size": 32, "lr": 0.02}]),
    )
    new = [("toys", "cat toy"), ("brushs", "sheep brush")]
    tree = Taxonomy([*model.taxonomy.nodes, *(Node(format_path(p), p) for p in new)])
    found = model.with_taxonomy(tree).score(
        [Product("1", {"title": "new cat toy"}), Product("2", {"title": "sheep brush"})]
    )
    mine = found.all()[:, columns(tree, new)]
    assert mine[0, 0] > mine[0, 1]
    assert mine[1, 1] > mine[1, 0]


# -- leaves held out: names and a handful of examples -------------------------------------------------

ANIMALS = ["cat", "dog", "horse", "rabbit", "parrot", "goldfish"]
THINGS = ["bowl", "basket", "collar", "brush", "blanket"]
UNSEEN = {("cat", "collar"), ("horse", "brush"), ("parrot", "bowl")}


def listings(pairs, count, seed):
    rng = np.random.default_rng(seed)
    more = ["new", "fine", "old", "large", "used", "red", "blue", "boxed", "spare", "sturdy"]
    return [
        Product(
            f"{animal}{thing}{i}",
            {"title": f"{' '.join(rng.choice(more, 2))} {thing} {animal}"},
            (),
            {},
            ((f"{thing}s", f"{animal} {thing}"),),
        )
        for i in range(count)
        for animal, thing in pairs
    ]


@pytest.fixture(scope="module")
def pets():
    """A model of 27 leaves; three more exist, of which it has seen nothing."""
    seen = [(a, t) for a in ANIMALS for t in THINGS if (a, t) not in UNSEEN]
    small = (
        "views.image=false",
        "views.title=false",
        "label_name_examples=false",
    )
    parts = ("split.calibration=0.2", "split.threshold=0.2")
    model = aisle.train(read(listings(seen, 14, 0)), changes=(*small, *parts))
    new = [(f"{thing}s", f"{animal} {thing}") for animal, thing in sorted(UNSEEN)]
    tree = Taxonomy([*model.taxonomy.nodes, *(Node(format_path(path), path) for path in new)])
    return model, model.with_taxonomy(tree), seen


def accuracy(model, products):
    right = [p.best == g.categories[0] for p, g in zip(model.predict(products), products, strict=True)]
    return float(np.mean(right))


def test_leaves_never_seen_are_answered_for_and_known_ones_stay(pets):
    model, grown, seen = pets
    known, new = listings(seen, 3, 7), listings(sorted(UNSEEN), 12, 8)
    assert accuracy(grown, new) > 0.5
    assert accuracy(grown, known) > accuracy(model, known) - 0.15
    scores = grown.score([*known, *new])
    assert np.allclose(np.exp(scores.all()).sum(1), 1, atol=1e-4)
    assert {answer.decision for answer in grown.predict(new)} == {"review"}


def test_a_handful_of_examples_helps_at_once(pets):
    _, grown, seen = pets
    place = (("collars", "cat collar"),)
    words = ["sturdy", "spare", "boxed"]  # nothing of the name
    odd = [Product(f"o{i}", {"title": " ".join(np.roll(words, i))}, categories=place) for i in range(6)]
    shown = grown.with_examples(read(odd[:3]))
    assert accuracy(shown, odd[3:]) > accuracy(grown, odd[3:])
    assert accuracy(shown, listings(seen, 3, 7)) > 0.7
    assert {answer.decision for answer in shown.predict(odd)} == {"review"}


def test_what_was_grown_is_saved_and_loaded(pets, tmp_path):
    _, grown, _ = pets
    few = listings(sorted(UNSEEN), 2, 9)
    shown = grown.with_examples(read(few)).save(tmp_path / "grown")
    loaded = aisle.load(tmp_path / "grown")
    np.testing.assert_allclose(loaded.score(few).all(), shown.score(few).all(), atol=2e-2)
    assert loaded.zero_shot.shown_ids == shown.zero_shot.shown_ids
    again = loaded.with_taxonomy(loaded.taxonomy)
    assert again.zero_shot.new == grown.zero_shot.new


def test_examples_without_anything_to_compare_with_are_an_error(learned):
    from aisle.errors import CatalogError

    with pytest.raises(CatalogError, match="kept no rows aside"):
        learned.with_examples(catalog(10))
