"""`train`, `predict` and `evaluate` take what people have: frames, tables, files, rows, titles, products."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import aisle
from aisle.data.inputs import read_inputs
from aisle.errors import AisleError, CatalogError
from aisle.guarantee.predictions import NO_VIEW

WORDS = {
    "Home > Mugs": ("tea mug", "coffee mug", "enamel cup", "espresso cup", "travel mug"),
    "Home > Lamps": ("desk lamp", "floor lamp", "bedside light", "led lamp", "reading light"),
    "Clothing > Shoes": ("running shoes", "leather shoes", "trainers", "hiking boots", "suede shoes"),
    "Clothing > Hats": ("wool hat", "sun hat", "beanie", "baseball cap", "straw hat"),
}
COLOURS = ("red", "blue")
ROWS = [
    {"sku": f"{path[0]}{number}-{colour}", "title": f"{colour} {title}", "category": path}
    for path, titles in WORDS.items()
    for number, title in enumerate(titles)
    for colour in COLOURS
]
FRAME = pd.DataFrame(ROWS)
NEW = [{"sku": "n1", "title": "green wool hat"}, {"sku": "n2", "title": "green floor lamp"}]
BEST = ["Clothing > Hats", "Home > Lamps"]


@pytest.fixture(scope="module")
def model():
    return aisle.train(FRAME)


def best(predictions):
    return [" > ".join(one.best) for one in predictions]


def written(tmp_path, rows=NEW, name="new.csv"):
    file = tmp_path / name
    pd.DataFrame(rows).to_csv(file, index=False)
    return file


class Stream:
    """The least that offers the Arrow protocol."""

    def __init__(self, rows):
        self.table = pa.Table.from_pylist(rows)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


FORMS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": pa.Table.from_pylist,
    "stream": Stream,
    "rows": list,
    "iterator": iter,
    "products": lambda rows: [aisle.Product(row["sku"], {"title": row["title"]}) for row in rows],
    "catalog": aisle.read,
    "titles": lambda rows: [row["title"] for row in rows],
    "series": lambda rows: pd.DataFrame(rows)["title"],
    "polars series": lambda rows: pl.DataFrame(rows)["title"],
    "array": lambda rows: np.array([row["title"] for row in rows]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_products_is_predicted(model, form):
    found = model.predict(FORMS[form](NEW))
    assert isinstance(found, aisle.Predictions)
    assert best(found) == BEST
    has_ids = form not in ("titles", "series", "polars series", "array")
    assert [one.id for one in found] == (["n1", "n2"] if has_ids else ["1", "2"])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pandas", "polars", "arrow", "stream", "rows", "iterator", "catalog"])
def test_every_form_of_labelled_products_trains_and_is_evaluated(model, form):
    trained = aisle.train(FORMS[form](ROWS))
    np.testing.assert_array_equal(trained.score(model_rows()).logp, model.score(model_rows()).logp)
    found = aisle.evaluate(model, FORMS[form](ROWS))
    assert (found.rows.evaluated, found.model.overall.accuracy.value) == (40, 1.0)


def model_rows():
    return aisle.read(NEW)


def test_one_product_gets_one_prediction(model):
    product = aisle.Product("x", {"title": "green wool hat"})
    for one in (product, {"sku": "x", "title": "green wool hat"}, "green wool hat"):
        found = model.predict(one)
        assert isinstance(found, aisle.Prediction)
        assert found.best == ("Clothing", "Hats")
    assert best(model.predict([product])) == BEST[:1]
    assert aisle.evaluate(model, ROWS[0]).model.overall.accuracy.value == 1.0


def test_a_product_of_unknown_words_is_for_review(model):
    unknown, empty = model.predict(["qzxvw kjqqx", ""])
    assert (unknown.decision, unknown.reason) == ("review", NO_VIEW)
    assert unknown.confidence[0] < 0.6  # the share of the largest category
    assert (unknown.best, unknown.confidence) == (empty.best, empty.confidence)


@pytest.mark.slow
def test_a_string_is_a_file_where_one_has_that_name(model, tmp_path, monkeypatch):
    file = written(tmp_path)
    for source in (str(file), file, [file, file]):
        assert best(model.predict(source)) == BEST * (2 if isinstance(source, list) else 1)
    monkeypatch.chdir(tmp_path)
    assert best(model.predict("new.csv")) == BEST
    assert best(model.predict(["new.csv", "new.csv"])) == BEST * 2
    assert model.predict("new wool hat").best == ("Clothing", "Hats")
    assert best(model.predict(["new.csv", "a wool hat"]))[1] == BEST[0]
    with pytest.raises(CatalogError, match=r"^old\.csv: no such file"):
        model.predict("old.csv")
    labelled = written(tmp_path, ROWS, "products.csv")
    assert aisle.evaluate(aisle.train("products.csv"), str(labelled)).model.overall.accuracy.value == 1.0
    with pytest.raises(CatalogError, match="no such file"):
        aisle.train("a wool hat")


def test_the_pandas_index_is_kept(model):
    frame = pd.DataFrame(NEW, index=pd.Index([7, 3], name="row"))
    found = model.predict(frame).to_pandas()
    assert found.index.equals(frame.index)
    assert frame.join(found["best"])["best"].to_dict() == {7: BEST[0], 3: BEST[1]}
    levels = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["shop", None])
    found = model.predict(frame.set_index(levels))
    assert found.to_pandas().index.equals(levels)
    assert found[1:].to_pandas().index.to_list() == [("b", 2)]
    assert model.predict(frame["title"]).to_pandas().index.equals(frame.index)
    assert model.predict(NEW).to_pandas().index.to_list() == [0, 1]


def test_an_unnamed_index_is_no_column_and_a_named_one_is():
    unnamed = aisle.read(pd.DataFrame(NEW, index=[7, 3]))
    assert unnamed.names == ["sku", "title"]
    named = aisle.read(
        pd.DataFrame([row["title"] for row in NEW], ["n1", "n2"], ["title"]).rename_axis("sku")
    )
    assert [product.id for product in named] == ["n1", "n2"]


def test_predictions_are_a_table(model):
    found = model.predict(NEW)
    table = found.to_arrow()
    assert table.column_names[:5] == ["id", "decision", "path", "confidence", "reason"]
    assert table["best"].to_pylist() == BEST
    assert table["confidence"].to_pylist() == [round(one.path_confidence, 6) for one in found]
    assert table["best_confidence"].to_pylist() == [round(one.confidence[-1], 6) for one in found]
    assert [len(levels) for levels in table["level_confidences"].to_pylist()] == [2, 2]
    assert found.to_polars().to_dicts() == table.to_pylist()
    assert found.to_pandas()["id"].to_list() == ["n1", "n2"]
    assert list(found[:1]) == [found[0]]
    assert found == list(found)
    empty = model.predict([])
    assert (len(empty), empty.to_pandas().shape) == (0, (0, 15))


@pytest.mark.slow
def test_columns_are_read_as_in_training():
    renamed = FRAME.rename(columns={"title": "label text", "category": "where"})
    trained = aisle.train(aisle.read(renamed, columns={"title": "label text", "category": "where"}))
    new = pd.DataFrame(NEW).rename(columns={"title": "label text"})
    assert best(trained.predict(new[["label text", "sku"]])) == BEST
    assert aisle.evaluate(trained, renamed).model.overall.accuracy.value == 1.0
    with pytest.raises(CatalogError, match="label text"):
        trained.predict(pd.DataFrame({"colour": ["red"]}))


WRONG = [5, 2.5, None, b"hat", object(), {"hat"}, [1, 2], [["hat"]], pl.LazyFrame(NEW), np.zeros((2, 2)), len]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: type(wrong).__name__)
def test_anything_else_is_a_type_error(model, wrong):
    for call in (model.predict, aisle.train, lambda source: aisle.evaluate(model, source)):
        with pytest.raises(TypeError) as caught:
            call(wrong)
        assert isinstance(caught.value, AisleError)
        assert "\n" not in str(caught.value)


def test_cells_that_arrow_refuses_are_read_too(model):
    mixed = pd.DataFrame({"sku": ["n1", 2, None], "title": ["green wool hat", 12, np.nan], "x": [1, "a", {}]})
    found = model.predict(mixed)
    assert [one.id for one in found] == ["n1", "2", "3"]
    assert found[0].best == ("Clothing", "Hats")
    objects = pl.DataFrame({"title": ["green wool hat"], "path": pl.Series([Path("a")], dtype=pl.Object)})
    assert best(model.predict(objects)) == BEST[:1]
    twice = pd.DataFrame([["a", "b"]], columns=["title", "title"])
    with pytest.raises(CatalogError, match="Duplicate column names"):
        model.predict(twice)
    missing = model.predict(pd.Series(["green wool hat", None, pd.NA, np.nan], dtype=object))
    assert [one.decision for one in missing[1:]] == ["review"] * 3
    assert {one.reason for one in missing[1:]} == {missing[1].reason}


def test_categorical_and_numeric_columns_are_read():
    frame = FRAME.assign(category=FRAME["category"].astype("category"), price=1.5, stock=range(40))
    catalog = aisle.read(frame)
    assert catalog.taxonomy == aisle.read(FRAME).taxonomy
    assert catalog[3].fields["price"] == "1.5"


def test_a_long_list_of_titles_touches_no_file_but_the_first(model, monkeypatch):
    looked = []
    monkeypatch.setattr("os.path.isfile", lambda path: looked.append(path) or False)
    assert len(read_inputs(["a hat"] * 1000, model).products) == 1000
    assert looked == ["a hat"]


@pytest.mark.slow
def test_messages_are_logged_to_aisle(caplog, capfd):
    with caplog.at_level(logging.DEBUG, "aisle"):
        aisle.train(ROWS)
    logged = [(record.name, record.levelname, record.message) for record in caplog.records]
    assert any(level == "INFO" and text.startswith("guarantee: cross-fit") for _, level, text in logged)
    assert {name for name, _, _ in logged} == {"aisle"}
    handlers = logging.getLogger("aisle").handlers
    assert [type(handler) for handler in handlers] == [logging.NullHandler]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_progress_is_shown_where_asked(capfd):
    aisle.train(ROWS, progress=True)
    assert "guarantee: cross-fit" in capfd.readouterr().err


def test_json_of_a_prediction_is_that_of_the_files(model):
    assert json.loads(json.dumps(model.predict(NEW)[0].to_dict()))["best"] == BEST[0]


def test_html_views_escape_what_the_shop_wrote(model):
    naughty = '<script>alert("1")</script> hat'
    rows = [{"sku": "n<1>", "title": naughty, "category": "Clothing > Hats & Caps"}]
    catalog = aisle.read(rows)
    views = [
        catalog,
        catalog.taxonomy,
        model,
        model.predict(rows),
        model.predict(naughty),
        aisle.evaluate(model, catalog),
    ]
    for view in views:
        html = view._repr_html_()
        assert "<script>" not in html
        assert "Hats & Caps" not in html
        assert "n<1>" not in html
    assert "&lt;script&gt;" in catalog._repr_html_()
    assert "Hats &amp; Caps" in catalog.taxonomy._repr_html_()
