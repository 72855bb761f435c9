import base64
import json

import pytest
from starlette.testclient import TestClient

from aisle import Product
from aisle.errors import AisleError
from aisle.server.app import create_app
from aisle.server.client import Client
from aisle.server.settings import Settings
from aisle.server.state import Server
from aisle.server.store import keys
from tests.shared import DATA, needs_shared


@pytest.fixture(scope="module")
def index(trained, tmp_path_factory):
    from aisle import search

    folder = tmp_path_factory.mktemp("search") / "index"
    search.build(trained.model, trained.catalog, folder, run=trained.run)
    return folder


@pytest.fixture(scope="module")
def finding(trained, index, tmp_path_factory):
    store = tmp_path_factory.mktemp("finding") / "store.db"
    server = Server.start(Settings(runs={"shop": trained.run}, store=str(store), index=index))
    with TestClient(create_app(server), base_url="http://127.0.0.1:8000") as client:
        client.server = server
        yield client


def find(client, status=200, **sent):
    answer = client.post("/v1/search", json=sent)
    assert answer.status_code == status, answer.text
    return answer.json()["products"] if status == 200 else answer.json()["error"]


def test_words_find_what_the_library_finds(finding, index, trained):
    from aisle import search

    opened = search.open(index, trained.model)
    (expected,) = opened.search([search.query("red running shoes", index=opened)], k=7)
    found = find(finding, query="red running shoes", count=7)
    assert [hit["id"] for hit in found] == [hit.id for hit in expected]
    assert found[0]["category"] == list(expected[0].category)
    assert found[0]["title"] == expected[0].fields["title"]
    # The model that is served is the one that made the index: it is in memory once.
    assert finding.server.finder.index.model is finding.server.models.standing.slot(None).predictor


def test_the_client_finds(finding):
    client = Client("http://127.0.0.1:8000")
    client._http = finding
    found = client.search("red running shoes", where="price > 0", count=3)
    assert [one.id for one in found] == [
        hit["id"] for hit in find(finding, query="red running shoes", where="price > 0", count=3)
    ]
    assert found[0].category
    assert client.search(Product("", {"title": "red running shoes"}), where="price > 0", count=3) == found
    assert len(client.search(like=found[0].id, count=2)) == 2


@needs_shared
def test_naughty_strings_are_searched_for(finding):
    for text in json.loads((DATA / "bad_inputs" / "blns.json").read_text("utf-8"))[::5]:
        assert finding.post("/v1/search", json={"query": text}).status_code in (200, 422)
        for where in (text[:2000], f"title contains '{text[:1000]}'"):
            assert finding.post("/v1/search", json={"query": "x", "where": where}).status_code in (200, 422)
        assert finding.post("/v1/search", json={"like": text[:200]}).status_code in (404, 422)


def test_a_picture_finds_and_so_does_a_product(finding, trained):
    product = next(one for one in trained.catalog if one.images)
    image = {"base64": base64.b64encode(product.images[0].read()).decode()}
    assert len(find(finding, images=[image], count=5)) == 5
    alike = find(finding, like=product.id, count=5)
    assert len(alike) == 5
    assert product.id not in [hit["id"] for hit in alike]
    assert find(finding, 404, like="nothing")["code"] == "no_such_product"


def test_filters(finding, trained):
    top = trained.model.taxonomy.nodes[0].path[0]
    found = find(finding, query="clock", where=f"category under '{top}'", count=50)
    assert {hit["category"][0] for hit in found} == {top}
    for where in ("category under", "colour <", "nothing = 'x'", "category under 'Nowhere'"):
        told = find(finding, 422, query="clock", where=where)
        assert told["code"] == "bad_search"
        assert "--where" not in told["message"]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"query": "   "},
        {"query": "\u0000"},
        {"images": [{"base64": "§"}]},
        {"images": [{"base64": base64.b64encode(b"no picture").decode()}]},
        {"images": [{"url": "http://127.0.0.1/x.jpg"}]},
        {"query": "x", "count": 0},
    ],
)
def test_nothing_to_search_by(finding, sent):
    assert finding.post("/v1/search", json=sent).status_code in (200, 422)


def test_a_found_products_page_and_picture(finding, trained):
    product = next(one for one in trained.catalog if one.images)
    page = finding.get(f"/v1/products/{product.id}").json()
    assert (page["indexed"], page["category"]) == (True, list(product.categories[0]))
    assert page["fields"]["title"] == product.fields["title"]
    picture = finding.get(page["pictures"][0])
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content[:2] == b"\xff\xd8"
    assert finding.get("/v1/search/pictures/nothing").status_code == 404


def test_too_many_searches_at_once_are_told_to_come_back(finding):
    finder = finding.server.finder
    for _ in range(8):
        assert finder._free.acquire(blocking=False)
    try:
        answer = finding.post("/v1/search", json={"query": "clock"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    finally:
        for _ in range(8):
            finder._free.release()
    assert find(finding, query="clock")


def test_a_key_is_needed_to_search(trained, index, tmp_path):
    server = Server.start(Settings(runs={"shop": trained.run}, store=str(tmp_path / "s.db"), index=index))
    with TestClient(create_app(server), base_url="http://127.0.0.1:8000") as client:
        made = keys.add(server.store, "sol", "seller")
        server.keys._read = 0.0
        assert client.post("/v1/search", json={"query": "x"}).status_code == 401
        headers = {"X-API-Key": made}
        assert client.post("/v1/search", json={"query": "x"}, headers=headers).status_code == 200


def test_a_folder_that_is_no_index_ends_the_start(trained, tmp_path):
    with pytest.raises(AisleError, match="index"):
        Server.start(Settings(runs={"s": trained.run}, store=str(tmp_path / "s.db"), index=tmp_path))
