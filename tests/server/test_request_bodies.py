"""How much of a body is read, and of what kind, on every route that reads one."""

import json
import re

import pytest

from aisle.server.settings import RequestLimits
from tests.server.conftest import patient
from tests.server.test_security import ONE, key

JSON = {"content-type": "application/json"}
LARGE = {
    "/v1/classify",
    "/v1/review/items",
    "/v1/feedback",
    "/v1/search",
    "/v1/suggest",
    "/v1/rules",
    "/v1/batches",
}
FILES = {"/v1/batches"}  # whose body is a file, no JSON
PUT = {"/v1/rules", "/v1/mapping", "/v1/review/items/{item_id}/note"}


def reading(client):
    """The paths of all routes that read a body."""
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                assert method == ("put" if path in PUT else "post")
                yield path


def ask(client, path, content, headers=JSON):
    address = path.replace("{number}", "1").replace("{item_id}", "1").replace("{name}", "shop")
    method = "put" if path in PUT else "post"
    answer = client.request(method, address, content=content, headers=headers)
    return answer.status_code, answer.json().get("error", {}).get("code")


def test_small_routes_have_small_bodies(client):
    paths = set(reading(client))
    assert len(paths) >= 9
    assert paths > LARGE
    for path in paths:
        sent = b" " * (2**16 + 1)
        found = ask(client, path, sent)
        in_pieces = ask(client, path, (sent[i : i + 9999] for i in range(0, len(sent), 9999)))
        assert found == in_pieces
        assert (found == (413, "too_large")) == (path not in LARGE), path
    assert ask(client, "/v1/session", b" " * 5000) == (413, "too_large")


def test_json_of_too_many_values_is_not_parsed(client):
    nested = b'{"products": [' + b"[]," * 300_000 + b"[]]}"
    for path in sorted(LARGE - FILES):
        assert ask(client, path, nested) == (413, "too_large"), path
    form = b'--b\r\ncontent-disposition: form-data; name="products"\r\n\r\n' + nested + b"\r\n--b--\r\n"
    kind = {"content-type": "multipart/form-data; boundary=b"}
    assert ask(client, "/v1/classify", form, kind) == (413, "too_large")


@pytest.mark.parametrize(
    "text", [",[{:" * 5000, '"' * 5000, "\\" * 5001, '\\"' * 5000, 'a\\",b' * 100_000], ids=range(5)
)
def test_what_a_text_says_is_not_counted(start, text):
    client = start(limits=RequestLimits(max_json_values=60))
    products = [{"id": "a", "fields": {"x": text[:5000]}}, {"title": "clock", "description": text[:199_999]}]
    answer = client.post("/v1/classify", json={"products": products})
    assert [one["error"] for one in answer.json()["results"]] == [None, None]
    assert ask(client, "/v1/classify", json.dumps({"products": [{}] * 31})) == (413, "too_large")


@pytest.mark.slow
def test_the_largest_request_that_is_promised_is_answered(client):
    product = {"title": "clock", "fields": {f"field {i}": "value, with: [commas]" for i in range(200)}}
    answer = client.post("/v1/classify", json={"products": [product] * 1000})
    assert [one["error"] for one in answer.json()["results"]] == [None] * 1000


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff\xfe{\x00}\x00",
        b'{"products": [{"priority": NaN}]}',
        b'{"products": [{"priority": -Infinity}]}',
        b"[" * 5_000,
        b'{"products": ' + b"9" * 5000 + b"}",
        b'{"products": []} {}',
    ],
)
def test_what_is_no_json_is_the_callers_fault(client, body):
    assert ask(client, "/v1/classify", body) == (400, "bad_json")
    if body:
        assert ask(client, "/v1/feedback", body) == (400, "bad_json")


def test_a_byte_order_mark_is_no_fault(client):
    body = b"\xef\xbb\xbf" + json.dumps(ONE).encode()
    assert ask(client, "/v1/classify", body)[0] == 200


def test_a_role_is_looked_at_before_the_body(start):
    client = start()
    seller = key(client)
    for path in ("/v1/models", "/v1/shadow", "/v1/review/items", "/v1/review/next"):
        assert ask(client, path, b"[" * 100_000, JSON | seller) == (403, "forbidden"), path


NUL, LONG = "a\0b", "n" * 5000


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/models", {"name": LONG, "folder": "run"}),
        ("POST", "/v1/models", {"name": NUL, "folder": "run"}),
        ("POST", "/v1/models", {"name": "a\nb", "folder": "run"}),
        ("POST", "/v1/models", {"name": "a", "folder": "f" * 999}),
        ("POST", "/v1/models", {"name": "a", "folder": "deep/" * 199}),
        ("POST", "/v1/models", {"name": "a", "folder": NUL}),
        ("POST", "/v1/models", {"name": "a", "folder": LONG}),
        ("POST", "/v1/models", {"name": "a", "folder": "a file/deeper"}),
        ("POST", "/v1/models", {"name": "a", "folder": "a circle"}),
        ("POST", "/v1/shadow", {"model": NUL}),
        ("POST", "/v1/shadow", {"model": LONG}),
        ("POST", "/v1/models/a%00b/promote", None),
        ("POST", f"/v1/models/{LONG}/promote", None),
        ("DELETE", "/v1/models/a%00b", None),
        ("DELETE", f"/v1/models/{LONG}", None),
        ("GET", "/v1/products/a%00b", None),
        ("GET", f"/v1/products/{LONG}", None),
        ("GET", "/v1/search/images/a%00b", None),
        ("GET", "/v1/images/a%00b", None),
        ("GET", "/v1/acceptance?model=a%00b", None),
        ("GET", f"/v1/acceptance?model={LONG}", None),
        ("GET", "/v1/taxonomy?model=a%00b", None),
        ("GET", "/v1/taxonomy?parent=a%00b", None),
        ("GET", f"/v1/taxonomy?parent={LONG}", None),
        ("GET", "/v1/products?category=a%00b", None),
        ("GET", "/v1/report?model=a%00b", None),
        ("POST", "/v1/suggest?model=a%00b", {"title": "clock"}),
        ("POST", "/v1/classify?models=a%00b", ONE),
        ("POST", f"/v1/classify?models={LONG}", ONE),
        ("GET", "/v1/review/items/a%00b", None),
        ("GET", f"/v1/review/items/{'9' * 5000}", None),
        ("POST", "/v1/review/items/1/decide", {"chosen": NUL}),
        ("POST", "/v1/session", {"key": NUL}),
        ("POST", "/v1/session", {"key": LONG[:1000]}),
        ("POST", "/v1/search", {"more_like": NUL}),
        ("POST", "/v1/feedback", {"product": {"id": NUL}, "chosen": "x"}),
        ("POST", "/v1/feedback", {"product": {"id": LONG}, "chosen": "x"}),
        ("POST", "/v1/feedback", {"product": {"fields": {NUL: "x"}}, "chosen": "x"}),
        ("POST", "/v1/feedback", {"product": {}, "chosen": NUL}),
        ("POST", "/v1/feedback", {"product": {}, "chosen": LONG}),
        ("POST", "/v1/feedback", {"product": {}, "chosen": "x", "person": NUL}),
        ("POST", "/v1/feedback", {"product": {}, "chosen": "x", "model": NUL}),
        ("POST", "/v1/feedback", {"product": {}, "chosen": "x", "model_id": NUL}),
        ("POST", "/v1/feedback", {"product": {}, "chosen": "x", "suggested": [{"id": NUL}]}),
    ],
)
def test_names_that_cannot_be_are_the_callers_fault(loading, method, path, body):
    answer = loading.request(method, path, json=body)
    assert answer.status_code in (400, 404, 422, *((401,) if path == "/v1/session" else ()))
    assert re.search(r"\w", answer.json()["error"]["message"]), answer.text


@pytest.fixture(scope="module")
def loading(trained, tmp_path_factory):
    """A server that may load models from a folder."""
    from starlette.testclient import TestClient

    from aisle.server.app import create_app
    from aisle.server.state import Server

    folder = tmp_path_factory.mktemp("loading")
    (folder / "a file").write_text("x")
    (folder / "a circle").symlink_to(folder / "a circle")
    settings = patient(runs={"shop": trained.run}, store=str(folder / "s.db"), library=folder)
    with TestClient(create_app(Server.start(settings)), base_url="http://127.0.0.1:8000") as client:
        yield client
