"""The console in Debian's Chromium, over a real server: what sellers and reviewers see and do."""

from pathlib import Path

from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from aisle.server.store import keys
from tests.server.browser import browser as browser
from tests.server.browser import check_looks, faults, in_chromium
from tests.server.browser import site as site
from tests.server.browser import tab as tab
from tests.server.conftest import advance

pytestmark = in_chromium
ATTACK = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def typed(tab, title):
    tab.fill("#title", title)
    tab.wait_for_function(
        "() => { const list = document.getElementById('suggestions');"
        " return list.children.length && !list.hasAttribute('aria-busy'); }"
    )
    tab.wait_for_timeout(150)
    tab.wait_for_selector("#suggestions:not([aria-busy])")


def test_a_seller_places_products_with_one_key(site, tab):
    tab.goto(site.address)
    typed(tab, "oak wall clock 30")
    places = tab.locator("#suggestions .path").all_inner_texts()
    assert len(places) == 5
    assert faults(tab) == []
    tab.press("#title", "ArrowDown")
    tab.press("#title", "Enter")
    tab.wait_for_selector(".draft.saved")
    (said,) = site.said()
    assert (said["fields"]["title"], said["how"]) == ("oak wall clock 30", "chosen")
    assert " › ".join(said["chosen"]) == places[1]
    assert tab.input_value("#title") == ""
    typed(tab, ATTACK)
    tab.press("#title", "ArrowDown")  # nothing is likely, so nothing is marked
    tab.press("#title", "Enter")
    tab.wait_for_function("() => document.querySelectorAll('.draft.saved').length === 2")
    assert ATTACK in tab.locator(".draft .name").all_inner_texts()
    assert [one["how"] for one in site.said()] == ["chosen", "accepted"]


def test_images_are_shown_read_and_taken_away(site, tab, shop):
    images = sorted(Path(shop.products).parent.glob("images/*.jpg"))[:3]
    tab.goto(site.address)
    tab.fill("#title", "clock")
    tab.set_input_files("#file", [str(one) for one in images])
    tab.wait_for_selector("text=from the words and 1 of 3 images")  # this model reads the first one
    tab.click("[aria-label='Remove image 2']")
    tab.wait_for_selector("text=from the words and 1 of 2 images")
    assert tab.locator(".previews img").count() == 2
    tab.press("#title", "Enter")
    tab.wait_for_selector(".draft.saved")
    assert len(site.said()[0]["images"]) == 2


def test_only_images_that_were_read_are_counted(site, tab, tmp_path, shop):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture at all")
    good = sorted(Path(shop.products).parent.glob("images/*.jpg"))[0]
    tab.goto(site.address)
    tab.fill("#title", "clock")
    tab.set_input_files("#file", str(broken))
    tab.wait_for_selector("text=from the words alone")
    assert "image 1: not an image of a known format" in tab.locator(".status").inner_text()
    tab.wait_for_selector(".draft span.face")  # in the list nothing stands for what cannot be shown
    assert tab.locator(".draft img").count() == 0
    tab.set_input_files("#file", str(good))
    tab.wait_for_selector("text=from the words and 1 of 2 images")
    tab.press("#title", "Enter")
    tab.wait_for_selector("text=1 image could not be read: not stored")
    (said,) = site.said()
    assert (len(said["images"]), [one["image"] for one in said["missing_images"]]) == (1, [1])
    tab.click(".draft.saved .open")
    tab.wait_for_selector("text=Image 1 could not be read: not an image of a known format")
    check_looks(tab)
    tab.goto(f"{site.address}#/explore/products/{said['product_id']}")
    tab.wait_for_selector("h2:has-text('Feedback')")
    assert "Image 1 could not be read" in tab.locator(".story").inner_text()
    check_looks(tab)


def test_images_lost_at_a_reload_are_told(site, tab, shop):
    good = sorted(Path(shop.products).parent.glob("images/*.jpg"))[0]
    tab.goto(site.address)
    tab.fill("#title", "clock")
    tab.set_input_files("#file", str(good))
    tab.wait_for_selector("text=from the words and 1 image")
    tab.reload()
    tab.wait_for_selector("text=images stay in the tab where they were added; add it again")
    tab.set_input_files("#file", str(good))
    tab.wait_for_selector("text=from the words and 1 image")
    assert "images stay" not in tab.locator("main").inner_text()


def test_lines_pasted_are_products_and_words_outlive_a_reload(site, tab):
    tab.goto(site.address)
    tab.focus("#title")
    paste = "text => { const data = new DataTransfer(); data.setData('text/plain', text);"
    paste += " document.activeElement.dispatchEvent("
    paste += "new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})); }"
    tab.evaluate(paste, "red mug\nblue chair\n\nwool scarf\n")
    assert tab.locator(".draft .name").all_inner_texts() == ["red mug", "blue chair", "wool scarf"]
    tab.reload()
    tab.wait_for_selector(".draft")
    assert tab.locator(".draft .name").all_inner_texts() == ["red mug", "blue chair", "wool scarf"]
    assert tab.input_value("#title") == "red mug"


def test_the_tree_is_searched_and_walked(site, tab, trained):
    tree = trained.model.taxonomy
    leaf = next(node for node, children in zip(tree.nodes, tree.children, strict=True) if not children)
    tab.goto(site.address)
    tab.fill("#title", "something odd")
    tab.click("text=Browse or search the tree")
    assert faults(tab) == []
    for name in leaf.path:
        tab.locator(".picks").get_by_text(name, exact=True).click()
    tab.wait_for_selector(".draft.saved")
    assert site.said()[0]["chosen"] == list(leaf.path)
    tab.fill("#title", "another thing")
    tab.click("text=Browse or search the tree")
    tab.fill("#pick-words", leaf.path[-1])
    tab.wait_for_selector("text=found")
    tab.press("#pick-words", "Enter")
    tab.wait_for_function("() => document.querySelectorAll('.draft.saved').length === 2")


def test_what_is_chosen_while_the_server_is_away_is_sent_once_it_is_back(site, tab):
    tab.goto(site.address)
    typed(tab, "garden chair")
    site.stop()
    tab.press("#title", "Enter")
    tab.wait_for_selector(".draft.waiting")
    tab.wait_for_selector("#notice:not([hidden])")
    site.start()
    tab.wait_for_selector(".draft.saved")
    assert [one["fields"]["title"] for one in site.said()] == ["garden chair"]


def test_what_is_chosen_while_the_store_is_away_is_sent_by_itself(site, tab):
    """The server answers, but cannot keep anything: no request finds out when that ends, so time has to."""
    refuse = "before_cursor_execute", refused
    event.listen(site.server.store.engine, *refuse)
    tab.clock.install()
    tab.goto(site.address)
    typed(tab, "oak wall clock 30")  # ends with a typed-out word: Enter takes what is shown
    tab.press("#title", "Enter")
    tab.wait_for_selector(".draft.waiting")
    with tab.expect_response("**/v1/feedback"):
        tab.clock.run_for(6_000)
    tab.wait_for_selector(".draft.waiting")
    tab.click("header >> text=Explore")  # on another page, too
    event.remove(site.server.store.engine, *refuse)
    with tab.expect_response("**/v1/feedback"):
        tab.clock.run_for(61_000)
    tab.click("header >> text=Sell")
    tab.wait_for_selector(".draft.saved")
    (said,) = site.said()
    assert said["fields"]["title"] == "oak wall clock 30"


def refused(*_):
    raise OperationalError("INSERT", {}, Exception("database or disk is full"))


def test_a_choice_waiting_on_another_page_is_sent_once_the_server_is_back(site, tab):
    tab.goto(site.address)
    typed(tab, "oak wall clock")
    site.stop()
    tab.press("#title", "Enter")
    tab.wait_for_selector(".draft.waiting")
    tab.wait_for_selector("#notice:not([hidden])")
    tab.click("header >> text=Explore")
    tab.wait_for_selector("text=No products to show")
    site.start()
    tab.wait_for_selector(".card-link")  # sent, and the page that failed is shown: nothing was clicked
    assert "oak wall clock" in tab.locator("main").inner_text()
    assert [one["fields"]["title"] for one in site.said()] == ["oak wall clock"]


def test_a_key_is_asked_for_and_kept_from_scripts(site, tab):
    key = keys.add(site.server.store, "sol", "seller")
    advance(site.server, 3)
    tab.goto(site.address)
    tab.fill("#key", "wrong")
    tab.press("#key", "Enter")
    tab.wait_for_selector(".fault:not(:empty)")
    assert faults(tab) == []
    tab.fill("#key", key)
    tab.press("#key", "Enter")
    tab.wait_for_selector("#title")
    assert key not in tab.evaluate("document.cookie + JSON.stringify({...sessionStorage, ...localStorage})")
    tab.goto(site.address + "#/review")
    tab.wait_for_selector("text=This needs a reviewer")
    tab.click("#who")
    tab.wait_for_selector("#key")
