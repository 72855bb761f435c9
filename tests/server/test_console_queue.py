"""The review queue at both widths: filters in the address, links to items, evidence, notes, history."""

import base64
import os

import pytest

from aisle.server.store import reviews
from tests.server.browser import browser as browser
from tests.server.browser import check_looks, in_chromium
from tests.server.browser import each_width as each_width
from tests.server.browser import site as site
from tests.server.test_console_review import fill

pytestmark = in_chromium
TITLES = ("oak wall clock", "red running shoes", "wool scarf", "garden chair", "blue mug")


@pytest.fixture
def queue(site, tab, trained):
    """Five products, of rising priority, in a tab that shows the queue."""
    image = next(p for p in trained.catalog if p.images).images[0].read()
    image = {"base64": base64.b64encode(image).decode()}
    rows = [{"id": f"p{i}", "title": title, "priority": 10.0 * i + 1} for i, title in enumerate(TITLES)]
    rows[-1] |= {"images": [image], "priority": 1000.0}
    fill(site, *rows)
    tab.goto(f"{site.address}#/review")
    tab.wait_for_selector(".desk")
    return tab


def shoot(tab, name):
    folder = os.environ.get("AISLE_SCREENSHOTS")
    if folder:
        width = tab.viewport_size["width"]
        tab.screenshot(path=f"{folder}/{name}-{width}.png", full_page=True)


def names(tab):
    return tab.locator(".waiting .name").all_inner_texts()


def left(tab, count):
    tab.wait_for_function(f"() => document.querySelectorAll('.waiting li').length === {count}")
    tab.wait_for_selector(".desk:not([aria-busy] > .desk)")


def rows(site):
    return reviews.lease(site.server.store, "anonymous", 100)


def test_filters_are_in_the_address(site, queue):
    queue.fill(".filters input", "clock")
    left(queue, 1)
    assert names(queue) == ["oak wall clock"]
    assert "query=clock" in queue.url
    assert queue.locator(".filters [role=status]").inner_text() == "1 product passes"
    queue.reload()
    left(queue, 1)
    assert queue.input_value(".filters input") == "clock"
    queue.click(".filters >> text=All products")
    left(queue, 5)
    queue.select_option("[aria-label=Order]", "oldest")
    queue.wait_for_function("() => document.querySelector('.waiting .name')?.innerText === 'oak wall clock'")
    assert names(queue) == list(TITLES)
    assert "order=oldest" in queue.url
    queue.fill(".filters input", "no such words")
    queue.wait_for_selector("text=No product passes these filters")
    queue.click("text=All products")
    left(queue, 5)
    check_looks(queue)


def test_a_link_opens_its_item(site, queue):
    last = rows(site)[-1]
    queue.goto("about:blank")
    queue.goto(f"{site.address}#/review/{last['id']}")
    queue.wait_for_selector(".desk")
    assert queue.locator("#item").inner_text() == last["title"]
    assert names(queue)[0] == last["title"]
    assert len(names(queue)) == 5
    queue.locator(".waiting .open").nth(1).click()
    queue.wait_for_function(f"() => !location.hash.endsWith('/{last['id']}')")
    reviews.discard(site.server.store, last["id"], "anonymous")
    queue.goto("about:blank")
    queue.goto(f"{site.address}#/review/{last['id']}")
    queue.wait_for_selector(f"text=Item {last['id']} is discarded already.")
    left(queue, 4)


def test_the_first_suggestions_are_in_sight(site, queue):
    first = rows(site)[0]
    if queue.touch:
        button = queue.locator(".quick button").first
        box = button.bounding_box()
        assert box["y"] + box["height"] <= 844  # without scrolling
        assert not queue.locator(".desk .suggestion .key").first.is_visible()
        button.click()
    else:
        assert not queue.locator(".quick").is_visible()
        queue.keyboard.press("1")
    left(queue, 4)
    (said,) = site.said()
    assert (said["fields"]["title"], said["chosen_id"]) == (first["title"], first["prediction"]["best_id"])


def test_evidence_stands_beside_the_choices(site, queue):
    queue.wait_for_selector(".evidence h3")
    told = queue.locator(".evidence").inner_text()
    assert told.startswith("Why\n")
    assert "Most similar training products" in told
    assert queue.locator(".heat span").count() == 49
    shoot(queue, "evidence")
    queue.click(".picture")
    queue.wait_for_selector("dialog.zoom[open]")
    queue.click("[aria-label=Larger]")
    assert "200 %" in queue.locator("dialog.zoom").inner_text()
    wide = queue.evaluate(
        "(() => { const f = document.querySelector('.frame'); return f.scrollWidth > f.clientWidth; })()"
    )
    assert wide
    check_looks(queue)


def test_notes_flags_and_what_was_done(site, queue):
    first, second, *_ = rows(site)
    queue.fill(".note textarea", "Ask the brand.")
    queue.locator(".note textarea").blur()
    queue.click(".note button")
    queue.wait_for_selector("text=⚑ Flagged")
    kept = reviews.get(site.server.store, first["id"])
    assert (kept["note"], kept["flagged"]) == ("Ask the brand.", True)
    queue.click(".filters >> text=Flagged")
    left(queue, 1)
    assert names(queue) == [first["title"]]
    queue.click(".filters >> text=Flagged")
    left(queue, 5)
    queue.click("button:text-is('Discard')")
    left(queue, 4)
    assert reviews.get(site.server.store, first["id"])["state"] == "discarded"
    queue.click("button:text-is('Skip')")
    left(queue, 3)
    queue.click("summary:text('What you did')")
    queue.wait_for_selector(".done li")
    assert queue.locator(".done strong").all_inner_texts() == [second["title"], first["title"]]
    shoot(queue, "history")
    check_looks(queue)
    queue.locator(".done li", has_text=first["title"]).locator("button").click()
    left(queue, 4)
    assert queue.locator("#item").inner_text() == first["title"]
    assert reviews.get(site.server.store, first["id"])["state"] == "open"


def test_the_tree_opens_at_the_first_suggestion(site, queue):
    first = rows(site)[0]
    path = first["prediction"]["best"].split(" > ")
    queue.click("text=Refine the first")
    queue.wait_for_function(
        f"() => document.querySelectorAll('.picker .crumbs button').length === {len(path)}"
    )
    crumbs = queue.locator(".picker .crumbs button").all_inner_texts()
    assert crumbs == ["All categories", *path[:-1]]
    queue.locator(".picks button", has_text=path[-1]).first.click()
    left(queue, 4)
    assert site.said()[0]["chosen"] == path


def test_a_likely_wrong_label_is_kept_or_changed(site, tab):
    tree = site.server.registry.state.get().taxonomy
    label = tree.nodes[tree.terminals[0]].path
    text = " > ".join(label)
    fill(site, {"id": "p", "title": "oak wall clock", "label": text, "note": "Proposed: Clocks"})
    tab.goto(f"{site.address}#/review")
    tab.wait_for_selector(".kept")
    assert tab.locator(".kept .path").inner_text() == " › ".join(label)
    assert tab.input_value(".note textarea") == "Proposed: Clocks"
    check_looks(tab)
    tab.click("text=Keep it")
    tab.wait_for_selector("text=Nothing waits for you")
    assert site.said()[0]["chosen"] == list(label)


def test_who_agrees_with_whom_is_a_table(site, queue):
    from aisle.server.store import feedback

    item = rows(site)[0]
    choices = {"ana": "best", "ben": "best", "cid": "other"}
    other = item["prediction"]["alternatives"][1]["path"]
    with site.server.store.begin() as connection:
        connection.execute(reviews.reviews.update().values(needed=3))
    reviews.release(site.server.store, "anonymous")
    for person, choice in choices.items():
        chosen = item["prediction"]["best_id"] if choice == "best" else other
        event = feedback.FeedbackEvent(
            person=person,
            role="reviewer",
            product_id=item["product_id"],
            fields=item["fields"],
            images=item["images"],
            chosen_id=chosen,
            chosen=tuple(chosen.split(" > ")),
            how="chosen",
            model=item["model"],
            model_id="1",
            suggested=[(item["prediction"]["best_id"], 0.5)],
        )
        reviews.decide(site.server.store, item["id"], event)
    queue.reload()
    queue.wait_for_selector(".desk")
    queue.click("summary:text('how well people agree')")
    table = queue.locator("[aria-label='Who agrees with whom'] tr")
    assert [row.split() for row in table.all_inner_texts()] == [
        ["Agree", "ana", "ben", "cid"],
        ["ana", "100", "%", "0", "%"],
        ["ben", "100", "%", "0", "%"],
        ["cid", "0", "%", "0", "%"],
    ]
    assert "2 products" in queue.locator("details li").last.inner_text()
    check_looks(queue)
