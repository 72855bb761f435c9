"""Files of products in Chromium, at both widths: dropped, classified, decided, downloaded."""

import csv
import io

import pytest

from tests.server.browser import browser as browser
from tests.server.browser import check_looks, in_chromium
from tests.server.browser import each_width as each_width
from tests.server.browser import site as site
from tests.waiting import wait_until

pytestmark = in_chromium
TITLES = ["oak wall clock", "blue cotton T-shirt", "garden chair", "qzxv wrtk plmf", "red running shoes"]
DROP = """([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, {type: name.endsWith(".csv") ? "text/csv" : ""}));
  window.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
}"""
PASTE = """text => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  document.activeElement.dispatchEvent(
    new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
}"""


def table(repeats=1):
    rows = [f"S-{i};{title};soft;" for i, title in enumerate(TITLES * repeats)]
    return "\n".join(["sku;title;description;category", *rows, ""])


def drop(tab, site, text, name="my shop.csv", page=""):
    tab.goto(site.address + page)
    tab.wait_for_selector("#title, #table", state="attached")
    tab.evaluate(DROP, [name, text])


def classified(tab, site, text):
    drop(tab, site, text)
    tab.click("button:has-text('Classify')")
    tab.wait_for_selector(".batch-row")


def shown(tab):
    return tab.locator(".batch-row .name").all_inner_texts()


def test_a_dropped_file_is_classified_accepted_and_downloaded(site, tab):
    drop(tab, site, table())
    tab.wait_for_selector("h1:has-text('my shop.csv')")
    cells = [line.locator("th, td").all_inner_texts() for line in tab.locator("tbody tr").all()]
    assert [(name, role) for name, role, *_ in cells[:3]] == [
        *(("sku", "number"), ("title", "title"), ("description", "description")),
    ]
    check_looks(tab)
    tab.click("text=Classify 5 products")
    tab.wait_for_selector(".batch-row")
    assert sorted(shown(tab)) == sorted(TITLES)
    shares = [int(text.strip("<> %")) for text in tab.locator(".batch-row .number").all_inner_texts()]
    assert shares == sorted(shares)
    check_looks(tab)
    tab.fill("#floor", "50")
    tab.click("text=Accept all")
    tab.wait_for_selector("dialog >> text=no model is trained")
    tab.click("dialog button.main")
    tab.wait_for_selector(".batch-row.accepted")
    tab.wait_for_selector("#toasts >> text=accepted")
    accepted = tab.locator(".batch-row.accepted .name").all_inner_texts()
    assert accepted == [title for title, share in zip(shown(tab), shares, strict=True) if share >= 50]
    assert "qzxv wrtk plmf" not in accepted
    with tab.expect_download() as told:
        tab.click("text=Download the file with categories")
    assert told.value.suggested_filename == "my shop.filled.csv"
    rows = list(csv.DictReader(io.StringIO(told.value.path().read_text()), delimiter=";"))
    assert [row["title"] for row in rows] == TITLES
    assert all(row["category"] for row in rows if row["title"] in accepted)
    tab.click(".together >> text=Undo")
    tab.wait_for_selector("text=open again")
    tab.wait_for_function("() => !document.querySelector('.batch-row.accepted')")


def test_filters_and_pages_are_in_the_address(site, tab):
    classified(tab, site, table(30))
    assert len(shown(tab)) == 50
    facet = tab.locator(".facet-row[aria-label=Branch] .facet").first
    number = facet.inner_text().split()[-1]
    facet.click()
    tab.wait_for_selector(f"text={number} products")
    assert "branch=" in tab.url
    tab.go_back()
    tab.wait_for_selector("text=150 products")
    tab.click("text=Next ›")
    tab.wait_for_selector("text=Page 2 of 3")
    second = shown(tab)
    tab.reload()
    tab.wait_for_selector("text=Page 2 of 3")
    assert shown(tab) == second
    tab.fill("#find", "wall clock")
    tab.wait_for_selector("text=30 products")
    assert set(shown(tab)) == {"oak wall clock"}
    assert "q=wall+clock" in tab.url
    assert "page=" not in tab.url


def test_the_rest_is_sent_to_review_and_one_is_chosen(site, tab, trained):
    classified(tab, site, table())
    tab.click("[aria-label='Choose another category for qzxv wrtk plmf']")
    leaf = next(
        node
        for node in trained.model.taxonomy.nodes
        if not trained.model.taxonomy.children[trained.model.taxonomy.find(node.id)]
    )
    tab.fill("#pick-words", leaf.path[-1])
    tab.wait_for_selector("text=found")
    tab.press("#pick-words", "Enter")
    tab.wait_for_selector(".batch-row.chosen")
    tab.click("text=Send the rest to review")
    tab.click("dialog button.main")
    tab.wait_for_selector(".batch-row.review")
    wait_until(lambda: len(tab.locator(".batch-row.review").all()) == 4)
    tab.click("header >> text=Review")
    tab.wait_for_selector(".waiting li")
    assert tab.locator(".waiting li").count() == 4


def test_rows_of_a_spreadsheet_are_pasted_with_their_columns(site, tab):
    tab.goto(site.address)
    tab.focus("#title")
    tab.evaluate(
        PASTE,
        'Art.-Nr.\tBezeichnung\tBeschreibung\r\nA-1\tgarden chair\t"two\nlines"\r\nA-2\twall clock\t\r\n',
    )
    tab.wait_for_selector("h1:has-text('pasted.tsv')")
    tab.click("text=Classify 2 products")
    tab.wait_for_selector(".batch-row")
    assert sorted(shown(tab)) == ["garden chair", "wall clock"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("empty.csv", "", "the file is empty"),
        ("stock.csv", "depot,stock\n1,2\n", 'Call the column that holds the title "title"'),
    ],
)
def test_a_bad_file_is_told(site, tab, name, text, says):
    drop(tab, site, text, name, "#/batch")
    tab.wait_for_selector(".state.bad")
    words = tab.locator(".state.bad").inner_text()
    assert f"{name} was not taken" in words
    assert says.lower() in words.lower()
    check_looks(tab)


def test_an_example_can_be_tried_and_deleted(site, tab):
    tab.goto(site.address)
    tab.click("text=Drop a file")
    tab.wait_for_selector("text=You have no files here")
    check_looks(tab)
    tab.click("text=Try it with an example")
    tab.click("text=Classify 4 products")
    tab.wait_for_selector(".batch-row")
    tab.click("text=Delete")
    tab.click("dialog button.main")
    tab.wait_for_selector("text=You have no files here")
    assert list(site.server.settings.files_folder.iterdir()) == []


def test_a_reload_shows_the_progress_and_cancel_keeps_what_is_done(site, tab, monkeypatch):
    monkeypatch.setattr("aisle.server.batches.worker._CHUNK", 10)
    place = site.server.worker.place
    held = []

    class Held:
        def submit(self, predict, products, idle):
            wait_until(lambda: len(held) != 2)  # after two chunks, until the test goes on
            held.append(len(products))
            return place.batcher.submit(predict, products, idle=idle)

    site.server.worker.place = place._replace(batcher=Held())
    drop(tab, site, table(20))
    tab.click("text=Classify 100 products")
    tab.wait_for_selector("text=Classifying: 20 of 100")
    tab.reload()
    tab.wait_for_selector("text=Classifying: 20 of 100")
    tab.click("text=Cancel")
    held.append(0)
    tab.click("text=Go on with the other")
    tab.wait_for_selector("text=Download the file with categories")
    assert sum(held) == 100
