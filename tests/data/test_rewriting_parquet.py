"""Cells of Parquet files are set, and all else stays."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aisle.data.files import TableFile
from aisle.data.rewriting.parquet_cells import rewrite_parquet
from tests.data.test_rewriting_csv import Fixed


@pytest.mark.parametrize("rows", [0, 5])
def test_every_other_column_and_type_stays(rows, tmp_path):
    columns = {
        "id": pa.array(range(rows), pa.int32()),
        "category": pa.array(["old"] * rows, pa.large_string()),
        "picture": pa.array([b"\x00"] * rows, pa.binary()),
        "vector": pa.array([[0.5, 1.5]] * rows, pa.list_(pa.float32())),
    }
    table = pa.table(columns).replace_schema_metadata({"made": "by a shop"})
    path = tmp_path / "in.parquet"
    pq.write_table(table, path, row_group_size=2)
    editor = Fixed(("category", "aisle_decision"), {0: ["new", "accept"], 3: [None, "review"]})
    out = io.BytesIO()
    summary = rewrite_parquet(TableFile(path), out, editor)
    found = pq.read_table(io.BytesIO(out.getvalue()))
    category = ["new", "old", "old", "old", "old"][:rows]
    decision = ["accept", None, None, "review", None][:rows]
    expected = table.set_column(1, table.schema.field(1), pa.array(category, pa.large_string()))
    assert found.equals(expected.append_column("aisle_decision", pa.array(decision, pa.string())))
    assert found.schema.metadata[b"made"] == b"by a shop"
    assert (summary.rows, summary.changed) == (rows, min(rows, 1))
    assert pq.ParquetFile(io.BytesIO(out.getvalue())).num_row_groups == max(1, -(-rows // 2))
