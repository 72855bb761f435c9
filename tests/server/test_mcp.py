"""Agents: the protocol's own client asks a server over HTTP, and a process over standard input and output."""

import asyncio
import base64
import json
import os
import sys

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from aisle import search
from aisle.data import Product
from aisle.server.app import create_app
from aisle.server.settings import RequestLimits
from aisle.server.state import Server
from aisle.server.store import keys
from tests.server.conftest import advance, patient
from tests.server.live_server import Site

SHOE = {"id": "A-17", "title": "Red running shoes", "description": "Light, with a soft sole."}


@pytest.fixture(scope="module")
def index(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents") / "index"
    search.build(trained.model, trained.catalog, folder, run=trained.run)
    return folder


@pytest.fixture(scope="module")
def sites(trained, tmp_path_factory):
    """`sites(index=…, …)`: a server that listens."""
    started = []

    def site(**changes):
        store = str(tmp_path_factory.mktemp("mcp") / "store.db")
        server = Server.start(patient(**{"runs": {"shop": trained.run}, "store": store} | changes))
        started.append(Site(create_app(server), server, lifespan="on"))
        return started[-1]

    yield site
    for one in started:
        one.stop()


@pytest.fixture(scope="module")
def site(sites, index):
    return sites(index=index)


def talk(server, *calls, mode="auto"):
    """The names of the tools, and the result of each call `(tool, arguments)`."""

    async def conversation():
        async with Client(server, mode=mode, read_timeout_seconds=60) as client:
            tools = await client.list_tools()
            results = [await client.call_tool(name, arguments) for name, arguments in calls]
            return [tool.name for tool in tools.tools], results

    return asyncio.run(conversation())


def ask(site, tool, **arguments):
    _, (result,) = talk(f"{site.address}mcp", (tool, arguments))
    assert not result.is_error, result.content
    return result.structured_content


def refused(site, tool, **arguments):
    _, (result,) = talk(f"{site.address}mcp", (tool, arguments))
    assert result.is_error
    return result.content[0].text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_agent_classifies_as_the_library_does(site, trained, mode):
    names, (result,) = talk(f"{site.address}mcp", ("classify", {"products": [SHOE, {}]}), mode=mode)
    assert set(names) == {"classify", "search", "explain"}
    fields = {name: SHOE[name] for name in ("title", "description")}
    expected = trained.model.predict([Product("A-17", fields), Product("2", {})])
    found = [one["prediction"] for one in result.structured_content["results"]]
    assert [one["id"] for one in found] == ["A-17", "2"]
    for one, prediction in zip(found, expected, strict=True):
        assert {**one, "problems": []} == {**prediction.to_dict(), "problems": []}
    assert json.loads(result.content[0].text) == result.structured_content


def test_a_product_that_cannot_be_read_has_an_error_of_its_own(site):
    broken = {"title": "Wall clock", "images": [{"url": "https://shop.example/clock.jpg"}]}
    first, second = ask(site, "classify", products=[broken, SHOE])["results"]
    assert (first["prediction"], first["error"]["code"]) == (None, "urls_disabled")
    assert second["prediction"]["decision"] in ("accept", "partial", "review")


def test_an_image_is_read(site, trained):
    product = next(product for product in trained.catalog if product.images)
    image = base64.b64encode(product.images[0].read()).decode()
    (one,) = ask(site, "classify", products=[{"images": [{"base64": image}]}])["results"]
    assert one["images_read"] == min(1, trained.model.max_images)


def test_an_agent_searches_as_the_library_does(site, index, trained):
    opened = search.open(index, trained.model)
    (expected,) = opened.search([search.query("red running shoes", index=opened)], k=3)
    found = ask(site, "search", query="red running shoes", count=3)
    assert [hit["id"] for hit in found["products"]] == [hit.id for hit in expected]
    assert found["total"] == len(opened)
    similar = ask(site, "search", more_like=expected[0].id, count=2)["products"]
    assert [hit["id"] for hit in similar] == [hit.id for hit in opened.more_like(expected[0].id, 2)]


def test_words_are_explained(site, trained):
    found = ask(site, "explain", product=SHOE)
    (prediction,) = trained.model.predict([Product("A-17", {"title": SHOE["title"]})])
    assert found["path"][0] == prediction.best[0]
    weights = {one["word"]: one["weight"] for one in found["words"]}
    assert {"Red", "running", "shoes"} <= set(weights)
    assert weights["shoes"] == max(weights[word] for word in ("Red", "running", "shoes"))
    other = next(node for node in trained.model.taxonomy.nodes if list(node.path) != found["path"])
    again = ask(site, "explain", product=SHOE, category=other.id)
    assert again["path"] == list(other.path)
    assert again["confidence"] < found["confidence"] or found["path"][: len(other.path)] == list(other.path)


def test_a_wrong_call_is_told_what_is_wrong(site):
    assert "there is no category 'Nothing'" in refused(site, "explain", product=SHOE, category="Nothing")
    assert "there is no model 'other'" in refused(site, "classify", products=[SHOE], model="other")
    assert "expected a value" in refused(site, "search", query="scarf", where="price <")
    assert "products" in refused(site, "classify", products=[])
    assert "search by words" in refused(site, "search")


def test_search_is_offered_only_with_an_index_and_requests_are_limited(sites):
    small = sites(limits=RequestLimits(max_products=1))
    names, (result,) = talk(f"{small.address}mcp", ("classify", {"products": [SHOE, SHOE]}))
    assert set(names) == {"classify", "explain"}
    assert result.is_error
    assert "at most 1 products" in result.content[0].text
    with httpx2.Client(base_url=small.address) as client:
        assert client.get("/mcp").status_code == 405
        assert client.post("/mcp", content=b"{").json()["error"]["code"] == "bad_json"
        large = client.post("/mcp", content=b" " * (4 * 2**20 + 1))
        assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.slow
def test_a_key_is_needed_once_there_is_one(sites):
    site = sites()
    secret = keys.add(site.server.store, "ana", "seller")
    advance(site.server, 3)  # as if two seconds had passed
    with httpx2.Client(base_url=site.address) as client:
        answer = client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")

    async def conversation():
        headers = {"Authorization": f"Bearer {secret}"}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(f"{site.address}mcp", http_client=http)) as client,
        ):
            return await client.call_tool("classify", {"products": [SHOE]})

    assert asyncio.run(conversation()).structured_content["results"][0]["prediction"]["id"] == "A-17"


@pytest.mark.slow
def test_an_agent_starts_the_command(trained, index):
    command = ["-m", "aisle", "mcp", str(trained.run), "--index", str(index)]
    process = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
    names, (one, hits) = talk(
        process, ("classify", {"products": [SHOE]}), ("search", {"query": "clock", "count": 1})
    )
    assert set(names) == {"classify", "search", "explain"}
    (expected,) = trained.model.predict([Product("A-17", {k: SHOE[k] for k in ("title", "description")})])
    found = one.structured_content["results"][0]["prediction"]
    assert found["best"] == expected.to_dict()["best"]
    assert found["confidence"] == pytest.approx(expected.to_dict()["confidence"], abs=1e-5)
    assert len(hits.structured_content["products"]) == 1
