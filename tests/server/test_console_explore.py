"""Explore in the browser: products, the tree, models side by side, the report, acceptance over time."""

import time

import httpx2
import pytest

from aisle.server.store import feedback as feedback_store
from tests.server.browser import browser as browser
from tests.server.browser import check_looks, in_chromium, serving, slowed
from tests.server.browser import tab as tab
from tests.server.conftest import patient
from tests.server.test_classify import image_bytes

pytestmark = in_chromium
DAY = 86_400_000


@pytest.fixture
def site(trained, tmp_path):
    runs = {"shop": trained.run, "new": trained.run / "model"}
    yield from serving(patient(runs=runs, store=str(tmp_path / "store.db")))


def asked(site, path):
    return httpx2.get(site.address + path, timeout=60).json()


@pytest.fixture
def placed(site, trained):
    """Three products that people placed, one of them with a image; their terminals' paths."""
    import base64

    tree = trained.model.taxonomy
    nodes = [tree.nodes[int(terminal)] for terminal in tree.terminals[:3]]
    image = {"base64": base64.b64encode(image_bytes()).decode()}
    for i, node in enumerate(nodes):
        product = {"id": f"A/{i} ü", "title": f"product number {i}", "images": [image] * (i == 0)}
        said = {"product": product, "chosen": node.id, "suggested": [{"id": nodes[0].id, "confidence": 0.6}]}
        if node is nodes[0]:  # an accepted suggestion carries its token
            answer = httpx2.post(
                f"{site.address}v1/classify", json={"products": [product]}, timeout=60
            ).json()
            (one,) = answer["results"]
            said |= {
                "token": one["token"],
                "suggested": [{"id": one["prediction"]["best_id"], "confidence": 0.6}],
            }
            said["how"] = "accepted"
        assert httpx2.post(f"{site.address}v1/feedback", json=said, timeout=60).status_code == 200
    return [node.path for node in nodes]


def test_products_are_listed_searched_and_opened(site, tab, placed):
    tab.goto(f"{site.address}#/explore")
    tab.wait_for_selector(".card-link")
    assert tab.locator(".card-link .name").all_inner_texts() == [f"product number {i}" for i in (2, 1, 0)]
    check_looks(tab)
    tab.fill("#words", "number 1")
    tab.press("#words", "Enter")
    tab.wait_for_function("() => document.querySelectorAll('.card-link').length === 1")
    tab.wait_for_selector("text=no search index")
    tab.fill("#words", "nothing like it")
    tab.press("#words", "Enter")
    tab.wait_for_selector("text=No product with feedback has these words")
    check_looks(tab)
    tab.fill("#words", "")
    tab.press("#words", "Enter")
    tab.click("text=product number 0")
    tab.wait_for_selector("article h2")
    page = tab.locator("main").inner_text()
    assert "A/0 ü" in page
    assert "suggestion accepted" in page
    assert tab.locator(".images img").evaluate("image => image.naturalWidth") > 0
    check_looks(tab)
    tab.go_back()
    tab.wait_for_selector(".card-link")


def test_an_empty_server_says_what_to_do(site, tab):
    for name, said in (
        ("products", "No product has feedback yet"),
        ("acceptance", "No feedback in these days"),
    ):
        tab.goto(f"{site.address}#/explore/{name}")
        tab.wait_for_selector(f"text={said}")
        check_looks(tab)


def test_the_tree_has_the_servers_counts_and_accuracy(site, tab, placed):
    tops = asked(site, "v1/taxonomy?parent=")["nodes"]
    tab.goto(f"{site.address}#/explore/tree")
    tab.wait_for_selector(".tree .node")
    assert tab.locator(".tree > li > .node .link").all_inner_texts() == [node["path"][-1] for node in tops]
    shown = tab.locator(".tree > li > .node > .number").all_inner_texts()
    assert [int(text.replace(",", "")) for text in shown] == [node["products"] for node in tops]
    rights = tab.locator(".tree > li > .node .measured .hidden").all_inner_texts()
    for node, text in zip(tops, rights, strict=True):
        assert (
            (f"of {node['test_products']} test product" in text)
            if node["test_products"]
            else text == "not measured"
        )
    for name in placed[0][:-1]:
        tab.click(f"[aria-label='What is inside {name}']")
    tab.locator(".tree").get_by_role("button", name=placed[0][-1], exact=True).first.click()
    tab.wait_for_selector(".side .card-link")
    assert "product number 0" in tab.locator(".side").inner_text()
    check_looks(tab)


def test_models_answer_side_by_side(site, tab):
    tab.goto(f"{site.address}#/explore/models")
    tab.fill("#compare-title", "oak wall clock")
    tab.press("#compare-title", "Enter")
    tab.wait_for_selector(".side-by-side .suggestion")
    assert tab.locator(".side-by-side h3").all_inner_texts() == ["shop", "new"]
    body = {"products": [{"title": "oak wall clock"}]}
    answer = httpx2.post(f"{site.address}v1/classify?models=shop,new", json=body, timeout=60).json()
    places = answer["results"][0]["models"]["new"]["alternatives"]
    column = tab.locator(".side-by-side > div").nth(1)
    assert column.locator(".path").first.inner_text() == places[0]["path"].replace(" > ", " › ")
    bars = column.locator(".share > span").evaluate_all(
        "all => all.map((one) => parseFloat(one.style.width))"
    )
    assert bars == pytest.approx([100 * place["confidence"] for place in places[: len(bars)]], abs=0.1)
    table = tab.locator("table").inner_text()
    assert answer["results"][0]["models"]["new"]["model_id"] in table
    check_looks(tab)


def test_a_slider_says_what_is_decided_at_each_precision(site, tab):
    models = httpx2.get(f"{site.address}v1/models", timeout=60).json()["models"]
    points = models[0]["operating_curve"]["points"]
    tab.goto(f"{site.address}#/explore/models")
    slider = tab.get_by_label("Guaranteed precision").first
    slider.focus()
    for key, point in (("Home", points[-1]), ("ArrowRight", points[-2]), ("End", points[0])):
        tab.keyboard.press(key)
        shown = f"{100 * point['precision']:g} %"
        assert slider.get_attribute("aria-valuetext") == shown
        told = tab.locator(".operating [aria-live]").first.inner_text()
        assert f"At {shown}" in told
        assert point["text"].replace("%", " %") in told
        assert f"review {100 * point['review']:.1f} %" in told
    statement = models[0]["operating_curve"]["statement"].replace("%", " %")
    assert statement in tab.locator(".operating").first.inner_text()
    check_looks(tab)


def test_the_report_is_read_inside(site, tab):
    tab.goto(f"{site.address}#/explore/report")
    frame = tab.frame_locator("iframe.report")
    frame.locator("h1").wait_for()
    assert frame.locator("svg").count() > 0
    tab.select_option("#of", "new")
    tab.wait_for_selector("iframe[title$='of new']")
    check_looks(tab)


def test_acceptance_over_time_is_a_curve_and_a_table(site, tab, trained):
    node = trained.model.taxonomy.nodes[int(trained.model.taxonomy.terminals[0])]
    now = int(time.time() * 1000)
    kinds = {"c": "chosen", "a": "accepted", "d": "default"}
    for day, hows in ((9, "ccca"), (5, "caad"), (1, "aaaa")):
        for i, how in enumerate(hows):
            said = (
                "ana",
                "seller",
                f"{day}-{i}",
                {"title": "x"},
                node.id,
                node.path,
                kinds[how],
                "shop",
                "m",
            )
            feedback_store.add(site.server.store, feedback_store.FeedbackEvent(*said, at=now - day * DAY))
    tab.goto(f"{site.address}#/explore/acceptance")
    tab.wait_for_selector(".chart circle")
    assert tab.locator(".chart circle").count() == 3
    assert "64 % of 11 choices" in tab.locator("main").inner_text()
    tab.click("text=As a table")
    rows = tab.locator("tbody tr").all_inner_texts()
    assert [row.split("\t")[-1] for row in rows] == ["100 %", "67 %", "25 %"]
    check_looks(tab)


def test_loading_and_failing_say_so(site, tab, placed):
    release = slowed(tab, "v1/products")
    tab.goto(f"{site.address}#/explore/products")
    tab.wait_for_selector("text=Loading products")
    check_looks(tab)
    release()
    tab.wait_for_selector(".card-link")
    site.stop()
    tab.click("text=Tree")
    tab.wait_for_selector("text=No categories to show")
    tab.wait_for_selector("#notice:not([hidden])")
    check_looks(tab)
    site.start()
    tab.click("text=Try again")
    tab.wait_for_selector(".tree .node")
