import numpy as np
import pytest
from PIL import Image

from aisle.data import Product
from aisle.data.images import decode
from aisle.evaluation import evaluate
from aisle.evaluation.report import render
from aisle.evaluation.robustness import CHANGES
from tests.evaluation.shop import WordModel, catalog, picture


def change(kind, **fields):
    made = CHANGES[kind](Product("x", fields), np.random.default_rng(3))
    return None if made is None else dict(made.fields)


def test_each_change_changes_what_it_says_and_no_more():
    recoloured = change("colour", title="RED shoe", description="a red shoe, not Blue")
    assert recoloured["title"].split()[1] == "shoe"
    assert recoloured["title"].split()[0].isupper()
    assert "red" not in recoloured["description"]
    assert recoloured["title"].split()[0].lower() in recoloured["description"]  # one colour everywhere
    german = "weiß rot blau grün gelb rosa lila orange braun grau silber gold beige türkis"
    assert change("colour", title="schwarz")["title"] in german
    assert change("colour", title="shoe") is None
    resized = change("size", title="shirt XL, 20 cm, size 8")["title"]
    assert resized.startswith("shirt ")
    assert "XL," not in resized.replace("XXL", "").replace("XXXL", "")
    assert " 20 cm" not in resized
    assert "size 8" not in resized
    assert change("size", title="iPhone 12 Pro") is None  # a model is no size
    assert change("size", title="it's l'M WOMEN'S") is None
    words = "one two three four five"
    assert sorted(change("word order", title=words)["title"].split()) == sorted(words.split())
    assert change("word order", title="one") is None
    assert change("case", title="Red Shoe") == {"title": "RED SHOE"}
    assert change("case", title="RED") == {"title": "red"}
    typo = change("typo", title="leather boots")["title"]
    assert sorted(typo) == sorted("leather boots")
    assert change("typo", title="a b c") is None


def test_a_crop_keeps_four_fifths_and_broken_pictures_are_left():
    product = Product("x", {}, (picture(size=(300, 200)),))
    made = CHANGES["crop"](product, np.random.default_rng(0))
    assert decode(made.images[0]).size == (240, 160)
    assert CHANGES["crop"](Product("x"), np.random.default_rng(0)) is None
    assert isinstance(decode(made.images[0]), Image.Image)


@pytest.fixture(scope="module")
def found():
    return evaluate(
        WordModel(catalog(400, seed=1)),
        catalog(300, seed=2),
        per_view=False,
        why=False,
        measure_robustness=True,
    )


def test_flips_are_counted_as_answers_that_differ(found):
    told = {p.kind: p for p in found.robustness}
    assert set(told) == {"colour", "word order", "case", "typo", "crop"}  # the shop names no sizes
    for kind in ("word order", "case", "crop"):  # a bag of lower-case words cannot notice
        assert told[kind].flipped.value == 0
    model, test = WordModel(catalog(400, seed=1)), catalog(300, seed=2)
    rows = [p for p in test if CHANGES["typo"](p, np.random.default_rng(0))]
    assert told["typo"].products == len(rows)
    assert 0 < told["typo"].flipped.low < told["typo"].flipped.value < told["typo"].flipped.high
    assert told["typo"].top <= told["typo"].flipped.value
    example = told["typo"].examples[0]
    assert example.before != example.after
    assert example.title != example.changed
    changed = next(p for p in test if p.id == example.id)
    again = Product("y", {**changed.fields, "title": example.changed})
    assert model.taxonomy.nodes[model.score([again]).best()[0]].path == example.after


def test_the_page_tells_of_it(found):
    html = render(found)
    assert "Robustness" in html
    assert f'data-key="robustness.{[p.kind for p in found.robustness].index("typo")}.flipped.value"' in html
