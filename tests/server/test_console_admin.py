"""Administrators in the browser: models compared, promoted, rolled back; keys created and revoked."""

import dataclasses
import os

import httpx2
import numpy as np
import pytest

from tests.server.browser import PHONE, check_looks, in_chromium, serving
from tests.server.browser import browser as browser
from tests.server.browser import tab as tab
from tests.server.conftest import patient

pytestmark = in_chromium
DESK = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def other(trained, tmp_path_factory):
    """A copy of the model in which two categories are exchanged."""
    model = trained.model.model
    order = np.arange(len(model.counts))
    order[:2] = order[1::-1]
    changed = model.terminals._replace(coef=model.terminals.coef[:, order])
    folder = tmp_path_factory.mktemp("library") / "other"
    dataclasses.replace(trained.model, model=model._replace(terminals=changed)).save(folder)
    return folder


@pytest.fixture
def site(trained, other, shop, tmp_path):
    runs = {"shop": trained.run, "same": trained.run / "model"}
    settings = patient(
        runs=runs, store=str(tmp_path / "store.db"), golden_set=shop.products, library=other.parent
    )
    yield from serving(settings)


def shoot(tab, name):
    folder = os.environ.get("AISLE_SHOTS")
    for size in (PHONE, DESK) if folder else ():
        tab.set_viewport_size(size)
        tab.screenshot(path=f"{folder}/{name}-{size['width']}.png", full_page=True)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_models_are_loaded_compared_promoted_and_rolled_back(site, tab, size):
    tab.set_viewport_size(size)
    tab.goto(f"{site.address}#/explore/models")
    tab.click("summary:text('Load another model')")
    tab.fill("#load-folder", "nothing")
    tab.fill("#load-name", "other")
    tab.click("button:text('Load')")
    tab.wait_for_selector("#admin-result .bad")
    tab.fill("#load-folder", "other")
    tab.click("button:text('Load')")
    tab.click("[aria-label='What would change (other)']")
    tab.wait_for_selector("#admin-result h3")
    api = httpx2.get(f"{site.address}v1/models/other/changes", timeout=60).json()
    assert api["changed"] > 0
    products = f"{api['changed']} product{'s' if api['changed'] > 1 else ''}"
    heading = f"{products} of {api['products']} would get another category"
    assert tab.inner_text("#admin-result h3") == heading
    assert len(tab.query_selector_all(".changed-products li")) == len(api["sample"])
    check_looks(tab)
    tab.set_viewport_size(size)
    shoot(tab, "models")
    tab.set_viewport_size(size)
    tab.click("[aria-label='Promote … (other)']")
    tab.click("dialog button.main")
    tab.wait_for_selector("#admin-result .bad")  # it gets fewer right
    assert httpx2.get(f"{site.address}v1/models", timeout=60).json()["live"] == "shop"
    tab.click("[aria-label='Promote … (same)']")
    tab.click("dialog button:text('Cancel')")
    tab.click("[aria-label='Promote … (same)']")
    tab.click("dialog button.main")
    tab.wait_for_selector("td:text('promoted')")
    assert httpx2.get(f"{site.address}v1/models", timeout=60).json()["live"] == "same"
    tab.click("[aria-label='Roll back … (same)']")
    tab.click("dialog button.main")
    tab.wait_for_selector("td:text('rolled back')")
    tab.click("[aria-label='Shadow (other)']")
    tab.click("[aria-label='Shadow results (other)']")
    tab.wait_for_selector("#admin-result h3:text('other beside shop')")
    tab.click("[aria-label='Remove … (other)']")
    tab.click("dialog button.main")
    tab.wait_for_selector("[aria-label='Remove … (other)']", state="detached")
    state = httpx2.get(f"{site.address}v1/models", timeout=60).json()
    assert (state["live"], [one["name"] for one in state["models"]]) == ("shop", ["shop", "same"])


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_keys_are_created_and_revoked(site, tab, size):
    tab.set_viewport_size(size)
    tab.goto(f"{site.address}#/explore/keys")
    tab.fill("#key-person", "ana")
    tab.click("button:text('Create')")
    tab.click("dialog button.main")
    secret = tab.inner_text("#secret")
    tab.click("dialog button:text('Close')")
    tab.fill("#key", secret)  # from now on a key is needed
    tab.click("button:text('Sign in')")
    tab.fill("#key-person", "bo")
    tab.select_option("#key-role", "reviewer")
    tab.click("button:text('Create')")
    reviewer = tab.inner_text("#secret")
    tab.click("dialog button:text('Close')")
    tab.wait_for_selector("td:text('bo')")
    check_looks(tab)
    shoot(tab, "keys")
    tab.set_viewport_size(size)
    headers = {"Authorization": f"Bearer {reviewer}"}
    assert httpx2.get(f"{site.address}v1/me", headers=headers, timeout=60).json()["role"] == "reviewer"
    tab.click(f"[aria-label='Revoke the key {reviewer.split('_')[1]} of bo']")
    tab.click("dialog button.main")
    tab.wait_for_selector("td:text('revoked')")
    assert httpx2.get(f"{site.address}v1/me", headers=headers, timeout=60).status_code == 401
    tab.click(f"[aria-label='Revoke the key {secret.split('_')[1]} of ana']")
    tab.click("dialog button.main")
    tab.wait_for_selector("#key-result .bad")  # the last administrator's
