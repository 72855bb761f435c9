"""`propose_categories` and `aisle taxonomy propose`: groups of products that belong nowhere in the tree."""

import csv
import json
import random

import numpy as np
import pytest

import aisle
from aisle.errors import CatalogError
from aisle.evaluation.cluster_names import group_name, typical_words
from aisle.evaluation.new_categories import NewCategories, propose_categories
from aisle.taxonomy import read_taxonomy

KNOWN = {
    "Kitchen > Pans": ("pan", "steel wok skillet lid copper induction"),
    "Kitchen > Knives": ("knife", "chef blade santoku block sharp bread"),
    "Garden > Hoses": ("hose", "reel nozzle spray connector flexible metre"),
    "Garden > Seeds": ("seeds", "tomato basil organic flower packet meadow"),
    "Toys > Puzzles": ("puzzle", "pieces jigsaw wooden animals castle map"),
    "Toys > Dolls": ("doll", "dress house pram hair baby soft"),
}
KAYAKS = ("kayak", "river seat inflatable double hull cockpit")
SHARED = ["red", "blue", "green", "large", "small", "classic", "premium", "gift", "original", "compact"]


def titles(noun, words, count, seed):
    rng = random.Random(seed)
    own = words.split()
    return [f"{rng.choice(SHARED)} {rng.choice(own)} {noun} {rng.randrange(999)}" for _ in range(count)]


@pytest.fixture(scope="module")
def model():
    rows = [
        {"title": title, "category": path}
        for path, words in KNOWN.items()
        for title in titles(*words, 30, path)
    ]
    return aisle.train(rows, "fast")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """New products of known categories, and 20 kayaks: the rows of `kayak` ids."""
    path = tmp_path_factory.mktemp("mixed") / "new.csv"
    known = [title for name, words in KNOWN.items() for title in titles(*words, 15, f"new {name}")]
    kayaks = titles(*KAYAKS, 20, "kayaks")
    every = [*((f"k{i}", t) for i, t in enumerate(known)), *((f"kayak{i}", t) for i, t in enumerate(kayaks))]
    random.Random(1).shuffle(every)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title"])
        writer.writerows(every)
    return path


def test_a_group_of_unknown_products_becomes_a_category_with_their_word(model, mixed):
    catalog = aisle.read(mixed, like=model)
    found = propose_categories(model, catalog)
    (one,) = found.categories
    assert "kayak" in one.name.casefold()
    assert one.words[0] == "kayak"
    ids = [product.id for product in catalog.select(list(one.rows))]
    assert all(name.startswith("kayak") for name in ids)
    assert len(ids) == len(set(ids)) >= 18
    assert found.rows == 110
    assert found.products == len(ids)
    assert one.evidence >= 0.35
    assert all("kayak" in title for title in one.examples)
    assert sum(each.share for each in one.similar) <= 1.0 + 1e-9


def test_products_of_known_categories_give_no_proposal(model):
    rows = [{"title": t} for name, words in KNOWN.items() for t in titles(*words, 15, f"more {name}")]
    found = propose_categories(model, aisle.read(rows))
    assert found.categories == ()
    assert found.groups >= 4


def test_the_draft_tree_is_the_old_one_and_the_proposals(model, mixed, tmp_path):
    catalog = aisle.read(mixed, like=model)
    found = propose_categories(model, catalog)
    page = found.write(tmp_path / "out", catalog, model.taxonomy)
    tree = read_taxonomy(tmp_path / "out" / "tree.json")
    assert {node.path for node in tree.nodes} == {
        *(node.path for node in model.taxonomy.nodes),
        found.categories[0].path,
    }
    with (tmp_path / "out" / "products.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["category"] for row in rows} == {" > ".join(found.categories[0].path)}
    assert len(rows) == found.products
    assert NewCategories.model_validate_json((tmp_path / "out" / "proposals.json").read_text()) == found
    text = page.read_text()
    assert found.categories[0].name in text
    assert "http" not in text.split("</style>")[1]


def test_a_migrated_model_knows_the_proposed_category(model, mixed, tmp_path):
    from aisle.inference.migration import migrate

    catalog = aisle.read(mixed, like=model)
    found = propose_categories(model, catalog)
    found.write(tmp_path, catalog, model.taxonomy)
    examples = aisle.read(tmp_path / "products.csv", like=model)
    new = migrate(model, read_taxonomy(tmp_path / "tree.json"), examples=examples).model
    best = [new.predict({"title": title}).best for title in titles(*KAYAKS, 10, "later")]
    assert best.count(found.categories[0].path) >= 9


def test_the_command_prints_the_proposals_and_writes_the_files(model, mixed, tmp_path, typed):
    model.save(tmp_path / "model")
    out = tmp_path / "proposed"
    code, shown, _ = typed("taxonomy", "propose", tmp_path / "model", mixed, "--out", out)
    assert code == 0
    assert "1 new category proposed" in shown
    assert "kayak" in shown.casefold()
    assert {path.name for path in out.iterdir()} == {
        "products.csv", "proposals.html", "proposals.json", "tree.json",
    }  # fmt: skip
    code, shown, _ = typed("taxonomy", "propose", tmp_path / "model", mixed, "--out", out, "--json")
    assert json.loads(shown)["rows"] == 110
    code, _, error = typed("taxonomy", "propose", tmp_path / "model", mixed, "--out", mixed)
    assert code == 2
    assert "name a folder" in error


def test_a_model_without_a_detector_and_a_catalog_without_new_rows_are_refused(model, mixed):
    plain = aisle.train(
        [{"title": f"{word} {i}", "category": word} for word in ("pan", "hose") for i in range(20)],
        "fast",
        changes=["guarantee.method=none"],
    )
    with pytest.raises(CatalogError, match="cannot tell which products belong nowhere"):
        propose_categories(plain, aisle.read(mixed, like=plain))
    labelled = aisle.read([{"title": "a kayak", "category": "Garden > Hoses"}], like=model)
    with pytest.raises(CatalogError, match="no row without a label is new"):
        propose_categories(model, labelled)
    assert propose_categories(model, labelled, labelled=True).rows == 1


def test_typical_words_and_names_are_those_of_the_group():
    group = np.array([0] * 4 + [1] * 4 + [-1] * 2)
    names = (
        ["Red Kayaks, 2 seats", "kayak paddles red", "Kayak 12", "red kayak"]
        + ["Red lamp shade"] * 4
        + ["red"] * 2
    )
    found = typical_words(names, group)
    assert found[0][0] == "kayak"
    assert found[1][:2] == ["lamp", "shade"]
    assert group_name(found[1], names[4:8]) == "Lamp shade"
    assert group_name(["kayak"], names[:4]) == "Kayak"
    assert typical_words(["12", "34"], np.array([0, 0])) == [[]]
