import json
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from aisle.cli import register
from aisle.data import ImageRef, Product, read
from aisle.errors import AisleError
from aisle.guarantee import Policy
from aisle.inference.explain import GRID, MaskableProduct, explain, log_odds, mask_regions
from aisle.inference.predictor import Predictor
from aisle.models import fusions
from aisle.models.config import ModelSpec
from aisle.models.label_embeddings import make_context
from aisle.models.spec import build_network, new_preprocessor
from aisle.taxonomy import Taxonomy
from tests.evaluation.shop import PLACES, WordModel, catalog
from tests.models.build import SMALL

WORDS = {("Clothing", "Boots"): "boot", ("Clothing", "Hats"): "hat", ("Home", "Lamps"): "lamp"}
NOISE = ("new", "good", "old", "blue", "red", "nice", "size", "item")
SIZE = 56


def picture(folder, name, corner):
    """Noise, with a bright square in one corner that alone tells the category."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    pixels = rng.integers(90, 130, (SIZE, SIZE, 3)).astype(np.uint8)
    y, x = ((0, 0), (0, SIZE - 16), (SIZE - 16, 0))[corner]
    pixels[y : y + 16, x : x + 16] = np.eye(3)[corner] * 255
    Image.fromarray(pixels).save(folder / f"{name}.png")
    return ImageRef(path=folder / f"{name}.png")


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corners")
    rng = np.random.default_rng(0)
    made = []
    for i in range(45):
        path = list(WORDS)[i % 3]
        words = [
            WORDS[path],
            *rng.choice(["new", "good", "old", "blue", "red", "nice", "size", "item"], 4, replace=False),
        ]
        rng.shuffle(words)
        made.append(
            Product(f"p{i}", {"title": " ".join(words)}, (picture(folder, f"p{i}", i % 3),), {}, (path,))
        )
    return made


def learned(fusion, products, steps=40):
    """A small network with this fusion, trained by a plain loop until it knows its products."""
    torch.manual_seed(0)
    spec = ModelSpec.model_validate(
        {
            "views": {
                "title": {"encoder": {"type": "SubwordEncoder", "dim": 16, "vocab_size": 60}},
                "image": {"encoder": {"type": "ConvEncoder", "size": 32, "dim": 16, "dropout": 0.0}},
            },
            "fusion": {"type": fusion, **options(fusion)},
            "head": {"type": "TreeHead"},
            "view_dropout": 0.3,
        }
    )
    tree = Taxonomy.from_paths(WORDS)
    context = make_context(tree, np.full(len(tree.terminals), 15))
    preprocessors = {name: new_preprocessor(view) for name, view in spec.views.items()}
    preprocessors["title"].fit(p.fields["title"] for p in products)
    model = build_network(spec, preprocessors, context)
    predictor = Predictor(
        spec=spec,
        context=context,
        preprocessors=preprocessors,
        model=model,
        policy=Policy.uncalibrated(tree),
    )
    inputs = predictor._reader(products)
    target = torch.tensor([tree.terminal_of[tree.index(p.categories[0])] for p in products])
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.nll_loss(model(inputs.arrays, inputs.present).scores.all(), target)
        loss.backward()
        optimizer.step()
    model.eval()
    return predictor


def options(fusion):
    given = {k: v for k, v in SMALL.get(fusion, {}).items() if k != "groups"}
    if fusion == "MultilevelFusion":
        given["groups"] = []
    return given if given else {"dim": 16}


@pytest.mark.slow
@pytest.mark.parametrize("fusion", fusions.__all__)
def test_what_counts_most_lowers_confidence_more_than_chance(fusion, products):
    model = learned(fusion, products)
    rng = np.random.default_rng(1)
    some = products[:6]
    found = explain(model, some)
    fallen = {"words": [], "any words": [], "regions": [], "any regions": []}
    for product, told in zip(some, found, strict=True):
        pieces = MaskableProduct.of(product)
        node = model.taxonomy.index(told.path)
        weights = np.r_[[w.weight for w in told.words], told.regions.ravel()]
        n, count = len(told.words), len(weights)

        def drop(gone, pieces=pieces, node=node, count=count):
            kept = np.ones((1, count), bool)
            kept[0, gone] = False
            # In log-odds: a network that is sure of its products hardly changes in probability.
            return float(log_odds(model.score(pieces.without(kept)), node)[0])

        whole = drop([])
        for kind, first, last, most in (("words", 0, n, 1), ("regions", n, count, 6)):
            top = first + np.argsort(-weights[first:last])[:most]
            fallen[kind].append(whole - drop(top))
            fallen[f"any {kind}"] += [
                whole - drop(rng.choice(np.arange(first, last), most, replace=False)) for _ in range(3)
            ]
    means = {kind: np.mean(values) for kind, values in fallen.items()}
    assert means["words"] + means["regions"] > means["any words"] + means["any regions"] + 0.02, means
    assert means["words"] >= means["any words"] - 1e-6, means
    assert means["regions"] >= means["any regions"] - 1e-6, means


@pytest.mark.slow
def test_views_share_out_what_they_add_together(products):
    model = learned("ConcatFusion", products)
    told = explain(model, products[:1])[0]
    node = model.taxonomy.index(told.path)
    whole = log_odds(model.score(products[:1]), node)[0]
    nothing = log_odds(model.score(products[:1], without=model.views), node)[0]
    assert sum(told.views.values()) == pytest.approx(whole - nothing, abs=1e-4)
    assert set(told.views) == {"title", "image"}
    text = model.score(products[:1], without=("image",))
    image = model.score(products[:1], without=("title",))
    by_hand = (whole - log_odds(image, node)[0] + log_odds(text, node)[0] - nothing) / 2
    assert told.views["title"] == pytest.approx(by_hand, abs=1e-4)


def test_any_classifier_is_explained_and_a_picture_it_ignores_is_not_asked():
    model = WordModel(catalog(300, seed=1))
    product = Product("x", {"title": "boot leather", "description": "new red"}, next(
        p.images for p in catalog(3) if p.images
    ))  # fmt: skip
    told = explain(model, [product])[0]
    assert told.path[-1] == "Boots"
    assert told.regions is None
    weights = {w.word: w.weight for w in told.words}
    assert list(weights) == ["boot", "leather", "new", "red"]
    assert min(weights["boot"], weights["leather"]) > max(weights["new"], weights["red"])
    lamps = model.taxonomy.index(("Home", "Lamps"))
    assert explain(model, [product], node=lamps)[0].path == ("Home", "Lamps")
    nothing = explain(model, [Product("empty")])[0]
    assert nothing.words == ()


@pytest.mark.slow
def test_shapley_shares_among_repeats_and_adds_up():
    pytest.importorskip("captum", reason="captum is not installed")
    model = WordModel(catalog(300, seed=1))
    product = Product("x", {"title": "boot leather ankle", "description": "item offer"})
    told = explain(model, [product], method="shapley")[0]
    node = model.taxonomy.index(told.path)
    pieces = MaskableProduct.of(product)
    ends = model.score(pieces.without(np.array([[True] * 5, [False] * 5])))
    assert sum(w.weight for w in told.words) == pytest.approx(np.subtract(*log_odds(ends, node)), abs=1e-3)


def test_painting_covers_just_the_region():
    pixels = np.arange(70 * 70 * 3).reshape(70, 70, 3).astype(np.uint8)
    gone = np.zeros((GRID, GRID), bool)
    gone[2, 3] = True
    new = mask_regions(pixels, gone)
    changed = (new != pixels).any(2)
    assert changed[20:30, 30:40].mean() > 0.9
    changed[20:30, 30:40] = False
    assert not changed.any()


def test_long_texts_are_weighed_in_pieces():
    words = [f"w{i}" for i in range(200)]
    pieces = MaskableProduct.of(Product("x", {"title": " ".join(words)}))
    assert len(pieces.words) <= 48
    assert " ".join(pieces.words).split() == words


def run(*arguments):
    return CliRunner().invoke(register(), [str(a) for a in ("explain", *arguments)], catch_exceptions=False)


def test_the_command_writes_a_page_and_pictures(trained, shop, tmp_path):
    product = read(shop.products)[0]
    said = run(trained.run, "--product", product.id, "--source", shop.products, "--out", tmp_path / "why")
    assert said.exit_code == 0, said.output
    assert product.id in said.output
    found = json.loads((tmp_path / "why" / "explain.json").read_text())
    assert found[0]["id"] == product.id
    assert len(found[0]["nearest_products"]) == 4
    assert product.id not in [n["id"] for n in found[0]["nearest_products"]]
    html = (tmp_path / "why" / "explain.html").read_text()
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    drawn = ElementTree.parse(tmp_path / "why" / "explain-1.svg").getroot()
    shown = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"words", "views", *found[0]["views"]} <= shown
    assert drawn.get("aria-label").startswith(f"{product.id}: {' > '.join(found[0]['path'])} (confidence")


@pytest.mark.slow
def test_products_can_be_written_out_and_mistakes_are_said(trained, shop, tmp_path):
    said = run(trained.run, "--product", '{"title": "green cotton bag"}', "--json", "--out", tmp_path)
    assert [w["word"] for w in json.loads(said.stdout)[0]["words"]] == ["green", "cotton", "bag"]
    for wrong, message in (
        (("--product", "A1"), "add --source FILE"),
        (("--product", "{title}"), "not JSON"),
        (("--product", "A1000l", "--source", shop.products), "Did you mean"),
        (("--product", '{"title": "x"}', "--method", "shaply"), "Did you mean 'shapley'"),
        (("--product", '{"title": "x"}', "--category", "Nowhere"), "not in the tree"),
    ):
        with pytest.raises(AisleError, match=message):
            run(trained.run, *wrong, "--out", tmp_path)


def test_places_of_the_shop_are_ragged():
    assert ("Clothing",) in PLACES  # an interior place is explained by its own terminal
    model = WordModel(catalog(300, seed=1))
    node = model.taxonomy.index(("Clothing",))
    odds = log_odds(model.score(list(catalog(2))), node)
    p = np.exp(model.score(list(catalog(2))).all()[:, model.taxonomy.terminal_of[node]])
    assert odds == pytest.approx(np.log(p / (1 - p)), abs=1e-6)
