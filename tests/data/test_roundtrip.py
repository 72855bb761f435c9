"""What is written and read back is equal, and no input makes `read` raise anything but AisleError."""

import contextlib
import csv
import gzip
import io
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from aisle.data import ImageRef, Product, read
from aisle.data.check import check
from aisle.data.problems import FirstProblemError
from aisle.errors import AisleError
from tests.examples import examples

quick = settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(text, min_size=width, max_size=width), min_size=1, max_size=8)
)


def raw(catalog):
    return [list(catalog.raw(i).values()) for i in range(len(catalog))]


@quick
@given(tables, st.sampled_from([",", ";", "\t", "|"]))
def test_csv(tmp_path, rows, delimiter):
    path = tmp_path / "x.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow([f"c{k}" for k in range(len(rows[0]))])
        writer.writerows(rows)
    catalog = read(path, delimiter=delimiter if len(rows[0]) == 1 else None)
    assert raw(catalog) == rows
    assert catalog.rows.tolist() == list(range(1, len(rows) + 1))


@quick
@given(tables)
def test_jsonl_and_parquet(tmp_path, rows):
    items = [{f"c{k}": value for k, value in enumerate(row)} for row in rows]
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, items)).encode()))
    assert raw(read(path)) == rows
    pa.parquet.write_table(pa.Table.from_pylist(items), tmp_path / "x.parquet")
    assert raw(read(tmp_path / "x.parquet")) == rows


def _nested(*paths):
    spelled = [[name.casefold() for name in path] for path in paths]
    return any(a is not b and b[: len(a)] == a for a in spelled for b in spelled)


words = st.text("abcäß 12&-", min_size=1, max_size=12).filter(lambda w: w.strip() == w and "  " not in w)
names = words.filter(lambda w: w.casefold() not in ("", "-1"))
products = st.lists(
    st.builds(
        Product,
        fields=st.dictionaries(st.sampled_from(["title", "description", "colour"]), words, min_size=1),
        images=st.lists(st.binary(min_size=1, max_size=9).map(lambda b: ImageRef(data=b)), max_size=2).map(
            tuple
        ),
        vectors=st.just({}) | st.just({"clip": np.arange(3, dtype=np.float32)}),
        categories=st.lists(st.lists(names, min_size=1, max_size=3).map(tuple), max_size=2, unique=True)
        .map(tuple)
        .filter(lambda paths: not _nested(*paths)),  # ancestors listed with a category are left out
        id=st.just(""),
    ),
    min_size=1,
    max_size=5,
)


@quick
@given(products)
def test_products(given_products):
    given_products = [Product(f"p{i}", *_rest(p)) for i, p in enumerate(given_products)]
    for product, again in zip(given_products, read(given_products), strict=True):
        assert (product.id, product.fields, product.images) == (again.id, again.fields, again.images)
        assert [[n.casefold() for n in path] for path in product.categories][:1] == [
            [n.casefold() for n in path] for path in again.categories
        ][:1]
        assert {k: v.tolist() for k, v in product.vectors.items()} == {
            k: v.tolist() for k, v in again.vectors.items()
        }


def _rest(product):
    return product.fields, product.images, product.vectors, product.categories


endings = ["csv", "tsv", "jsonl", "json", "parquet", "csv.gz", "jsonl.zst", "txt"]
soup = st.text('",;\n\r\t|ab{}[]:-1>/\x00é', max_size=120).map(str.encode)


@settings(quick, max_examples=examples(150))
@given(st.sampled_from(endings), st.binary(max_size=200) | soup)
def test_no_bytes_raise_anything_but_an_aisle_error(tmp_path, ending, data):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(data)
    with contextlib.suppress(AisleError):
        catalog = read(path)
        assert sum(1 for _ in catalog) == len(catalog)
        assert all(p.row is None or 1 <= p.row <= len(catalog) for p in catalog.problems)
        assert len(catalog.targets().node) == len(catalog.groups()) == len(catalog.keys()) == len(catalog)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(
    ["id", "title", "category", "images", "split", "sample_weight", "date", "group", "level1", "level2"]
)


@settings(quick, max_examples=examples(150))
@given(st.lists(st.dictionaries(keys, json_values, max_size=6) | json_values, max_size=6))
def test_no_json_raises_anything_but_an_aisle_error(tmp_path, rows):
    first = rows[0] if rows else None
    assume(
        not (first and isinstance(first, list) and all(isinstance(item, dict) for item in first))
    )  # a page
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with contextlib.suppress(AisleError):
        catalog = read(path)
        assert len(catalog) == len(rows)
        assert len([p.id for p in catalog]) == len(rows)
        _ = catalog.weights, catalog.dates, catalog.split, catalog.problems[:]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_truncated_parquet_file_is_an_error(tmp_path, size):
    sink = io.BytesIO()
    pa.parquet.write_table(pa.table({"title": ["a"] * 50}), sink)
    (tmp_path / "x.parquet").write_bytes(sink.getvalue()[:-size])
    with pytest.raises(AisleError, match="cannot be read"):
        read(tmp_path / "x.parquet")


# Files as people break them: fields of all sorts, quotes left open, records too short and too long.
cells = st.sampled_from(
    [
        "",
        " ",
        "-1",
        "Red boots",
        'say "hi"',
        '"',
        "a,b",
        "x\ny",
        "Shoes > Boots",
        "shoes >boots",
        "é",
        "no.png",
    ]
)
dirty = st.lists(
    st.tuples(st.lists(cells, max_size=8), st.sampled_from([",", ";", '"']), st.booleans()), max_size=12
)


@quick
@given(dirty, st.sampled_from(["utf-8", "latin-1", "utf-16"]), st.booleans())
def test_counts_add_up_and_every_problem_says_where_and_what(tmp_path, records, encoding, quoted):
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["id", "title", "category", "images", "sample_weight", "date"])
    for fields, delimiter, well in records:
        if well and quoted:
            writer.writerow(fields)
        else:
            out.write(delimiter.join(fields) + "\n")
    path = tmp_path / "x.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    catalog = read(path)
    report = check(catalog)
    assert (
        report.clean + report.flagged + report.fatal
        == report.rows
        == len(catalog)
        == sum(n for _, n in report.files)
    )
    told = json.loads(report.to_json())["problems"]
    for problem in told:
        assert re.fullmatch(r"\S.*\S", problem["message"]), problem
        assert isinstance(problem["value"], str)
        assert problem["row"] is None or 1 <= problem["row"] <= report.rows
        assert problem["column"] is None or set(problem["column"].split(" / ")) & set(catalog.names)
    rows = {problem["row"] for problem in told} - {None}
    assert report.fatal == len({p["row"] for p in told if p["fatal"]})
    assert report.flagged == len(rows) - report.fatal
    assert sum(f.count for f in report.findings if f.kind == "problem") + sum(
        "only in case" in p["message"] for p in told
    ) == len(told)
    if report.classes:
        assert sum(report.classes.sizes) == report.classes.labelled
    with contextlib.suppress(FirstProblemError):
        read(path, strict=True)
        assert not catalog.problems
