"""The same file back, with its categories filled in."""

import csv
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import aisle
from aisle.cli.classify_io import fills_export
from aisle.data.catalog_format import CatalogFormat
from aisle.guarantee import Prediction
from aisle.inference.prediction_files import OutputError
from aisle.inference.write_back import write_back_catalog
from aisle.taxonomy import Taxonomy, format_path
from tests.test_docs import blocks, ids
from tests.test_docs import run as run_block

ADDED = ["aisle_decision", "aisle_confidence"]


def table(data):
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))


@pytest.mark.parametrize(
    ("source", "out", "filled"),
    [
        ("export.csv", "export.filled.csv", True),
        ("export.csv", "answers.csv", None),  # where a known platform wrote the export
        ("export.csv", "predictions.csv", False),
        ("export.csv", "predictions-2.csv", False),
        ("export.csv", "export.filled.jsonl", False),
        ("export.tsv", "new.tsv", True),
        ("export.tsv", "new.csv", False),
        ("export.CSV.gz", "export.filled.csv.gz", True),
        ("export.parquet", "export.filled.parquet", True),
        ("export.parquet", "answers.parquet", None),
        ("export.csv", "filled.csv", True),
        ("export.csv", "export_filled.csv", True),
        ("export.csv", "unfilled.csv", None),
        ("export.html", "new.html", False),
        ("export.xml", "new.xml", True),
        ("export.xlsx", "new.xlsx", True),
        ("export.ods", "new.ods", False),
        ("export.jsonl", "new.jsonl", None),
    ],
)
def test_the_names_tell_whether_the_export_is_filled_in(source, out, filled):
    assert fills_export(None, [Path(source)], Path(out)) is filled
    assert fills_export(True, [Path(source)], Path(out)) is True
    assert fills_export(False, [Path(source)], Path(out)) is False


@pytest.mark.parametrize("every", [False, True])
def test_only_the_category_of_decided_products_is_new(trained, shop, tmp_path, every):
    out = tmp_path / "incoming.filled.csv"
    done = aisle.write_back(trained.model, shop.incoming, out, every=every)
    before, after = (table(file.read_bytes()) for file in (shop.incoming, out))
    predictions = trained.model.predict(aisle.read(shop.incoming, like=trained.model))
    paths = [one.best if every else one.path for one in predictions]
    column = "category"
    added = [*ADDED] if column in before[0] else [column, *ADDED]
    assert after[0] == [*before[0], *added]
    assert [row[: len(before[0])] for row in after] == before
    place = after[0].index(column)
    assert [row[place] for row in after[1:]] == [" > ".join(path) for path in paths]
    assert [row[-2] for row in after[1:]] == [one.decision for one in predictions]
    assert [float(row[-1]) for row in after[1:]] == [round(one.path_confidence, 6) for one in predictions]
    assert 0 < done.products_decided < done.products == len(predictions)
    assert done.rows_filled == sum(map(bool, paths))
    labels = aisle.read(out, like=trained.model)
    assert [next(iter(product.categories), ()) for product in labels] == paths


def test_what_was_decided_is_no_field_of_the_filled_file(trained, shop, tmp_path):
    aisle.write_back(trained.model, shop.incoming, tmp_path / "filled.csv")
    again = aisle.read(tmp_path / "filled.csv")
    assert set(ADDED) <= set(again.columns.ignored)
    assert again.fields == aisle.read(shop.incoming).fields


def test_the_content_tells_the_format(trained, shop, tmp_path):
    """What a shop calls .xls is often text."""
    source, out = tmp_path / "export.xls", tmp_path / "new.xls"
    source.write_bytes(b"id\ttitle\n1\tred leather shoes\n")
    aisle.write_back(trained.model, source, out, every=True)
    lines = out.read_bytes().split(b"\n")
    assert lines[0] == b"id\ttitle\tcategory\taisle_decision\taisle_confidence"
    assert lines[1].startswith(b"1\tred leather shoes\t")


@pytest.mark.slow
def test_the_command_tells_what_it_wrote(typed, trained, shop, tmp_path):
    words = ("classify", trained.run, shop.incoming, "--out")
    code, out, err = typed(*words, tmp_path / "new.csv", "--fill", "--all")
    assert code == 0, err
    assert "new.csv is incoming.csv with its categories filled in" in err
    assert "'category' is new in 24 of 24 rows" in out
    assert f"filled       {tmp_path / 'new.csv'}" in out
    code, out, _ = typed(*words, tmp_path / "new.filled.csv", "--json")
    found = json.loads(out)
    assert found["columns"] == ["category"]
    assert found["rows_filled"] == 24 - found["decisions"]["review"]
    code, _, _ = typed(*words, tmp_path / "new.filled.csv", "--no-fill", "--quiet")
    assert code == 0
    assert (tmp_path / "new.filled.csv").read_text("utf-8-sig").startswith("id,title,decision,path,level 1,")


def test_a_category_that_is_there_stays_where_it_says_the_same_or_more(trained, shop, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "in.filled.csv"
    titles = [product.fields["title"] for product in aisle.read(shop.products)][:60]
    predictions = trained.model.predict([aisle.Product(str(i), {"title": t}) for i, t in enumerate(titles)])
    decided = [i for i, one in enumerate(predictions) if one.path]
    left = [i for i, one in enumerate(predictions) if not one.path]
    assert len(decided) > 2 < len(left)
    cells = dict.fromkeys(range(60), "Old > Place")
    cells[decided[0]] = " >".join(predictions[decided[0]].path).upper()  # the same
    cells[decided[1]] = " > ".join((*predictions[decided[1]].path, "Deeper"))
    with source.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["id", "title", "category"])
        writer.writerows([i, title, cells[i]] for i, title in enumerate(titles))
    aisle.write_back(trained.model, source, out)
    found = [row[2] for row in table(out.read_bytes())[1:]]
    expected = [" > ".join(one.path) if one.path else cells[i] for i, one in enumerate(predictions)]
    for i in decided[:2]:
        expected[i] = cells[i]
    assert found == expected


def test_predictions_are_written_back_without_the_model(trained, shop, tmp_path):
    found = trained.model.predict(aisle.read(shop.incoming, like=trained.model))
    for name, given in (("model.csv", trained.model), ("predictions.csv", found)):
        aisle.write_back(given, shop.incoming, tmp_path / name)
    assert (tmp_path / "model.csv").read_bytes() == (tmp_path / "predictions.csv").read_bytes()
    with pytest.raises(ValueError, match="23 predictions for 24 products"):
        aisle.write_back(found[1:], shop.incoming, tmp_path / "less.csv")


def test_a_column_per_level_is_filled_level_by_level(tmp_path):
    """As in the catalog that the model learned from; ids of a given tree are written as ids."""
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("id,title,level 1,level 2\n1,a,,\n2,b,Home,Lamps\n3,c,Old,\n")
    catalog = aisle.read(source)
    paths = [("Garden",), ("Home", "Lamps"), ("Home",)]
    found = [
        Prediction(str(i), path, f"n{i}", path, f"n{i}", (0.5,) * len(path), "accept", "", ())
        for i, path in enumerate(paths)
    ]
    aisle.write_back(found, source, out)
    assert catalog.columns.levels == ("level 1", "level 2")
    assert [row[2:4] for row in table(out.read_bytes())[1:]] == [
        ["Garden", ""],
        ["Home", "Lamps"],
        ["Home", ""],
    ]
    source.write_text("id,title\n1,a\n2,b\n3,c\n")
    trained_on_ids = SimpleNamespace(
        taxonomy=Taxonomy.from_paths(paths), catalog_format=CatalogFormat({}, {"category": "code"})
    )
    write_back_catalog(aisle.read(source), found, out, trained_on_ids)
    assert [row[2] for row in table(out.read_bytes())] == ["code", "n0", "n1", "n2"]


@pytest.mark.parametrize(
    ("names", "cells", "expected"),
    [
        ("id,title,category", ",Old/Place,Old/Thing", {"category": "Home/Lamps"}),  # the file's own form
        ("id,title,product_type", ",,", {"product_type": "Home|Lamps"}),  # what the model learned from
        ("id,title,product_type,category", ",,", {"product_type": "Home|Lamps", "category": ""}),
        ("id,title,Kategorie", ",,", {"Kategorie": "Home|Lamps"}),
        ("id,title,price", "1,2,3", {"product_type": "Home|Lamps", "price": "1"}),
    ],
)
def test_the_column_is_the_one_learned_from_or_the_files_own(names, cells, expected, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    more = "," * (names.count(",") - 2)
    rows = [f"{i},title {i},{cell}{more}" for i, cell in enumerate(cells.split(","))]
    source.write_text("\n".join([names, *rows]) + "\n")
    path = ("Home", "Lamps")
    found = [
        Prediction(str(i), path, "Home > Lamps", path, "Home > Lamps", (0.5, 0.5), "accept", "", ())
        for i in range(3)
    ]
    form = CatalogFormat({}, {"category": "product_type", "delimiter": "|"})
    model = SimpleNamespace(taxonomy=Taxonomy.from_paths([path]), catalog_format=form)
    write_back_catalog(aisle.read(source, like=form, labels=False), found, out, model)
    with out.open(newline="") as lines:
        first = next(csv.DictReader(lines))
    assert {key: first.get(key) for key in expected} == expected


def test_a_format_of_ones_own_says_how_categories_are_written(typed, trained, tmp_path):
    own, source, out = tmp_path / "mine.toml", tmp_path / "in.csv", tmp_path / "new.csv"
    own.write_text(
        'title = "My export"\n[columns]\ntitle = ["bez"]\n[category]\ncolumns = ["wg"]\ndelimiter = "|"\n'
        '[write_back]\ncolumns = ["wg"]\ndelimiter = "|"\nextra_columns = false\n'
    )
    source.write_text("nr;bez;wg\n1;red leather shoes;\n")
    words = ("classify", trained.run, source, "--format", own, "--out", out, "--all", "--quiet")
    code, _, err = typed(*words)
    assert code == 0, err
    best = trained.model.predict([aisle.Product("1", {"title": "red leather shoes"})])[0].best
    assert out.read_text() == f"nr;bez;wg\n1;red leather shoes;{'|'.join(best)}\n"
    assert (tmp_path / "new.decisions.csv").exists()


def test_what_cannot_be_written_back_is_one_line(trained, typed, shop, tmp_path):
    jsonl = tmp_path / "in.jsonl"
    jsonl.write_text('{"title": "red shoes"}\n')
    for source, out, message in [
        (shop.incoming, tmp_path / "a.tsv", "let its name end in .csv"),
        (shop.incoming, shop.incoming, "is the export itself"),
        (shop.incoming, tmp_path / "no" / "a.csv", "does not exist"),
    ]:
        with pytest.raises(OutputError, match=message):
            aisle.write_back(trained.model, source, out)
        code, _, err = typed("classify", trained.run, source, "--out", out, "--fill")
        assert code == 2
        assert message in err
    words = ("classify", trained.run, shop.incoming)
    assert "one output file" in typed(*words, "--out", tmp_path / "folder/", "--fill")[2]
    assert "one file at a time" in typed(*words, shop.incoming, "--out", tmp_path / "a.csv", "--fill")[2]
    assert "add --fill" in typed(*words, "--out", tmp_path / "a.csv", "--all")[2]
    assert not list(tmp_path.glob("a.*"))


@pytest.mark.slow
def test_the_how_to_page_does_what_it_says(trained, tmp_path):
    (tmp_path / "runs").mkdir()
    shutil.copytree(trained.run, tmp_path / "runs" / "shop")
    page = blocks("docs/fill.md")
    (tmp_path / "export.csv").write_text(next(block.text for block in page if block.kind == "csv"))
    for block in page:
        if block.kind in ("sh", "python"):
            run_block(block, tmp_path)

    def rows(name):
        with (tmp_path / name).open(newline="", encoding="utf-8-sig") as lines:
            return list(csv.reader(lines))

    before, filled = rows("export.csv"), rows("export.all.csv")
    assert [row[:4] + row[5:] for row in filled] == [row[:4] + row[5:] for row in before]
    paths = [format_path(node.path) for node in trained.model.taxonomy.nodes]
    assert [row[4] in paths for row in filled[1:]] == [True, False, True, True]
    assert rows("export.filled.csv")[-1][4] in (*paths, "Gifts")
    assert ids(tmp_path / "predictions.csv") == ["oak-clock", "red-boots", "gift"]
    assert ids(tmp_path / "export.filled.decisions.csv") == ids(tmp_path / "predictions.csv")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('["Home >> Lamps"]', '["Garden >> Pots"]'),
        ('["Home", "Lamps"]', '["Garden", "Pots"]'),
        ("Home >> Lamps", "Garden >> Pots"),
    ],
)
def test_a_category_is_written_as_the_other_cells_are(tmp_path, old, new):
    quoted = '"{}"'.format(old.replace('"', '""'))
    source, out = tmp_path / "products.csv", tmp_path / "products.filled.csv"
    source.write_text(f"name,category\nDesk lamp,{quoted}\nFloor lamp,{quoted}\nClay pot,\n")
    catalog = aisle.read(source, labels=False)
    delimiter = None if old.count('"') > 2 else " >> "
    form = CatalogFormat({}, {"category": "category", "delimiter": delimiter or ""})
    model = SimpleNamespace(taxonomy=Taxonomy.from_paths([("Garden", "Pots")]), catalog_format=form)
    pots = Prediction(
        "3",
        ("Garden", "Pots"),
        "Garden > Pots",
        ("Garden", "Pots"),
        "Garden > Pots",
        (0.9, 0.9),
        "accept",
        "",
        (),
    )
    kept = Prediction("1", ("Garden", "Pots"), "Garden > Pots", (), "", (0.1, 0.1), "review", "", ())
    write_back_catalog(catalog, [kept, kept, pots], out, model)
    assert [row[1] for row in table(out.read_bytes())] == ["category", old, old, new]
