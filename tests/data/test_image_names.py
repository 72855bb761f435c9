"""Images given as objects: one name an image, the best resolution, in order, in every format."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from aisle.data import read

OBJECTS = [
    ({"src": "a.jpg", "alt": "b.jpg"}, ["a.jpg"]),
    ([{"url": "a.jpg"}, {"url": "b.jpg"}], ["a.jpg", "b.jpg"]),
    (
        [{"thumb": "t.jpg", "large": "l.jpg", "hi_res": "h.jpg"}, {"large": "m.jpg", "hi_res": None}],
        ["h.jpg", "m.jpg"],
    ),
    (
        {"hi_res": ["h.jpg", None], "large": ["k.jpg", "l.jpg"], "variant": ["MAIN", "PT01"]},
        ["h.jpg", "l.jpg"],
    ),
    ([{"id": 7, "src": "https://x.example/1", "name": "front.jpg"}], ["https://x.example/1"]),
    (
        {
            "edges": [
                {"node": {"originalSrc": "a.jpg", "transformedSrc": "s.jpg"}},
                {"node": {"originalSrc": "b.jpg"}},
            ]
        },
        ["a.jpg", "b.jpg"],
    ),
    ([{"url": "a.jpg", "thumbnails": {"large": {"url": "l.jpg", "width": 512}}}], ["a.jpg"]),
    (
        {"thumbnails": {"small": {"url": "s.jpg", "width": 36}, "large": {"url": "l.jpg", "width": 512}}},
        ["l.jpg"],
    ),
    ({"variants": [{"url": "s.jpg", "width": 100}, {"url": "l.jpg", "width": 900}]}, ["l.jpg"]),
    ({"url_75x75": "s.jpg", "url_570xN": "m.jpg", "url_fullxfull": "f.jpg"}, ["f.jpg"]),
    ({"100x100": "s.jpg", "1200x1200": "l.jpg"}, ["l.jpg"]),
    ({"url_thumbnail": "t.jpg", "url_standard": "s.jpg", "url_zoom": "z.jpg"}, ["z.jpg"]),
    ({"srcset": "a.jpg 300w, b.jpg 1200w"}, ["b.jpg"]),
    (
        {"main": {"url": "a.jpg"}, "gallery": [{"url": "b.jpg"}, {"url": "c.jpg"}]},
        ["a.jpg", "b.jpg", "c.jpg"],
    ),
    ({"0": {"src": "a.jpg"}, "1": {"src": "b.jpg"}}, ["a.jpg", "b.jpg"]),
    (["a.jpg", {"src": "b.jpg"}, None, {"alt": "x"}, {"src": ""}], ["a.jpg", "b.jpg"]),
]


@pytest.mark.parametrize(("value", "names"), OBJECTS)
def test_each_image_has_one_name_however_it_is_held(tmp_path, value, names):
    (tmp_path / "a.jsonl").write_text(json.dumps({"title": "mug", "images": value}))
    quoted = json.dumps(value).replace('"', '""')
    (tmp_path / "a.csv").write_text(f'title,images\nmug,"{quoted}"\npen,\n')
    (tmp_path / "b.csv").write_text(f'title,images\nmug,"{value!r}"\npen,\n')
    for source in (
        tmp_path / "a.jsonl",
        tmp_path / "a.csv",
        tmp_path / "b.csv",
        [{"title": "mug", "images": value}],
    ):
        assert read(source).image_names(0) == names


def test_objects_side_by_side_in_one_cell_are_several_images():
    cells = ['{"src": "a.jpg"}, {"src": "b.jpg"}', '{"src": "a.jpg"}|{"src": "b.jpg"}']
    catalog = read([{"title": "mug", "images": cell} for cell in cells])
    assert [catalog.image_names(i) for i in range(2)] == [["a.jpg", "b.jpg"]] * 2


def test_native_structs_of_parquet_are_read(tmp_path):
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    addresses = [[{"src": "a.jpg", "width": 8}, {"src": "b.jpg", "width": 9}], []]
    pictures = [[{"bytes": out.getvalue(), "path": None}] * 2, None]
    pq.write_table(pa.table({"title": ["mug", "pen"], "images": addresses}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"title": ["mug", "pen"], "images": pictures}), tmp_path / "b.parquet")
    assert [read(tmp_path / "a.parquet").image_names(i) for i in range(2)] == [["a.jpg", "b.jpg"], []]
    assert [ref.read() for ref in read(tmp_path / "b.parquet")[0].images] == [out.getvalue()] * 2
