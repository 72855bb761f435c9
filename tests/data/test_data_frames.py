"""Data frames, and whatever else hands its columns on as Arrow, are catalogs."""

import polars as pl
import pyarrow as pa
import pytest

import aisle
from aisle.errors import CatalogError

ROWS = [
    {"title": "red pen", "category": "Pens", "price": 1.5},
    {"title": "tea mug", "category": "Mugs", "price": None},
]


class Stream:
    """The least that offers the Arrow protocol."""

    def __init__(self, rows):
        self.table = pa.Table.from_pylist(rows)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def pandas(rows):
    return pytest.importorskip("pandas").DataFrame(rows)


@pytest.mark.parametrize("made", [pl.DataFrame, pandas, Stream, pa.RecordBatch.from_pylist])
def test_a_frame_is_read_as_its_rows_are(made):
    catalog = aisle.read(made(ROWS))
    assert [(p.fields["title"], p.categories, p.fields.get("price")) for p in catalog] == [
        ("red pen", (("Pens",),), "1.5"),
        ("tea mug", (("Mugs",),), None),
    ]


def test_a_frame_without_rows_is_an_empty_catalog():
    assert len(aisle.read(pl.DataFrame(ROWS).head(0))) == 0


def test_what_is_no_table_yet_is_refused_by_name():
    with pytest.raises(CatalogError, match="data frames or rows, not from LazyFrame"):
        aisle.read(pl.DataFrame(ROWS).lazy())
