"""Reviewers in the browser: a queue in order of priority, all by keyboard, several at once, taken back."""

import pytest

from aisle.server.store import keys, reviews
from tests.server.browser import browser as browser
from tests.server.browser import check_looks, in_chromium, slowed
from tests.server.browser import site as site
from tests.server.browser import tab as tab
from tests.server.conftest import advance
from tests.server.test_classify import image_bytes
from tests.waiting import wait_until

pytestmark = in_chromium
TITLES = ("oak wall clock", "red running shoes", "wool scarf", "garden chair", "blue mug")


def fill(site, *products, key=None):
    """Into the queue, as another program does it."""
    import httpx2

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx2.Client(base_url=site.address, headers=headers, timeout=60) as client:
        answer = client.post("/v1/review/items?include_accepted=true", json={"products": list(products)})
        assert answer.status_code == 200, answer.text


@pytest.fixture
def queue(site, tab):
    """Five products, of rising priority, in a tab that shows the queue."""
    import base64

    image = {"base64": base64.b64encode(image_bytes()).decode()}
    rows = [{"id": f"p{i}", "title": title, "priority": 10.0 * i + 1} for i, title in enumerate(TITLES)]
    rows[-1] |= {"images": [image], "description": "Holds 300 ml.", "fields": {"brand": "Holt"}}
    fill(site, *rows)
    tab.goto(f"{site.address}#/review")
    tab.wait_for_selector(".desk")
    return tab


def names(tab):
    return tab.locator(".waiting .name").all_inner_texts()


def left(tab, count):
    tab.wait_for_function(f"() => document.querySelectorAll('.waiting li').length === {count}")
    tab.wait_for_selector(".desk:not([aria-busy] > .desk)")


def by_value(site):
    rows = reviews.lease(site.server.store, "anonymous", 100)
    return [row["fields"]["title"] for row in rows]


def test_the_desk_says_why_a_product_is_left_to_a_person(site, queue):
    (row, *_) = reviews.lease(site.server.store, "anonymous", 100)
    told = queue.locator(".why").first.inner_text()
    assert row["prediction"]["decision"] != "accept"
    assert row["prediction"]["reason"].casefold() in told.casefold()


def test_the_queue_is_in_order_of_worth_and_worked_by_keys_alone(site, queue):
    assert names(queue) == by_value(site)
    assert names(queue)[0] == queue.locator("#item").inner_text()
    first, second = names(queue)[:2]
    places = queue.locator(".choices .path, [aria-labelledby=choices] .path").all_inner_texts()
    queue.keyboard.press("2")
    left(queue, 4)
    (said,) = site.said()
    assert (said["fields"]["title"], said["how"]) == (first, "chosen")
    assert " › ".join(said["chosen"]) == places[1]
    assert queue.evaluate("document.activeElement.id") == "item"  # the next product is read out
    queue.keyboard.press("a")
    left(queue, 3)
    assert (site.said()[1]["fields"]["title"], site.said()[1]["how"]) == (second, "accepted")
    third = names(queue)[0]
    queue.keyboard.press("s")
    left(queue, 2)
    assert third not in names(queue)
    queue.keyboard.press("u")
    left(queue, 3)
    assert names(queue)[0] == third
    queue.keyboard.press("u")
    left(queue, 4)
    assert len(site.said()) == 1
    queue.keyboard.press("j")
    assert queue.locator("#item").inner_text() == names(queue)[1]
    queue.keyboard.press("k")
    assert queue.locator("#item").inner_text() == names(queue)[0]
    check_looks(queue)


def test_several_are_accepted_at_once(site, queue):
    site.server.settings = site.server.settings.model_copy(update={"batch_min_confidence": 0.0})
    queue.reload()
    queue.wait_for_selector(".desk")
    for _ in range(2):
        queue.keyboard.press("x")
        queue.keyboard.press("j")
    chosen = names(queue)[:2]
    assert queue.locator(".bulk button").inner_text() == "Accept 2 first suggestions"
    queue.keyboard.press("Shift+A")
    queue.wait_for_selector("dialog[open]")
    assert "Accept 2 first suggestions?" in queue.locator("dialog").inner_text()
    check_looks(queue)
    queue.keyboard.press("Escape")
    queue.wait_for_selector("dialog", state="detached")
    assert site.said() == []  # nothing without a yes
    queue.keyboard.press("Shift+A")
    queue.click("dialog .main")
    left(queue, 3)
    assert {one["fields"]["title"] for one in site.said()} == set(chosen)
    queue.click("text=Undo all")
    left(queue, 5)
    assert site.said() == []
    assert set(names(queue)[:2]) == set(chosen)
    queue.check("#all")
    queue.click(".bulk button")
    queue.click("dialog .main")
    queue.wait_for_selector("text=Nothing waits for you")
    assert {one["how"] for one in site.said()} == {"batch"}
    progress = queue.locator(".progress").inner_text()
    assert "5 of 5" in progress
    assert "5 accepted together" in progress
    assert "100 %" not in progress  # nobody looked at each: no evidence that the model is right
    check_looks(queue)


def test_the_unsure_stay_in_the_queue_when_all_are_accepted(site, queue):
    items = reviews.lease(site.server.store, "anonymous", 100)
    sure = {row["fields"]["title"]: row["prediction"]["confidence"][-1] for row in items}
    floor = sorted(sure.values())[2]
    site.server.settings = site.server.settings.model_copy(update={"batch_min_confidence": floor})
    queue.reload()
    queue.wait_for_selector(".desk")
    assert "All from" in queue.locator(".bulk").inner_text()
    for i in range(len(TITLES)):
        queue.locator(".waiting li input").nth(i).check()
    queue.click(".bulk button")
    queue.wait_for_selector("dialog[open]")
    told = queue.locator("dialog").inner_text()
    assert "Accept 3 first suggestions?" in told
    assert "2 products are below" in told
    queue.click("dialog .main")
    left(queue, 2)
    expected = {title for title, value in sure.items() if value >= floor}
    assert {one["fields"]["title"] for one in site.said()} == expected


def free(site):
    """The titles that another reviewer would be given now; they are given back."""
    rows = reviews.lease(site.server.store, "somebody else", 100)
    reviews.release(site.server.store, "somebody else")
    return {row["fields"]["title"] for row in rows}


@pytest.mark.parametrize("away", ["another page", "another site", "closed"])
def test_who_leaves_gives_the_items_back(site, queue, away):
    assert free(site) == set()
    if away == "another page":
        queue.click("header >> text=Explore")
    elif away == "another site":
        queue.goto("about:blank")
    else:
        queue.close(run_before_unload=True)
    wait_until(lambda: free(site) == set(TITLES))  # it is on its way; the browser waits for nothing


def test_items_are_lent_for_minutes_and_kept_by_a_heartbeat(site, browser):
    fill(site, *({"id": title, "title": title} for title in TITLES))
    context = browser.new_context()
    page = context.new_page()
    page.clock.install()
    page.goto(f"{site.address}#/review")
    page.wait_for_selector(".desk")
    held = reviews.lease(site.server.store, "anonymous", 1, minutes=1)[0]["leased_until"]
    with page.expect_response("**/v1/review/renew"):
        page.clock.run_for(50_000)
    assert reviews.get(site.server.store, 1)["leased_until"] > held
    # Nobody is there for long: they go back, and nothing is renewed.
    with page.expect_response("**/v1/review/release"):
        page.clock.fast_forward(11 * 60_000)
    wait_until(lambda: free(site) == set(TITLES))
    page.clock.fast_forward(5 * 60_000)
    page.evaluate("window.dispatchEvent(new Event('server-back'))")  # nor by an outage that ends
    assert free(site) == set(TITLES)
    # Back at work: what nobody took meanwhile is held again, the rest is gone from the list.
    taken = reviews.lease(site.server.store, "somebody else", 1)[0]["fields"]["title"]
    with page.expect_response("**/v1/review/renew"):
        page.mouse.move(5, 5)
        page.mouse.move(50, 50)
    left(page, 4)
    assert taken not in names(page)
    assert "went to somebody else" in page.locator("#toasts").inner_text()
    context.close()


def test_undo_says_so_where_somebody_else_is_looking(site, tab):
    site.server.settings = site.server.settings.model_copy(update={"double_review_rate": 1.0})
    fill(site, {"id": "1", "title": TITLES[0]})
    tab.goto(f"{site.address}#/review")
    tab.wait_for_selector(".desk")
    tab.keyboard.press("a")
    tab.wait_for_selector("text=Nothing waits for you")
    reviews.lease(site.server.store, "somebody else", 1)
    tab.keyboard.press("u")
    tab.wait_for_selector("text=leased to somebody else just now")
    assert tab.locator(".desk").count() == 0
    assert reviews.get(site.server.store, 1)["leased_by"] == "somebody else"


def test_an_image_that_could_not_be_read_is_shown_with_the_reason(site, tab):
    fill(site, {"id": "1", "title": TITLES[0], "images": [{"base64": "AAAA"}]})
    tab.goto(f"{site.address}#/review")
    tab.wait_for_selector(".desk")
    said = "Image 1 could not be read: not an image of a known format"
    assert tab.locator("main").inner_text().count(said) == 1
    assert "image 1: not an image" not in tab.locator("main").inner_text()
    check_looks(tab)


def test_another_place_is_found_in_the_tree_by_keys(site, queue, trained):
    tree = trained.model.taxonomy
    leaf = next(node for node, below in zip(tree.nodes, tree.children, strict=True) if not below)
    queue.keyboard.press("/")
    queue.wait_for_selector(".picker[open]")
    queue.keyboard.type(leaf.path[-1])
    queue.wait_for_selector("text=found")
    queue.keyboard.press("ArrowDown")
    queue.keyboard.press("Enter")
    left(queue, 4)
    assert leaf.path[-1] in site.said()[0]["chosen"]


def test_single_keys_can_be_switched_off(site, queue):
    queue.click("text=By keyboard")
    queue.uncheck("#keys")
    queue.keyboard.press("a")
    queue.wait_for_timeout(300)
    assert len(names(queue)) == 5
    queue.reload()
    queue.wait_for_selector(".desk")
    queue.keyboard.press("a")
    queue.wait_for_timeout(300)
    assert len(names(queue)) == 5
    assert site.said() == []


def test_products_are_added_to_an_empty_queue(site, tab):
    tab.goto(f"{site.address}#/review")
    tab.wait_for_selector("text=Nothing waits for you")
    check_looks(tab)
    tab.locator("main").get_by_role("button", name="Add products").first.click()
    tab.fill("#lines", "red mug\n\nblue chair\n")
    tab.check("#every")
    check_looks(tab)
    tab.click("dialog .main")
    tab.wait_for_selector(".desk")
    assert set(names(tab)) == {"red mug", "blue chair"}


def test_loading_failing_and_offline_say_so(site, queue):
    release = slowed(queue, "v1/review/next")
    queue.goto(f"{site.address}#/explore")
    queue.goto(f"{site.address}#/review")
    queue.wait_for_selector("text=Loading the queue")
    check_looks(queue)
    release()
    queue.wait_for_selector(".desk")
    site.stop()
    queue.keyboard.press("a")
    queue.wait_for_selector("#notice:not([hidden])")
    assert len(names(queue)) == 5  # nothing is shown as done that was not
    queue.goto(f"{site.address}#/explore")
    queue.goto(f"{site.address}#/review")
    queue.wait_for_selector("text=The queue cannot be shown")
    check_looks(queue)
    site.start()
    queue.wait_for_selector(".desk")  # by itself, once the server is back
    queue.wait_for_selector("#notice", state="hidden")
    assert site.said() == []


def test_two_people_look_and_their_agreement_is_told(site, tab, browser):
    site.server.settings = site.server.settings.model_copy(update={"double_review_rate": 1.0})
    made = {name: keys.add(site.server.store, name, "reviewer") for name in ("ana", "ben")}
    advance(site.server, 3)
    site.server.keys.refresh()
    fill(site, *({"id": f"{i}", "title": title} for i, title in enumerate(TITLES[:2])), key=made["ana"])

    def review(page, name, *pressed):
        page.goto(f"{site.address}#/review")
        page.fill("#key", made[name])
        page.press("#key", "Enter")
        page.wait_for_selector(".desk")
        assert "two people decide it" in page.locator(".product").inner_text()
        for i, one in enumerate(pressed):
            left(page, 2 - i)
            page.keyboard.press(one)
        page.wait_for_selector("text=Nothing waits for you")

    review(tab, "ana", "a", "a")
    other = browser.new_context().new_page()
    review(other, "ben", "a", "2")
    other.wait_for_selector("text=50 %")
    assert "2 of 2" in other.locator(".progress").inner_text()
    other.click("text=Who reviewed")
    table = other.locator(".below table").inner_text()
    assert "ana" in table
    assert "ben" in table
    check_looks(other)
    other.context.close()
