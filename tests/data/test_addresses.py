"""Databases and web servers as sources: each is read once, as a stream; no message holds a password."""

import gzip
import json
import sqlite3
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

import aisle
from aisle.data import read
from aisle.data.addresses import Address
from aisle.data.chunks import ChunkReader
from aisle.errors import CatalogError, MissingExtraError
from tests.data.catalogs import raw
from tests.extras import require

require("sqlalchemy", "sql")
psycopg = pytest.importorskip("psycopg", reason="the driver of PostgreSQL: pip install 'aisle[sql]'")
from tests.server.postgres import postgres as postgres  # noqa: E402 - a fixture, which needs psycopg

TEXT = [{"id": "1", "title": "mug"}, {"id": "2", "title": "pen"}]


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "my products" (id INTEGER, title TEXT)')
        connection.execute("CREATE TABLE products (id INTEGER, title TEXT, price REAL, picture BLOB)")
        connection.execute("CREATE VIEW cheap AS SELECT id, title FROM products WHERE price < 3")
        rows = [(1, "mug", 5.0, b"\x89PNG"), (2, "pen", 1.25, None)]
        connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return path


def test_a_table_of_sqlite_is_read(database):
    catalog = read(f"sqlite:///{database}?table=products")
    assert raw(catalog) == [
        {"id": "1", "title": "mug", "price": "5", "picture": b"\x89PNG"},
        {"id": "2", "title": "pen", "price": "1.25", "picture": None},
    ]
    assert str(catalog.files[0].path) == f"sqlite:///{database}?table=products"
    assert raw(read(f"sqlite:///{database}?table=cheap")) == TEXT[1:]
    query = "SELECT id, title || ' 100%' AS title, ':x' AS note, id FROM products ORDER BY id DESC"
    (first, _) = raw(read(f"sqlite:///{database}?query={query.replace('%', '%25')}"))
    assert first == {"id": "2", "title": "pen 100%", "note": ":x", "id_2": "2"}
    empty = read(f"sqlite:///{database}?table=my products")
    assert (len(empty), empty.names) == (0, ["id", "title"])
    (chunk,) = ChunkReader([Address(f"sqlite:///{database}?query=SELECT id, title FROM products")])
    assert raw(chunk.catalog()) == TEXT


@pytest.mark.parametrize("query", ["products", "timeout=3&products", "main.products"])
def test_a_bare_name_in_an_address_is_a_table(database, query):
    assert [row["title"] for row in raw(read(f"sqlite:///{database}?{query}"))] == ["mug", "pen"]
    assert read(f"sqlite:///{database}?my%20products").names == ["id", "title"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", r"name a table, \?table=NAME, or \?query=SELECT …; it has cheap, my products, products"),
        ("?product", "no table is called 'product'; it has .* Did you mean 'products'"),
        ("?table=product", "no table is called 'product'; it has .* Did you mean 'products'"),
        ("?query=SELECT colour FROM products", "no such column: colour"),
        ("?query=DELETE FROM products", "readonly database"),
        ("?query=PRAGMA no_such_pragma", "returns no rows"),
    ],
)
def test_what_a_database_refuses_is_one_line(database, query, message):
    with pytest.raises(CatalogError, match=message) as failed:
        read(f"sqlite:///{database}{query}")
    assert "\n" not in str(failed.value)
    assert len(read(f"sqlite:///{database}?table=products")) == 2


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(CatalogError, match=r"none\.db\?table=x: no such file"):
        read(f"sqlite:///{tmp_path}/none.db?table=x")
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("hello " * 1000)
    with pytest.raises(CatalogError, match="not a database"):
        read(f"sqlite:///{tmp_path}/text.db?table=x")


def test_what_to_install_for_a_database_is_told(database, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'aisle\[sql\]'"):
        read(f"sqlite:///{database}?table=products")
    monkeypatch.undo()
    with pytest.raises(CatalogError, match="driver pyodbc is not installed"):
        read("mssql+pyodbc://sa:pw@host/db?table=products")


@pytest.fixture
def shop(postgres):
    address = postgres.new()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE products "
            "(id int, title text, price numeric(8,2), tags text[], extra jsonb, added date)"
        )
        connection.execute(
            "INSERT INTO products SELECT i, 'mug ' || i, 19.90, '{a,b}', '{\"k\": [1]}', '2024-01-05' "
            "FROM generate_series(1, 3000) i"
        )
        connection.execute("CREATE TABLE empty (id int, title text)")
    return address


def test_a_table_of_postgresql_is_streamed(shop):
    catalog = read(f"{shop}&table=products")
    assert len(catalog) == 3000
    assert catalog.raw(2999) == {
        **{"id": "3000", "title": "mug 3000", "price": "19.90", "tags": '["a", "b"]'},
        **{"extra": '{"k": [1]}', "added": "2024-01-05"},
    }
    schema = shop.rpartition("%3D")[2]
    assert len(read(f"{shop.partition('?')[0]}?table={schema}.products")) == 3000
    assert read(f"{shop}&table=empty").names == ["id", "title"]
    query = f"{shop}&query=SELECT id, title FROM products WHERE title LIKE '%259' AND id < 20 ORDER BY id"
    assert [row["id"] for row in raw(read(query))] == ["9", "19"]
    with pytest.raises(CatalogError, match="syntax error at or near"):
        read(f"{shop}&query=DELETE FROM products RETURNING id")


@pytest.mark.slow
def test_a_command_reads_a_database(shop):
    words = [sys.executable, "-m", "aisle", "check", f"{shop}&table=products", "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, json.loads(done.stdout)["rows"]) == (0, 3000)


def test_no_message_holds_a_password(postgres):
    for query in ("table=x", "query=SELECT x"):
        with pytest.raises(CatalogError) as failed:
            read(f"postgresql://aisle:s3cret@127.0.0.1:{postgres.port}/none?{query}")
        assert "s3cret" not in str(failed.value)
        assert "aisle:***@127.0.0.1" in str(failed.value)
        assert "\n" not in str(failed.value)
    address = Address("https://me:pw@shop.example/feed.xml?lang=de&token=abc&api_key=def")
    assert str(address) == "https://me:***@shop.example/feed.xml?lang=de&token=***&api_key=***"
    assert repr(address) == f"Address({str(address)!r})"
    assert address.name == "feed.xml"


FEED = "<rss><channel>" + "".join(
    f"<item><id>{i}</id><title>{t}</title></item>" for i, t in ((1, "mug"), (2, "pen"))
)
PAGES = {
    "/products.csv": b"id,title\n1,mug\n2,pen\n",
    "/export": b"id;title\r\n1;mug\r\n2;pen\r\n",
    "/feed": f"{FEED}</channel></rss>".encode(),
    "/feed.gz": gzip.compress(f"{FEED}</channel></rss>".encode()),
    "/api": b'{"products": [{"id": 1, "title": "mug"}, {"id": 2, "title": "pen"}], "page": 1}',
    "/lines": b'{"id": 1, "title": "mug"}\n{"id": 2, "title": "pen"}\n',
}


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/products.csv")
            self.end_headers()
            return
        if self.path == "/private" and self.headers["Authorization"] != "Basic bWU6cHcg":
            self.send_error(401)
            return
        body = PAGES.get(
            "/products.csv" if self.path in ("/private", "/cut") else self.path.partition("?")[0]
        )
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:-5] if self.path == "/cut" else body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_a_model_is_trained_on_a_table_and_on_a_web_file(tmp_path):
    words = {"mug": "Kitchen > Mugs", "pen": "Office > Pens"}
    rows = [(f"{color} {word}", words[word]) for word in words for color in ("red", "blue", "white", "grey")]
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE products (title TEXT, category TEXT)")
        connection.executemany("INSERT INTO products VALUES (?, ?)", rows)
    connection.close()
    (tmp_path / "products.json").write_text(json.dumps([{"title": t, "category": c} for t, c in rows]))
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{serving.server_port}/products.json"
        models = [aisle.train(source) for source in (f"sqlite:///{tmp_path}/shop.db?table=products", address)]
        serving.shutdown()
        thread.join()
    for model in models:
        assert model.predict("a green pen").best == ("Office", "Pens")


@pytest.mark.parametrize("page", [*PAGES, "/moved", "/export?format=csv&lang=de"])
def test_a_file_of_a_web_server_is_read_by_its_content(server, page):
    catalog = read(server + page)
    assert raw(catalog) == TEXT
    assert str(catalog.files[0].path) == server + page


def test_a_web_address_may_hold_a_name_and_password(server):
    assert raw(read(server.replace("://", "://me:pw%20@") + "/private")) == TEXT
    with pytest.raises(CatalogError, match="answered 401") as failed:
        read(server.replace("://", "://me:wrong@") + "/private")
    assert "wrong" not in str(failed.value)


@pytest.mark.parametrize(
    ("page", "message"),
    [("/none", "the server answered 404 Not Found"), ("/cut", "IncompleteRead|sent 16 of 21")],
)
def test_what_a_server_refuses_is_one_line(server, page, message):
    with pytest.raises(CatalogError, match=message):
        read(server + page)
    with pytest.raises(CatalogError, match="cannot be fetched"):
        read("http://127.0.0.1:9/products.csv")
    with pytest.raises(CatalogError, match="raise --max-expanded"):
        read(server + "/products.csv", max_expanded=10)


def test_files_in_memory_are_read_through_fsspec():
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.pipe("/shop/a.xml", PAGES["/feed"])
    store.pipe("/shop/b.json", PAGES["/api"])
    assert raw(read("memory://shop/a.xml")) == TEXT
    assert raw(read("memory://shop/b.json")) == TEXT
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["id", "title"], [1, "mug"], [2, "pen"]):
        book.active.append(row)
    with store.open("/shop/c.xlsx", "wb") as file:
        book.save(file)
    assert raw(read("memory://shop/c.xlsx")) == TEXT
    store.pipe("/set/train.csv", PAGES["/products.csv"])
    store.pipe("/set/test.jsonl", PAGES["/lines"])
    assert sorted(row["split"] for row in raw(read("memory://set"))) == ["test", "test", "train", "train"]
    for folder in ("/shop", "/set"):
        store.rm(folder, recursive=True)
