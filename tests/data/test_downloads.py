"""Fetching from a real server on the loopback; nothing here leaves the machine."""

import contextlib
import io
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from aisle.cli.images import images as command
from aisle.data import read
from aisle.data.downloads import RateLimits, download, image_urls
from aisle.data.fetch import FetchError, FetchLimits, fetch, is_public

app = typer.Typer()
app.command()(command)
OPEN = FetchLimits(private=True, max_bytes=100_000, seconds=1.0)


def png(colour="red"):
    out = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(out, "PNG")
    return out.getvalue()


class Shop(BaseHTTPRequestHandler):
    asked: Counter
    at_once: int
    most_at_once: int
    lock = threading.Lock()

    def do_GET(self):
        server = self.server
        with self.lock:
            server.asked[self.path] += 1
            server.at_once += 1
            server.most = max(server.most, server.at_once)
            if server.at_once > 3:
                server.crowded.set()
        self.waited_for = True
        try:
            self.answer()
        finally:
            self.leave()

    def leave(self):
        """Before the last byte: whoever has that may ask again before this thread goes on."""
        with self.lock:
            self.server.at_once -= self.waited_for
            self.waited_for = False

    def answer(self):
        path = self.path.split("?")[0]
        away = {
            "/away": "/ok/redirected",
            "/inside": "http://127.0.0.2:1/secret",
            "/file": "file:///etc/passwd",
        }
        bodies = {
            "/page": (b"<html>", "text/html"),
            "/liar": (b"<html>", "image/jpeg"),
            "/big": (b"x" * 200_000, "image/png"),
        }
        if path.startswith("/ok"):
            self.server.crowded.wait(0.02)  # so that requests overlap
            self.send(200, png(), "image/png")
        elif path in away or path == "/loop":
            self.send(302, b"", "text/plain", Location=away.get(path, "/loop"))
        elif path in bodies:
            self.send(200, *bodies[path])
        elif path == "/busy" and self.server.asked[path] == 1:
            self.send(503, b"", "text/plain", **{"Retry-After": "0"})
        elif path == "/busy":
            self.send(200, png(), "image/png")
        elif path in ("/slow", "/slower"):
            self.drip(b"HTTP/1.0 200 OK\r\n" if path == "/slow" else b"")
        else:
            self.send(404, b"", "text/plain")

    def drip(self, start):
        """A byte now and then, of the body or of the very headers."""
        self.wfile.write(start + (b"Content-Type: image/png\r\n\r\n" if start else b""))
        for _ in range(60):
            self.wfile.write(b"x")
            self.wfile.flush()
            if self.server.closing.wait(0.1):
                return
        self.server.dripped = True

    def send(self, status, body, kind, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.leave()
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

    def handle(self):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            super().handle()


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.daemon_threads = True
    server.asked, server.at_once, server.most, server.dripped = Counter(), 0, 0, False
    server.crowded, server.closing = threading.Event(), threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["/ok/1", "/away", "/ok/ä ö?x=1&y=é"])
def test_a_picture_is_fetched(server, path):
    assert fetch(server.url + path, OPEN) == (png(), "png")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/none", "404"),
        ("/page", "sent text/html"),
        ("/liar", "not an image"),
        ("/big", "larger than 100,000 bytes"),
        ("/loop", "more than 5 redirects"),
        ("/file", "only http and https"),
        ("/slow", "took too long"),
        ("/slower", "took too long"),
    ],
)
def test_what_is_no_picture_is_refused(server, path, why):
    with pytest.raises(FetchError, match=why):
        fetch(server.url + path, OPEN)
    assert not server.dripped  # nobody waited for the end


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "169.254.169.254",
        "10.0.0.1",
        "0.0.0.0",
    ],
)
def test_private_addresses_are_refused_however_they_are_written(server, host):
    with pytest.raises(FetchError, match="private address"):
        fetch(f"http://{host}:{server.server_address[1]}/ok/1")
    assert not server.asked


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/a.png", "http://", "gopher://x/", "http://[::1"]
)
def test_other_schemes_are_refused(url):
    with pytest.raises(FetchError):
        fetch(url)


def test_each_redirect_is_checked_anew(server):
    limits = FetchLimits(networks=(ip_network("127.0.0.1/32"),))
    assert fetch(server.url + "/away", limits).data == png()
    with pytest.raises(FetchError, match=r"127\.0\.0\.2 is a private address"):
        fetch(server.url + "/inside", limits)


def test_an_allowed_network_lets_no_other_address_in(server):
    for network in ("10.0.0.0/8", "::1/128", "169.254.0.0/16"):
        limits = FetchLimits(networks=(ip_network(network),))
        with pytest.raises(FetchError, match="private address"):
            fetch(server.url + "/ok/1", limits)
    with pytest.raises(FetchError, match="never fetched"):  # not even where it is allowed
        fetch("http://169.254.169.254/", limits)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[fd00:ec2::254]",
        "168.63.129.16",
        "100.100.100.200",
    ],
)
def test_where_clouds_keep_credentials_is_never_asked(host):
    with pytest.raises(FetchError, match="never fetched"):
        fetch(f"http://{host}/latest/meta-data", OPEN)


def test_a_catalogue_without_addresses_has_nothing_to_fetch(tmp_path):
    (tmp_path / "x.csv").write_text("title,images\na,b.png\n")
    done = CliRunner().invoke(app, [str(tmp_path / "x.csv"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "nothing to download" in done.stdout


def test_public_addresses_are_told_from_wrapped_private_ones():
    public = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"]
    private = [
        "192.168.1.1",
        "100.64.0.1",
        "fe80::1%eth0",
        "fc00::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "224.0.0.1",
        "::",
    ]
    assert all(map(is_public, public))
    assert not any(map(is_public, private))


@pytest.mark.parametrize(
    "address",
    [
        "fec0::1",  # site-local, given up
        "feff::1",
        "::127.0.0.1",  # compatible
        "::ffff:10.0.0.1",  # mapped
        "::ffff:0:127.0.0.1",  # translated
        "64:ff9b:1::a00:1",  # NAT64 of a network's own
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",  # 6to4
        "2001:0:a00:1:8000:63bf:3fff:fdd2",  # Teredo, by its server
        "2001:0:808:808:8000:63bf:80ff:fffe",  # Teredo, by its client
        "2001:4860::5efe:a00:1",  # ISATAP
        "2001:4860::200:5efe:a00:1",
        "fd00:ec2::254",
        "3fff::1",
        "5f00::1",
        "4000::1",
        "100::1",
        "2001:db8::1",
        "2001:2::1",
        "ff02::1",
        "192.0.0.192",
        "192.88.99.1",
        "168.63.129.16",
        "198.18.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
    ],
)
def test_addresses_that_are_nobodys_on_the_internet(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "2a00:1450:4001::1", "2002:808:808::1", "::ffff:8.8.8.8", "2001:4860::5efe:808:808"],
)
def test_addresses_of_the_internet_are_fetched_however_they_are_wrapped(address):
    assert is_public(address)


def test_a_catalogue_is_fetched_politely_and_resumed(server, tmp_path):
    rows = [f"{i},t{i},{server.url}/ok/{i}|{server.url}/ok/{i % 7}" for i in range(40)]
    rows += [f"98,gone,{server.url}/none", f"99,busy,{server.url}/busy", "100,local,near.png"]
    path = tmp_path / "shop.csv"
    path.write_text("id,title,images\n" + "\n".join(rows) + "\n")
    out = tmp_path / "pictures"
    catalog = read(path)
    urls = list(image_urls(catalog))
    assert len(urls) == 42
    notes = [(p.row, p.column) for p in catalog.problems if "none was downloaded" in p.message]
    assert notes == [(None, "images")]
    assert [p.message for p in catalog.problems if p.row] == ["the image is not there"]

    first = download(urls[:10], out, limits=OPEN, rates=RateLimits(8, 3))
    assert first == (10, 0, {})
    assert server.most <= 3
    with (out / "images.jsonl").open("a") as log:
        log.write('{"url": "cut sh')  # as an interruption leaves it
    second = download(urls, out, limits=OPEN, rates=RateLimits(8, 3))
    assert (second.fetched, second.present, len(second.failed)) == (31, 10, 1)
    assert "404" in second.failed[f"{server.url}/none"]
    assert max(server.asked[f"/ok/{i}"] for i in range(40)) == 1
    assert server.asked["/busy"] == 2
    assert not list(out.rglob("*.part"))

    again = read(path, image_root=out)
    assert [len(p.images) for p in again][:40] == [2] * 40
    assert again[5].images[0].read() == png()
    assert download(urls, out, limits=OPEN).fetched == 0


def test_the_command_needs_a_flag_for_private_addresses(server, tmp_path):
    path = tmp_path / "shop.jsonl"
    path.write_text(json.dumps({"title": "a", "image_url": f"{server.url}/ok/1"}))
    run = CliRunner()
    refused = run.invoke(app, [str(path), "--out", str(tmp_path / "a"), "-q"])
    assert refused.exit_code == 1
    assert "private address" in refused.stderr
    allowed = run.invoke(app, [str(path), "--out", str(tmp_path / "b"), "--allow-private", "--json"])
    assert json.loads(allowed.stdout) == {"fetched": 1, "present": 0, "failed": {}}
