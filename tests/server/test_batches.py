"""Uploaded files: read as `aisle check` reads them, classified in the background, decided, written back."""

import csv
import gzip
import io
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from aisle.data import read
from aisle.guarantee.predictions import NO_VIEW
from aisle.server.batches.rows import RowFilter, RowTable
from aisle.server.settings import BatchSettings, RequestLimits
from aisle.server.store import batches as store_batches
from aisle.server.store import keys, retention
from tests.server.conftest import advance
from tests.waiting import wait_until

HEADER = ["sku", "title", "description", "category", "images"]
TITLES = ["oak wall clock", "blue cotton T-shirt", "garden chair", "qzxv wrtk plmf", "red running shoes"]


def table(titles=TITLES, delimiter=","):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(HEADER)
    writer.writerows(
        [f"S-{i}", title, 'with "quotes",\nand a line', "", ""] for i, title in enumerate(titles)
    )
    return text.getvalue().encode()


def upload(client, data, name="shop.csv", **more):
    return client.post("/v1/batches", params={"name": name, **more}, content=data)


def ended(client, batch):
    """The file once nothing is done with it."""
    found = {}

    def is_done():
        found.update(client.get(f"/v1/batches/{batch['id']}").json())
        return found["state"] not in ("queued", "running")

    wait_until(is_done)
    return found


def classified(client, data, name="shop.csv"):
    found = upload(client, data, name, start=True)
    assert found.status_code == 201, found.text
    return ended(client, found.json())


def products(client, batch, **filters):
    return client.get(f"/v1/batches/{batch['id']}/products", params=filters).json()


def test_columns_are_recognised_as_check_shows_them(start):
    client = start()
    found = upload(client, table()).json()
    assert (found["name"], found["rows"], found["state"], found["can_fill"]) == ("shop.csv", 5, "ready", True)
    roles = {column["name"]: column["role"] for column in found["columns"]}
    assert {name: roles[name] for name in HEADER[:3]} == {
        "sku": "id",
        "title": "title",
        "description": "description",
    }
    assert found["columns"][1]["filled"] == 5
    assert found["columns"][1]["example"] == "oak wall clock"


def test_predictions_are_those_of_the_model_for_each_row(start, trained):
    client = start()
    batch = classified(client, table())
    assert (batch["state"], batch["done"], batch["classified"], batch["error"]) == ("done", 5, 5, None)
    rows = products(client, batch, sort="row")["products"]
    expected = trained.model.predict(
        [
            {"id": row["id"], "title": row["title"], "description": 'with "quotes",\nand a line'}
            for row in rows
        ]
    )
    assert [row["id"] for row in rows] == ["S-0", "S-1", "S-2", "S-3", "S-4"]
    assert [row["title"] for row in rows] == TITLES
    for row, one in zip(rows, expected, strict=True):
        assert (tuple(row["best"]), tuple(row["path"]), row["decision"]) == (one.best, one.path, one.decision)
        assert row["confidence"] == pytest.approx(one.confidence[-1], abs=1e-5)


def test_the_table_is_sorted_filtered_and_counted(start):
    client = start()
    batch = classified(client, table(TITLES * 30))
    found = products(client, batch, size=100)
    shares = [row["confidence"] for row in found["products"]]
    assert (found["total"], len(shares), shares) == (150, 100, sorted(shares))
    last = products(client, batch, size=100, page=2)["products"]
    assert len(last) == 50
    assert not {row["row"] for row in last} & {row["row"] for row in found["products"]}
    branches = {one["value"]: one["count"] for one in found["facets"]["branch"]}
    assert sum(branches.values()) == 150
    branch = next(iter(branches))
    inside = products(client, batch, branch=branch, size=200)
    assert inside["total"] == branches[branch] == len(inside["products"])
    assert {row["best"][0] for row in inside["products"]} == {branch}
    assert {one["value"]: one["count"] for one in inside["facets"]["branch"]} == branches
    assert sum(one["count"] for one in inside["facets"]["decision"]) == inside["total"]
    assert products(client, batch, q="wall cl")["total"] == 30
    assert products(client, batch, q="%")["total"] == 0


def test_all_above_a_confidence_are_accepted_and_undone(start):
    client = start()
    batch = classified(client, table())
    path = f"/v1/batches/{batch['id']}"
    rows = products(client, batch)["products"]
    floor = rows[2]["confidence"]
    counted = client.post(f"{path}/accept", json={"min_confidence": floor}).json()
    assert (counted["count"], counted["lowest"], counted["confirmed"]) == (3, floor, False)
    assert {row["verdict"] for row in products(client, batch)["products"]} == {"open"}
    assert client.post(f"{path}/accept", json={"min_confidence": floor, "confirm": True}).json()["count"] == 3
    accepted = products(client, batch, verdict="accepted")["products"]
    assert [row["row"] for row in accepted] == [row["row"] for row in rows[2:]]
    assert all(row["chosen"] == row["best"] for row in accepted)
    assert client.post(f"{path}/undo").json() == {"count": 3}
    assert client.post(f"{path}/undo").status_code == 409
    assert products(client, batch, verdict="accepted")["total"] == 0


def test_the_download_is_the_shops_own_file_with_categories(start, trained, tmp_path):
    client = start()
    source = table(delimiter=";").replace(b"\r\n", b"\n").decode().encode("cp1252")
    batch = classified(client, source, "mein shop.csv")
    path = f"/v1/batches/{batch['id']}"
    client.post(f"{path}/accept", json={"confirm": True, "q": "garden chair"})
    chosen = trained.model.taxonomy.nodes[-1]
    row = next(one for one in products(client, batch)["products"] if one["title"].startswith("qzxv"))
    assert client.post(f"{path}/products/{row['row']}", json={"chosen": chosen.id}).json() == {"count": 1}
    answer = client.get(f"{path}/download")
    assert "mein%20shop.filled.csv" in answer.headers["content-disposition"]
    old = list(csv.DictReader(io.StringIO(source.decode("cp1252")), delimiter=";"))
    new = list(csv.DictReader(io.StringIO(answer.content.decode("cp1252")), delimiter=";"))
    assert list(new[0])[:5] == HEADER
    for name in ("sku", "title", "description", "images"):
        assert [one[name] for one in new] == [one[name] for one in old]
    by_title = {one["title"]: one["category"] for one in new}
    found = {one["title"]: one for one in products(client, batch)["products"]}
    assert by_title["garden chair"] == " > ".join(found["garden chair"]["best"])
    assert by_title["qzxv wrtk plmf"] == " > ".join(chosen.path)
    clock = found["oak wall clock"]
    assert by_title["oak wall clock"] == " > ".join(clock["path"])  # as deep as the model decided
    rows = list(
        csv.DictReader(io.StringIO(client.get(f"{path}/download?form=table").content.decode("utf-8-sig")))
    )
    assert [one["title"] for one in rows] == TITLES
    assert rows[3]["reason"] == "chosen by a person"


def test_the_rest_goes_to_review_and_comes_back_in_the_download(start, trained):
    client = start(double_review_rate=0.0)
    batch = classified(client, table())
    path = f"/v1/batches/{batch['id']}"
    rest = [row for row in products(client, batch)["products"] if row["decision"] != "accept"]
    assert batch["rest"] == len(rest) > 0
    assert client.post(f"{path}/review", json={}).json() == {"count": len(rest), "confirmed": False}
    assert client.post(f"{path}/review", json={"confirm": True}).json()["confirmed"]
    after = ended(client, batch)
    assert (after["state"], after["task"], after["done"], after["rest"]) == ("done", "review", len(rest), 0)
    items = client.post("/v1/review/next", json={"count": 20}).json()["items"]
    assert {item["product"]["id"] for item in items} == {row["id"] for row in rest}
    item = next(one for one in items if one["product"]["id"] == "S-3")
    chosen = trained.model.taxonomy.nodes[-1]
    sent = {"chosen": chosen.id, "token": item["token"]}
    assert client.post(f"/v1/review/items/{item['id']}/decide", json=sent).status_code == 200
    rows = list(csv.DictReader(io.StringIO(client.get(f"{path}/download").content.decode())))
    assert rows[3]["category"] == " > ".join(chosen.path)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("shop.csv", b"", "the file is empty"),
        ("shop.csv", b"title\n", "no product"),
        ("shop.csv", b"price,stock\n1,2\n", "no row has anything that the model reads"),
        ("shop.csv", b"price,stock\n1,2\n", 'Call the column that holds the title "title"'),
        ("shop.xlsx", b"PK\x03\x04 no workbook", "shop.xlsx"),
        ("shop.pdf", b"%PDF-1.4", "shop.pdf"),
        ("shop.csv.gz", b"no gzip", "shop.csv.gz"),
        ("feed.xml", b"<rss><item>", "feed.xml"),
    ],
)
def test_a_bad_file_gets_the_message_of_check_and_leaves_nothing(start, tmp_path, name, data, says):
    client = start()
    answer = upload(client, data, name)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "bad_file"
    assert says in error["message"]
    folder = client.server.settings.files_folder
    assert str(folder) not in error["message"]
    assert list(folder.iterdir()) == []
    assert client.get("/v1/batches").json() == {"batches": []}


def test_what_is_too_large_is_refused(start):
    client = start(limits=RequestLimits(max_body_bytes=1_000), batches=BatchSettings(max_rows=3, max_files=1))
    answer = upload(client, b"title\n" + b"x" * 2_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    answer = upload(client, b"title\n" + b"clock\n" * 4)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_many_products")
    assert "4 products; a file may have 3" in answer.json()["error"]["message"]
    assert upload(client, b"title\nclock\n").status_code == 201
    answer = upload(client, b"title\nclock\n")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "too_many_batches")


@pytest.mark.parametrize("kind", ["tsv", "jsonl.gz", "xlsx", "parquet", "xml"])
def test_formats_are_those_of_check(start, tmp_path, kind):
    pytest.importorskip("openpyxl")
    client = start()
    batch = classified(client, _as(kind, tmp_path), f"shop.{kind}")
    assert [row["title"] for row in products(client, batch, sort="row")["products"]] == TITLES[:3]
    answer = client.get(f"/v1/batches/{batch['id']}/download", params={"every": True})
    assert answer.status_code == 200
    out = tmp_path / f"out.{kind}"
    out.write_bytes(answer.content)
    assert [one.fields["title"] for one in read(out, labels=False)] == TITLES[:3]


def _as(kind, folder):
    rows = [{"id": f"S-{i}", "title": title, "category": ""} for i, title in enumerate(TITLES[:3])]
    if kind == "tsv":
        return ("id\ttitle\tcategory\n" + "".join("\t".join(row.values()) + "\n" for row in rows)).encode(
            "utf-16"
        )
    if kind == "jsonl.gz":
        return gzip.compress("\n".join(map(json.dumps, rows)).encode())
    if kind == "xml":
        items = "".join(f"<item><g:id>{r['id']}</g:id><g:title>{r['title']}</g:title></item>" for r in rows)
        head = '<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>'
        return f"{head}{items}</channel></rss>".encode()
    import polars as pl

    file = folder / f"in.{kind}"
    if kind == "parquet":
        pl.DataFrame(rows).write_parquet(file)
    else:
        import openpyxl

        book = openpyxl.Workbook()
        for line in ([*rows[0]], *([*row.values()] for row in rows)):
            book.active.append(line)
        book.save(file)
    return file.read_bytes()


def test_no_image_file_of_the_server_is_read(start, shop):
    """Paths in an uploaded file name nothing: neither absolute ones nor those that climb."""
    client = start()
    images = sorted((shop.products.parent / "images").glob("*.jpg"))
    lines = [f"S-{i},,,,{name}" for i, name in enumerate([images[0], f"../../../{images[1]}", "missing.jpg"])]
    batch = classified(client, ",".join(HEADER).encode() + b"\n" + "\n".join(["S,clock,,,", *lines]).encode())
    rows = products(client, batch, sort="row")["products"][1:]
    reasons = {row["reason"] for row in rows}
    assert reasons == {NO_VIEW}
    assert not any("there" in problem for row in rows for problem in row["problems"])


def test_files_are_their_owners(start):
    client = start()
    tokens = {name: keys.add(client.server.store, name, "seller") for name in ("ana", "bo")}
    advance(client.server, 3)
    ana, bo = ({"Authorization": f"Bearer {tokens[name]}"} for name in ("ana", "bo"))
    assert client.post("/v1/batches?name=a.csv", content=table()).status_code == 401
    batch = client.post("/v1/batches?name=a.csv", content=table(), headers=ana).json()
    assert client.get(f"/v1/batches/{batch['id']}", headers=bo).status_code == 404
    assert client.get("/v1/batches", headers=bo).json() == {"batches": []}
    assert client.delete(f"/v1/batches/{batch['id']}", headers=bo).status_code == 404
    assert client.delete(f"/v1/batches/{batch['id']}", headers=ana).status_code == 204
    assert list(client.server.settings.files_folder.iterdir()) == []
    assert client.get(f"/v1/batches/{batch['id']}", headers=ana).status_code == 404


def test_a_restarted_server_goes_on_where_it_was(start, monkeypatch):
    """Cancelled, started again, and interrupted by a stop: each product is predicted once."""
    monkeypatch.setattr("aisle.server.batches.worker._CHUNK", 20)
    client = start()
    batch = upload(client, table(TITLES * 20)).json()
    folder = client.server.worker.place.batch_folder(batch)
    seen = []

    class Interrupted(type(folder.rows)):
        def add(self, first, predictions, titles):
            super().add(first, predictions, titles)
            seen.append(first)
            if len(seen) == 2:
                client.server.worker._stopping = True

    monkeypatch.setattr("aisle.server.batches.folder.RowTable", Interrupted)
    client.post(f"/v1/batches/{batch['id']}/start")
    wait_until(lambda: len(seen) == 2)
    client.server.worker.stop()
    assert client.get(f"/v1/batches/{batch['id']}").json()["state"] == "running"
    again = start()
    found = ended(again, batch)
    assert (found["state"], found["classified"]) == ("done", 100)
    assert seen == [0, 20, 40, 60, 80]
    assert [row["row"] for row in products(again, batch, sort="row", size=200)["products"]] == list(
        range(100)
    )


def test_a_cancelled_file_keeps_what_is_done_and_goes_on(start, monkeypatch):
    monkeypatch.setattr("aisle.server.batches.worker._CHUNK", 20)
    client = start()
    batch = upload(client, table(TITLES * 20)).json()
    seen = []

    class Cancelling(type(client.server.worker.place.batch_folder(batch).rows)):
        def add(self, first, predictions, titles):
            super().add(first, predictions, titles)
            seen.append(first)
            if len(seen) == 3:
                store_batches.update(client.server.store, batch["id"], state="cancelled")

    monkeypatch.setattr("aisle.server.batches.folder.RowTable", Cancelling)
    client.post(f"/v1/batches/{batch['id']}/start")
    wait_until(lambda: len(seen) == 3)
    found = ended(client, batch)
    assert (found["state"], found["classified"]) == ("cancelled", 60)
    assert client.post(f"/v1/batches/{batch['id']}/cancel").status_code == 409
    assert client.get(f"/v1/batches/{batch['id']}/download").json()["error"]["code"] == "not_done"
    client.post(f"/v1/batches/{batch['id']}/start")
    assert ended(client, batch)["classified"] == 100
    assert seen == [0, 20, 40, 60, 80]


def test_the_file_of_a_forgotten_person_is_deleted(start):
    client = start()
    upload(client, table())
    folder = client.server.settings.files_folder
    assert len(list(folder.iterdir())) == 1
    assert retention.forget(client.server.store, "anonymous")["batches"] == 1
    client.server.worker.wake()
    wait_until(lambda: not list(folder.iterdir()))


def test_products_are_read_while_others_are_added(tmp_path, trained):
    """Each thread opens the file anew, as each request and the worker do, and one of them creates it."""
    products = list(trained.catalog)[:8]
    predictions = trained.model.predict(products)
    titles = [product.fields["title"] for product in products]
    with ThreadPoolExecutor(8) as pool:
        for number in range(40):
            table = RowTable(tmp_path / f"rows-{number}.db")
            adding = [pool.submit(table.add, 8 * turn, predictions, titles) for turn in range(4)]
            looking = [pool.submit(table.page, RowFilter(), "row", 0, 5) for _ in range(8)]
            assert all(found.result().total % 8 == 0 for found in looking)
            for one in adding:
                one.result()
            assert table.count() == 8 * 4
