"""A small tree for each kind of finding."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import aisle
from aisle.cli import register
from aisle.errors import CatalogError
from aisle.evaluation.tree_check import TreeLimits, check_tree
from aisle.evaluation.tree_check.products import confusion_findings
from aisle.inference.labelled_scores import LabelledScores
from aisle.taxonomy import Taxonomy, format_path
from aisle.training.recipe import load_recipe


def tree_of(*paths):
    return Taxonomy.from_paths([tuple(path.split(" > ")) for path in paths])


def found(kind, check):
    return [one for one in check.findings if one.kind == kind]


def products(*counted):
    """Products: (category, number, title with {})."""
    rows = [(path, title.format(k)) for path, number, title in counted for k in range(number)]
    return [{"id": str(n), "title": title, "category": path} for n, (path, title) in enumerate(rows)]


def test_one_name_under_different_parents():
    check = check_tree(tree_of("Men > Shoes", "Women > Shoe", "Home > Lamps", "Home > Shelves"))
    (one,) = found("same name", check)
    assert set(one.categories) == {"Men > Shoes", "Women > Shoe"}
    assert "Men: Shoes" in one.proposal
    assert len(found("same name", check_tree(tree_of("Men > Shoes", "Women > Boots")))) == 0


def test_nearly_equal_siblings_and_names_of_parents():
    check = check_tree(
        tree_of(
            "A > Accessories",
            "A > Accesories",
            "A > Size 38",
            "A > Size 39",
            "A > Baseball caps",
            "A > Basketball caps",
        )
    )
    (one,) = found("alike siblings", check)
    assert set(one.categories) == {"A > Accessories", "A > Accesories"}
    (two,) = found("repeats its parent", check_tree(tree_of("Books > Book", "Books > Maps")))
    assert two.categories == ("Books > Book",)


def test_branches_that_are_too_deep_and_single_children():
    check = check_tree(tree_of("A > B > C > D > E", "A > B > C > D > F", "G"), limits=TreeLimits(depth=3))
    (deep,) = found("too deep", check)
    assert deep.categories == ("A > B > C",)
    assert "it has 5 levels; 3 categories are below level 3" in deep.message
    assert {one.categories[0] for one in found("single child", check)} == {"A", "A > B", "A > B > C"}


def test_empty_and_tiny_leaves_name_where_to_merge(tmp_path):
    file = tmp_path / "tree.txt"
    file.write_text("Pens\nPens > Ball pens\nPens > Gel pens\nPens > Quills\nPaper\n")
    rows = products(
        ("Pens > Ball pens", 9, "Ball pen {}"), ("Pens > Gel pens", 2, "Gel pen {}"), ("Paper", 7, "Paper {}")
    )
    catalog = aisle.read(rows, taxonomy=file)
    check = check_tree(catalog.taxonomy, catalog)
    (tiny,) = found("tiny leaf", check)
    assert (tiny.categories, tiny.products) == (("Pens > Gel pens",), 2)
    assert tiny.examples == ("Gel pen 0", "Gel pen 1")
    assert "Pens > Ball pens" in tiny.proposal
    (empty,) = found("empty leaf", check)
    assert empty.categories == ("Pens > Quills",)


def test_leaves_that_are_confused_above_a_share():
    tree = tree_of("A > Mugs", "A > Cups", "A > Plates")
    mugs, cups, plates = (tree.index(("A", name)) for name in ("Mugs", "Cups", "Plates"))
    truth = np.array([mugs] * 20 + [cups] * 20 + [plates] * 20)
    given = truth.copy()
    given[:8], given[20:26], given[40] = cups, mugs, cups
    titles = [f"t{k}" for k in range(60)]
    (one,) = confusion_findings(tree, truth, given, titles, 0.3)
    assert set(one.categories) == {"A > Mugs", "A > Cups"}
    assert one.message.startswith("35%")  # 14 of 40
    assert one.examples[0] == "t0"
    assert list(confusion_findings(tree, truth, given, titles, 0.4)) == []


def test_a_catch_all_with_clear_groups():
    rows = products(
        ("Home > Sonstiges", 15, "Scented candle vanilla {}"),
        ("Home > Sonstiges", 14, "Picture frame oak {}"),
        ("Home > Frames", 20, "Shelf {} white"),
        ("Home > Lamps", 20, "Lamp {} bright"),
    )
    catalog = aisle.read(rows)
    (one,) = found("catch-all with clusters", check_tree(catalog.taxonomy, catalog))
    assert one.categories == ("Home > Sonstiges",)
    assert one.products == 29
    assert "'scented candle vanilla' (15" in one.proposal
    assert "or move them to 'Home > Frames'" in one.proposal


def test_a_sound_tree_has_no_findings():
    rows = products(("Home > Frames", 9, "Frame {}"), ("Home > Lamps", 9, "Lamp {}"), ("Food", 9, "Bread {}"))
    catalog = aisle.read(rows)
    assert check_tree(catalog.taxonomy, catalog).findings == ()


@pytest.mark.slow
def test_models_of_a_recipe_count_confusions():
    rng = np.random.default_rng(0)
    rows = [
        {
            "id": str(n),
            "title": f"{rng.choice(['red', 'blue'])} cup {n % 7}",
            "category": f"A > {rng.choice(['Mugs', 'Cups'])}",
        }
        for n in range(120)
    ]
    rows += [{"id": f"p{n}", "title": f"plate {n % 9}", "category": "A > Plates"} for n in range(60)]
    catalog = aisle.read(rows)
    recipe = load_recipe("fast", ["views.image=false"])
    check = check_tree(catalog.taxonomy, catalog, recipe, TreeLimits(confusion=0.2, folds=3))
    (one,) = found("confused leaves", check)
    assert set(one.categories) == {"A > Mugs", "A > Cups"}


def check(*words):
    return CliRunner().invoke(register(), ["taxonomy", "check", *map(str, words)], catch_exceptions=False)


def test_the_command_checks_a_tree_or_a_catalog(tmp_path):
    tree = tmp_path / "tree.csv"
    tree.write_text("id,name,parent_id\n1,Men,\n2,Shoes,1\n3,Women,\n4,Shoes,3\n5,Bags,3\n")
    said = json.loads(check(tree, "--json").stdout)
    assert said["counts"] == {"same name": 1, "single child": 1}
    assert said["products"] == 0
    catalog = tmp_path / "shop.csv"
    catalog.write_text("id,title,category\n1,Red shoe,Men > Shoes\n2,Blue bag,Women > Bags\n")
    said = json.loads(check(catalog, "--json").stdout)
    assert (said["products"], said["counts"]["tiny leaf"]) == (2, 2)
    text = check(catalog).stdout
    assert "Leaves with few products: 2" in text
    assert "Red shoe" in text


def test_a_recipe_needs_products(tmp_path):
    file = tmp_path / "tree.txt"
    file.write_text("A\nA > B\nC\n")
    with pytest.raises(CatalogError, match="need a catalog with products"):
        check(file, "--recipe", "fast")


def test_paths_of_findings_are_of_the_tree():
    tree = tree_of("Men > Shoes", "Women > Shoes")
    paths = {format_path(node.path) for node in tree.nodes}
    assert all(set(one.categories) <= paths for one in check_tree(tree).findings)


def test_kept_scores_of_a_run_count_confusions_without_training(tmp_path):
    rows = products(("A > Mugs", 30, "cup {}"), ("A > Cups", 30, "cup {} "), ("A > Plates", 30, "plate {}"))
    catalog = aisle.read(rows)
    aisle.train(catalog, out=tmp_path / "run", changes=["views.image=false"])
    kept = LabelledScores.load(tmp_path / "run")
    assert kept is not None
    checked = check_tree(catalog.taxonomy, catalog, None, TreeLimits(confusion=0.2), labelled=kept)
    (one,) = found("confused leaves", checked)
    assert set(one.categories) == {"A > Mugs", "A > Cups"}
    others = aisle.read(products(("A > Mugs", 30, "beaker {}"), ("A > Cups", 30, "beaker {} ")))
    assert not found("confused leaves", check_tree(others.taxonomy, others, None, labelled=kept))
