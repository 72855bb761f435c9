import io
import json
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from aisle.server.errors import ServerError
from aisle.server.middleware import RequestMiddleware
from aisle.server.settings import RequestLimits
from aisle.server.state import Server
from aisle.server.store import keys
from aisle.server.telemetry import JsonFormatter
from tests.server.conftest import advance, patient

ONE = {"products": [{"title": "clock"}]}


def key(client, role="seller", person="sol"):
    made = keys.add(client.server.store, person, role)
    advance(client.server, 3)  # as if two seconds had passed
    return {"Authorization": f"Bearer {made}"}


def test_once_there_is_a_key_one_is_asked_for(start):
    client = start()
    assert client.post("/v1/classify", json=ONE).status_code == 200
    headers = key(client)
    answer = client.post("/v1/classify", json=ONE)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert client.post("/v1/classify", json=ONE, headers=headers).status_code == 200
    same = {"X-API-Key": headers["Authorization"].split()[1]}
    assert client.post("/v1/classify", json=ONE, headers=same).status_code == 200
    for wrong in ("", "aisle__", "nonsense", same["X-API-Key"][:-1], "aisle_\xe9_x"):
        answer = client.post("/v1/classify", json=ONE, headers={"X-API-Key": wrong.encode("latin-1")})
        assert answer.status_code == 401
    assert client.get("/health").status_code == client.get("/metrics").status_code == 200


def test_roles(start):
    client = start()
    seller, reviewer = key(client), key(client, "reviewer", "ana")
    assert client.get("/v1/review/progress", headers=seller).status_code == 403
    assert client.get("/v1/review/progress", headers=reviewer).status_code == 200
    assert client.get("/v1/me", headers=reviewer).json()["role"] == "reviewer"


def test_a_revoked_key_ends(start):
    client = start()
    headers = key(client)
    assert keys.revoke(client.server.store, "sol") == 1
    advance(client.server, 3)
    key(client, person="other")
    assert client.post("/v1/classify", json=ONE, headers=headers).status_code == 401


def test_only_a_hash_of_a_key_is_kept(start):
    client = start()
    whole = key(client)["Authorization"].split()[1]
    folder = Path(client.server.store.address.database).parent
    assert not any(whole[-40:].encode() in file.read_bytes() for file in folder.iterdir())


def test_a_key_in_a_cookie(start):
    client = start()
    secret = key(client)["Authorization"].split()[1]
    assert client.post("/v1/session", json={"key": "aisle_0_0"}).status_code == 401
    made = client.post("/v1/session", json={"key": secret})
    assert "HttpOnly" in made.headers["set-cookie"]
    assert "SameSite=strict" in made.headers["set-cookie"]
    assert client.get("/v1/me").json()["person"] == "sol"
    client.delete("/v1/session")
    assert client.get("/v1/me").status_code == 401


def test_an_open_address_without_keys_is_refused(trained, tmp_path):
    with pytest.raises(ServerError, match="aisle keys add"):
        Server.start(patient(runs={"s": trained.run}, store=str(tmp_path / "s.db"), host="0.0.0.0"))


def test_a_caller_who_asks_too_often_waits_and_others_do_not(start):
    client = start(limits=RequestLimits(rate=0.01, burst=3))
    mine, other = key(client), key(client, person="other")
    codes = [client.get("/v1/me", headers=mine).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    assert int(client.get("/v1/me", headers=mine).headers["retry-after"]) >= 1
    assert client.get("/v1/me", headers=other).status_code == 200


def test_guessing_keys_is_slowed_down(start):
    client = start(limits=RequestLimits(rate=0.01, burst=20))
    key(client)
    codes = [client.get("/v1/me", headers={"X-API-Key": f"aisle_0_{i}"}).status_code for i in range(4)]
    assert codes == [401, 401, 429, 429]


def test_too_large_a_request(start):
    client = start(limits=RequestLimits(max_body_bytes=2000))
    headers = {"content-type": "application/json"}
    whole = client.post("/v1/classify", content=b" " * 3000, headers=headers)
    chunks = client.post("/v1/classify", content=(b" " * 1000 for _ in range(3)), headers=headers)
    assert whole.status_code == chunks.status_code == 413
    assert chunks.json()["error"]["code"] == "too_large"
    assert client.post("/v1/feedback", content=b" " * 3000, headers=headers).status_code == 413


def middleware_of(client):
    found = client.app.middleware_stack
    while not isinstance(found, RequestMiddleware):
        found = found.app
    return found


def test_bodies_of_all_callers_together_have_a_limit(start):
    client = start(limits=RequestLimits(max_body_bytes=3000, max_total_body_bytes=4000))
    middleware = middleware_of(client)
    middleware.body_bytes += 3990  # what other callers send meanwhile
    answer = client.post("/v1/classify", json=ONE)
    middleware.body_bytes -= 3990
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    assert answer.headers["retry-after"] == "1"
    assert client.post("/v1/classify", json=ONE).status_code == 200
    assert middleware.body_bytes == 0


def test_more_requests_than_can_be_read_are_refused_unread(start):
    client = start(limits=RequestLimits(max_concurrent_requests=1))
    middleware = middleware_of(client)
    middleware.active_requests += 1
    answer = client.post("/v1/classify", content=b"{")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    assert answer.headers["retry-after"] == "1"
    assert client.get("/health").status_code == client.get("/metrics").status_code == 200
    for page in ("/", "/console/style.css", "/console/main.js", "/docs"):  # half a page says nothing
        assert client.get(page).status_code == 200
    middleware.active_requests -= 1
    middleware.lag_monitor, lag_monitor = SimpleNamespace(lag_s=3600.0), middleware.lag_monitor
    assert client.post("/v1/classify", json=ONE).status_code == 503
    middleware.lag_monitor = lag_monitor
    assert client.post("/v1/classify", json=ONE).status_code == 200
    assert middleware.active_requests == 0


def test_headers_of_every_answer(client):
    for answer in (client.get("/health"), client.get("/nothing"), client.post("/v1/classify", content=b"{")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
        assert "access-control-allow-origin" not in answer.headers


def test_pages_of_other_sites_may_not_write(start):
    client = start(origins=("https://shop.example",))
    evil, own = {"Origin": "https://evil.example"}, {"Origin": "http://127.0.0.1:8000"}
    assert client.post("/v1/classify", json=ONE, headers=evil).json()["error"]["code"] == "foreign_origin"
    assert client.post("/v1/classify", json=ONE, headers=own).status_code == 200
    friend = client.post("/v1/classify", json=ONE, headers={"Origin": "https://shop.example"})
    assert friend.headers["access-control-allow-origin"] == "https://shop.example"


def test_a_strange_name_for_this_machine_is_refused(client):
    assert client.get("/v1/me", headers={"Host": "rebound.example"}).status_code == 421
    assert client.get("/v1/me", headers={"Host": "localhost:9"}).status_code == 200


def test_request_ids_are_kept_if_harmless(client):
    assert client.get("/health", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    for bad in ("a b", "x" * 65, '"}{'):
        assert client.get("/health", headers={"X-Request-ID": bad}).headers["x-request-id"] != bad


def test_the_log_is_json_with_the_request_id_and_no_secret(start):
    client = start()
    headers = key(client)
    sink = io.StringIO()
    handler = logging.StreamHandler(sink)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("aisle.server")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        client.post("/v1/classify?models=shop", json=ONE, headers=headers | {"X-Request-ID": "r1"})
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    (line,) = map(json.loads, sink.getvalue().splitlines())
    assert (line["request_id"], line["status"], line["person"], line["products"]) == ("r1", 200, "sol", 1)
    assert headers["Authorization"].split()[1] not in sink.getvalue()
    assert "clock" not in sink.getvalue()


@pytest.mark.parametrize(
    "host",
    [
        "[::1]evil.example",
        "localhost:80@evil.example",
        "localhost:",
        "localhost:abc",
        "localhost:99999",
        "localhost/",
        "localhost evil.example",
        "localhost,evil.example",
        "evil.example@localhost",
        "[::1",
        "::1",
        "[]",
        "[localhost]",
        "[::1]:80:80",
        "localhost\t",
        "localhost%00",
        "",
        "[",
        "x" * 300,
    ],
)
def test_a_host_is_one_name_and_a_port_at_most(client, host):
    answer = client.get("/v1/me", headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) in (
        (400, "bad_header"),
        (421, "wrong_host"),
    )


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:1", "127.0.0.1:65535", "[::1]", "[::1]:80", "[0::1]"]
)
def test_names_of_this_machine_are_its_own(client, host):
    assert client.get("/v1/me", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://[",
        "http://]",
        "http://",
        "http://[::1]evil.example",
        "http://127.0.0.1:8000/",
        "http://127.0.0.1:8000@evil.example",
        "http://127.0.0.1:99999",
        "127.0.0.1:8000",
        "",
        "http://a b",
        "http://[::ffff:999.1.1.1]",
        "x" * 5000,
    ],
)
def test_a_malformed_origin_is_the_callers_fault(client, origin):
    for method in ("GET", "POST", "OPTIONS"):
        answer = client.request(method, "/v1/models", headers={"Origin": origin})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_header")


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000", 200),
        ("LOCALHOST", "http://localhost", 200),
        ("localhost", "http://localhost:80", 200),
        ("localhost:443", "https://localhost", 200),
        ("localhost", "http://localhost:8000", 403),
        ("localhost", "http://127.0.0.1", 403),
        ("localhost", "null", 403),
        ("[::1]:8000", "http://[::1]:8000", 200),
    ],
)
def test_an_origin_is_its_own_by_name_and_port(client, host, origin, status):
    answer = client.post("/v1/classify", json=ONE, headers={"Host": host, "Origin": origin})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("192.0.2.7", 200),
        ("192.0.2.7, 192.0.2.8", 200),
        ("[2001:db8::1]:443", 200),
        ("192.0.2.7:80", 200),
        ("[", 400),
        ("http://[", 400),
        ("unknown", 400),
        ("192.0.2.7, x", 400),
        ("x" * 5000, 400),
        ("192.0.2.300", 400),
    ],
)
def test_a_proxy_names_its_caller_by_address(start, forwarded, status):
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    client = start(proxies=("127.0.0.1",), no_keys=True)
    proxied = TestClient(
        ProxyHeadersMiddleware(client.app, ["127.0.0.1"]),
        base_url="http://127.0.0.1:8000",
        client=("127.0.0.1", 1),
    )
    answer = proxied.get("/v1/me", headers={"X-Forwarded-For": forwarded})
    assert answer.status_code == status
