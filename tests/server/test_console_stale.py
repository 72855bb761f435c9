"""What was suggested for another text is never accepted: slow networks, late answers, keys, clicks,
pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from aisle.catalog import Product
from aisle.server.store.tables import reviews
from tests.server.browsing import browser as browser
from tests.server.browsing import in_chromium, slowed
from tests.server.browsing import site as site
from tests.server.browsing import tab as tab
from tests.server.test_console_review import fill

pytestmark = in_chromium
FIRST, SECOND = "oak wall clock", "blue cotton shirt"
LATE = "The suggestions for the present text are on their way."


def suggested(tab, title, selector="#title"):
    """Type, and wait for what is suggested for that text."""
    tab.fill(selector, title)
    tab.wait_for_selector("#places:not([aria-busy]) .place")


def leaves(trained):
    tree = trained.model.taxonomy
    return [node for node, below in zip(tree.nodes, tree.children, strict=True) if not below]


def shown(tab):
    return tab.locator("#places .path").all_inner_texts()


def placed(tab):
    tab.wait_for_selector(".draft.placed")


def still_to_place(site, tab):
    assert site.said() == []
    assert tab.locator(".draft.placed, .draft.sending, .draft.waiting").count() == 0


def unlock(site):
    """As when the time is up for which items are lent."""
    with site.server.store.begin() as connection:
        connection.execute(reviews.update().values(locked_until=0))


def jpeg(shade):
    out = io.BytesIO()
    Image.fromarray(np.full((40, 40, 3), shade, np.uint8)).save(out, "JPEG")
    return out.getvalue()


def test_enter_before_the_answer_accepts_nothing_and_after_it_the_new_suggestion(site, tab):
    tab.goto(site.address)
    suggested(tab, FIRST)
    before = shown(tab)
    release = slowed(tab, "v1/suggest")
    tab.fill("#title", SECOND)
    tab.press("#title", "Enter")
    tab.wait_for_selector(f"text={LATE}")
    still_to_place(site, tab)
    release()
    tab.wait_for_selector("#places:not([aria-busy])")
    after = shown(tab)
    assert after[0] != before[0]
    tab.press("#title", "Enter")
    placed(tab)
    (row,) = site.said()
    assert (row["fields"]["title"], row["how"]) == (SECOND, "accepted")
    assert " › ".join(row["chosen"]) == after[0]


@pytest.mark.parametrize("how", ["click", "arrow", "tap"])
def test_no_other_way_takes_a_late_suggestion(site, tab, how):
    tab.goto(site.address)
    suggested(tab, FIRST)
    release = slowed(tab, "v1/suggest")
    tab.fill("#title", SECOND)
    if how == "arrow":
        tab.press("#title", "ArrowDown")
        tab.press("#title", "Enter")
    elif how == "click":
        tab.locator("#places .place").nth(1).click()
    else:
        tab.locator("#places .place").nth(1).dispatch_event("click")
    tab.wait_for_selector(f"text={LATE}")
    still_to_place(site, tab)
    release()


def test_a_changed_description_makes_suggestions_late_too(site, tab):
    tab.goto(site.address)
    suggested(tab, FIRST)
    release = slowed(tab, "v1/suggest")
    tab.fill("#description", "a shirt of blue cotton with long sleeves")
    tab.press("#title", "Enter")
    tab.wait_for_selector(f"text={LATE}")
    still_to_place(site, tab)
    release()
    tab.wait_for_selector("#places:not([aria-busy])")
    tab.press("#title", "Enter")
    placed(tab)
    assert site.said()[0]["fields"]["description"].startswith("a shirt of blue")


def test_a_picture_added_makes_suggestions_late_too(site, tab):
    tab.goto(site.address)
    suggested(tab, FIRST)
    release = slowed(tab, "v1/classify")
    tab.set_input_files("#file", [{"name": "a.jpg", "mimeType": "image/jpeg", "buffer": jpeg(80)}])
    tab.wait_for_selector(".previews img")
    tab.press("#title", "Enter")
    tab.wait_for_selector(f"text={LATE}")
    still_to_place(site, tab)
    release()
    tab.wait_for_selector("text=from the words and 1 picture")
    tab.press("#title", "Enter")
    placed(tab)
    (row,) = site.said()
    assert (row["how"], len(row["pictures"])) == ("accepted", 1)


def test_pasted_text_is_another_text(site, tab):
    tab.goto(site.address)
    suggested(tab, FIRST)
    release = slowed(tab, "v1/suggest")
    tab.evaluate(
        "text => { const field = document.getElementById('title'); field.focus(); field.select();"
        " document.execCommand('insertText', false, text); }",
        SECOND,
    )
    tab.keyboard.press("Enter")
    tab.wait_for_selector(f"text={LATE}")
    still_to_place(site, tab)
    release()


def test_what_is_kept_of_an_unfinished_word_is_said_of_the_title_as_it_stands(site, tab, trained):
    shares = trained.model.preparers["title"].frequencies()
    word = next(w for w in shares if len(w) > 4 and sum(o.startswith(w[:-2]) for o in shares) == 1)
    title = f"blue {word[:-2]}"
    tab.goto(site.address)
    suggested(tab, title)
    (first, *_) = shown(tab)
    tab.press("#title", "Enter")
    placed(tab)
    (row,) = site.said()
    assert " › ".join(row["chosen"]) == first
    one = trained.model.predict([Product("1", {"title": title})])[0]
    name, confidence = row["suggested"][0]
    assert (name, confidence) == (one.best_id, pytest.approx(one.confidence[-1], abs=1e-6))


def test_an_answer_that_comes_after_a_later_one_changes_nothing(site, tab):
    tab.goto(site.address)
    held = []

    def route(asked):
        if FIRST in (asked.request.post_data or ""):
            held.append(asked)
        else:
            asked.continue_()

    tab.route("**/v1/suggest*", route)
    tab.fill("#title", FIRST)
    tab.wait_for_function("() => document.getElementById('places').hasAttribute('aria-busy')")
    tab.wait_for_timeout(100)
    suggested(tab, SECOND)
    after = shown(tab)
    for one in held:
        one.fulfill(
            json={"model": "shop", "model_id": "x", "completed": None, "token": "x", "suggestions": []}
        )
    tab.press("#title", "Enter")
    placed(tab)
    (row,) = site.said()
    assert (row["fields"]["title"], " › ".join(row["chosen"])) == (SECOND, after[0])


def test_a_category_from_the_tree_owes_nothing_to_late_suggestions(site, tab, trained):
    leaf = leaves(trained)[0]
    tab.goto(site.address)
    suggested(tab, FIRST)
    slowed(tab, "v1/suggest")
    tab.fill("#title", SECOND)
    tab.click("text=Browse or search the tree")
    for name in leaf.path:
        tab.locator(".picks").get_by_text(name, exact=True).click()
    placed(tab)
    (row,) = site.said()
    assert (row["chosen"], row["how"], row["suggested"]) == (list(leaf.path), "chosen", [])


def test_enter_in_the_tree_s_search_takes_nothing_that_answers_other_words(site, tab, trained):
    first, second = (leaves(trained)[i].path[-1] for i in (0, -1))
    tab.goto(site.address)
    tab.fill("#title", "something odd")
    tab.click("text=Browse or search the tree")
    tab.fill("#pick-words", first)
    tab.wait_for_selector("text=found")
    release = slowed(tab, "v1/taxonomy")
    tab.fill("#pick-words", second)
    tab.press("#pick-words", "Enter")
    assert tab.locator("dialog.picker").count() == 1
    still_to_place(site, tab)
    tab.wait_for_timeout(200)
    release()
    tab.wait_for_function(
        "name => document.querySelector('.picks .pick strong')?.textContent === name", arg=second
    )
    tab.press("#pick-words", "Enter")
    placed(tab)
    assert site.said()[0]["chosen"][-1] == second


def test_what_waits_for_the_server_and_is_changed_is_placed_anew(site, tab):
    tab.goto(site.address)
    suggested(tab, FIRST)
    site.stop()
    tab.press("#title", "Enter")
    tab.wait_for_selector(".draft.waiting")
    tab.click(".draft.waiting .open")
    tab.fill("#title", SECOND)
    site.start()
    tab.wait_for_selector("#places:not([aria-busy]) .place", timeout=60_000)
    still_to_place(site, tab)
    after = shown(tab)
    tab.press("#title", "Enter")
    placed(tab)
    (row,) = site.said()
    assert (row["fields"]["title"], " › ".join(row["chosen"])) == (SECOND, after[0])


def test_a_review_item_sent_anew_is_shown_anew_and_not_decided(site, tab):
    fill(site, {"id": "A-1", "title": FIRST})
    tab.goto(site.address + "#/review")
    tab.wait_for_selector(f"h2:has-text('{FIRST}')")
    unlock(site)
    fill(site, {"id": "A-1", "title": SECOND})
    tab.keyboard.press("a")
    tab.wait_for_selector(f"h2:has-text('{SECOND}')")
    assert site.said() == []
    tab.check("#all")
    unlock(site)
    fill(site, {"id": "A-1", "title": FIRST})
    tab.keyboard.press("Shift+A")
    tab.wait_for_selector(f"h2:has-text('{FIRST}')")
    assert site.said() == []
    tab.keyboard.press("a")
    tab.wait_for_selector("text=Nothing waits for you")
    assert [(row["fields"]["title"], row["how"]) for row in site.said()] == [(FIRST, "accepted")]
