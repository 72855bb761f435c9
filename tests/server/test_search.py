import base64
import json
from contextlib import ExitStack

import pytest
from starlette.testclient import TestClient

from aisle import Product
from aisle.errors import AisleError
from aisle.server.app import create_app
from aisle.server.client import Client
from aisle.server.state import Server
from aisle.server.store import keys
from tests.server.conftest import advance, patient
from tests.shared import DATA, needs_shared


@pytest.fixture(scope="module")
def index(trained, tmp_path_factory):
    from aisle import search

    folder = tmp_path_factory.mktemp("search") / "index"
    search.build(trained.model, trained.catalog, folder, run=trained.run)
    return folder


@pytest.fixture(scope="module")
def searching(trained, index, tmp_path_factory):
    store = tmp_path_factory.mktemp("searching") / "store.db"
    server = Server.start(patient(runs={"shop": trained.run}, store=str(store), index=index))
    with TestClient(create_app(server), base_url="http://127.0.0.1:8000") as client:
        client.server = server
        yield client


def find(client, status=200, **sent):
    answer = client.post("/v1/search", json=sent)
    assert answer.status_code == status, answer.text
    return answer.json()["products"] if status == 200 else answer.json()["error"]


def test_words_find_what_the_library_finds(searching, index, trained):
    from aisle import search

    opened = search.open(index, trained.model)
    (expected,) = opened.search([search.query("red running shoes", index=opened)], k=7)
    found = find(searching, query="red running shoes", count=7)
    assert [hit["id"] for hit in found] == [hit.id for hit in expected]
    assert found[0]["category"] == list(expected[0].category)
    assert found[0]["title"] == expected[0].fields["title"]
    # The model that is served is the one that made the index: it is in memory once.
    assert searching.server.search.index.model is searching.server.registry.state.get().predictor


def test_the_client_finds(searching):
    client = Client("http://127.0.0.1:8000", session=searching)
    found = client.search("red running shoes", where="price > 0", count=3)
    assert [one.id for one in found] == [
        hit["id"] for hit in find(searching, query="red running shoes", where="price > 0", count=3)
    ]
    assert found[0].category[:2] == ("Clothing & Shoes", "Shoes")
    assert client.search(Product("", {"title": "red running shoes"}), where="price > 0", count=3) == found
    assert len(client.search(more_like=found[0].id, count=2)) == 2


@pytest.mark.slow
@needs_shared
def test_naughty_strings_are_searched_for(searching):
    for text in json.loads((DATA / "bad_inputs" / "blns.json").read_text("utf-8"))[::5]:
        assert searching.post("/v1/search", json={"query": text}).status_code in (200, 422)
        for where in (text[:2000], f"title contains '{text[:1000]}'"):
            assert searching.post("/v1/search", json={"query": "x", "where": where}).status_code in (200, 422)
        assert searching.post("/v1/search", json={"more_like": text[:200]}).status_code in (404, 422)


def test_an_image_finds_and_so_does_a_product(searching, trained):
    product = next(one for one in trained.catalog if one.images)
    image = {"base64": base64.b64encode(product.images[0].read()).decode()}
    assert len(find(searching, images=[image], count=5)) == 5
    alike = find(searching, more_like=product.id, count=5)
    assert len(alike) == 5
    assert product.id not in [hit["id"] for hit in alike]
    assert find(searching, 404, more_like="nothing")["code"] == "no_such_product"


def test_filters(searching, trained):
    top = trained.model.taxonomy.nodes[0].path[0]
    found = find(searching, query="clock", where=f"category under '{top}'", count=50)
    assert {hit["category"][0] for hit in found} == {top}
    for where in ("category under", "colour <", "nothing = 'x'", "category under 'Nowhere'"):
        told = find(searching, 422, query="clock", where=where)
        assert told["code"] == "bad_search"
        assert "--where" not in told["message"]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"query": "   "},
        {"query": "\u0000"},
        {"images": [{"base64": "§"}]},
        {"images": [{"base64": base64.b64encode(b"no image").decode()}]},
        {"images": [{"url": "http://127.0.0.1/x.jpg"}]},
        {"query": "x", "count": 0},
    ],
)
def test_nothing_to_search_by(searching, sent):
    assert searching.post("/v1/search", json=sent).status_code in (200, 422)


def test_a_found_products_page_and_image(searching, trained):
    product = next(one for one in trained.catalog if one.images)
    page = searching.get(f"/v1/products/{product.id}").json()
    assert (page["indexed"], page["category"]) == (True, list(product.categories[0]))
    assert page["fields"]["title"] == product.fields["title"]
    image = searching.get(page["images"][0])
    assert image.headers["content-type"] == "image/jpeg"
    assert image.content[:2] == b"\xff\xd8"
    assert searching.get("/v1/search/images/nothing").status_code == 404


def test_too_many_searches_at_once_are_told_to_come_back(searching):
    with ExitStack() as others:
        for _ in range(8):
            others.enter_context(searching.server.search.slot())
        answer = searching.post("/v1/search", json={"query": "clock"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert len(find(searching, query="clock")) == 20


def test_a_key_is_needed_to_search(trained, index, tmp_path):
    server = Server.start(patient(runs={"shop": trained.run}, store=str(tmp_path / "s.db"), index=index))
    with TestClient(create_app(server), base_url="http://127.0.0.1:8000") as client:
        made = keys.add(server.store, "sol", "seller")
        advance(server, 3)
        assert client.post("/v1/search", json={"query": "x"}).status_code == 401
        headers = {"X-API-Key": made}
        assert client.post("/v1/search", json={"query": "x"}, headers=headers).status_code == 200


def test_a_folder_that_is_no_index_ends_the_start(trained, tmp_path):
    with pytest.raises(AisleError, match="index"):
        Server.start(patient(runs={"s": trained.run}, store=str(tmp_path / "s.db"), index=tmp_path))
