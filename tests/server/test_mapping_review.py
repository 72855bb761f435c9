"""A mapping of `aisle map` that reviewers complete: over HTTP and in the browser."""

import csv
import os

import pytest

from aisle.server.errors import ServerError
from aisle.server.state import Server
from tests.server.browser import browser as browser
from tests.server.browser import check_looks, in_chromium, serving
from tests.server.browser import each_width as each_width
from tests.server.conftest import patient

COLUMNS = (
    *("category", "category_id", "products", "target", "target_id", "probability", "decision", "straddles"),
    *("alternative_1", "alternative_1_id", "alternative_1_probability", "override"),
)
ROWS = (
    (
        "Kitchen > Mugs",
        "",
        "5",
        "Home > Cups",
        "2",
        "0.7000",
        "review",
        "",
        "Home > Bowls",
        "3",
        "0.2000",
        "",
    ),
    (
        "Kitchen > Pans",
        "",
        "9",
        "Home > Bowls",
        "3",
        "0.4000",
        "review",
        "yes",
        "Home > Cups",
        "2",
        "0.3",
        "",
    ),
    ("Toys", "", "2", "Games", "4", "0.9900", "decided", "", "", "", "", ""),
)
PRODUCT = ("product", "title", "category", "target", "target_id", "probability", "decision", "override")
PRODUCTS = (("p1", "iron pan", "Kitchen > Pans", "Home > Bowls", "3", "0.6", "review", ""),)


def write(path, *rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def column(path, name):
    with path.open(newline="", encoding="utf-8") as file:
        return [row[name] for row in csv.DictReader(file)]


@pytest.fixture
def files(tmp_path):
    """A mapping with its table of products, and the other tree."""
    tree = tmp_path / "tree.txt"
    tree.write_text("1 - Home\n2 - Home > Cups\n3 - Home > Bowls\n4 - Games\n")
    write(tmp_path / "mapping.csv", COLUMNS, *ROWS)
    write(tmp_path / "mapping.products.csv", PRODUCT, *PRODUCTS)
    return tmp_path / "mapping.csv", tree


@pytest.fixture
def client(start, files):
    return start(mapping=files[0], mapping_to=str(files[1]))


def test_rows_are_listed_by_products_state_and_words(client):
    found = client.get("/v1/mapping").json()
    assert [(row["kind"], row["key"]) for row in found["rows"]] == [
        ("category", "Kitchen > Pans"),
        ("category", "Kitchen > Mugs"),
        ("category", "Toys"),
        ("product", "p1"),
    ]
    assert found["counts"] == {"review": 3, "decided": 1, "override": 0}
    assert found["rows"][1]["targets"] == [
        {"path": "Home > Cups", "id": "2", "probability": 0.7},
        {"path": "Home > Bowls", "id": "3", "probability": 0.2},
    ]
    decided = client.get("/v1/mapping", params={"state": "decided"}).json()
    assert [row["key"] for row in decided["rows"]] == ["Toys"]
    words = client.get("/v1/mapping", params={"q": "iron PAN"}).json()
    assert (words["total"], words["rows"][0]["title"]) == (1, "iron pan")
    second = client.get("/v1/mapping", params={"start": 1, "count": 1}).json()
    assert (second["total"], [row["key"] for row in second["rows"]]) == (4, ["Kitchen > Mugs"])


def test_what_is_set_is_written_for_the_next_mapping(client, files):
    mapping, _ = files
    sent = {"kind": "category", "key": "Kitchen > Mugs", "target": "Home > Bowls"}
    row = client.put("/v1/mapping", json=sent).json()
    assert (row["state"], row["override"]) == ("override", "Home > Bowls")
    assert column(mapping, "override") == ["3", "", ""]
    assert column(mapping, "target") == ["Home > Cups", "Home > Bowls", "Games"]  # nothing else is changed
    client.put("/v1/mapping", json={"kind": "product", "key": "p1", "target": "2"})
    assert column(mapping.with_name("mapping.products.csv"), "override") == ["2"]
    assert client.get("/v1/mapping").json()["counts"] == {"review": 1, "decided": 1, "override": 2}
    assert client.put("/v1/mapping", json=sent | {"target": None}).json()["state"] == "review"
    assert column(mapping, "override") == ["", "", ""]
    write(mapping, COLUMNS, *ROWS[:1])  # `aisle map` was run again
    assert [row["key"] for row in client.get("/v1/mapping").json()["rows"]] == ["Kitchen > Mugs", "p1"]


def test_what_does_not_fit_is_refused(client, files, trained, start, tmp_path):
    sent = {"kind": "category", "key": "Kitchen > Mugs", "target": "Home > Spoons"}
    assert client.put("/v1/mapping", json=sent).json()["error"]["code"] == "no_such_category"
    sent |= {"key": "Kitchen", "target": "2"}
    assert client.put("/v1/mapping", json=sent).json()["error"]["code"] == "no_such_mapping"
    write(files[0], ("a", "b"), ("1", "2"))
    answer = client.get("/v1/mapping")
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        422,
        f"{files[0]} is no mapping of `aisle map`",
    )
    with pytest.raises(ServerError, match=r"--mapping: .* is no mapping"):
        Server.start(
            patient(
                runs={"shop": trained.run},
                store=str(tmp_path / "s.db"),
                mapping=files[0],
                mapping_to=str(files[1]),
            )
        )


def test_a_server_without_a_mapping_says_how_to_give_one(start):
    answer = start().get("/v1/mapping")
    assert answer.status_code == 404
    assert "--mapping mapping.csv" in answer.json()["error"]["message"]


def test_the_other_tree_is_walked_and_searched(client):
    top = client.get("/v1/mapping/targets", params={"parent": ""}).json()
    assert [(node["id"], node["children"]) for node in top["nodes"]] == [("1", 2), ("4", 0)]
    found = client.get("/v1/mapping/targets", params={"q": "bow"}).json()
    assert [node["path"] for node in found["nodes"]] == [["Home", "Bowls"]]


class TestInChromium:
    pytestmark = in_chromium

    @pytest.fixture
    def site(self, trained, files, tmp_path):
        settings = patient(
            runs={"shop": trained.run},
            store=str(tmp_path / "store.db"),
            mapping=files[0],
            mapping_to=str(files[1]),
        )
        yield from serving(settings)

    def test_categories_are_reviewed_one_by_one(self, site, tab, files):
        tab.goto(f"{site.address}#/explore/mapping")
        tab.wait_for_selector(".mapping")
        assert tab.locator(".mapping").count() == 3
        assert tab.locator(".facet[aria-pressed=true]").inner_text() == "To review (3)"
        folder = os.environ.get("AISLE_SCREENSHOTS")
        if folder:
            tab.screenshot(path=f"{folder}/mapping-{tab.viewport_size['width']}.png", full_page=True)
        check_looks(tab)
        first = tab.locator(".mapping").first  # Pans
        first.locator(".suggestion").nth(1).click()
        tab.wait_for_selector("text=To review (2)")
        assert column(files[0], "override") == ["", "2", ""]
        tab.click("text=Undo")
        tab.wait_for_selector("text=To review (3)")
        assert column(files[0], "override") == ["", "", ""]
        tab.locator(".mapping").nth(1).locator("text=Another category").click()
        tab.fill(".picker input", "games")
        tab.locator(".picks button", has_text="Games").click()
        tab.wait_for_selector("text=Set by people (1)")
        assert column(files[0], "override") == ["4", "", ""]
        tab.click("text=Set by people (1)")
        tab.wait_for_function("() => document.querySelectorAll('.mapping').length === 1")
        assert "state=override" in tab.url
        tab.reload()
        tab.wait_for_selector("text=set: Games")
        tab.click("text=Take back")
        tab.wait_for_selector("text=Set by people (0)")
        assert column(files[0], "override") == ["", "", ""]
