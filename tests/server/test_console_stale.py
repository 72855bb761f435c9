"""What was suggested for another text is never accepted: slow networks, late answers, keys, clicks,
images."""

import io

import numpy as np
import pytest
from PIL import Image

from aisle.data import Product
from aisle.server.store.tables import reviews
from tests.server.browser import browser as browser
from tests.server.browser import in_chromium, slowed
from tests.server.browser import site as site
from tests.server.browser import tab as tab
from tests.server.test_console_review import fill

pytestmark = in_chromium
FIRST, SECOND = "oak wall clock 30", "blue cotton shirt"
LATE = "The suggestions for the present text are on their way."


def suggested(tab, title, selector="#title"):
    """Type, and wait for what is suggested for that text."""
    tab.fill(selector, title)
    tab.wait_for_selector("#suggestions:not([aria-busy]) .suggestion")


def leaves(trained):
    tree = trained.model.taxonomy
    return [node for node, below in zip(tree.nodes, tree.children, strict=True) if not below]


def shown(tab):
    return tab.locator("#suggestions .path").all_inner_texts()


def placed(tab):
    tab.wait_for_selector(".draft.saved")


def is_placed(site, tab):
    """Whether the server has a choice, or the page shows one as made."""
    return bool(site.said()) or tab.locator(".draft.saved, .draft.sending, .draft.waiting").count() > 0


def unlock(site):
    """As when the time is up for which items are lent."""
    with site.server.store.begin() as connection:
        connection.execute(reviews.update().values(leased_until=0))


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
    assert not is_placed(site, tab)
    release()
    tab.wait_for_selector("#suggestions:not([aria-busy])")
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
        tab.locator("#suggestions .suggestion").nth(1).click()
    else:
        tab.locator("#suggestions .suggestion").nth(1).dispatch_event("click")
    tab.wait_for_selector(f"text={LATE}")
    assert not is_placed(site, tab)
    release()


def test_a_changed_description_makes_suggestions_late_too(site, tab):
    tab.goto(site.address)
    suggested(tab, FIRST)
    release = slowed(tab, "v1/suggest")
    tab.fill("#description", "a shirt of blue cotton with long sleeves")
    tab.press("#title", "Enter")
    tab.wait_for_selector(f"text={LATE}")
    assert not is_placed(site, tab)
    release()
    tab.wait_for_selector("#suggestions:not([aria-busy])")
    tab.press("#title", "Enter")
    placed(tab)
    assert site.said()[0]["fields"]["description"].startswith("a shirt of blue")


def test_an_image_added_makes_suggestions_late_too(site, tab):
    tab.goto(site.address)
    suggested(tab, FIRST)
    release = slowed(tab, "v1/classify")
    tab.set_input_files("#file", [{"name": "a.jpg", "mimeType": "image/jpeg", "buffer": jpeg(80)}])
    tab.wait_for_selector(".previews img")
    tab.press("#title", "Enter")
    tab.wait_for_selector(f"text={LATE}")
    assert not is_placed(site, tab)
    release()
    tab.wait_for_selector("text=from the words and 1 image")
    tab.press("#title", "Enter")
    placed(tab)
    (row,) = site.said()
    assert (row["how"], len(row["images"])) == ("accepted", 1)


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
    assert not is_placed(site, tab)
    release()


def endings(site, trained):
    """Titles that end in an unfinished word: whether they belong where the word, finished, would put them."""
    import httpx2

    shares = trained.model.preprocessors["title"].frequencies()
    found = {}
    with httpx2.Client(base_url=site.address, timeout=60) as client:
        for word in (word for word in shares if len(word) > 5 and word.isalpha()):
            title = f"oak wall {word[:5]}"
            said = client.post("v1/suggest", json={"title": title}).json()
            whole = client.post("v1/suggest", json={"title": title, "finished": True}).json()
            same = said["suggestions"][0]["id"] == whole["suggestions"][0]["id"]
            if said["completed"] and not said["unsure"] and not (same and whole["unsure"]):
                found[same] = title
            if len(found) == 2:
                return found[True], found[False]
    raise AssertionError(found)


def test_an_unfinished_word_counts_as_far_as_the_title_as_it_stands_agrees(site, tab, trained):
    agrees, differs = endings(site, trained)
    tab.clock.install()  # so that no pause finishes a word by itself
    tab.goto(site.address)
    tab.fill("#title", differs)
    tab.clock.run_for(200)
    tab.wait_for_selector("#suggestions:not([aria-busy]) .suggestion")
    tab.press("#title", "Enter")
    tab.wait_for_selector("text=look at the suggestions again")
    assert not is_placed(site, tab)
    one = trained.model.predict([Product("1", {"title": differs})])[0]
    assert shown(tab)[0] == " › ".join(one.best)
    tab.fill("#title", agrees)
    tab.clock.run_for(200)
    tab.wait_for_selector("#suggestions:not([aria-busy]) .suggestion")
    tab.press("#title", "Enter")
    placed(tab)
    (row,) = site.said()
    one = trained.model.predict([Product("1", {"title": agrees})])[0]
    name, confidence = row["suggested"][0]
    assert (row["how"], row["chosen"], name) == ("accepted", list(one.best), one.best_id)
    assert confidence == pytest.approx(one.confidence[-1], abs=1e-6)


def test_after_a_pause_the_title_is_read_as_it_stands(site, tab, trained):
    _, differs = endings(site, trained)
    one = trained.model.predict([Product("1", {"title": differs})])[0]
    tab.goto(site.address)
    tab.fill("#title", differs)
    tab.wait_for_function(
        "path => document.querySelector('#suggestions:not([aria-busy]) .path')?.textContent === path",
        arg=" › ".join(one.best),
    )
    number = tab.locator("#suggestions .number").first.inner_text()
    assert number == f"{100 * one.confidence[-1]:.0f} %"


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
    tab.wait_for_function("() => document.getElementById('suggestions').hasAttribute('aria-busy')")
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
    assert not is_placed(site, tab)
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
    tab.wait_for_selector("#suggestions:not([aria-busy]) .suggestion", timeout=60_000)
    assert not is_placed(site, tab)
    after = shown(tab)
    tab.press("#title", "Enter")
    placed(tab)
    (row,) = site.said()
    assert (row["fields"]["title"], " › ".join(row["chosen"])) == (SECOND, after[0])


def test_a_review_item_sent_anew_is_shown_anew_and_not_decided(site, tab):
    site.server.settings = site.server.settings.model_copy(update={"batch_min_confidence": 0.0})
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
    tab.wait_for_selector("dialog:has-text('None of these can be accepted together')")
    tab.click("dialog >> text=Close")
    tab.wait_for_selector(f"h2:has-text('{FIRST}')")
    assert site.said() == []
    tab.keyboard.press("a")
    tab.wait_for_selector("text=Nothing waits for you")
    assert [(row["fields"]["title"], row["how"]) for row in site.said()] == [(FIRST, "accepted")]
