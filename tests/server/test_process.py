"""The server as a process: what a signal, a kill and a port in use do to it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest

from aisle.server.store import ServerStore
from aisle.server.store import feedback as feedback_store
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Served:
    """`aisle serve` under way."""

    def __init__(self, run, store, *more):
        self.port = free_port()
        command = [sys.executable, "-m", "aisle", "serve", str(run), "--port", str(self.port)]
        command += ["--store", str(store), *more]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        wait_until(self.responds, every=0.1)

    def responds(self):
        try:
            self.get("/ready")
        except OSError:
            assert self.process.poll() is None, self.process.communicate()
            return False
        return True

    def text(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.read().decode()

    def get(self, path):
        return json.loads(self.text(path))

    def post(self, path, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def end(self, sign):
        self.process.send_signal(sign)
        said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture
def serve(trained, tmp_path):
    running = []

    def started(*more):
        running.append(Served(trained.run, tmp_path / "store.db", *more))
        return running[-1]

    yield started
    for served in running:
        if served.process.poll() is None:
            served.end(signal.SIGKILL)
        served.process.stdout.close()
        served.process.stderr.close()


def test_what_was_acknowledged_survives_a_kill(serve, trained, tmp_path):
    server = serve()
    place = trained.model.taxonomy.nodes[int(trained.model.taxonomy.terminals[0])].id
    acknowledged = []

    def send(worker):
        for i in range(10_000):
            name = f"{worker}-{i}"
            try:
                server.post("/v1/feedback", {"product": {"id": name, "title": "x"}, "chosen": place})
            except (OSError, http.client.HTTPException):  # killed before or within its response
                return
            acknowledged.append(name)

    threads = [threading.Thread(target=send, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) >= 100)
    os.kill(server.process.pid, signal.SIGKILL)
    for thread in threads:
        thread.join()
    store = ServerStore(str(tmp_path / "store.db"))
    try:
        there = {row["id"] for row in feedback_store.training_rows(store)}
    finally:
        store.close()
    assert set(acknowledged) <= there
    assert len(there) <= len(acknowledged) + 4  # what was committed and not yet acknowledged


def test_sigterm_answers_what_is_under_way_and_leaves(serve):
    server = serve()
    products = [{"id": str(i), "title": f"thing {i}"} for i in range(1000)]
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(server.post("/v1/classify", {"products": products}))
    )
    asking.start()
    wait_until(lambda: not asking.is_alive() or "aisle_queue_products 0.0" not in server.text("/metrics"))
    code, (_, log) = server.end(signal.SIGTERM)
    asking.join()
    assert [answer["id"] for answer in answers[0]["results"]] == [str(i) for i in range(1000)]
    assert code == 0, log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(
        line["event"] == "request" and line["products"] == 1000 for line in lines if "products" in line
    )
    with pytest.raises(OSError, match="refused"):
        server.get("/health")


def test_open_opens_the_console_in_the_browser(serve, tmp_path, monkeypatch):
    opened, browser = tmp_path / "opened", tmp_path / "browser.sh"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new\nmv {opened}.new {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    server = serve("--open")
    wait_until(opened.exists, every=0.1)
    assert opened.read_text().strip() == f"http://127.0.0.1:{server.port}"


def test_a_port_in_use_is_one_line_and_2(serve, trained, tmp_path):
    server = serve()
    command = [sys.executable, "-m", "aisle", "serve", str(trained.run), "--port", str(server.port)]
    done = subprocess.run(
        [*command, "--store", str(tmp_path / "other.db")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "in use" in done.stderr
