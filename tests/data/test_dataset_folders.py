"""Folders of Hugging Face `datasets`: splits become a column, numbers of classes their names."""

import io
import json

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from PIL import Image

from aisle.data import read
from aisle.data.chunks import ChunkReader
from aisle.errors import CatalogError

NAMES = ["Mugs", "Pens"]
FEATURES = {
    "title": {"dtype": "string", "_type": "Value"},
    "label": {"names": NAMES, "_type": "ClassLabel"},
    "image": {"_type": "Image"},
}


def picture(color):
    out = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(out, "PNG")
    return {"bytes": out.getvalue(), "path": "a.png"}


def table(titles, labels):
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = {
        "title": pa.array(titles),
        "label": pa.array(labels, pa.int64()),
        "image": pa.array([picture(title) for title in titles], kind),
    }
    noted = json.dumps({"info": {"features": FEATURES}}).encode()
    return pa.table(columns).replace_schema_metadata({b"huggingface": noted})


def save(folder, data):
    """What `Dataset.save_to_disk` writes."""
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    files = [{"filename": "data-00000-of-00001.arrow"}]
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_split": folder.name}))
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), data.schema) as out:
        out.write_table(data)


@pytest.fixture
def saved(tmp_path):
    """What `DatasetDict.save_to_disk` writes."""
    folder = tmp_path / "saved"
    save(folder / "train", table(["red", "blue", "lime"], [0, 1, 0]))
    save(folder / "test", table(["navy", "teal"], [1, -1]))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    (folder / "train" / "cache-1.arrow").write_bytes(b"not of the dataset")
    return folder


def facts(catalog):
    return [(p.fields["title"], p.categories) for p in catalog]


def test_a_saved_dataset_has_splits_names_of_classes_and_images(saved):
    catalog = read(saved)
    assert facts(catalog) == [
        *(("red", (("Mugs",),)), ("blue", (("Pens",),)), ("lime", (("Mugs",),)), ("navy", (("Pens",),))),
        ("teal", ()),
    ]
    assert catalog.split.tolist() == ["train", "train", "train", "test", "test"]
    assert [len(product.images) for product in catalog] == [1] * 5
    assert [file.path.name for file in catalog.files] == ["data-00000-of-00001.arrow"] * 2
    (chunk,) = ChunkReader([saved])
    assert [product.fields["title"] for product in chunk.catalog()] == [title for title, _ in facts(catalog)]


def test_one_saved_split_has_no_split_column(saved):
    catalog = read(saved / "train")
    assert facts(catalog) == [("red", (("Mugs",),)), ("blue", (("Pens",),)), ("lime", (("Mugs",),))]
    assert catalog.split is None


def test_a_missing_file_of_a_saved_dataset_is_told(saved):
    (saved / "test" / "data-00000-of-00001.arrow").unlink()
    with pytest.raises(CatalogError, match=r"saved: test/data-00000-of-00001\.arrow is missing"):
        read(saved)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001-4f1a.parquet"),
        ("train.parquet", "test.parquet"),
        ("train/0000.parquet", "test/0000.parquet"),
        ("default/train/0000.parquet", "default/validation/0000.parquet"),
    ],
)
def test_names_of_files_on_the_hub_state_splits(tmp_path, train, test):
    for name, rows in ((train, (["red", "blue"], [0, 1])), (test, (["navy"], [1]))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pa.parquet.write_table(table(*rows), tmp_path / name)
    catalog = read(tmp_path)
    found = dict(zip([title for title, _ in facts(catalog)], catalog.split.tolist(), strict=True))
    other = "validation" if "validation" in test else "test"
    assert found == {"red": "train", "blue": "train", "navy": other}
    assert dict(facts(catalog))["blue"] == (("Pens",),)


def test_other_names_state_no_split(tmp_path):
    for name in ("train.csv", "shoes.csv"):
        (tmp_path / name).write_text("title,category\nmug,Mugs\n")
    assert read(tmp_path).split is None
    (tmp_path / "shoes.csv").rename(tmp_path / "test.csv")
    assert sorted(read(tmp_path).split.tolist()) == ["test", "train"]
    (tmp_path / "test.csv").write_text("title,category,split\nmug,Mugs,train\n")
    assert sorted(read(tmp_path).split.tolist()) == ["train", "train"]


def test_lists_of_classes_become_names(tmp_path):
    for shape in ("Sequence", "List"):
        kind = {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": shape}
        noted = json.dumps({"info": {"features": {"tags": kind}}}).encode()
        data = pa.table({"title": ["a", "b"], "tags": [[0, 1], None]})
        pa.parquet.write_table(data.replace_schema_metadata({b"huggingface": noted}), tmp_path / "x.parquet")
        catalog = read(tmp_path / "x.parquet")
        assert [catalog.raw(i)["tags"] for i in range(2)] == ['["Mugs", "Pens"]', "[]"]


def test_arrow_files_and_streams_are_read(tmp_path):
    data = pa.table({"id": range(40_000), "title": ["mug"] * 40_000})
    pa.feather.write_feather(data, tmp_path / "a.feather")
    with pa.ipc.new_stream(str(tmp_path / "b.arrow"), data.schema) as out:
        out.write_table(data)
    for name in ("a.feather", "b.arrow"):
        catalog = read(tmp_path / name)
        assert (len(catalog), catalog.raw(39_999)) == (40_000, {"id": "39999", "title": "mug"})
        assert not catalog.problems


def test_half_an_arrow_file_is_told(tmp_path):
    data = pa.table({"id": range(1000), "title": ["mug"] * 1000})
    pa.feather.write_feather(data, tmp_path / "a.feather")
    with pa.ipc.new_stream(str(tmp_path / "b.arrow"), data.schema) as out:
        out.write_table(data, max_chunksize=500)
    whole = (tmp_path / "b.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes((tmp_path / "a.feather").read_bytes()[:-100])
    (tmp_path / "b.arrow").write_bytes(whole[:-200])
    (tmp_path / "c.arrow").write_bytes(whole[:-8])
    (tmp_path / "d.arrow").write_text("hello")
    for name in ("a.arrow", "b.arrow", "d.arrow"):
        with pytest.raises(CatalogError, match=rf"{name}: (cannot be read|not Arrow IPC)"):
            read(tmp_path / name)
    assert "the file ends without its end mark" in str(read(tmp_path / "c.arrow").problems[0])
