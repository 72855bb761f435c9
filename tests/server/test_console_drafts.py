"""A seller's drafts in the browser: kept when a tab is closed, shared by tabs, gone after signing out."""

from aisle.server.store import keys
from tests.server.browser import browser as browser
from tests.server.browser import in_chromium
from tests.server.browser import site as site
from tests.server.browser import tab as tab
from tests.server.conftest import advance

pytestmark = in_chromium
NAMES = "() => [...document.querySelectorAll('.draft .name')].map((one) => one.textContent).join()"


def shows(tab, *names):
    tab.wait_for_function(f"names => ({NAMES})() === names", arg=",".join(names))


def sign_in(tab, key):
    tab.fill("#key", key)
    tab.press("#key", "Enter")
    tab.wait_for_selector("#title")


def test_drafts_survive_closing_the_tab(site, tab):
    tab.goto(site.address)
    tab.fill("#title", "oak wall clock")
    tab.fill("#description", "with roman numerals")
    other = tab.context.new_page()
    tab.close()
    other.goto(site.address)
    shows(other, "oak wall clock")
    assert other.input_value("#title") == "oak wall clock"
    assert other.input_value("#description") == "with roman numerals"


def test_two_tabs_do_not_overwrite_each_other(site, tab):
    tab.goto(site.address)
    tab.fill("#title", "oak wall clock")
    other = tab.context.new_page()
    other.goto(site.address)
    shows(other, "oak wall clock")
    other.click("text=+ New")
    other.fill("#title", "garden chair")
    shows(tab, "oak wall clock", "garden chair")
    tab.fill("#title", "oak wall clock 30")  # writes its own product only
    shows(other, "oak wall clock 30", "garden chair")
    assert other.input_value("#title") == "garden chair"
    tab.click("[aria-label='Remove garden chair']")
    shows(other, "oak wall clock 30")
    third = tab.context.new_page()
    third.goto(site.address)
    shows(third, "oak wall clock 30")


def test_drafts_are_of_one_person_and_deleted_on_signing_out(site, tab):
    ana, ben = (keys.add(site.server.store, name, "seller") for name in ("ana", "ben"))
    advance(site.server, 3)
    tab.goto(site.address)
    sign_in(tab, ana)
    tab.fill("#title", "oak wall clock")
    tab.context.clear_cookies()  # as when ben signs in after ana's session has ended
    tab.reload()
    sign_in(tab, ben)
    shows(tab, "Untitled product")
    tab.fill("#title", "garden chair")
    tab.click("#who")
    tab.click("dialog >> text=Cancel")
    assert tab.input_value("#title") == "garden chair"
    tab.click("#who")
    tab.wait_for_selector("dialog:has-text('1 product is not saved yet')")
    tab.click("dialog .main")
    tab.wait_for_selector("#key")
    stored = tab.evaluate("JSON.stringify(localStorage)")
    assert "garden chair" not in stored
    sign_in(tab, ana)
    shows(tab, "oak wall clock")
