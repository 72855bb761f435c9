import json
import re
from pathlib import Path

import pytest

from aisle.data import ImageRef, Product, read
from aisle.evaluation import Evaluation, evaluate
from aisle.evaluation.numbers import count, decimal, percent
from aisle.evaluation.report import render
from tests.evaluation.shop import catalog, picture, products
from tests.shared import SHARED, needs_shared

CHROMIUM = Path("/usr/bin/chromium")
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")
ATTACK = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def hostile(careful, train, tmp_path_factory):
    """The same shop, as written by sellers who try things, with broken and missing images."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "good.png").write_bytes(picture().read())
    (folder / "broken.png").write_bytes(b"not an image")
    files = [(ImageRef(path=folder / name),) for name in ("good.png", "broken.png", "gone.png")]
    rows = []
    for i, p in enumerate(products(200, seed=7)):
        title, description = p.fields["title"], p.fields["description"]
        fields = {"title": f"{title} {ATTACK}", "description": f"{description} {{{{ 7*7 }}}}"}
        path = p.categories[0] if i % 9 else (*p.categories[0][:1], ATTACK)
        rows.append(Product(p.id, fields, [*files, ()][i % 4], {}, (path,)))
    return evaluate(careful, read(rows), baseline=train)


@pytest.fixture(scope="module")
def page(hostile, tmp_path_factory):
    """The page opened in Chromium on a phone, with everything it asks for and says written down."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    file = hostile.write(tmp_path_factory.mktemp("report"))
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": 390, "height": 844})
        tab.asked, tab.said = [], []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.on("console", lambda message: tab.said.append(message.text))
        tab.goto(file.as_uri())
        yield tab
        browser.close()


def look_up(data, key):
    for part in key.split("."):
        data = data[int(part)] if part.isdigit() else data[part]
    return data


@needs_chromium
def test_the_numbers_on_the_page_are_those_of_the_json(page, hostile):
    data = json.loads(hostile.to_json())
    shown = page.eval_on_selector_all(
        "data", "all => all.map(d => [d.dataset.key, d.value, d.textContent.trim()])"
    )
    assert len(shown) > 60
    nodes = {f"node:{node['id']}": node["accuracy"] for node in data["nodes"]}
    nodes |= {f"coverage:{node['id']}": node["coverage"] for node in data["nodes"]}
    for key, value, text in shown:
        number = nodes[key] if key.startswith(("node:", "coverage:")) else look_up(data, key)
        assert value == ("" if number is None else str(number)), key
        assert text in {percent(number), percent(number, 0), decimal(number), count(number)}, key
    headline = page.locator("h1").inner_text()
    assert headline.startswith(percent(data["model"]["overall"]["accuracy"]["value"]))
    keys = {key for key, _, _ in shown}
    assert {"model.overall.macro_f1", "baseline.summary.overall.macro_f1", "model.overall.ece"} <= keys
    assert {"decisions.accept.precision.value", "views.0.accuracy", "model.bands.0.accuracy"} <= keys


@needs_chromium
def test_nothing_outside_is_asked_for_and_nothing_users_wrote_runs(page):
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.said == []
    assert page.title() == "Report: words-1"
    assert page.locator("script").count() == 0
    assert ATTACK in page.locator(".card h4").first.text_content()
    assert "{{ 7*7 }}" in page.locator(".card .text").first.text_content()
    assert page.locator("#tree").get_by_text(ATTACK, exact=True).count() > 0


@needs_chromium
def test_it_fits_a_phone_and_its_tree_opens(page):
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    boots = page.locator(".tree .name", has_text="Boots")
    assert not boots.first.is_visible()
    page.locator(".tree summary", has_text="Clothing").click()
    page.locator(".tree summary", has_text="Shoes").click()
    assert boots.first.is_visible()


@needs_chromium
def test_images_show_and_broken_ones_are_said_to_be_broken(page, hostile):
    cards = [*hostile.examples.worst, *hostile.examples.confused, *hostile.examples.best]
    states = [x.image.state for x in cards]
    assert {"shown", "broken", "none"} <= set(states)
    assert page.locator(".card img").count() == states.count("shown")
    widths = page.eval_on_selector_all(".card img", "all => all.map(i => i.naturalWidth)")
    assert set(widths) == {240}
    assert page.locator(".no-image.broken").count() == states.count("broken")
    reasons = {x.image.reason for x in cards if x.image.state == "broken"}
    assert "image is not there" in reasons
    assert len(reasons) == 2
    for reason in reasons:
        assert page.get_by_text(f"broken: {reason}").count() > 0


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(page, scheme):
    """WCAG's contrast of at least 4.5 between text and what is behind it."""
    page.emulate_media(color_scheme=scheme)
    pairs = page.evaluate(
        """() => ['h1', '.lead', '.tile .big', '.tile .quiet', '.card .text', '.wrong', '.delta',
                  '.tree .support', 'footer', 'table td']
          .flatMap(s => [...document.querySelectorAll(s)].slice(0, 3)).map(e => {
            let behind = e;
            const paper = () => getComputedStyle(behind).backgroundColor;
            while (paper() === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
            return [getComputedStyle(e).color, paper(), e.className];
          })"""
    )
    assert len(pairs) > 15
    for ink, paper, name in pairs:
        light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ink, paper)


def luminance(colour):
    channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_page_and_numbers_are_written_side_by_side(full, tmp_path):
    page = full.write(tmp_path / "new" / "folder")
    assert page.name == "report.html"
    assert page.stat().st_size < 5_000_000
    assert json.loads((page.parent / "report.json").read_text())["rows"]["evaluated"] == 300


def test_the_page_needs_nothing_from_outside(full):
    html = render(full)
    addresses = set(re.findall(r"https?://[^\"' )<]+", html))
    assert all(a.startswith("http://www.w3.org/") for a in addresses)  # XML namespaces, never fetched
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


@needs_chromium
def test_guaranteed_and_realized_precision_are_drawn_by_level_and_by_top_category(page, promised, tmp_path):
    file = promised.write(tmp_path)
    assert file.stat().st_size < 1_000_000
    page.goto(file.as_uri())
    titles = page.locator("#guarantee .panel h4").all_text_contents()
    assert titles[:4] == ["Full path", "Level 1", "Level 2", "Level 3"]
    assert "Clothing" in titles[4:]
    assert page.locator("#guarantee .panel svg[viewBox]").count() == len(titles)
    assert "holds" in page.locator("#guarantee tbody tr").first.inner_text()
    data = json.loads(promised.to_json())
    for element in page.locator("#guarantee data").all():
        number = look_up(data, element.get_attribute("data-key"))
        assert element.text_content().strip() in {percent(number), count(number)}
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_the_leanest_evaluation_makes_a_page_too(model):
    """One product, no baseline, no counts, no views: nothing to compare, still a page."""
    html = render(evaluate(model, catalog(1), per_view=False))
    assert "of <data" in html
    assert "SVM" not in html


def test_the_same_evaluation_gives_the_same_page(full):
    assert render(full) == render(full)


@pytest.mark.slow
@needs_shared
@needs_chromium
def test_naughty_strings_are_shown_as_they_are(page, full, tmp_path):
    naughty = [s for s in json.loads((SHARED / "data/bad_inputs/blns.json").read_text()) if s]
    some = full.examples.best[0]
    cards = tuple(some.model_copy(update={"title": s, "label": (s,)}) for s in naughty)
    examples = full.examples.model_copy(update={"best": cards, "worst": (), "confused": ()})
    changed = full.model_copy(update={"examples": examples, "source": naughty[300]})
    assert Evaluation.from_json(changed.to_json()).examples.best[7].title == naughty[7]
    page.goto(changed.write(tmp_path).as_uri())
    shown = page.locator(".card h4").all_text_contents()
    assert len(shown) == len(naughty) > 500
    for text, wanted in zip(shown, naughty, strict=True):
        assert text.split() == wanted.replace("\0", "").split()
    assert page.said == []
    assert page.title() == "Report: words-1"


@pytest.mark.slow
@needs_chromium
def test_a_slider_without_scripts_says_what_happens_at_each_precision(page, promised, tmp_path):
    file = promised.write(tmp_path)
    curve = json.loads((tmp_path / "report.json").read_text())["operating_curve"]
    tab = page.context.browser.new_page(viewport={"width": 390, "height": 844}, java_script_enabled=False)
    tab.goto(file.as_uri())
    radios = tab.get_by_role("group", name="Guaranteed precision").get_by_role("radio")
    assert radios.count() == len(curve["points"])
    radios.first.focus()
    tab.keyboard.press("Space")
    for point in reversed(curve["points"]):
        summary = tab.locator(".step-summary:visible")
        assert summary.count() == 1
        shown = summary.inner_text().replace("\N{NO-BREAK SPACE}", "")
        assert f"At {100 * point['precision']:g}%" in shown
        assert point["text"] in shown
        if point["measured_full"]["count"]:
            assert percent(point["measured_full"]["precision"]["value"]) in summary.inner_text()
        tab.keyboard.press("ArrowRight")
    text = tab.locator("#operating").inner_text().replace("\N{NO-BREAK SPACE}", "")
    assert curve["statement"] in text
    tab.close()
