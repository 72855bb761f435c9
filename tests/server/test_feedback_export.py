"""What callers send can never become the label, the weight, the split or an image of exported feedback."""

import base64
import csv
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import aisle
from aisle.cli import register
from aisle.errors import CatalogError
from aisle.server.store import feedback as feedback_store
from tests.conftest import QUICK
from tests.server.test_classify import image_bytes

LABELS = (
    *("Category", "CATEGORY", "Catégorie", "Cate\u0301gorie", "Kategorie", "categories"),
    *("カテゴリー", "类目", "label"),
)
WEIGHTS = ("weight", "Weight", "sample_weight", "row_weight", "Gewicht")
SPLITS = ("split", "Split", "subset", "partition")
IMAGES = ("image", "images", "IMAGE1", "image_1", "additional_image_link_2", "Bild", "immagine1", "photo")
OTHERS = ("id", "product_id", "SKU", "group", "item_group_id", "date", "aisle_feedback", "fields", " id", "")
OPENED: set[str] = set()


def _note(event: str, arguments: tuple) -> None:
    if event == "open" and isinstance(arguments[0], str | bytes | Path):
        OPENED.add(str(arguments[0]))


@pytest.fixture
def opened():
    """The files that are opened from now on."""
    if not getattr(_note, "added", False):
        sys.addaudithook(_note)
        _note.added = True
    OPENED.clear()
    return OPENED


@pytest.fixture
def client(start):
    return start()


def post(client, chosen, **product):
    answer = client.post("/v1/feedback", json={"product": product, "chosen": chosen})
    assert answer.status_code == 200, answer.text
    return answer.json()


def leaves(client):
    nodes = client.get("/v1/taxonomy").json()["nodes"]
    return [(node["id"], tuple(node["path"])) for node in nodes if node["assignable"]]


def hostile(canary):
    """Fields of a product that would like to be columns."""
    paths = (
        str(canary),
        f"file://{canary}",
        f"../{canary.name}",
        canary.name,
        f"\\\\host\\share\\{canary.name}",
    )
    fields = dict.fromkeys(LABELS, "Evil > Label") | dict.fromkeys(WEIGHTS, "1000000")
    fields |= dict.fromkeys(SPLITS, "test") | dict.fromkeys(OTHERS, "evil")
    fields |= {name: paths[i % len(paths)] for i, name in enumerate(IMAGES)}
    fields |= {f"fields.{name}": "Evil > Label" for name in ("category", "Category", "weight")}
    fields |= {f"image_{i}": path for i, path in enumerate(paths, 2)}
    return fields | {"=cmd|' /C calc'!A0": "=1+1", "brand": "Holt"}


def test_hostile_posts_are_exported_read_and_trained_with_the_right_columns(client, tmp_path, opened):
    (first, above), (second, below) = leaves(client)[:2]
    canary = tmp_path / "secret.png"
    canary.write_bytes(image_bytes())
    own = {"base64": base64.b64encode(image_bytes((9, 200, 9))).decode()}
    post(client, first, id="!", title="oak clock", fields=hostile(canary), images=[own])
    for i in range(8):
        post(client, (first, second)[i % 2], id=f"p{i}", title=f"{('oak clock', 'red shoe')[i % 2]} {i}")
    feedback_store.export(client.server.store, tmp_path / "feedback.jsonl", 0.0)
    opened.clear()
    catalog = aisle.read(tmp_path / "feedback.jsonl")
    assert (catalog.columns.id, catalog.columns.category, catalog.columns.split) == (
        "id",
        "category",
        "split",
    )
    assert (catalog.columns.weight, catalog.columns.images) == ("sample_weight", ("images",))
    assert catalog[0].id == "!"
    assert [product.categories for product in catalog] == [(above,), *([(above,), (below,)] * 4)]
    assert catalog.weights.tolist() == [1.0] * 9
    assert set(catalog.split) == {"train"}
    assert [len(product.images) for product in catalog] == [1] + [0] * 8
    assert catalog[0].images[0].path.parent == tmp_path / "feedback-images"
    assert catalog[0].fields["brand"] == "Holt"
    assert catalog[0].fields["title"] == "oak clock"
    changes = (*QUICK, "split.validation=0", "split.calibration=0", "split.threshold=0")
    model = aisle.train(catalog, "fast", changes=changes)
    assert {node.path[0] for node in model.taxonomy.nodes} == {above[0], below[0]}
    assert model.results["training_products"] == 9
    assert not [name for name in opened if "secret.png" in name]


def test_beside_a_catalog_its_rows_join_the_columns_of_the_catalog(client, tmp_path):
    (first, above), (second, below) = leaves(client)[:2]
    post(client, first, id="!", title="oak clock", fields=hostile(tmp_path / "x.png") | {"Marke": "Holt"})
    post(client, second, id="2", title="red shoe")
    with (tmp_path / "products.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["SKU", "Name", "Kategorie", "Marke", "Split"])
        rows.writerow(["7", "mug", "Kitchen > Mugs", "Tonwerk", "train"])
        rows.writerow(["8", "plate", "Kitchen > Plates", "Tonwerk", "test"])
    feedback_store.export(client.server.store, tmp_path / "feedback.jsonl")
    catalog = aisle.read(tmp_path)
    found = {product.id: product for product in catalog}
    assert {name: one.categories[0] for name, one in found.items()} == {
        "!": above, "2": below, "7": ("Kitchen", "Mugs"), "8": ("Kitchen", "Plates"),
    }  # fmt: skip
    assert [found[name].fields["Marke"] for name in ("!", "7")] == ["Holt", "Tonwerk"]
    assert catalog.split.tolist() == ["train", "train", "train", "test"]
    assert catalog.weights.tolist() == [1.0] * 4
    assert [len(one.images) for one in catalog] == [0] * 4


def test_beside_a_catalog_with_a_column_a_level(client, tmp_path):
    first, path = max(leaves(client), key=lambda leaf: len(leaf[1]))
    post(client, first, id="!", title="oak clock", fields={"level1": "Evil", "level2": "Label"})
    (tmp_path / "products.csv").write_text("id,title,level1,level2\n7,mug,Kitchen,Mugs\n8,pot,Kitchen,Pots\n")
    feedback_store.export(client.server.store, tmp_path / "feedback.jsonl")
    found = {product.id: product.categories for product in aisle.read(tmp_path)}
    assert found == {"!": (path,), "7": (("Kitchen", "Mugs"),), "8": (("Kitchen", "Pots"),)}


def test_even_rows_that_have_lost_their_mark_offer_no_callers_column(client, tmp_path):
    """As where someone joins the lines with those of another file, behind a row that is no feedback."""
    (first, _), *_ = leaves(client)
    post(client, first, id="!", title="oak clock", fields=hostile(tmp_path / "x.png"))
    feedback_store.export(client.server.store, tmp_path / "f.jsonl")
    plain = json.dumps({"id": "1", "title": "mug", "category": [["Kitchen", "Mugs"]]})
    (tmp_path / "all.jsonl").write_text(f"{plain}\n{(tmp_path / 'f.jsonl').read_text()}")
    catalog = aisle.read(tmp_path / "all.jsonl")
    assert catalog.columns.label == ("category",)
    assert catalog.columns.images == ("images",)
    assert not set(catalog.columns.text) & {*LABELS, *WEIGHTS, *SPLITS, *IMAGES}


@pytest.mark.parametrize(
    "name", ["/etc/hostname", "../secret.png", "file:///etc/hostname", "f-images/../../x.jpg", "secret.png"]
)
def test_only_images_that_the_server_stored_are_opened(client, tmp_path, name, opened):
    """Also where the file was written to by someone else in between."""
    (first, _), *_ = leaves(client)
    post(client, first, id="1", title="oak clock")
    feedback_store.export(client.server.store, tmp_path / "f.jsonl")
    row = json.loads((tmp_path / "f.jsonl").read_text()) | {"images": [name]}
    (tmp_path / "f.jsonl").write_text(json.dumps(row))
    catalog = aisle.read(tmp_path / "f.jsonl")
    assert catalog[0].images == ()
    assert any("it is not opened" in str(problem) for problem in catalog.problems)
    assert not [one for one in opened if "secret" in one or "hostname" in one]


@pytest.mark.slow
def test_another_version_of_the_format_is_one_line(client, tmp_path):
    (first, _), *_ = leaves(client)
    post(client, first, id="1", title="oak clock")
    feedback_store.export(client.server.store, tmp_path / "f.jsonl")
    row = json.loads((tmp_path / "f.jsonl").read_text()) | {"aisle_feedback": 2}
    (tmp_path / "f.jsonl").write_text(json.dumps(row))
    with pytest.raises(CatalogError, match=r"row 1 is feedback in format '2'.*export it again"):
        aisle.read(tmp_path / "f.jsonl")


def test_rows_that_were_split_again_keep_their_columns(client, tmp_path):
    """`aisle split` writes other files from the export: there, too, nothing a caller named is taken."""
    for i, (leaf, _) in enumerate(leaves(client)[:2] * 5):
        fields = hostile(tmp_path / "x.png") if i == 0 else {}
        post(client, leaf, id=f"p{i}", title=f"thing {i}", fields=fields)
    feedback_store.export(client.server.store, tmp_path / "f.jsonl")
    out = tmp_path / "parts.csv"
    done = CliRunner().invoke(register(), ["split", str(tmp_path / "f.jsonl"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    again = aisle.read(out)
    ours = {product.id: product.categories for product in aisle.read(tmp_path / "f.jsonl")}
    assert {product.id: product.categories for product in again} == ours
    assert all(not product.images for product in again)
    assert set(again.weights.tolist()) == {1.0}
