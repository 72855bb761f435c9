"""Several categories in one cell, ancestors listed with leaves, signs that part levels, entities."""

import pytest
from typer.testing import CliRunner

from aisle.cli import register
from aisle.data import read
from aisle.data.check import check
from aisle.taxonomy import Taxonomy


def found(labels, **more):
    """Each label's categories, ` > ` between levels; and what was noted of the file as a whole."""
    catalog = read([{"title": f"t{i}", "category": label} for i, label in enumerate(labels)], **more)
    told = [p.message for p in catalog.problems if p.row is None]
    return [[" > ".join(path) for path in product.categories] for product in catalog], told


ANCESTORS = ["ancestors of a category are listed with it; they are left out"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["Home, Home > Fridges", "Office, Office > Pens"], [["Home > Fridges"], ["Office > Pens"]]),
        (["Home > Fridges, Home", "Office > Pens, Office"], [["Home > Fridges"], ["Office > Pens"]]),
        (["A, A > B, A > B > C", "A > B, A > B > D, A"], [["A > B > C"], ["A > B > D"]]),
        (["Top/Gear,Top/Gear/Bags", "Top,Top/Gear"], [["Top > Gear > Bags"], ["Top > Gear"]]),
        (
            ["Home,Home/Fridges", "Office,Office/Pens", "Sale"],
            [["Home > Fridges"], ["Office > Pens"], ["Sale"]],
        ),
        (["Home|Home/Fridges", "Office|Office/Pens"], [["Home > Fridges"], ["Office > Pens"]]),
        (
            ["Home; Home > Fridges; Sale > Top", "Sale > Top"],
            [["Home > Fridges", "Sale > Top"], ["Sale > Top"]],
        ),
        (["home, Home > Fridges", "Home > Ovens"], [["Home > Fridges"], ["Home > Ovens"]]),
        (["Fridges < Home, Home", "Ovens < Home"], [["Home > Fridges"], ["Home > Ovens"]]),
        (['["Home", "Home > Fridges"]', '["Office > Pens"]'], [["Home > Fridges"], ["Office > Pens"]]),
        (['[["Home", "Fridges"], ["Home"]]'], [["Home > Fridges"]]),
        (["Home, Home &gt; Fridges"], [["Home > Fridges"]]),
    ],
)
def test_ancestors_listed_with_a_category_are_left_out_and_told_once(labels, expected):
    assert found(labels) == (expected, ANCESTORS)


def test_label_columns_that_hold_whole_paths_are_a_category_each():
    def columns(*rows):
        catalog = read([{"title": "t", "level1": a, "level2": b} for a, b in rows])
        return [[" > ".join(path) for path in p.categories] for p in catalog], [
            p.message for p in catalog.problems
        ]

    assert columns(("Home", "Home > Fridges"), ("Office > Pens", "Office")) == (
        [["Home > Fridges"], ["Office > Pens"]],
        ANCESTORS,
    )
    assert columns(("Home", "Home/Fridges"), ("Toys", "Toys/Cars"))[0] == [
        ["Home > Fridges"],
        ["Toys > Cars"],
    ]
    assert columns(("Home", "TV/DVD"), ("Toys", "Cars > Sets")) == (
        [["Home > TV/DVD"], ["Toys > Cars > Sets"]],
        [],
    )


def test_an_official_tree_drops_ancestors_by_its_own_paths():
    tree = Taxonomy.from_paths([("Home", "Fridges"), ("Office", "Pens")])
    expected = ([["Home > Fridges"], ["Office > Pens"], ["Office"]], ANCESTORS)
    assert found(["Home, Home > Fridges", "Office > Pens, Office", "Office"], taxonomy=tree) == expected
    assert found(["Home, Home > Freezers", "Office > Pens"], taxonomy=tree)[0][0] == ["Home"]


def test_a_shop_that_lists_ancestors_learns_its_leaves(tmp_path):
    path = tmp_path / "shop.csv"
    words = {"Home > Fridges": "cooling fridge", "Home > Ovens": "baking oven", "Office > Pens": "gel pen"}
    lines = [
        f'{i},{text} {i},"{name.split(" > ")[0]}, {name}"' for i in range(12) for name, text in words.items()
    ]
    path.write_text("\n".join(["id,name,categories", *lines]) + "\n")
    report = check(read(path), images=False)
    assert sorted(report.classes.top) == [(name, 12) for name in sorted(words)]
    (told,) = [f for f in report.findings if "ancestors" in f.message]
    assert (told.severity, told.count, told.unit) == ("note", 1, "files")
    assert told.examples[0].value == "36 rows, such as Home, Home > Fridges"


@pytest.mark.parametrize("mark", [", ", " | ", "; ", "\n"])
def test_a_name_that_holds_the_separator_switches_nothing_off(mark):
    jars = f"Kitchen > Mugs{mark}Cups & Jars"
    labels = [
        jars,
        f"{jars}{mark}Office > Pens",
        "Office > Pens",
        f"Home > Fridges{mark}Office > Pens",
        "Home > Fridges",
    ]
    name = " ".join(jars.split())
    assert found(labels)[0] == [
        [name],
        [name, "Office > Pens"],
        ["Office > Pens"],
        ["Home > Fridges", "Office > Pens"],
        ["Home > Fridges"],
    ]


@pytest.mark.parametrize("mark", [", ", ",", " | ", ";", "\n"])
@pytest.mark.parametrize("level", [" > ", "/", ">"])
def test_a_flat_name_after_a_path_is_a_category_of_its_own(mark, level):
    pens, cold = f"Office{level}Pens", f"Home{level}Fridges"
    labels = [
        f"{pens}{mark}Sale",
        pens,
        cold,
        f"{cold}{mark}Sale",
        f"{pens}{mark}New in",
        f"Sale{mark}{cold}",
    ]
    assert found(labels)[0] == [
        ["Office > Pens", "Sale"],
        ["Office > Pens"],
        ["Home > Fridges"],
        ["Home > Fridges", "Sale"],
        ["Office > Pens", "New in"],
        ["Home > Fridges", "Sale"],  # the place is learned, wherever the cell lists it
    ]


def test_one_row_with_a_flat_name_after_a_known_path_makes_no_class():
    pens, cups = "Office > Pens", "Kitchen > Mugs, Cups & Jars"
    assert found([pens, f"{pens}, Sale", cups])[0] == [[pens], [pens, "Sale"], [cups]]
    assert found([pens, f"Sale, {pens}", f"{cups}, Sale", cups])[0] == [
        [pens],
        [pens, "Sale"],
        [cups, "Sale"],
        [cups],
    ]
    assert found([pens, f"{pens}, Ink & Refills"])[0] == [[pens], [f"{pens}, Ink & Refills"]]
    tree = Taxonomy.from_paths([("Office", "Pens"), ("Sale",)])
    assert found([f"Sale, {pens}", pens], taxonomy=tree)[0] == [[pens, "Sale"], [pens]]


def test_flat_names_are_listed_where_each_is_a_label_by_itself():
    labels = ["pens", "mugs", "pens,mugs", "mugs,sale", "pens,sale"]
    assert found(labels)[0] == [["pens"], ["mugs"], ["pens", "mugs"], ["mugs", "sale"], ["pens", "sale"]]
    names = ["Clothing, Shoes & Jewelry", "Shoes", "Books", "Books, Movies & TV", "Dining, Living Room"]
    assert found(names)[0] == [[name] for name in names]


def test_escaped_separators_are_part_of_the_name():
    labels = [r"Kitchen > Mugs\, Cups, Office > Pens", "Home > Fridges, Sale", r"Mugs\, Cups"]
    assert found(labels)[0] == [
        ["Kitchen > Mugs, Cups", "Office > Pens"],
        ["Home > Fridges", "Sale"],
        ["Mugs, Cups"],
    ]
    assert found([r"Kitchen > Mugs\, Cups"])[0] == [["Kitchen > Mugs, Cups"]]
    assert found([r"A > B\| C | D > E", "D > E"])[0] == [["A > B| C", "D > E"], ["D > E"]]


def test_roots_and_names_that_hold_commas_are_not_cut():
    labels = [
        "Clothing, Shoes & Jewelry > Women",
        "Toys > Dolls",
        "Toys > Dolls, Clothing, Shoes & Jewelry > Women",
    ]
    root = "Clothing, Shoes & Jewelry > Women"
    assert found(labels)[0] == [[root], ["Toys > Dolls"], ["Toys > Dolls", root]]
    labels = ["Home > Mirrors", "Home > Mirrors, Clocks & Ornaments", "Home > Dining, Living Room > Sofas"]
    assert found(labels) == ([[label] for label in labels], [])


PATHS = [("Office", "Pens"), ("Kitchen", "Mugs & Cups"), ("Office", "Desks")]


@pytest.mark.parametrize(
    "mark",
    [
        *("\\", "\\\\", "＞", " ＞ ", "›", " » ", "→", " ⇒ ", "／", "¥", "&gt;", " &gt; ", "&amp;gt;"),
        *("&amp;amp;gt;", "&#62;", "&#x3e;", " &raquo; ", "&rarr;"),
    ],
)
def test_signs_and_entities_that_part_levels_are_found(mark):
    labels = [mark.join(name.replace("&", "&amp;") for name in path) for path in PATHS]
    assert found(labels) == ([[" > ".join(path)] for path in PATHS], [])


def test_signs_of_names_part_nothing_and_entities_are_no_second_spelling():
    flat = ["AC\\DC", "Mugs", "Pens", "T-Shirts"]
    assert found(flat) == ([[name] for name in flat], [])
    assert found(["Salt &amp; Pepper", "Salt & Pepper", "B&amp;amp;Q", "R&D;x"])[0] == [
        ["Salt & Pepper"],
        ["Salt & Pepper"],
        ["B&Q"],
        ["R&D;x"],
    ]
    assert found(["Office > Pens", "Home＞Beds"])[0] == [["Office > Pens"], ["Home > Beds"]]
    tree = Taxonomy.from_paths([("Arts & Crafts", "Yarn")])
    assert found(["Arts &amp; Crafts &gt; Yarn"], taxonomy=tree) == ([["Arts & Crafts > Yarn"]], [])


@pytest.mark.parametrize(
    ("mark", "flag"),
    [
        (":", "-c delimiter=:"),
        (" - ", "-c 'delimiter= - '"),
        ("#", "-c 'delimiter=#'"),
        ("_", "-c delimiter=_"),
        (" ~ ", "-c 'delimiter= ~ '"),
        (";", "-c 'delimiter=;'"),
    ],
)
def test_a_sign_that_every_label_holds_is_told_with_the_flag_that_reads_it(mark, flag):
    labels = [mark.join(path) for path in PATHS]
    flat, (told,) = found(labels)
    assert flat == [[label] for label in labels]
    assert (
        told == f"every label holds {mark.strip()!r} and is read as one level; if it separates levels: {flag}"
    )
    assert found(labels, columns={"delimiter": mark}) == ([[" > ".join(path)] for path in PATHS], [])
    assert found(["T-Shirts", "V-Necks"])[1] == []
    assert found([*labels, "Toys"])[1] == []


def test_the_told_flag_works_on_the_command_line(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("id,title,category\n1,gel pen,Office:Pens\n2,mug,Kitchen:Mugs\n3,desk,Office:Desks\n")
    assert "delimiter=:" in " ".join(CliRunner().invoke(register(), ["check", str(path)]).output.split())
    told = CliRunner().invoke(register(), ["check", str(path), "-c", "delimiter=:"]).output
    assert "Office > Pens" in told
    assert "every label holds" not in told
