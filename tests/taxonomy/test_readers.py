import json

import pytest

from aisle.errors import TaxonomyError
from aisle.taxonomy import Taxonomy, read_taxonomy, read_tree
from tests.shared import DATA, needs_shared

TREES = DATA / "taxonomies"
SMALL = [("Clothing",), ("Clothing", "Shoes"), ("Clothing", "Shoes", "Boots, Ankle"), ("Home / Garden",)]


def paths(tree):
    return [node.path for node in tree.nodes]


def ids(tree):
    return [node.id for node in tree.nodes]


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@needs_shared
@pytest.mark.parametrize("name", ["google_taxonomy-with-ids.en-US.txt", "google_product_taxonomy.csv"])
def test_googles_tree_reads_as_it_is(name):
    tree, problems = read_tree(TREES / name)
    assert (len(tree), tree.depth, problems) == (5582, 7, ())
    boots = tree.index("187")
    assert tree.nodes[boots].path == ("Apparel & Accessories", "Shoes")
    assert not tree.nodes[tree.index(("Animals & Pet Supplies",))].assignable
    assert [len(tree.level(depth)) for depth in range(1, 8)] == [21, 192, 1349, 2198, 1377, 397, 48]


@needs_shared
@pytest.mark.parametrize("name", ["bestbuy_categories.json", "bestbuy_categories.csv"])
def test_best_buys_tree_tells_its_oddities_and_keeps_every_id(name):
    tree, problems = read_tree(TREES / name)
    assert sum("the same path as id" in p.message for p in problems) == 3
    assert sum("the same path but for spacing" in p.message for p in problems) == 1
    assert (
        tree.find("cat02843")
        == tree.find("cat02818")
        == tree.find(("Movies & Music", "Music (CDs & Vinyl)", "Comedy/Spoken", "Christmas"))
    )
    nameless = [p for p in problems if "no name" in p.message]
    if name.endswith("json"):
        assert [p.value for p in nameless] == ["pcmcat748300293073"]
        every = {item["id"] for item in json.loads((TREES / name).read_text())}
        assert all(tree.find(node_id) is not None for node_id in every)
        assert len(every) == 4584
    assert Taxonomy.from_json(tree.to_json()) == tree


@pytest.mark.slow
@needs_shared
def test_cdiscounts_levels_are_read_with_their_ids():
    tree = read_taxonomy(TREES / "cdiscount_category_names.csv")
    assert len(tree.terminals) == 5270
    assert tree.nodes[tree.index("1000021794")].path == (
        "ABONNEMENT / SERVICES",
        "CARTE PREPAYEE",
        "CARTE PREPAYEE MULTIMEDIA",
    )


NESTED = [
    {"name": "Clothing", "children": [{"name": "Shoes", "children": [{"name": "Boots, Ankle"}]}]},
    {"name": "Home / Garden"},
]
PARENTS = [
    {"id": 1, "name": "Clothing", "parent_id": None},
    {"id": 2, "name": "Shoes", "parent_id": 1},
    {"id": 3, "name": "Boots, Ankle", "parent_id": 2},
    {"id": 4, "name": "Home / Garden", "parent_id": None},
]
LEVELS = 'level1,level2,level3\nClothing,,\nClothing,Shoes,\nClothing,Shoes,"Boots, Ankle"\nHome / Garden,,\n'
WAYS = {
    "paths.txt": "Clothing\nClothing > Shoes\nClothing > Shoes > Boots, Ankle\nHome / Garden\n",
    "indented.txt": "Clothing\n  Shoes\n    Boots, Ankle\nHome / Garden\n",
    "tabs.txt": "# our tree\nClothing\n\tShoes\n\t\tBoots, Ankle\n\nHome / Garden\n",
    "bullets.txt": "- Clothing\n  - Shoes\n    - Boots, Ankle\n- Home / Garden\n",
    "path.csv": 'path\nClothing\nClothing > Shoes\n"Clothing > Shoes > Boots, Ankle"\nHome / Garden\n',
    "levels.csv": LEVELS,
    "filled.csv": "Level 1;Level 2;Level 3\nClothing;;\n;Shoes;\n;;Boots, Ankle\nHome / Garden;;\n",
    "parents.csv": 'id,name,parent_id\n1,Clothing,\n2,Shoes,1\n3,"Boots, Ankle",2\n4,Home / Garden,\n',
    "nested.json": json.dumps(NESTED),
    "parents.json": json.dumps(PARENTS),
    "own.json": Taxonomy.from_paths(SMALL).to_json(),
}


@pytest.mark.parametrize(("name", "text"), WAYS.items(), ids=WAYS)
def test_every_way_to_write_a_tree_gives_the_same_tree(tmp_path, name, text):
    assert paths(read_taxonomy(write(tmp_path, name, text))) == SMALL


def test_ids_and_assignable_nodes_are_kept(tmp_path):
    text = "category_id,path,assignable\n10,A,yes\n11,A > B,no\n12,A > B > C,\n13,D,0\n"
    tree = read_taxonomy(write(tmp_path, "x.csv", text))
    assert ids(tree) == ["10", "11", "12", "13"]
    assert [tree.nodes[i].id for i in tree.terminals] == ["10", "12", "13"]  # leaves always are
    categories = [
        {"id": "gid://1", "name": "V", "full_name": "V", "children": [{"id": "gid://2", "name": "W"}]},
        {"id": "gid://2", "name": "W", "full_name": "V > W", "children": []},
    ]
    shopify = {"version": "1", "verticals": [{"name": "V", "prefix": "v", "categories": categories}]}
    tree = read_taxonomy(write(tmp_path, "shopify.json", json.dumps(shopify)))
    assert dict(zip(ids(tree), paths(tree), strict=True)) == {"gid://1": ("V",), "gid://2": ("V", "W")}


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.csv", "path\n", "no category below its header"),
        ("a.csv", "colour,size\nred,5\n", "no column named path"),
        ("a.csv", "id,name,parent_id\n1,A,2\n2,B,1\n", "its own ancestor"),
        ("a.json", "{", "not a tree"),
        ("a.json", "[1, 2]", "a category is an object"),
        ("a.txt", "", "the tree is empty"),
    ],
)
def test_what_is_no_tree_is_refused_in_one_line(tmp_path, name, text, what):
    with pytest.raises(TaxonomyError, match=what) as raised:
        read_taxonomy(write(tmp_path, name, text))
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_told_its_neighbor(tmp_path):
    write(tmp_path, "tree.csv", "path\nA\n")
    with pytest.raises(TaxonomyError, match=r"Did you mean .tree\.csv."):
        read_taxonomy(tmp_path / "tre.csv")


def test_an_id_given_to_two_categories_is_told(tmp_path):
    tree, problems = read_tree(write(tmp_path, "x.csv", "id,path\n1,A\n1,B\n2,C\n"))
    assert paths(tree) == [("A",), ("C",)]
    assert [str(p) for p in problems] == [
        "tree, entry 2: its id was given to another category; left out: '1'"
    ]
