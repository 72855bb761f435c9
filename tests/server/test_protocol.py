"""What comes over a connection besides bodies: bounded in bytes, in number and in time. Raw sockets ask a
server that really listens."""

import json
import socket

import pytest

from aisle.server.settings import RequestLimits
from tests.server.live_server import Site
from tests.server.test_security import key

HOST = b"Host: 127.0.0.1\r\n"
GET = b"GET /health HTTP/1.1\r\n" + HOST
CHUNKED = (
    b"POST /v1/classify HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)
ONE = b'{"products": [{"title": "clock"}]}'


@pytest.fixture
def listen(start):
    """`listen(limits=…, …)`: a new server on a port of its own."""
    sites = []

    def listening(**changes):
        client = start(**changes)
        sites.append(Site(client.app, client.server))
        sites[-1].client, sites[-1].lines = client, []
        return sites[-1]

    yield listening
    for site in sites:
        for line in site.lines:
            line.close()
        site.stop()


class Connection:
    """A connection to a site."""

    def __init__(self, site):
        self.socket = socket.create_connection(("127.0.0.1", site.port), timeout=20)
        site.lines.append(self.socket)

    def send(self, data):
        """Whether it went out."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def rest(self):
        """All that comes until the server hangs up."""
        found = b""
        try:
            while piece := self.socket.recv(65536):
                found += piece
        except ConnectionError:
            pass
        return found


def status(answer):
    return int(answer[9:12] or 0)


def code(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "piece", "end", "expected"),
    [
        (GET, b"a: b\r\n" * 1000, b"\r\n", 431),
        (GET + b"a: ", b"b" * 6000, b"\r\n\r\n", 431),
        (GET, b"b" * 6000, b": c\r\n\r\n", 431),
        (b"GET /", b"b" * 6000, b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /health?", b"b=1&" * 1500, b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"", b"\r\n" * 3000, GET + b"\r\n", 431),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n" * 1000, b"\r\n", 431),
        (CHUNKED + b"2\r\n{}\r\n0\r\na: ", b"b" * 6000, b"\r\n\r\n", 431),
        (CHUNKED + b"2;", b"b" * 6000, b"\r\n{}\r\n0\r\n\r\n", 431),
    ],
    ids=[
        "headers",
        "a header",
        "a header's name",
        "a path",
        "a query",
        "empty lines",
        "trailers",
        "a trailer",
        "an extension",
    ],
)
def test_what_has_no_end_is_refused(listen, head, piece, end, expected):
    site = listen()
    line = Connection(site)
    line.send(head)
    for _ in range(200):  # 1.2 MB
        if not line.send(piece):
            break
    line.send(end)
    answer = line.rest()
    assert (status(answer), code(answer)) == (expected, "too_large")
    assert b"connection: close" in answer
    other = Connection(site)
    other.send(GET + b"Connection: close\r\n\r\n")
    assert status(other.rest()) == 200


def test_what_is_within_the_limits_is_answered(listen):
    site = listen(limits=RequestLimits(max_headers=12, max_url_bytes=100, max_header_bytes=400))
    line = Connection(site)
    line.send(GET + b"a: b\r\n" * 10 + b"Connection: close\r\n\r\n")
    assert status(line.rest()) == 200
    line = Connection(site)
    line.send(GET + b"a: b\r\n" * 11 + b"Connection: close\r\n\r\n")
    assert status(line.rest()) == 431
    line = Connection(site)
    line.send(b"GET /health?" + b"x" * 80 + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert status(line.rest()) == 200


@pytest.mark.parametrize("begun", [GET, b"G", GET + b"a: ", GET + b"a"])
def test_a_head_that_does_not_end_is_left(listen, begun):
    line = Connection(listen(limits=RequestLimits(header_timeout_s=0.2)))
    line.send(begun)
    answer = line.rest()
    assert (status(answer), code(answer)) == (408, "too_slow")


@pytest.mark.parametrize("asked", [b"", b"\r\n"], ids=["nothing", "a line"])
def test_a_connection_on_which_nothing_comes_is_closed(listen, asked):
    line = Connection(listen(limits=RequestLimits(header_timeout_s=0.2)))
    line.send(asked)
    assert line.rest() == b""


def test_empty_lines_do_not_keep_a_connection(listen):
    line = Connection(listen(limits=RequestLimits(header_timeout_s=0.2)))
    line.send(GET + b"\r\n")
    assert line.socket.recv(12) == b"HTTP/1.1 200"
    line.send(b"\r\n")
    assert line.rest().count(b"HTTP/1.1") == 0


@pytest.mark.parametrize(
    "begun",
    [
        b"Content-Length: 1000\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\na: ",
    ],
    ids=["a length", "a chunk", "a trailer"],
)
def test_a_body_that_does_not_end_is_left(listen, begun):
    line = Connection(listen(limits=RequestLimits(body_timeout_s=0.2)))
    line.send(b"POST /v1/classify HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n" + begun)
    answer = line.rest()
    assert (status(answer), code(answer)) == (408, "too_slow")


def test_a_key_in_a_trailer_opens_nothing(listen):
    site = listen()
    secret = key(site.client)["Authorization"].split()[1].encode()
    line = Connection(site)
    line.send(CHUNKED + b"%x\r\n" % len(ONE) + ONE + b"\r\n0\r\nX-API-Key: " + secret + b"\r\n\r\n")
    assert status(line.rest()) == 401


def bodies(site):
    """Method and path of all routes that FastAPI or a form would read a body for."""
    paths = site.client.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                yield method.upper(), path.replace("{number}", "1").replace("{name}", "shop")


def test_no_body_is_read_without_a_key(listen):
    site = listen()
    key(site.client)
    asked = list(bodies(site))
    assert len(asked) >= 9
    for method, path in asked:
        for kind in (b"application/json", b"multipart/form-data; boundary=b"):
            line = Connection(site)  # not one byte of the body is ever sent
            line.send(
                f"{method} {path} HTTP/1.1\r\n".encode()
                + HOST
                + b"Content-Type: "
                + kind
                + b"\r\nContent-Length: 60000000\r\n\r\n"
            )
            answer = line.rest()
            expected = 413 if path == "/v1/session" else 401
            assert status(answer) == expected, (method, path, answer)
            assert b"connection: close" in answer


def test_a_large_body_without_a_key_gets_its_answer(listen):
    site = listen()
    key(site.client)
    line = Connection(site)
    line.send(b"POST /v1/feedback HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n")
    line.send(b"Content-Length: 60000000\r\n\r\n")
    for _ in range(600):
        if not line.send(b"[" * 100_000):
            break
    assert status(line.rest()) == 401


def test_requests_one_after_the_other_on_one_connection(listen):
    site = listen()
    line = Connection(site)
    post = b"POST /v1/classify HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    post += b"Content-Length: %d\r\n\r\n" % len(ONE) + ONE
    line.send(GET + b"\r\n" + post + GET + b"Connection: close\r\n\r\n")
    answers = line.rest()
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.index(b'"status"') < answers.index(b'"results"') < answers.rindex(b'"status"')


def test_endless_requests_on_one_connection_are_not_queued(listen):
    line = Connection(listen())
    for _ in range(50):
        if not line.send((GET + b"\r\n") * 1000):
            break
    assert line.rest().count(b"HTTP/1.1 200") < 1000


def test_another_protocol_is_not_spoken(listen):
    site = listen()
    for upgrade in (b"websocket", b"h2c"):
        line = Connection(site)
        line.send(GET + b"Connection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n\r\n" + b"\x00" * 1000)
        answer = line.rest()
        assert status(answer) == 200
        assert answer.count(b"HTTP/1.1") == 1


def test_more_connections_than_may_be_open_are_refused(listen):
    site = listen(limits=RequestLimits(max_connections=2))
    lines = [Connection(site) for _ in range(3)]
    for line in lines[:2]:
        line.send(GET + b"\r\n")
        assert line.socket.recv(12) == b"HTTP/1.1 200"
    answer = lines[2].rest()
    assert (status(answer), code(answer)) == (503, "busy")


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://[ HTTP/1.1",
        b"GET http://127.0.0.1 HTTP/1.1",
        b"CONNECT 127.0.0.1:22 HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET /\xff HTTP/1.1",
        b"nonsense",
        b"GET / HTTP/9.9",
        b"GET /%ff%00%zz HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
    ],
)
def test_a_malformed_first_line_is_the_callers_fault(listen, line):
    asked = Connection(listen())
    asked.send(line + b"\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert 400 <= status(asked.rest()) < 500


@pytest.mark.parametrize(
    "headers",
    [
        b"Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n",
        b"Host: 127.0.0.1\r\nHost: evil.example\r\n",
        b"Host: evil.example\r\nHost: 127.0.0.1\r\n",
        b"",
        b"Host:\r\n",
        b"Host: \xff\r\n",
        b"Host: 127.0.0.1, 127.0.0.1\r\n",
    ],
)
def test_a_request_names_one_host(listen, headers):
    line = Connection(listen())
    line.send(b"GET /health HTTP/1.1\r\nConnection: close\r\n" + headers + b"\r\n")
    answer = line.rest()
    assert (status(answer), code(answer)) == (400, "bad_header")
