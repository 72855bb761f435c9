"""Sell in Chromium at a phone's and a desktop's width: what is not known, undo, addresses, examples."""

from pathlib import Path

from tests.server.browser import browser as browser
from tests.server.browser import check_looks, in_chromium
from tests.server.browser import each_width as each_width
from tests.server.browser import site as site
from tests.server.test_console import typed

pytestmark = in_chromium


def test_what_is_not_known_is_said_and_not_accepted_with_one_key(site, tab):
    tab.goto(site.address)
    typed(tab, "qzxv wrtk plmf")
    tab.wait_for_selector("text=I don’t know")
    assert tab.locator("#suggestions [aria-selected=true]").count() == 0
    check_looks(tab)
    tab.press("#title", "Enter")
    tab.wait_for_selector("text=Nothing is likely, so nothing is accepted")
    assert site.said() == []
    guess = tab.locator("#suggestions .suggestion").nth(1)
    if tab.touch:
        assert (
            tab.locator(".by-touch").inner_text() == "Tapping a guess marks it, tapping it again accepts it."
        )
        guess.tap()
        assert site.said() == []
        guess.tap()
    else:
        tab.press("#title", "ArrowDown")
        tab.press("#title", "ArrowDown")
        tab.press("#title", "Enter")
    tab.wait_for_selector(".draft.saved")
    assert [one["how"] for one in site.said()] == ["chosen"]


def test_what_was_accepted_is_undone(site, tab):
    tab.goto(site.address)
    typed(tab, "oak wall clock 30")
    if tab.touch:
        assert tab.locator(".by-touch").inner_text() == "Tapping a category accepts it."
        tab.locator("#suggestions .suggestion").first.tap()
    else:
        assert not tab.locator(".by-touch").is_visible()
        tab.press("#title", "Enter")
    tab.click("#toasts >> text=Undo")
    tab.wait_for_selector("text=is to be categorized again")
    assert tab.input_value("#title") == "oak wall clock 30"
    assert site.said() == []
    tab.wait_for_selector("#suggestions .suggestion")
    typed(tab, "oak wall clock 30")
    tab.press("#title", "Enter")
    tab.wait_for_selector(".draft.saved")
    assert [one["fields"]["title"] for one in site.said()] == ["oak wall clock 30"]
    tab.wait_for_function("() => document.getElementById('title')?.value === ''")
    tab.press("#title", "Control+z")
    tab.wait_for_selector("text=is to be categorized again")
    assert site.said() == []


def test_a_conflict_of_image_and_text_is_shown(site, tab, shop):
    conflict = {"text": {"path": "A > B", "confidence": 0.9}, "image": {"path": "C", "confidence": 0.7}}

    def answered(route):
        answer = route.fetch()
        found = answer.json()
        found["results"][0]["conflict"] = conflict
        route.fulfill(response=answer, json=found)

    tab.route("**/v1/classify?conflicts=true", answered)
    tab.goto(site.address)
    tab.set_input_files("#file", str(sorted(Path(shop.products).parent.glob("images/*.jpg"))[0]))
    tab.fill("#title", "cotton T-shirt")
    tab.wait_for_selector(".conflict")
    says = "Image and text disagree. The image says C (70 %), the text says A › B (90 %)."
    assert tab.locator(".conflict").inner_text() == says
    check_looks(tab)


def test_the_address_names_the_product(site, tab, browser):
    tab.goto(site.address)
    typed(tab, "oak wall clock")
    tab.fill("#description", "for the kitchen")
    tab.wait_for_url("**/#/sell?draft=*&title=oak+wall+clock&description=for+the+kitchen")
    address = tab.url
    tab.click("text=+ New")
    typed(tab, "garden chair")
    for again in (tab.go_back, tab.reload):
        again()
        tab.wait_for_function("() => document.getElementById('title')?.value === 'oak wall clock'")
    other = browser.new_context().new_page()  # somebody else's browser
    other.goto(address)
    other.wait_for_selector("#suggestions .suggestion")
    assert (other.input_value("#title"), other.input_value("#description")) == (
        "oak wall clock",
        "for the kitchen",
    )
    other.context.close()


def test_an_empty_page_has_examples(site, tab, trained):
    tab.goto(site.address)
    tab.wait_for_selector(".examples button")
    names = tab.locator(".examples button").all_inner_texts()
    assert set(names) <= {node.name for node in trained.model.taxonomy.nodes}
    tab.locator(".examples button").first.click()
    tab.wait_for_selector("#suggestions .suggestion")
    assert tab.input_value("#title") == names[0]
