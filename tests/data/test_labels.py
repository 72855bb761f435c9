"""How columns write their labels: delimiters found over the column, names never cut."""

import json

import pytest

from aisle.data import read
from aisle.errors import CatalogError
from aisle.taxonomy import Node, Taxonomy


def paths(labels, **more):
    """The categories that rows with these labels get."""
    columns = more.pop("columns", {})
    rows = [{"title": f"t{i}", "category": label} for i, label in enumerate(labels)]
    return [p.categories for p in read(rows, columns=columns, **more)]


def first(labels, **more):
    return [categories[0] if categories else None for categories in paths(labels, **more)]


TREE = [
    ("Home & Garden", "Dining, Living Room Furniture", "Mirrors, Clocks & Ornaments"),
    ("Home & Garden", "A/C Units"),
    ("Home & Garden", "Kitchen"),
    ("Electronics", "TV/DVD Combos"),
    ("Electronics",),
    ("Books",),
]


@pytest.mark.parametrize(
    "mark", [" > ", " / ", " | ", " < ", " >> ", " :: ", ">", "|", "<", ">>", "::", " » ", " -> "]
)
def test_every_delimiter_is_found_and_no_name_is_cut(mark):
    assert first([mark.join(path) for path in TREE]) == TREE


def test_a_bare_slash_parts_levels_where_roots_recur_and_keeps_single_letters_together():
    labels = ["Home/Kitchen", "Home/A/C Units", "Home/Garden/Chairs", "Toys/Games"]
    assert first(labels) == [
        ("Home", "Kitchen"),
        ("Home", "A/C Units"),
        ("Home", "Garden", "Chairs"),
        ("Toys", "Games"),
    ]


def test_slashes_in_flat_names_cut_nothing():
    labels = ["A/C Units", "TV/DVD Combos", "Shoes", "Hats", "Speakers / Headphones", "Bags"]
    assert first(labels) == [(label,) for label in labels]


def test_the_leaf_may_come_first_after_a_less_than_sign():
    assert first(["Boots < Shoes < Clothing", "Sandals < Shoes < Clothing", "Hats < Clothing"]) == [
        ("Clothing", "Shoes", "Boots"),
        ("Clothing", "Shoes", "Sandals"),
        ("Clothing", "Hats"),
    ]


def test_blank_levels_end_a_path_and_gaps_are_told():
    rows = [
        {"title": "a", "level1": "Home", "level2": "-1", "level3": ""},
        {"title": "b", "level1": "Home", "level2": "Garden", "level3": None},
        {"title": "c", "level1": "Home", "level2": "null", "level3": "Chairs"},
        {"title": "d", "level1": "-1", "level2": "", "level3": "nan"},
    ]
    catalog = read(rows)
    assert catalog.columns.levels == ("level1", "level2", "level3")
    assert [p.categories for p in catalog] == [
        (("Home",),),
        (("Home", "Garden"),),
        (("Home", "Chairs"),),
        (),
    ]
    assert [(p.row, p.message.split(" is ")[0]) for p in catalog.problems] == [
        (3, "level 2"),
        (4, "no category; the row"),
    ]
    assert first(["A > B > ", "A > -1", " > ", "A > B > C"]) == [("A", "B"), ("A",), None, ("A", "B", "C")]


def test_json_lists_hold_a_path_or_several():
    assert paths(['["Home", "Garden"]', '["Home"]', "[]"]) == [(("Home", "Garden"),), (("Home",),), ()]
    several = ['["Clothing >> Shoes", "Sale >> Shoes"]', '["Clothing >> Hats"]']
    assert paths(several)[0] == (("Clothing", "Shoes"), ("Sale", "Shoes"))
    nested = json.dumps([["A", "B"], ["C"]])
    assert paths([nested]) == [(("A", "B"), ("C",))]
    named = json.dumps([{"id": "1", "name": "A"}, {"id": "2", "name": "B > C"}])
    assert paths([named, "[]"], columns={"delimiter": ""})[0] == (("A", "B > C"),)


def test_several_categories_in_one_cell_are_told_from_commas_in_names():
    labels = ["All/Men/Tops,All/Sale,All", "All/Men/Hats, Caps & Ties", "All/Women/Tops,All/Women"]
    assert paths(labels) == [
        (("All", "Men", "Tops"), ("All", "Sale")),  # `All` is an ancestor of both
        (("All", "Men", "Hats, Caps & Ties"),),
        (("All", "Women", "Tops"),),
    ]
    assert paths(["A > x | A > y", "A > x"]) == [(("A", "x"), ("A", "y")), (("A", "x"),)]


def test_labels_that_differ_in_case_or_spacing_are_read_as_the_commonest():
    catalog = read(
        [
            {"title": str(i), "category": c}
            for i, c in enumerate(["A > Shoes", "A > Shoes", "a >  SHOES ", "A > Hats"])
        ]
    )
    assert [p.categories[0] for p in catalog][:3] == [("A", "Shoes")] * 3
    assert len(catalog.taxonomy) == 3
    assert [(p.row, p.value) for p in catalog.problems] == [(3, "a >  SHOES ")]
    assert "read as 'A > Shoes'" in catalog.problems[0].message


OFFICIAL = Taxonomy(
    [
        Node("1", ("Home",), False),
        Node("11", ("Home", "A/C Units")),
        Node("12", ("Home", "Dining / Living")),
        Node("2", ("Toys",), True),
        Node("21", ("Toys", "Games")),
    ],
    aliases={"99": "21"},
)


def test_an_official_tree_is_met_by_path_id_alias_and_spelling():
    labels = ["Home/A/C Units", "12", "99", "toys/games", "Home", "Toys", "Hom/A/C Units", ""]
    rows = [{"title": str(i), "category": label} for i, label in enumerate(labels)]
    catalog = read(rows, taxonomy=OFFICIAL)
    node, exact = catalog.targets()
    assert [OFFICIAL.nodes[n].id if n >= 0 else None for n in node] == [
        "11",
        "12",
        "21",
        "21",
        "1",
        "2",
        None,
        None,
    ]
    assert exact.tolist()[:6] == [True, True, True, True, False, True]
    assert [p.row for p in catalog.problems] == [4, 7, 8]
    assert "Did you mean 'Home > A/C Units'?" in catalog.problems[1].message
    assert not catalog.fatal.any()


def test_labels_can_be_replaced():
    catalog = read([{"title": "a", "category": "X"}, {"title": "b", "category": "Y"}])
    other = catalog.with_labels([("P", "Q"), None])
    assert [p.categories for p in other] == [(("P", "Q"),), ()]
    assert other.targets().node.tolist() == [1, -1]
    assert catalog[0].categories == (("X",),)
    with pytest.raises(CatalogError, match="1 labels were given for 2 rows"):
        catalog.with_labels([None])


def test_a_catalogue_without_labels_says_so():
    catalog = read([{"title": "a"}])
    assert catalog.targets().node.tolist() == [-1]
    assert not catalog.labelled
    with pytest.raises(CatalogError, match="no column holds categories"):
        _ = catalog.taxonomy


def test_leaf_first_labels_keep_names_with_commas_and_still_part_several():
    from aisle.data import read

    one = ["Chairs < Dining, Living Room < Furniture", "A/C Units < Home", "Beds < Furniture"]
    catalog = read([{"title": label, "category": label} for label in one * 3])
    assert catalog[0].categories == (("Furniture", "Dining, Living Room", "Chairs"),)
    two = [*one, "Beds < Furniture; A/C Units < Home"]
    catalog = read([{"title": label, "category": label} for label in two * 3])
    assert catalog[3].categories == (("Furniture", "Beds"), ("Home", "A/C Units"))


def test_lists_as_python_writes_them_are_lists():
    from aisle.data import read

    rows = [{"title": "a", "category": "['A', 'B']", "images": "['x.png', 'y.png']"}]
    (product,) = read(rows)
    assert product.categories == (("A", "B"),)
    assert [ref.path.name for ref in product.images] == ["x.png", "y.png"]


def test_the_right_name_under_a_wrong_path_is_suggested():
    from aisle.data import read
    from aisle.taxonomy import Taxonomy

    tree = Taxonomy.from_paths([("Clothing", "Hats"), ("Clothing", "Shoes", "Boots"), ("Home", "Lamps")])
    labels = ["Hats", "Shop > Boots", "Home > Lampss", "Zzzz"]
    told = [p.message for p in read([{"title": "a", "category": c} for c in labels], taxonomy=tree).problems]
    assert ["Clothing > Hats" in told[0], "Shoes > Boots" in told[1], "Home > Lamps" in told[2]] == [True] * 3
    assert "Did you mean" not in told[3]


def test_a_name_in_every_list_of_categories_comes_last():
    from aisle.data import read

    lists = [
        "All items;Red;Wine",
        "Red;All items",
        "White;All items;Wine",
        "All items;Beer",
        "Beer",
        "Red;Gifts;All items",
    ]
    catalog = read([{"title": f"Bottle {i}", "category": label} for i, label in enumerate(lists * 2)])
    assert [product.categories[0] for product in catalog][:6] == [
        ("Red",),
        ("Red",),
        ("White",),
        ("Beer",),
        ("Beer",),
        ("Red",),
    ]
    assert catalog[0].categories == (("Red",), ("Wine",), ("All items",))
