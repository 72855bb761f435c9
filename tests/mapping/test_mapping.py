"""Small own trees: what a shop's categories are mapped onto, what is decided, and what is kept."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import aisle
from aisle.cli import register
from aisle.errors import CatalogError, TaxonomyError
from aisle.mapping import (
    CheckedPair,
    CheckedScores,
    Overrides,
    TreeSide,
    find_threshold,
    map_categories,
    read_checked,
    read_overrides,
    read_target,
    shop_side,
)
from aisle.taxonomy import Taxonomy, TreeFile, format_path

TARGET = """# Google_Product_Taxonomy_Version: 2099
1 - Apparel
2 - Apparel > Jewelry
3 - Apparel > Jewelry > Earrings
4 - Apparel > Jewelry > Necklaces
5 - Apparel > Bags
6 - Apparel > Bags > Handbags
7 - Apparel > Shoes
8 - Home
9 - Home > Kitchen
10 - Home > Kitchen > Frying Pans
11 - Home > Kitchen > Coffee Machines
12 - Pets
13 - Pets > Cat Food
14 - Pets > Cat Litter
"""
SHOP = [
    ("1", "Gold hoop earrings", "Fashion > Bags and jewelry"),
    ("2", "Silver earrings", "Fashion > Bags and jewelry"),
    ("3", "Leather handbag", "Fashion > Bags and jewelry"),
    ("4", "Small handbag", "Fashion > Bags and jewelry"),
    ("5", "Running shoes", "Fashion > Shoes"),
    ("6", "Steel frying pan", "Kitchen > Frying pans"),
    ("7", "Espresso machine", "Kitchen > Coffee machines"),
    ("8", "Dry cat food", "Pets > Cat food"),
]


@pytest.fixture
def target(tmp_path):
    file = tmp_path / "target.txt"
    file.write_text(TARGET)
    return file


@pytest.fixture
def shop(tmp_path):
    file = tmp_path / "shop.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("id", "title", "category"), *SHOP])
    return file


def mapped(shop, target, **options):
    side, products = shop_side(aisle.read(shop))
    return map_categories(side, read_target(str(target)), products=products, **options)


def targets(mapping):
    source, other = mapping.source.nodes, mapping.target.nodes
    return {
        format_path(source[one.node].path): format_path(other[one.target].path) for one in mapping.categories
    }


def rows(file):
    with file.open(newline="") as table:
        return list(csv.DictReader(table))


def test_categories_are_mapped_by_names_and_structure(shop, target):
    found = targets(mapped(shop, target))
    assert found["Fashion > Shoes"] == "Apparel > Shoes"
    assert found["Kitchen > Frying pans"] == "Home > Kitchen > Frying Pans"
    assert found["Kitchen > Coffee machines"] == "Home > Kitchen > Coffee Machines"
    assert found["Kitchen"] == "Home > Kitchen"
    assert found["Pets > Cat food"] == "Pets > Cat Food"


def test_a_leaf_without_a_counterpart_goes_where_its_parent_goes(tmp_path, target):
    tree = Taxonomy.from_paths(
        [("Kitchen", "Frying pans", "Crepe griddles"), ("Kitchen", "Frying pans", "Woks")]
    )
    found = targets(map_categories(TreeSide(tree), read_target(str(target))))
    assert found["Kitchen > Frying pans > Woks"] == "Home > Kitchen > Frying Pans"


def test_products_of_a_category_that_straddles_get_targets_of_their_own(shop, target):
    mapping = mapped(shop, target)
    straddling = [one for one in mapping.categories if one.straddles]
    assert [format_path(mapping.source.nodes[one.node].path) for one in straddling] == [
        "Fashion > Bags and jewelry"
    ]
    assert straddling[0].decision == "review"
    found = {position: mapping.target.nodes[one.target].name for position, one in mapping.products.items()}
    assert found == {0: "Earrings", 1: "Earrings", 2: "Handbags", 3: "Handbags"}


def test_names_in_the_shops_language_are_compared(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "t.en-US.txt").write_text("1 - Tools\n2 - Tools > Hammers\n3 - Tools > Saws\n")
    (folder / "t.de-DE.txt").write_text("1 - Werkzeug\n2 - Werkzeug > Hämmer\n3 - Werkzeug > Sägen\n")
    tree = Taxonomy.from_paths([("Werkzeuge", "Hämmer"), ("Werkzeuge", "Sägen")])
    found = targets(map_categories(TreeSide(tree), read_target(str(folder))))
    assert (found["Werkzeuge > Hämmer"], found["Werkzeuge > Sägen"]) == ("Tools > Hammers", "Tools > Saws")


def test_products_of_the_other_tree_are_compared(shop, target):
    tree = read_target(str(target)).taxonomy
    texts = {tree.index("14"): ["Clumping granules", "Odour granules"]}
    side, products = shop_side(aisle.read([{"id": "a", "title": "Fine granules", "category": "Sundries"}]))
    found = map_categories(side, read_target(str(target)), products=products, target_texts=texts)
    assert 0 <= found.categories[0].probability <= 1


# -- what is decided ---------------------------------------------------------------------------


def test_the_threshold_is_the_last_that_passes_an_exact_test():
    rng = np.random.default_rng(0)
    confidence = rng.random(2000)
    checked = CheckedScores(confidence, rng.random(2000) < 0.6 + 0.4 * confidence, "own")
    found = find_threshold(checked, 0.9)
    above = checked.confidence >= found.threshold
    assert (found.pairs, found.errors) == (above.sum(), (above & ~checked.right).sum())
    assert found.lower >= 0.9
    assert 0.5 < found.threshold < 0.9


def test_a_guarantee_holds_in_repeated_draws():
    rng = np.random.default_rng(1)
    broken = 0
    for _ in range(200):
        confidence = rng.random(400)
        found = find_threshold(CheckedScores(confidence, rng.random(400) < confidence, "own"), 0.9, alpha=0.1)
        if found.holds:  # the true precision above a threshold t is (1 + t) / 2
            broken += (1 + found.threshold) / 2 < 0.9
    assert broken <= 30  # 20 expected at most; P(more than 30) < .01


def test_nothing_is_decided_without_checked_pairs_unless_asked_for(shop, target):
    mapping = mapped(shop, target)
    assert mapping.count("decided") == 0
    assert "no pair of your tree is checked" in mapping.guarantee.statement
    assert mapped(shop, target, reference=True).count("decided") > 0


def test_too_few_checked_pairs_decide_nothing():
    found = find_threshold(CheckedScores(np.full(58, 0.9), np.ones(58, bool), "own"), 0.95)
    assert not found.holds
    assert "at least 59" in found.statement
    assert find_threshold(CheckedScores(np.full(59, 0.9), np.ones(59, bool), "own"), 0.95).holds


def wide(n):
    """A tree of n categories, and one that has the same under other ids."""
    paths = [(f"Top{k % 6}", f"Thing{k}") for k in range(n)]
    tree = Taxonomy.from_paths(paths)
    return tree, TreeFile(Taxonomy.from_paths([("All", *path) for path in paths]), ())


def test_own_checked_pairs_carry_the_guarantee(tmp_path):
    tree, other = wide(90)
    leaves = [node for node in tree.nodes if len(node.path) == 2]
    pairs = [
        CheckedPair(format_path(node.path), other.taxonomy.index(("All", *node.path))) for node in leaves
    ]
    mapping = map_categories(TreeSide(tree), other, checked=pairs)
    assert (mapping.guarantee.basis, mapping.guarantee.holds) == ("own", True)
    assert mapping.count("decided") >= 80
    wrong = [CheckedPair(pair.category, None, pair.target) for pair in pairs]
    refused = map_categories(TreeSide(tree), other, checked=wrong)
    assert refused.count("decided") == 0


def test_checked_pairs_of_another_shop_are_refused(shop, target):
    with pytest.raises(CatalogError, match="no checked pair names a category of this shop"):
        mapped(shop, target, checked=[CheckedPair("Elsewhere", 1)])


def test_checked_pairs_are_read(tmp_path, target):
    tree = read_target(str(target)).taxonomy
    file = tmp_path / "check.csv"
    file.write_text("category;target;target_id;right\nA;x;7;yes\nB;x;7;no\nC;x;7;Pets > Cat Food\nD;x;7;\n")
    found = read_checked(file, tree)
    shoes, food = tree.index("7"), tree.index("13")
    assert found == [CheckedPair("A", shoes), CheckedPair("B", None, shoes), CheckedPair("C", food)]
    file.write_text("category,right\nA,Nowhere\n")
    with pytest.raises(CatalogError, match="row 2: 'Nowhere' is not in the target tree"):
        read_checked(file, tree)


# -- overrides and files -----------------------------------------------------------------------


def run(*words):
    return CliRunner().invoke(register(), [str(word) for word in words], catch_exceptions=False)


def test_overrides_are_kept_across_runs(tmp_path, shop, target, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("map", shop, "--to", target, "-q").exit_code == 0
    table = rows(tmp_path / "mapping.csv")
    for row in table:
        if row["category"] == "Kitchen > Coffee machines":
            row["override"] = "10"
    single = rows(tmp_path / "mapping.products.csv")
    single[0]["override"] = "Apparel > Jewelry"
    for name, content in (("mapping.csv", table), ("mapping.products.csv", single)):
        with (tmp_path / name).open("w", newline="") as out:
            writer = csv.DictWriter(out, list(content[0]))
            writer.writeheader()
            writer.writerows(content)
    for _ in range(2):
        assert run("map", shop, "--to", target, "-q", "--feed", tmp_path / "filled.csv").exit_code == 0
        kept = {row["category"]: row for row in rows(tmp_path / "mapping.csv")}["Kitchen > Coffee machines"]
        assert (kept["target_id"], kept["decision"], kept["override"]) == ("10", "override", "10")
        product = rows(tmp_path / "mapping.products.csv")[0]
        assert (product["product"], product["target_id"], product["decision"]) == ("1", "2", "override")
        filled = {row["id"]: row["google_product_category"] for row in rows(tmp_path / "filled.csv")}
        assert (filled["7"], filled["1"], filled["3"]) == ("10", "2", "")


def test_a_file_of_overrides_wins_over_earlier_ones(tmp_path, target):
    tree = read_target(str(target)).taxonomy
    file = tmp_path / "o.csv"
    file.write_text("product,category,target\n,A,7\np1,,Pets > Cat Food\n,B,Nowhere\n")
    found = read_overrides(file, tree)
    assert (found.categories, found.products) == ({"A": tree.index("7")}, {"p1": tree.index("13")})
    assert found.unknown == ("Nowhere",)
    assert (Overrides({"A": 1, "C": 2}) | found).categories == {"A": tree.index("7"), "C": 2}


def test_json_holds_counts_alternatives_and_the_guarantee(tmp_path, shop, target):
    printed = json.loads(run("map", shop, "--to", target, "--out", tmp_path / "m.json", "--json").stdout)
    assert printed == json.loads((tmp_path / "m.json").read_text())
    assert sum(printed["counts"].values()) == len(printed["categories"]) == 8
    assert printed["guarantee"]["basis"] == "reference"
    assert all(one["alternatives"] for one in printed["categories"])


def test_a_sample_to_check_is_drawn_from_categories_with_products(tmp_path, shop, target):
    assert run("map", shop, "--to", target, "-q", "--out", tmp_path / "m.csv", "--sample", 3).exit_code == 0
    drawn = rows(tmp_path / "m.check.csv")
    assert len(drawn) == 3
    assert {row["category"] for row in drawn} <= {category for _, _, category in SHOP}
    assert {row["right"] for row in drawn} == {""}


def test_an_xml_feed_gets_the_id_of_each_product(tmp_path, target):
    feed = tmp_path / "feed.xml"
    items = "".join(
        f"<item><g:id>{i}</g:id><g:title>{title}</g:title><g:product_type>{category.replace('>', '&gt;')}"
        f"</g:product_type><g:price>1 EUR</g:price></item>"
        for i, title, category in SHOP
    )
    feed.write_text(
        f'<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0"><channel>{items}</channel></rss>'
    )
    out = tmp_path / "feed.filled.xml"
    words = ("--to", target, "-q", "--out", tmp_path / "m.csv", "--feed", out, "--every")
    assert run("map", feed, *words).exit_code == 0
    text = out.read_text()
    assert "<g:google_product_category>10</g:google_product_category>" in text
    assert text.count("<g:google_product_category>") == len(SHOP)
    assert feed.read_text() != text


def test_a_missing_tree_is_refused_with_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("AISLE_TAXONOMIES", str(tmp_path))
    monkeypatch.setattr("aisle.mapping.targets.ADDRESSES", {"google": "http://127.0.0.1:9/{language}.txt"})
    with pytest.raises(TaxonomyError) as error:
        read_target("google")
    assert str(tmp_path / "google") in str(error.value)
    folder = tmp_path / "google"
    (folder / "taxonomy-with-ids.en-US.txt").write_text(TARGET)
    assert len(read_target("google").taxonomy) == 14


def test_one_category_and_one_product(tmp_path, target):
    file = tmp_path / "one.csv"
    file.write_text("id,title,category\n1,Pan,Frying pans\n")
    assert targets(mapped(file, target)) == {"Frying pans": "Home > Kitchen > Frying Pans"}
