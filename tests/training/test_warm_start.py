"""`--from`: an earlier model goes on with new rows and new categories, and forgets nothing."""

import numpy as np
import pytest

import aisle
from aisle.data import Product, read
from aisle.errors import BundleError, RecipeError
from aisle.training.run import RunError
from tests.training.shop import products, recipe

PARTS = {"validation": 0.2, "calibration": 0.1, "threshold": 0.1}
STILL = ["stages.0.lr=1e-12", "stages.0.epochs=1"]


def shop(seed, garden=True, count=100):
    return read(
        [p for p in products(count, seed=seed, images=False) if garden or p.categories[0] != ("Garden",)]
    )


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A run without the category Garden."""
    run = tmp_path_factory.mktemp("old") / "run"
    aisle.train(shop(0, garden=False), recipe(split=PARTS), changes=["stages.0.epochs=5"], out=run, track=[])
    return run


def right(model, seed=5):
    fresh = shop(seed, count=50)
    return np.array([p.best == g.categories[0] for p, g in zip(model.predict(fresh), fresh, strict=True)])


def nll(model, seed=5):
    fresh = shop(seed, count=50)
    place = [model.taxonomy.index(p.categories[0]) for p in fresh]
    column = model.taxonomy.terminal_of[np.array(place)]
    return -model.score(fresh).all()[np.arange(len(fresh)), column].mean()


def test_new_categories_are_learned_in_fewer_steps_and_old_ones_kept(old, tmp_path):
    new = shop(1)
    warm = tmp_path / "warm"
    model = aisle.train(new, init_from=old, out=warm, track=[])
    short = aisle.train(new, init_from=old, changes=["stages.0.epochs=1"])
    cold = aisle.train(new, old / "recipe.toml", changes=["stages.0.epochs=1"])
    assert nll(short) < nll(cold)  # on rows that none of them knows: a stopping part is not the same for both
    before = aisle.load(old)
    assert ("Garden",) not in {node.path for node in before.taxonomy.nodes}
    assert {node.id for node in before.taxonomy.nodes} < {node.id for node in model.taxonomy.nodes}
    garden = np.array([p.categories[0] == ("Garden",) for p in shop(5, count=50)])
    assert right(model)[~garden].mean() >= right(before)[~garden].mean()
    assert right(model)[garden].mean() > 0.8  # told by words that the first run never saw
    assert model.seen(shop(0, garden=False)).sum() == before.seen(shop(0, garden=False)).sum() > 50
    loaded = aisle.load(warm)
    assert np.array_equal(loaded.score(new).all(), model.score(new).all())


def test_what_does_not_learn_stays_as_it_was_for_words_that_no_new_row_has_too(old):
    lamps = [p for p in products(60, seed=3, images=False) if p.categories[0] == ("Home", "Lamps")]
    before, same = aisle.load(old), aisle.train(read(lamps), init_from=old, changes=STILL)
    assert same.taxonomy.nodes == before.taxonomy.nodes

    def words(model, product):
        prepare = model.preprocessors["title"]
        return sorted(prepare([product.fields["title"]]).arrays["weights"].tolist())

    # A new word of a title takes of the weight of the others.
    known = read([p for p in shop(0, garden=False) if words(before, p) == words(same, p)])
    assert len(known) > 30
    one, other = before.score(known).all(), same.score(known).all()
    assert np.abs(np.exp(one) - np.exp(other)).max() < 5e-3


def test_products_of_then_are_remembered_beside_new_ones(old):
    before, model = aisle.load(old), aisle.train(shop(1), init_from=old, changes=STILL)
    if before.knn_index is None:  # a network that learns its words remembers no products
        assert model.knn_index is None
        return
    boots = [p for p in shop(0, garden=False) if p.categories[0][-1] == "Boots"]
    for rows, name in ((boots, "Boots"), (shop(1)[4:5], "Garden")):
        told = model.nearest(rows)
        top = model.taxonomy.nodes[int(told.node[0, 0, told.similarity[0, 0].argmax()])]
        assert top.path[-1] == name


def test_rows_it_has_seen_are_not_calibrated_on(old):
    then, new = shop(0, garden=False), shop(1)
    both = read([*then, *new])
    before = aisle.load(old)
    model = aisle.train(both, init_from=old, changes=STILL)
    assert model.seen(both)[before.seen(both)].all()
    assert not model.seen(both).all()


def test_a_resumed_warm_start_must_start_from_the_same_model(old, tmp_path):
    new, run = shop(1), tmp_path / "run"
    aisle.train(new, init_from=old, out=run, changes=STILL, track=[])
    (run / "model").rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"was started from model .*, not from nothing; see --init-from"):
        aisle.train(new, out=run, resume=True, track=[])
    again = aisle.train(new, out=run, resume=True, init_from=old, track=[])
    assert again.model_id == aisle.load(tmp_path / "elsewhere").model_id


def test_another_network_or_no_run_is_refused(old, tmp_path):
    with pytest.raises(RecipeError, match="is not that of the model to start from: views"):
        aisle.train(shop(1), recipe(views={"title": {"encoder": {"type": "SubwordEncoder"}}}), init_from=old)
    with pytest.raises(BundleError, match="there is no folder"):
        aisle.train(shop(1), init_from=tmp_path / "nowhere")
    aisle.load(old).save(tmp_path / "bundle")
    with pytest.raises(RecipeError, match="name the recipe"):
        aisle.train(shop(1), init_from=tmp_path / "bundle")


def test_an_official_tree_without_an_old_category_says_what_is_left_behind(old, tmp_path):
    tree = tmp_path / "tree.csv"
    tree.write_text("id,path\n1,Home > Lamps\n2,Garden\n3,Toys\n")
    rows = [Product(p.id, p.fields, (), {}, p.categories) for p in shop(1)]
    kept = read([p for p in rows if p.categories[0][0] in ("Home", "Garden")], taxonomy=tree)
    said = []

    class Lines(type(aisle.progress.SILENT)):
        def say(self, message):
            said.append(message)

    model = aisle.train(kept, init_from=old, changes=STILL, progress=Lines())
    assert len(model.taxonomy) == 4
    assert any("are not in this tree any more, such as" in line for line in said)
