"""The rules in the browser: written as text, checked, set, rolled back."""

import os

import httpx2
import pytest

from tests.server.browser import browser as browser
from tests.server.browser import check_looks, in_chromium, serving
from tests.server.browser import tab as tab
from tests.server.conftest import patient

pytestmark = in_chromium
RULE = '[[rule]]\nid = "oak"\naction = "review"\nwhen.title.contains = "oak"\n'


@pytest.fixture
def site(trained, tmp_path):
    yield from serving(patient(runs={"shop": trained.run}, store=str(tmp_path / "store.db")))


def test_an_administrator_writes_rules(site, tab):
    tab.goto(f"{site.address}#/explore/rules")
    tab.fill("#rules-text", RULE.replace("review", "kill"))
    tab.click("text=Check")
    tab.wait_for_selector("#rules-result .bad")
    assert "line 1, rule 'oak': action" in tab.inner_text("#rules-result")
    tab.fill("#rules-text", RULE)
    tab.click("text=Check")
    tab.wait_for_selector("#rules-result .good")
    assert "1 rule" in tab.inner_text("#rules-result")
    tab.click("button.main:text('Set')")
    tab.wait_for_selector("td:text('set')")
    found = httpx2.get(f"{site.address}v1/rules", timeout=60).json()
    assert (found["text"], found["rules"]) == (RULE, 1)
    assert found["version"] in tab.inner_text("table")
    check_looks(tab)
    shots = os.environ.get("AISLE_SHOTS")
    for width in (390, 1440) if shots else ():
        tab.set_viewport_size({"width": width, "height": 900})
        tab.screenshot(path=f"{shots}/rules-{width}.png", full_page=True)
    tab.click("text=Roll back …")
    tab.click("dialog button.main")
    tab.wait_for_selector("td:text('rolled back')")
    assert tab.input_value("#rules-text") == ""
    assert httpx2.get(f"{site.address}v1/rules", timeout=60).json()["version"] is None
    assert tab.wrong == []
