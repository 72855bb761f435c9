"""Linear models as a whole: trained, saved, grown, gone on from; never with torch."""

import json
import subprocess
import sys

import numpy as np
import pytest

import aisle
from aisle.data import Product, read
from aisle.errors import AisleError, RecipeError
from aisle.inference.zero_shot import name_products
from aisle.models.linear.model import remap_to_taxonomy
from aisle.models.linear.reader import concat_tfidf
from aisle.taxonomy import Node, Taxonomy
from tests.models.pretrained import tiny_text, tiny_vision
from tests.training.shop import PLACES, products

ASIDE = {"validation": 0.0, "calibration": 0.15, "threshold": 0.2}


def linear(**changes):
    return {
        "family": "linear",
        "name": "small",
        "views": {
            "title": {"type": "Tfidf", "min_df": 1, "scale": 8.0},
            "image": {"type": "ImageDescriptor", "size": 32, "scale": 5.0},
        },
        "split": ASIDE,
    } | changes


@pytest.fixture(scope="module")
def shop():
    return read(products(100))


@pytest.fixture(scope="module")
def run(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear") / "run"
    aisle.train(shop, linear(), out=folder, track=[])
    return folder


def accuracy(model, rows):
    return np.mean([p.best == g.categories[0] for p, g in zip(model.predict(rows), rows, strict=True)])


def test_it_learns_words_and_images(run):
    model = aisle.load(run)
    fresh = products(50, seed=9)
    assert accuracy(model, fresh) > 0.95
    assert accuracy(model, list(products(50, seed=9, text=False))) > 0.8
    assert model.views == ("title", "image")


@pytest.mark.slow
def test_a_saved_model_answers_with_the_same_bits(shop, tmp_path):
    model = aisle.train(shop, linear())
    loaded = aisle.load(model.save(tmp_path / "model") and tmp_path / "model")
    assert np.array_equal(model.score(shop).all(), loaded.score(shop).all())
    assert np.array_equal(model.embed(shop), loaded.embed(shop))
    assert [p.confidence for p in model.predict(shop)] == [p.confidence for p in loaded.predict(shop)]
    again = aisle.train(shop, linear()).save(tmp_path / "again")
    assert again.model_id == loaded.model_id  # the same rows and recipe, the same weights
    manifest = json.loads((tmp_path / "model" / "aisle.json").read_text())
    assert manifest["runtime"] == "linear"
    assert not [f for f in manifest["files"] if f.endswith((".pkl", ".pt"))]


def test_a_missing_view_adds_nothing(run):
    model = aisle.load(run)
    both = products(12, seed=4)
    words = [Product(p.id, p.fields) for p in both]
    assert np.array_equal(model.score(both, without={"image"}).all(), model.score(words).all())
    # The margins of the words alone and the shares: what no image adds to.
    inputs = model.reader(words)
    x = concat_tfidf(inputs.tfidf, model.model.sizes, model.model.scales)
    margins = model.model.terminals.margins(x)
    top = {node: i for i, node in enumerate(model.taxonomy.level(1))}
    own = [top[model.taxonomy.ancestors[t, 0]] for t in model.taxonomy.terminals]
    by_hand = 10 * (margins + 0.35 * model.model.level1.margins(x)[:, own]) + 25 * model.model.share
    by_hand -= np.logaddexp.reduce(by_hand, axis=1, keepdims=True)
    assert np.allclose(model.score(words).all(), by_hand, atol=1e-4)


def test_answers_do_not_depend_on_what_else_is_asked(run):
    model = aisle.load(run)
    some = [*products(30, seed=5), *products(10, seed=6, images=False), Product("empty", {})]
    together = model.score(some).all()
    alone = np.concatenate([model.score([one]).all() for one in some])
    assert np.array_equal(together.argmax(1), alone.argmax(1))
    assert np.abs(together - alone).max() < 1e-4
    assert model.predict([Product("empty", {})])[0].decision == "review"


@pytest.mark.slow
def test_training_and_answering_never_import_torch(shop, run, tmp_path):
    file = tmp_path / "rows.csv"
    lines = [f"{p.id},{p.fields['title']},{' > '.join(p.categories[0])}" for p in products(60)]
    file.write_text("\n".join(["id,title,category", *lines]))
    code = """
import sys
from aisle.cli import register
for words in (["train", sys.argv[1], "--out", sys.argv[2] + "/run", "--no-baseline", "-q"],
              ["classify", sys.argv[2] + "/run", sys.argv[1], "--out", sys.argv[2] + "/out.csv", "-q"],
              ["classify", sys.argv[3], sys.argv[1], "--out", sys.argv[2] + "/more.csv", "-q"]):
    register()(words, standalone_mode=False)
print(sorted({"torch", "transformers", "accelerate"} & set(sys.modules)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(file), str(tmp_path), str(run)], capture_output=True, text=True
    )
    assert ran.stdout.strip().splitlines()[-1] == "[]", ran.stderr
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 61


def test_a_grown_tree_keeps_its_ids_and_answers_for_new_names(run):
    before = aisle.load(run)
    tree = before.taxonomy
    grown = Taxonomy([*tree.nodes, Node("new", ("Antiques",), False), Node("old", ("Antiques", "fine old"))])
    model = before.with_taxonomy(grown)
    old = [grown.terminal_of[grown.index(tree.nodes[t].id)] for t in tree.terminals]
    fresh = products(20, seed=8)
    assert np.array_equal(model.score(fresh).all()[:, old].argmax(1), before.score(fresh).all().argmax(1))
    assert model.predict([Product("k", {"title": "fine old"})])[0].best == ("Antiques", "fine old")
    assert not model.policy.curve
    example = Product("a", {"title": "fine old red"}, (), {}, (("Antiques", "fine old"),))
    assert model.with_examples(read([example])).zero_shot.shown_ids == ("old",)


def test_the_weights_of_a_new_category_come_from_its_name(run):
    model = aisle.load(run)
    tree = model.taxonomy
    after = Taxonomy([*tree.nodes, Node("boots", ("Boots",))])
    names = model.reader(name_products(after))
    moved = remap_to_taxonomy(model.model, tree, after, names)
    x = concat_tfidf(names.tfidf, moved.sizes, moved.scales)
    new = after.terminal_of[after.index("boots")]
    assert abs(moved.terminals.margins(x)[new, new] - 1) < 1e-2
    assert moved.terminals.intercept[new] == -1
    assert moved.counts[new] == 0


@pytest.mark.slow
def test_going_on_from_a_run_learns_new_categories_and_keeps_old_ones(tmp_path):
    garden = ("Garden",)
    first = read([p for p in products(100, images=False) if p.categories[0] != garden])
    aisle.train(first, linear(), out=tmp_path / "old", track=[])
    new = read(products(100, seed=1, images=False))
    model = aisle.train(new, init_from=tmp_path / "old", out=tmp_path / "new", track=[])
    before = aisle.load(tmp_path / "old")
    assert {n.id for n in before.taxonomy.nodes} < {n.id for n in model.taxonomy.nodes}
    fresh = products(50, seed=5, images=False)
    assert accuracy(model, [p for p in fresh if p.categories[0] == garden]) > 0.8
    others = [p for p in fresh if p.categories[0] != garden]
    assert accuracy(model, others) >= accuracy(before, others)
    assert model.seen(first).sum() == before.seen(first).sum() > 50
    loaded = aisle.load(tmp_path / "new")
    assert np.array_equal(loaded.score(new).all(), model.score(new).all())
    with pytest.raises(RecipeError, match="views differ"):
        aisle.train(new, linear(views={"title": {"type": "Tfidf", "min_df": 2}}), init_from=tmp_path / "old")


@pytest.mark.slow
def test_a_name_draws_its_words_to_its_category():
    """No boots are called boots but by their category's name; a lamp is."""
    rows = [p for p in products(100, images=False) if "boot" not in p.fields["title"].split()]
    rows.append(Product("lamp", {"title": "small lamp for boots"}, categories=(("Home", "Lamps"),)))
    probe = [Product("x", {"title": "boots"})]
    with_names = aisle.train(read(rows), linear())
    without = aisle.train(read(rows), linear(label_name_examples=False))
    place = with_names.taxonomy.terminal_of[with_names.taxonomy.index(("Clothing", "Shoes", "Boots"))]
    assert with_names.score(probe).all()[0, place] > without.score(probe).all()[0, place] + 1
    assert with_names.predict(probe)[0].best == ("Clothing", "Shoes", "Boots")


@pytest.mark.slow
def test_logit_adjustment_favours_rare_categories():
    rare = [p for p in products(150, images=False) if p.categories[0] != ("Garden",) or int(p.id[1:]) < 20]
    plain = aisle.train(read(rare), linear(split={"calibration": 0.0, "threshold": 0.0}))
    adjusted = aisle.train(
        read(rare), linear(split={"calibration": 0.0, "threshold": 0.0}, logit_adjustment=1.0)
    )
    probe = [Product("x", {"title": "old new"})]  # words of every category
    place = plain.taxonomy.terminal_of[plain.taxonomy.index(("Garden",))]
    counts = np.asarray(plain.context.counts)
    prior = np.log((counts + 1) / (counts.sum() + len(counts)))
    both = [model.score(probe).all()[0] for model in (plain, adjusted)]
    moved = (both[1] - both[1][place]) - (both[0] - both[0][place])
    assert np.allclose(moved, -(prior - prior[place]), atol=1e-4)


@pytest.mark.slow
def test_class_balance_counts_classes_alike_in_the_ridge_regression():
    rows = [p for p in products(150, text=False) if p.categories[0] != ("Garden",) or int(p.id[1:]) < 20]
    changes = {"split": {"calibration": 0.0, "threshold": 0.0}, "label_name_examples": False}
    shares = []
    for power in (0.0, 1.0):
        model = aisle.train(read(rows), linear(ridge={"class_balance": power}, **changes))
        counts = np.asarray(model.context.counts)
        shares.append(model.model.share)
    assert np.allclose(shares[0], counts / counts.sum(), atol=1e-4)
    assert np.allclose(shares[1], (counts > 0) / (counts > 0).sum(), atol=1e-4)


@pytest.mark.slow
class TestEncoders:
    @pytest.fixture(scope="class")
    def folders(self, tmp_path_factory):
        home = tmp_path_factory.mktemp("pretrained")
        words = [word for text, _ in PLACES.values() for word in text.split()]
        return str(tiny_text(home / "text", words)), str(tiny_vision(home / "vision", 32))

    @pytest.fixture(scope="class")
    def given(self, folders):
        views = {
            "words": {"type": "Tfidf", "fields": ["title"], "min_df": 1, "scale": 8.0},
            "title": {"type": "TextEncoder", "max_length": 16, "scale": 10.0},
            "image": {"type": "ImageEncoder", "size": 32, "images": 2, "scale": 5.0},
        }
        return linear(views=views, text_encoder=folders[0], image_encoder=folders[1])

    def test_vectors_are_those_of_torch(self, given, folders, shop):
        import torch

        from aisle.models.encoders import TransformerImageEncoder, TransformerTextEncoder
        from aisle.models.preprocessing import ImagePreprocessor, TokenPreprocessor

        model = aisle.train(shop, given)
        some = [*products(8, seed=2), *products(4, seed=3, images=False)]
        dense = model.reader(some).dense
        for name, prepare, encoder, values in (
            (
                "title",
                TokenPreprocessor(folders[0], max_length=16),
                TransformerTextEncoder,
                [p.fields["title"] for p in some],
            ),
            ("image", ImagePreprocessor(32, 2), TransformerImageEncoder, [p.images or None for p in some]),
        ):
            prepared = prepare(values)
            with torch.inference_mode():
                arrays = {key: torch.from_numpy(a) for key, a in prepared.arrays.items()}
                theirs = encoder(prepare, folders[name == "image"]).eval()(**arrays).pooled.numpy()
            here = prepared.present
            cosine = (dense[name][here] * theirs[here]).sum(1)
            cosine /= np.linalg.norm(dense[name][here], axis=1) * np.linalg.norm(theirs[here], axis=1)
            assert cosine.min() > 0.999
            assert not dense[name][~here].any()

    def test_a_bundle_needs_neither_torch_nor_the_encoders_folder(self, given, shop, tmp_path, monkeypatch):
        model = aisle.train(shop, given).save(tmp_path / "model")
        monkeypatch.setenv("AISLE_CACHE", str(tmp_path / "empty"))
        loaded = aisle.load(tmp_path / "model")
        assert np.abs(loaded.score(shop).all() - model.score(shop).all()).max() < 2e-3  # batches differ
        code = (
            "import sys, aisle; m = aisle.load(sys.argv[1]); "
            "m.predict([aisle.Product('1', {'title': 'boot leather'})]); "
            "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
        )
        ran = subprocess.run([sys.executable, "-c", code, tmp_path / "model"], capture_output=True, text=True)
        assert ran.stdout.strip() == "[]", ran.stderr

    def test_an_encoder_that_is_not_there_is_said_in_one_line(self, given, shop, tmp_path):
        for key, value in (("text_encoder", "no/such-model"), ("image_encoder", str(tmp_path))):
            with pytest.raises(AisleError, match=r"cannot read config\.json") as caught:
                aisle.train(shop, {**given, key: value})
            assert "\n" not in str(caught.value)
