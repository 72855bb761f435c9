"""Debian's Chromium before a real server: what tests of the console share."""

from pathlib import Path

import pytest

from aisle.server.app import create_app
from aisle.server.state import Server
from tests.server.conftest import patient
from tests.server.live_server import Site

CHROMIUM = Path("/usr/bin/chromium")
PHONE = {"width": 390, "height": 844}
in_chromium = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


@pytest.fixture
def site(trained, tmp_path):
    """A server with an empty database, in which every product is looked at once."""
    yield from serving(
        patient(runs={"shop": trained.run}, store=str(tmp_path / "store.db"), double_review_rate=0.0)
    )


def serving(settings):
    """For fixtures: a `Site` with these settings."""
    server = Server.start(settings)
    site = Site(create_app(server), server)
    yield site
    site.stop()
    server.stop()


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests of a file."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser, site):
    """A tab in which nothing may go wrong unseen, and nothing be asked of another place."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(30_000)
    tab.wrong = []
    tab.on("pageerror", lambda error: tab.wrong.append(f"error: {error}"))
    tab.on("dialog", lambda dialog: (tab.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    own = (site.address, "blob:", "data:")
    tab.on("request", lambda r: None if r.url.startswith(own) else tab.wrong.append(f"asked for {r.url}"))
    yield tab
    context.close()
    assert tab.wrong == []


WIDTHS = {
    "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True},
    "desktop": {"viewport": {"width": 1440, "height": 900}},
}


@pytest.fixture(name="tab", params=WIDTHS)
def each_width(request, browser, site):
    """A tab of each width, in which no script fails."""
    context = browser.new_context(**WIDTHS[request.param])
    tab = context.new_page()
    tab.set_default_timeout(30_000)
    tab.wrong, tab.touch = [], request.param == "phone"
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
    yield tab
    context.close()
    assert tab.wrong == []


def faults(tab):
    """What axe finds."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    found = axe.run(tab).response["violations"]
    return [(fault["id"], [node["html"][:120] for node in fault["nodes"]]) for fault in found]


def check_looks(tab):
    """Nothing for axe in light and in dark, and nothing wider than a phone."""
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        assert faults(tab) == [], scheme
    tab.emulate_media(color_scheme="light")
    before = tab.viewport_size
    tab.set_viewport_size(PHONE)
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    tab.set_viewport_size(before)


def slowed(tab, path):
    """Let answers below this path wait until the returned function is called."""
    held = []
    tab.route(f"**/{path}*", lambda route: held.append(route))

    def release():
        for route in held:
            route.continue_()
        tab.unroute(f"**/{path}*")

    return release
