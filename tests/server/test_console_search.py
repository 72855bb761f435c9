"""Searching in the browser, over a served index: by words, by a image, and on from what was found."""

import pytest

from tests.server.browser import browser as browser
from tests.server.browser import check_looks, in_chromium, serving
from tests.server.browser import tab as tab
from tests.server.conftest import patient

pytestmark = in_chromium


@pytest.fixture
def site(trained, tmp_path):
    from aisle import search

    search.build(trained.model, trained.catalog, tmp_path / "index", run=trained.run)
    settings = patient(runs={"s": trained.run}, store=str(tmp_path / "s.db"), index=tmp_path / "index")
    yield from serving(settings)


def test_words_and_images_find_products_and_their_likes(site, tab, shop, trained):
    product = next(one for one in trained.catalog if one.images and one.fields.get("title"))
    tab.goto(f"{site.address}#/explore/products")
    tab.fill("#words", product.fields["title"])
    tab.press("#words", "Enter")
    tab.wait_for_selector("text=words match")
    total = int((~trained.catalog.fatal).sum())
    assert tab.locator("h2.above").inner_text() == f"First 50 of {total} products, best match first"
    shown = tab.locator(".card-link .quiet").all_inner_texts()
    matches = [int(text.split("%")[0].split()[-1]) for text in shown]
    assert matches == sorted(matches, reverse=True)
    assert product.fields["title"] in tab.locator(".card-link .name").all_inner_texts()[:5]
    check_looks(tab)
    tab.set_input_files("#like", str(product.images[0].path))
    tab.wait_for_function("() => !document.querySelector('main').innerText.includes('words match')")
    tab.wait_for_selector(".card-link")
    assert tab.locator(".card-link").count() == 50
    assert tab.locator("h2.above").inner_text() == f"First 50 of {total} products, most similar first"
    first = tab.locator(".card-link .name").first.inner_text()
    tab.locator(".card-link").first.click()
    tab.wait_for_selector("text=Products like it")
    tab.wait_for_selector("section .card-link")
    assert tab.locator("article h2").inner_text() == first
    assert "In the catalog" in tab.locator("article").inner_text()
    assert tab.locator("section .card-link").count() == 6
    check_looks(tab)
