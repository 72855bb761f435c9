"""Design rules 2, 4, 7 and 9: stages, missing views, whatever a catalogue lacks, parts kept apart."""

import numpy as np
import pytest
import torch

import aisle
from aisle.data import Product, read
from aisle.errors import CatalogError, RecipeError
from aisle.training.fit import split_rows
from aisle.training.loop import TrainingError
from aisle.training.recipe import load_recipe
from tests.training.shop import PLACES, catalog, picture, products, recipe
from tests.training.watching import weights_by_stage

QUERIES = [
    Product("words", {"title": "leather boot"}),
    Product("picture", {}, (picture(np.array(PLACES[("Garden",)][1]), np.random.default_rng(5)),)),
    Product("both", {"title": "leather boot"}, (picture(np.array((200, 40, 40)), np.random.default_rng(6)),)),
    Product("nothing"),
]


@pytest.fixture(scope="module")
def shop():
    return catalog(80)


@pytest.fixture(scope="module")
def learned(shop):
    return aisle.train(shop, recipe(stages=[{"epochs": 12, "batch_size": 16, "lr": 0.01}]))


def test_it_learns(learned):
    fresh = catalog(40, seed=9)
    right = [
        p.best == product.categories[0] for p, product in zip(learned.predict(fresh), fresh, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_words_pictures_both_or_neither_are_the_same_call(learned):
    words, pictured, both, nothing = learned.predict(QUERIES)
    assert words.best[-1] == both.best[-1] == "Boots"
    assert pictured.best == ("Garden",)
    assert nothing.decision == "review"
    assert "nothing in it is known" in nothing.reason
    counts = learned.context.counts + 0.5
    np.testing.assert_allclose(learned.score(QUERIES).all()[3], np.log(counts / counts.sum()), atol=1e-5)


def test_an_answer_does_not_depend_on_its_neighbors_or_the_batch(learned, shop):
    import dataclasses

    mixed = [*QUERIES, *shop][:40]
    together = learned.score(mixed).all()
    alone = dataclasses.replace(learned, batch=1).score(mixed).all()
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_allclose(learned.score(mixed[::-1]).all()[::-1], together, atol=1e-4)


def test_a_view_taken_away_is_a_view_missing(learned):
    without = learned.score(QUERIES[2:3], without=["image"]).all()
    np.testing.assert_allclose(without, learned.score(QUERIES[:1]).all(), atol=1e-5)
    with pytest.raises(ValueError, match="no view 'picture'; this model reads title, image"):
        learned.score(QUERIES, without=["picture"])


def snapshots(shop, stages, **more):
    """The network's weights before and after each stage."""
    return weights_by_stage(shop, recipe(stages=stages, **more))


def changed(before, after):
    found = {name for name in before if not torch.equal(before[name], after[name])}
    return {".".join(name.split(".")[:2]) if "." in name else name for name in found}


def test_only_what_a_stage_names_changes(shop):
    stages = [
        {"name": "text", "freeze": ["fusion"], "views": ["title"], "epochs": 1, "ema_decay": 0.5},
        {"name": "joint", "freeze": ["title", "image"], "init_from": "text", "epochs": 1},
        {
            "name": "picture",
            "freeze": ["title", "fusion", "head"],
            "init_from": "text",
            "epochs": 1,
            "batch_size": 8,
        },
    ]
    text, joint, pictured = snapshots(shop, stages)
    own = {name.split(".")[0] for name in changed(*text)}
    assert own == {"encoders", "head"}
    assert "encoders.image" not in changed(*text)
    assert {name.split(".")[0] for name in changed(*joint)} == {
        "fusion",
        "head",
        "missing_token",
    }  # not BatchNorm's statistics
    assert changed(*pictured) == {"encoders.image", "missing_token.image", "missing_token.title"}
    for start in (joint[0], pictured[0]):
        assert not changed(text[1], start)


def test_a_frozen_view_stays_as_it_was_but_learns_what_its_absence_means(shop):
    given = recipe()["views"]
    given["image"] = {**given["image"], "freeze": True}
    some = read([p if i % 2 else Product(p.id, p.fields, (), {}, p.categories) for i, p in enumerate(shop)])
    ((before, after),) = snapshots(some, [{"epochs": 1, "batch_size": 8}], views=given)
    assert "encoders.image" not in changed(before, after)
    assert "missing_token.image" in changed(before, after)


def test_batches_without_a_picture_leave_the_picture_networks_statistics_alone(shop):
    kept = [p if i < 3 else Product(p.id, p.fields, (), {}, p.categories) for i, p in enumerate(shop)]
    stages = [{"epochs": 1, "batch_size": 1, "views": ["title"]}]
    ((before, after),) = snapshots(read(kept), stages)
    statistics = [name for name in before if "running" in name]
    assert len(statistics) == 8
    assert all(torch.equal(before[name], after[name]) for name in statistics)


def test_an_accumulated_step_is_the_step_of_the_whole_batch(shop):
    """Without dropout or BatchNorm, four batches of 4 are one of 16, and the last few rows count too."""
    views = {"title": {"encoder": {"type": "TfidfEncoder", "dim": 8, "min_df": 1}}}
    common = {
        "epochs": 2,
        "optimizer": "SGD",
        "schedule": "constant",
        "warmup": 0,
        "max_grad_norm": 1e9,
        "weight_decay": 0,
    }
    parts = {"validation": 0, "calibration": 0, "threshold": 0}
    more = {"views": views, "split": parts, "view_dropout": 0.0}
    ((_, whole),) = snapshots(shop, [{**common, "batch_size": 80}], **more)
    ((_, pieces),) = snapshots(shop, [{**common, "batch_size": 16, "gradient_accumulation_steps": 5}], **more)
    for name in whole:
        torch.testing.assert_close(pieces[name], whole[name], atol=1e-5, rtol=1e-4)


def test_a_loss_that_is_no_number_stops_with_advice(shop):
    stages = [{"epochs": 3, "lr": 1e30, "optimizer": "SGD", "warmup": 0, "max_grad_norm": 1e30}]
    with pytest.raises(TrainingError, match=r"the loss is .*lower the rate \(stages\.0\.lr"):
        aisle.train(shop, recipe(stages=stages))


class Lines:
    """Progress that keeps what was said."""

    def __init__(self):
        from aisle.progress import SILENT

        self.silent, self.said = SILENT, []

    def __call__(self, *args, **kwargs):
        return self.silent(*args, **kwargs)

    def say(self, message):
        self.said.append(message)


def test_a_view_no_row_has_is_left_out_of_network_and_stages_and_said_so(tmp_path):
    stages = [
        {"name": "picture", "freeze": ["title", "fusion", "head"], "epochs": 1},
        {
            "name": "all",
            "init_from": "picture",
            "lr_multipliers": {"image": 0.1},
            "views": ["title", "image"],
            "epochs": 1,
        },
    ]
    lines = Lines()
    bare = catalog(40, images=False)
    model = aisle.train(bare, recipe(stages=stages), out=tmp_path / "run", progress=lines)
    assert model.views == ("title",)
    assert "view 'image' is left out: no row has it" in lines.said
    resolved = load_recipe(tmp_path / "run" / "recipe.toml")
    assert [stage.name for stage in resolved.stages] == ["all"]
    with pytest.raises(RecipeError, match="trains only views that are left out: image"):
        aisle.train(bare, recipe(stages=stages[:1]))


def test_pictures_alone_vectors_alone_and_several_views_learn():
    pictures = aisle.train(catalog(30, text=False), recipe())
    assert pictures.views == ("image",)
    views = {"clip": {"encoder": {"type": "VectorEncoder"}}}
    vectors = aisle.train(
        catalog(60, vectors=True), recipe(views=views, stages=[{"epochs": 20, "lr": 0.02, "batch_size": 8}])
    )
    given = products(30, seed=4, vectors=True)
    right = [p.best == g.categories[0] for p, g in zip(vectors.predict(given), given, strict=True)]
    assert np.mean(right) > 0.8
    wrong = Product("short", {}, (), {"clip": np.ones(3, np.float32)})
    (answer,) = vectors.predict([wrong])
    assert answer.decision == "review"
    assert "is not (6,)" in answer.problems[0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_rows_is_enough_to_answer(count):
    model = aisle.train(catalog(count), recipe())
    (answer,) = model.predict(QUERIES[:1])
    assert answer.decision == "review"
    assert answer.best in PLACES


@pytest.mark.slow
@pytest.mark.parametrize("fast", [False, True])
def test_one_class_is_no_special_case(fast):
    same = [Product(p.id, p.fields, (), {}, (("Only",),)) for p in products(20)]
    model = aisle.train(read(same), "fast" if fast else recipe())
    assert all(p.best == ("Only",) for p in model.predict(QUERIES))


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(CatalogError, match="no row has a usable category"):
        aisle.train(read([Product(p.id, p.fields) for p in products(10)]), recipe())
    with pytest.raises(CatalogError, match=r"no row has any of the views.*\(brand\).*title"):
        aisle.train(catalog(10), recipe(views={"brand": {"encoder": {"type": "TfidfEncoder"}}}))


# -- parts kept apart -----------------------------------------------------------------------------


def test_parts_are_disjoint_whole_and_keep_near_duplicates_together():
    rows = products(100, images=False)
    twins = [Product(f"twin{p.id}", p.fields, (), {}, p.categories) for p in rows[::2]]
    shop = read([*rows, *twins])
    parts = split_rows(
        shop,
        shop.targets(),
        load_recipe(recipe(split={"validation": 0.1, "calibration": 0.2, "threshold": 0.3})),
    )
    together = np.concatenate(parts)
    assert sorted(together) == list(range(150))
    groups = shop.groups()
    sides = [set(groups[part]) for part in parts]
    assert not any(a & b for i, a in enumerate(sides) for b in sides[:i])
    assert [round(len(part) / 150, 1) for part in parts] == [0.4, 0.1, 0.2, 0.3]


def test_rows_trained_on_are_recognised_and_others_are_not(learned, shop):
    seen = learned.seen(shop)
    parts = split_rows(shop, shop.targets(), load_recipe(recipe()))
    assert seen[parts.train].all()
    assert seen[parts.validation].all()
    assert not seen[parts.calibration].any()
    assert not seen[parts.threshold].any()
    assert not learned.seen(catalog(30, seed=7)).any()


def test_test_rows_are_never_trained_on():
    rows = [
        {"title": p.fields["title"], "category": " > ".join(p.categories[0]), "split": split}
        for p, split in zip(products(60, images=False), ["training", "test", "valid"] * 20, strict=True)
    ]
    shop = read(rows)
    model = aisle.train(shop, recipe())
    assert not model.seen(shop)[shop.split == "test"].any()
    assert model.seen(shop)[shop.split == "train"].any()
    for row in rows:
        row["split"] = row["split"].replace("training", "train")
    shop = read(rows)
    assert not aisle.train(shop, recipe()).seen(shop)[shop.split != "train"].any()
