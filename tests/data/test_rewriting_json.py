"""Values of JSON records are set, and every other character stays."""

import io
import json

import pytest

from aisle.data.files import TableFile
from aisle.data.readers.base import ReadOptions
from aisle.data.rewriting.json_cells import rewrite_json
from aisle.errors import CatalogError
from tests.data.test_rewriting_csv import Fixed


def rewritten(path, editor, **options):
    out = io.BytesIO()
    summary = rewrite_json(TableFile(path), out, editor, ReadOptions(**options))
    return out.getvalue(), summary


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_other_character_of_json_lines_stays(encoding, tmp_path):
    lines = [
        '{"id": 1, "title": "a \\u00e9 \\/ é", "category": "x", "price": 1.50}\r\n',
        "\n",
        ' {"id":2,"title":"b","category":null} \n',
        '{"title": "c", "category": ["x", "y"]}\n',
        '{"title": "d"',
        "\n",
        '{"title" : "e", "n": {"category": "inner"}}',
    ]
    path = tmp_path / "in.jsonl"
    path.write_bytes("".join(lines).encode(encoding))
    editor = Fixed(("category",), {i: [f"N > {i} 日"] for i in range(5)})
    data, summary = rewritten(path, editor, encoding=encoding)
    lines[0] = lines[0].replace('"x"', '"N > 0 日"')
    lines[2] = lines[2].replace("null", '"N > 1 日"')
    lines[3] = lines[3].replace('["x", "y"]', '["N > 2 日"]')
    lines[6] = lines[6].replace('"inner"}', '"inner"}, "category": "N > 4 日"')
    assert data == "".join(lines).encode(encoding)
    assert (summary.rows, summary.changed, summary.malformed) == (5, 4, 1)
    assert editor.seen == [["x"], [None], ['["x", "y"]'], [None], [None]]


@pytest.mark.parametrize("indent", [None, 1, 2])
def test_every_other_character_of_a_document_stays(indent, tmp_path):
    records = [{"id": i, "title": f"T{i}", "tags": ["a", {"b": 1}], "category": "old"} for i in range(3)]
    answer = {"count": 3, "category": "of the answer", "data": {"products": records}, "next": None}
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(answer, indent=indent) + "\n")
    data, summary = rewritten(path, Fixed(("category", "extra"), {1: ["new", "0.5"]}))
    records[1] |= {"category": "new", "extra": "0.5"}
    assert data.decode() == json.dumps(answer, indent=indent) + "\n"
    assert (summary.rows, summary.changed) == (3, 1)


@pytest.mark.slow
def test_a_long_array_is_copied_in_pieces(tmp_path):
    rows = [{"id": str(i), "title": "é" * (i % 50), "category": ""} for i in range(30_000)]
    path = tmp_path / "in.json"
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), "utf-8")
    data, summary = rewritten(path, Fixed(("category",), {i: [f"C{i}"] for i in range(0, 30_000, 7)}))
    for row in rows[::7]:
        row["category"] = f"C{row['id']}"
    assert data.decode() == json.dumps(rows, ensure_ascii=False, indent=1)
    assert summary.rows == 30_000


def test_values_inside_a_frame_are_set_there(tmp_path):
    nodes = [{"node": {"id": f"gid://{i}", "title": "T", "category": None}} for i in range(2)]
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"data": {"products": {"edges": nodes}}}))
    data, _ = rewritten(path, Fixed(("category",), {0: ["A"], 1: ["B"]}))
    found = json.loads(data)["data"]["products"]["edges"]
    assert [node["node"]["category"] for node in found] == ["A", "B"]
    assert [list(node) for node in found] == [["node"], ["node"]]


def test_what_cannot_be_written_back_is_refused(tmp_path):
    path = tmp_path / "pages.jsonl"
    path.write_text('{"products": [{"title": "a"}]}\n{"products": [{"title": "b"}]}\n')
    with pytest.raises(CatalogError, match="pages of records"):
        rewritten(path, Fixed(("category",), {}))
    path = tmp_path / "cut.json"
    path.write_text('[{"title": "a"}, {"title": ')
    with pytest.raises(CatalogError, match="not JSON"):
        rewritten(path, Fixed(("category",), {}))
