"""What no caller should send: it may be refused, it may not break anything."""

import base64
import contextlib
import gc
import json
import queue
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from aisle import Product
from aisle.server.settings import ImageFetchSettings, RequestLimits
from tests.server.conftest import Wrapped, patient
from tests.server.test_classify import classify, image_bytes
from tests.shared import DATA, needs_shared
from tests.waiting import wait_until


@pytest.mark.slow
@needs_shared
def test_naughty_strings_everywhere(client):
    naughty = json.loads((DATA / "bad_inputs" / "blns.json").read_text("utf-8"))
    for start in range(0, len(naughty), 100):
        some = naughty[start : start + 100]
        answers = classify(
            client, *({"id": text[:200], "title": text, "fields": {text[:200] or "x": text}} for text in some)
        )
        assert len(answers) == len(some)
        for answer, text in zip(answers, some, strict=True):
            assert answer["error"] is None
            assert answer["id"] == text[:200] or not text
    for text in naughty[::7]:
        assert client.post("/v1/suggest", json={"title": text}).status_code == 200
        assert client.get("/v1/taxonomy", params={"q": text[:200], "parent": text}).status_code in (200, 404)
        refused = client.post("/v1/feedback", json={"product": {"id": text[:200]}, "chosen": text})
        assert refused.status_code == 422
        assert client.get("/v1/products", params={"category": text}).status_code in (200, 404)


@pytest.mark.slow
@needs_shared
def test_broken_images_are_problems_not_failures(client):
    files = sorted(path for path in (DATA / "bad_inputs" / "images").rglob("*") if path.is_file())
    small = [path for path in files if path.stat().st_size < 300_000]
    for start in range(0, len(small), 60):
        some = small[start : start + 60]
        products = [
            {"id": path.name, "images": [{"base64": base64.b64encode(path.read_bytes()).decode()}]}
            for path in some
        ]
        for answer in classify(client, *products):
            error = answer["error"]
            assert error is None or error["code"] == "image_too_large", error


def test_a_decompression_bomb_is_refused_by_its_header(start):
    client = start(limits=RequestLimits(max_image_pixels=100_000))
    data = base64.b64encode(image_bytes(size=(400, 400))).decode()
    answer = classify(client, {"images": [{"base64": data}]})[0]
    assert answer["error"]["code"] == "image_too_large"


def test_limits_on_images(start):
    client = start(limits=RequestLimits(max_image_bytes=200, max_images=2))
    big, small = image_bytes(size=(900, 900)), image_bytes(size=(2, 2))
    sent = [{"images": [{"base64": base64.b64encode(data).decode()}]} for data in (big, small)]
    many = {"images": sent[1]["images"] * 3}
    codes = [a["error"] and a["error"]["code"] for a in classify(client, *sent, many)]
    assert codes == ["image_too_large", None, "too_many_images"]


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/a.jpg",
        "http://localhost/a.jpg",
        "http://[::1]/a.jpg",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/a.jpg",
        "http://[::ffff:127.0.0.1]/a.jpg",
        "http://0x7f000001/a.jpg",
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.jpg",
        "//127.0.0.1/a.jpg",
        "http://",
        "http://[",
    ],
)
def test_addresses_inside_are_never_fetched(fetching, address):
    answer = classify(fetching, {"title": "clock", "images": [{"url": address}]})[0]
    (problem,) = answer["prediction"]["problems"]
    assert problem.startswith("image 1: ")
    assert "--allow-private" not in problem
    assert fetching.reached == []


@pytest.fixture(scope="module")
def fetching(trained, tmp_path_factory):
    """A server that fetches addresses, beside one inside the network that must never be reached."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    from starlette.testclient import TestClient

    from aisle.server.app import create_app
    from aisle.server.state import Server

    reached = []

    class Inside(BaseHTTPRequestHandler):
        def do_GET(self):
            reached.append(self.path)
            self.send_response(200)
            self.end_headers()

    inside = HTTPServer(("127.0.0.1", 0), Inside)
    thread = threading.Thread(target=inside.serve_forever)
    thread.start()
    store = tmp_path_factory.mktemp("fetching") / "s.db"
    settings = patient(
        runs={"shop": trained.run},
        store=str(store),
        image_fetch=ImageFetchSettings(enabled=True, timeout_s=2),
    )
    with TestClient(create_app(Server.start(settings)), base_url="http://127.0.0.1:8000") as client:
        client.reached, client.inside = reached, inside.server_port
        yield client
    inside.shutdown()
    inside.server_close()
    thread.join()


def test_a_server_inside_is_never_reached(fetching):
    address = f"http://localhost:{fetching.inside}/a.jpg"
    answer = classify(fetching, {"title": "clock", "images": [{"url": address}]})[0]
    assert fetching.reached == []
    assert answer["prediction"]["problems"] == ["image 1: not an address on the internet"]


FETCH = {"enabled": True, "networks": ("127.0.0.1/32",)}


@pytest.fixture
def slow_images():
    """An image server in an allowed network, that does not answer what is below /slow until told."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    slow, answering = queue.SimpleQueue(), threading.Event()
    data = image_bytes(size=(300, 300))

    class Images(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/slow"):
                slow.put(self.path)
                answering.wait(60)
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

        def handle(self):
            with contextlib.suppress(ConnectionError):  # who asked has gone
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Images)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", slow=slow, answering=answering)
    answering.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.slow
def test_addresses_that_never_answer_cost_a_request_little(start, slow_images):
    client = start(image_fetch=ImageFetchSettings(timeout_s=1, total_timeout_s=2, max_parallel=4, **FETCH))
    names = ["good", *(f"slow/{i}" for i in range(50))]
    answers = classify(
        client, *({"title": "clock", "images": [f"{slow_images.url}/{name}"]} for name in names)
    )
    assert answers[0]["prediction"]["problems"] == []
    assert all("too long" in one["prediction"]["problems"][0] for one in answers[1:])
    assert 4 <= slow_images.slow.qsize() <= 12  # four at once, a second each, and then no more


def test_who_would_wait_for_others_images_is_told_when_to_come_back(start, slow_images):
    client = start(image_fetch=ImageFetchSettings(timeout_s=60, total_timeout_s=60, max_requests=1, **FETCH))
    product = {"title": "clock", "images": [f"{slow_images.url}/slow"]}
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(classify, client, product)
        slow_images.slow.get(timeout=60)  # its image is being fetched
        busy = client.post("/v1/classify", json={"products": [product]})
        slow_images.answering.set()
        assert (busy.status_code, busy.json()["error"]["code"]) == (503, "busy")
        assert int(busy.headers["Retry-After"]) >= 1
        assert waiting.result()[0]["prediction"]["problems"] == []
    assert classify(client, product)[0]["prediction"]["problems"] == []


def test_images_of_a_request_have_a_size_together(start, slow_images):
    client = start(
        image_fetch=ImageFetchSettings(max_parallel=1, **FETCH),
        limits=RequestLimits(max_body_bytes=2_000),
    )
    images = [f"{slow_images.url}/good/{i}" for i in range(20)]
    (answer,) = classify(client, {"title": "clock", "images": images})
    assert answer["prediction"]["problems"][-1].endswith("too large together")


def test_who_would_wait_too_long_is_told_when_to_come_back(start):
    client = start(limits=RequestLimits(max_wait_s=0.05))
    batcher = client.server.batcher
    go = threading.Event()

    def slow(products):
        go.wait(30)
        return [None] * len(products)

    waiting = batcher.submit(slow, [Product("x")] * 9)
    wait_until(lambda: batcher.expected_wait() > 0.05)  # it takes longer and longer
    try:
        answer = client.post("/v1/classify", json={"products": [{"title": "a"}]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/health").status_code == 200
    finally:
        go.set()
    waiting.result(30)
    assert client.post("/v1/classify", json={"products": [{"title": "a"}] * 50}).status_code == 200


class Fragile(Wrapped):
    """A model that fails on one product."""

    def predict(self, products):
        if any(product.fields.get("title") == "poison" for product in products):
            raise RuntimeError("this product breaks it")
        return self.model.predict(products)


def test_a_product_that_breaks_the_model_spoils_only_its_own_answer(start, trained):
    client = start(load=lambda folder: Fragile(trained.model))
    answers = classify(
        client, {"id": "a", "title": "mug"}, {"id": "b", "title": "poison"}, {"id": "c", "title": "mug"}
    )
    assert [answer["error"] and answer["error"]["code"] for answer in answers] == [None, "model_failed", None]
    assert [answer["id"] for answer in answers] == ["a", "b", "c"]


@pytest.mark.slow
def test_memory_is_stable_under_bad_requests(client):
    body = json.dumps(
        {"products": [{"title": "x" * 500, "images": [{"base64": "AAAA" * 5000}]}] * 20}
    ).encode()
    headers = {"content-type": "application/json"}

    def round_():
        for _ in range(40):
            client.post("/v1/classify", content=body, headers=headers)
            client.post("/v1/classify", content=body[:-5], headers=headers)
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    first = [round_() for _ in range(2)][-1]
    last = [round_() for _ in range(4)][-1]
    assert last < first * 1.05
