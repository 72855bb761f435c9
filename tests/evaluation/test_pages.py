"""The pages of audit, drift and explanations, opened in Chromium on a phone: their numbers are the JSON's."""

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import aisle
from aisle.evaluation import explained
from aisle.evaluation.audit import audit
from aisle.evaluation.drift import drift, profile
from aisle.evaluation.numbers import count, percent
from aisle.evaluation.similarity import similar_products
from aisle.inference.explain import explain
from tests.evaluation.shop import catalog, picture, products
from tests.evaluation.test_audit import QUICK
from tests.evaluation.test_report import ATTACK, look_up, needs_chromium

PHONE = {"width": 390, "height": 844}


class Page(NamedTuple):
    """A page that was opened, what it asked for and said, and the JSON beside it."""

    tab: object
    asked: list
    said: list
    data: object


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as p:
        opened = p.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


def opened(browser, file: Path, data) -> Page:
    tab, asked, said = browser.new_page(viewport=PHONE), [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.goto(file.as_uri())
    assert file.stat().st_size < 5_000_000
    return Page(tab, asked, said, data)


def numbers(page: Page) -> dict[str, str]:
    """{key: what is read} of every number on the page, each found to be the JSON's own."""
    shown = page.tab.eval_on_selector_all(
        "data", "all => all.map(d => [d.dataset.key, d.value, d.textContent.trim()])"
    )
    for key, value, _ in shown:
        number = look_up(page.data, key)
        assert value == ("" if number is None else str(number)), key
    return {key: text for key, _, text in shown}


def is_quiet(page: Page) -> None:
    """It asks for nothing outside, runs nothing, and is no wider than a phone."""
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.said == []
    assert page.tab.title() != "owned"
    assert page.tab.locator("script").count() == 0
    assert page.tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def attacked(rows, pictures=True):
    """As written by sellers who try things."""
    return [
        dataclasses.replace(
            p,
            fields=p.fields | {"title": f"{p.fields['title']} {ATTACK}"},
            images=(picture((i % 250, 90, 40)),) if pictures and i % 2 else (),
        )
        for i, p in enumerate(rows)
    ]


@pytest.mark.slow
@needs_chromium
def test_the_page_of_drift(browser, promising, tmp_path):
    before = profile(promising, catalog(200, seed=31, start=10_000))
    rows = [
        dataclasses.replace(p, fields={"title": f"die neue und nicht {p.fields['title']} {ATTACK}"})
        for p in products(200, seed=32, start=20_000)
    ]
    found = drift(promising, aisle.read(rows), before)
    file = found.write(tmp_path)
    page = opened(browser, file, json.loads((tmp_path / "drift.json").read_text()))
    is_quiet(page)
    read = numbers(page)
    assert read["rows"] == read["reference_rows"] == "200"
    assert read["guarantee.accepted"] == percent(found.guarantee.accepted)
    assert read["guarantee.measured.value"] == percent(found.guarantee.measured.value)
    names = [a["name"] for a in page.data["aspects"] if a["changed"]]
    assert {"languages", "view description"} <= set(names)
    assert page.tab.locator(".aspect h3").all_inner_texts() == names
    assert page.tab.locator("td .bad").count() == len(names)
    for i, aspect in enumerate(page.data["aspects"]):
        assert read[f"aspects.{i}.p"] == f"{aspect['p']:.4f}"


@pytest.mark.slow
@needs_chromium
def test_the_page_of_explanations(browser, trained, tmp_path):
    rows = attacked(list(trained.catalog)[:3])
    why = explain(trained.model, rows)
    file = explained.write(why, rows, similar_products(trained.model, rows, trained.catalog), tmp_path)
    page = opened(browser, file, json.loads((tmp_path / "explain.json").read_text()))
    is_quiet(page)
    read = numbers(page)
    assert len(page.data) == len(rows)
    for i, one in enumerate(page.data):
        assert read[f"{i}.confidence"] == percent(one["confidence"])
        assert read.keys() >= {f"{i}.views.{view}" for view in one["views"]}
        shown = page.tab.locator("section.answer").nth(i)
        assert " › ".join(one["path"]) in shown.locator("h2").inner_text()
        heaviest = sorted(one["words"], key=lambda w: -abs(w["weight"]))[0]
        words = shown.locator(".word")
        told = [float(t.split()[0]) for t in words.evaluate_all("all => all.map(w => w.title)")]
        assert max(np.abs(told)) == pytest.approx(abs(heaviest["weight"]), abs=0.006)
        assert shown.locator(".neighbors li").count() == len(one["nearest_products"])
    pictures = page.tab.locator(".images img")
    assert pictures.count() == sum(one["regions"] is not None for one in page.data) == 1
    assert pictures.first.evaluate("i => i.naturalWidth") == 420


@needs_chromium
@pytest.mark.slow
def test_the_page_of_an_audit(browser, tmp_path):
    rows = attacked(products(160, seed=21))
    rows[5] = dataclasses.replace(rows[5], categories=(("Garden", ATTACK),))
    file = audit(aisle.read(rows), aisle.workflow.resolve("fast", QUICK), folds=2).write(tmp_path)
    data = json.loads((tmp_path / "audit.json").read_text())
    data["findings"] = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    page = opened(browser, file, data)
    is_quiet(page)
    read = numbers(page)
    assert read["audited"] == count(data["audited"]) == "160"
    assert read["share"] == percent(data["share"])
    cards = page.tab.locator(".finding")
    assert cards.count() == 100
    for i in range(100):
        assert read[f"findings.{i}.chance"] == percent(data["findings"][i]["chance"], 0)
    first = page.tab.locator(f"#row-{data['findings'][0]['row']}")
    assert first.locator("h4").inner_text() == data["findings"][0]["title"]
    said = first.locator("dd").all_inner_texts()
    assert said == [" › ".join(data["findings"][0][side]) for side in ("present", "proposed")]
    assert first.locator(".reasons li").all_inner_texts() == list(data["findings"][0]["reasons"])
