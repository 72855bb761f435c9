"""What changed between two versions of a tree."""

import json

import pytest

from aisle.taxonomy import Node, Taxonomy, read_taxonomy
from aisle.taxonomy.tree_diff import TaxonomyDiff, diff


def tree(*paths: str) -> Taxonomy:
    return Taxonomy.from_paths([tuple(path.split(" > ")) for path in paths])


def with_ids(**paths: str) -> Taxonomy:
    return Taxonomy(Node(node_id, tuple(path.split(" > "))) for node_id, path in paths.items())


def kinds(found: TaxonomyDiff) -> set[tuple[str, str, str]]:
    """(kind, old side, new side) of every change but kept categories."""
    return {(change.kind, *found.describe(change)) for change in found if change.kind != "kept"}


SHOP = (
    "Food > Beer",
    "Food > Wine",
    "Food > Cheese",
    "Clothes > Shoes",
    "Clothes > Shirts",
    "Clothes > Hats",
)


def test_equal_trees_have_no_change() -> None:
    found = diff(tree(*SHOP), tree(*SHOP))
    assert found.unchanged
    assert found.counts == {"kept": 8}
    assert {tuple(n.path for n in (found.old.nodes[a], found.new.nodes[b])) for a, b in found.pairs()} == {
        (node.path, node.path) for node in tree(*SHOP).nodes
    }


def test_the_order_of_siblings_is_no_change() -> None:
    one = Taxonomy([Node("a", ("A",)), Node("b", ("B",)), Node("c", ("C",))])
    other = Taxonomy([Node("c", ("C",)), Node("b", ("B",)), Node("a", ("A",))])
    assert diff(one, other).unchanged
    assert diff(one, other, ids=False).unchanged


def test_trees_of_one_node() -> None:
    assert diff(tree("Toys"), tree("Toys")).unchanged
    assert kinds(diff(tree("Toys"), tree("Toy"))) == {("renamed", "Toys", "Toy")}
    assert diff(tree("Toys"), tree("Käse")).counts == {"added": 1, "retired": 1}


def test_each_kind_by_ids() -> None:
    old = with_ids(a="Food", b="Food > Beer", c="Food > Wine", d="Home", e="Home > Lamps", f="Home > Rugs")
    new = Taxonomy(
        [
            Node("a", ("Groceries",)),
            Node("b", ("Groceries", "Drinks")),
            Node("d", ("Home",)),
            Node("e", ("Groceries", "Lights")),
            Node("g", ("Home", "Clocks")),
        ],
        {"c": "b"},
    )
    found = diff(old, new)
    assert found.by_ids
    assert kinds(found) == {
        ("renamed", "Food", "Groceries"),
        ("moved and renamed", "Home > Lamps", "Groceries > Lights"),
        ("merged", "Food > Beer + Food > Wine", "Groceries > Drinks"),
        ("retired", "Home > Rugs", ""),
        ("added", "", "Home > Clocks"),
    }
    assert all(change.probability == 1 for change in found if change.kind in ("renamed", "merged"))


def test_names_swapped_between_siblings_follow_the_ids() -> None:
    old, new = with_ids(a="Left", b="Right"), with_ids(a="Right", b="Left")
    assert kinds(diff(old, new, ids=True)) == {("renamed", "Left", "Right"), ("renamed", "Right", "Left")}


def test_ids_given_anew_are_not_trusted() -> None:
    old = with_ids(**{"1": "Toys", "2": "Food", "3": "Garden"})
    new = with_ids(**{"1": "Food", "2": "Garden", "3": "Toys"})
    found = diff(old, new)
    assert not found.by_ids
    assert found.unchanged
    assert "name other categories" in found.notes[0]


def test_each_kind_by_names() -> None:
    old = tree(*SHOP, "Toys > Puzzles", "Toys > Dolls", "Home > Lamps")
    new = tree(
        "Food > Beer & Wine", "Food > Cheese", "Apparel > Shoes > Sneakers", "Apparel > Shoes > Boots",
        "Apparel > Shirts", "Apparel > Hats", "Toys > Dolls", "Games > Puzzles", "Home > Lamps",
        "Home > Garden",
    )  # fmt: skip
    found = diff(old, new)
    assert not found.by_ids
    assert kinds(found) == {
        ("renamed", "Clothes", "Apparel"),
        ("moved", "Toys > Puzzles", "Games > Puzzles"),
        ("merged", "Food > Beer + Food > Wine", "Food > Beer & Wine"),
        ("split", "Clothes > Shoes", "Apparel > Shoes > Boots + Apparel > Shoes > Sneakers"),
        ("added", "", "Games"),
        ("added", "", "Home > Garden"),
    }


def test_split_into_siblings_and_leaf_that_takes_in_its_children() -> None:
    found = diff(tree("A > Beer & Wine", "A > Milk"), tree("A > Beer", "A > Wine", "A > Milk"))
    assert kinds(found) == {("split", "A > Beer & Wine", "A > Beer + A > Wine")}
    found = diff(tree("A > Tea > Green", "A > Tea > Black", "A > Milk"), tree("A > Tea", "A > Milk"))
    assert kinds(found) == {("merged", "A > Tea > Black + A > Tea > Green", "A > Tea")}


def test_moved_and_renamed_by_its_children() -> None:
    old = tree("Home > Kitchen > Pans", "Home > Kitchen > Knives", "Home > Kitchen > Ovens", "Garden > Rakes")
    cooking = [f"Garden > Cooking > {name}" for name in ("Pans", "Knives", "Ovens")]
    new = tree("Home > Beds", *cooking, "Garden > Rakes")
    assert ("moved and renamed", "Home > Kitchen", "Garden > Cooking") in kinds(diff(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Café & Thé", "cafe and the"),
        ("SCHUHE", "Schuhe"),
        ("Обувь", "ОБУВЬ"),
        ("ｼｭｰｽﾞ", "シューズ"),
        ("Kids'  Toys", "Kids Toys"),
    ],
)
def test_spelling_is_a_sure_rename(old: str, new: str) -> None:
    found = diff(tree(f"Shop > {old}", "Shop > Other"), tree(f"Shop > {new}", "Shop > Other"))
    (change,) = found.of("renamed")
    assert found.describe(change) == (f"Shop > {old}", f"Shop > {new}")
    assert not change.uncertain


@pytest.mark.parametrize("names", [("鞋子", "男鞋子"), ("Обувь", "Мужская обувь"), ("أحذية", "أحذية رجالية")])
def test_names_in_other_scripts_are_compared(names: tuple[str, str]) -> None:
    found = diff(tree(f"A > {names[0]}", "A > X", "B > Y"), tree(f"A > {names[1]}", "A > X", "B > Y"))
    assert kinds(found) == {("renamed", f"A > {names[0]}", f"A > {names[1]}")}


def test_equal_names_follow_their_parents() -> None:
    old = tree(*(f"{top} > Accessories" for top in ("Cameras", "Phones", "Bikes")))
    new = tree(*(f"{top} > Accessories" for top in ("Photo Cameras", "Phones", "Bicycles & Bikes")))
    found = diff(old, new)
    assert kinds(found) == {("renamed", "Cameras", "Photo Cameras"), ("renamed", "Bikes", "Bicycles & Bikes")}


def test_products_tell_what_names_do_not() -> None:
    old, new = tree("A > X", "A > Y", "A > Z"), tree("A > P", "A > Q", "A > Z")
    index = {
        (t, p): t_.index(("A", p))
        for t, t_ in (("o", old), ("n", new))
        for p in "XYZPQ"
        if t_.find(("A", p)) is not None
    }
    products = [(index["o", "X"], index["n", "Q"])] * 9 + [(index["o", "Y"], index["n", "P"])] * 8
    found = diff(old, new, products=products)
    assert kinds(found) == {("renamed", "A > X", "A > Q"), ("renamed", "A > Y", "A > P")}
    (change,) = [c for c in found.of("renamed") if found.describe(c)[0] == "A > X"]
    assert "9 of 9 common products are in both" in change.evidence


def test_a_retired_category_names_its_replacement() -> None:
    products = [(tree(*SHOP).index(("Clothes", "Hats")), 0)]
    new = tree("Clothes > Shirts", "Clothes > Shoes", "Food > Beer", "Food > Cheese", "Food > Wine")
    del products
    found = diff(tree(*SHOP), new)
    assert kinds(found) == {("retired", "Clothes > Hats", "")}


def test_json_and_html(tmp_path) -> None:
    found = diff(tree(*SHOP, "A > <b>x</b>"), tree(*SHOP[1:], "A > y"))
    data = json.loads(json.dumps(found.to_dict()))
    assert data["matched_by"] == "names"
    assert data["counts"] == found.counts
    assert {change["kind"] for change in data["changes"]} <= {"added", "retired", "renamed"}
    found.to_html(tmp_path / "d.html")
    page = (tmp_path / "d.html").read_text("utf-8")
    assert "&lt;b&gt;x" in page
    assert "<b>x" not in page
    assert "http" not in page


def test_a_renamed_branch_takes_its_categories_along(tmp_path) -> None:
    paths = [f"Top {i % 20} > Middle {i % 1000} > Leaf number {i}" for i in range(3000)]
    (tmp_path / "old.txt").write_text("\n".join(paths))
    (tmp_path / "new.txt").write_text("\n".join(path.replace("Top 7", "Upper 7") for path in paths))
    found = diff(read_taxonomy(tmp_path / "old.txt"), read_taxonomy(tmp_path / "new.txt"))
    assert found.counts == {"renamed": 1, "kept": 20 + 1000 + 3000 - 1}
