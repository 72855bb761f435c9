"""Files in and answers out in an object store: a real S3 server in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from aisle.inference.bulk import locking
from tests.extras import require
from tests.inference.test_bulk import csv_of, listings, tree

from ..waiting import wait_until

require("moto", "dev")  # the S3 server of these tests
require("s3fs", "s3")
pytestmark = pytest.mark.slow


def answers(address):
    """Whether a server listens there."""
    try:
        urllib.request.urlopen(address, timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def endpoint():
    """The address of a server that speaks S3."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(address))
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


@pytest.fixture
def bucket(endpoint, monkeypatch, request):
    """An empty bucket, and the settings by which everyone finds it."""
    for name, value in (
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem(use_listings_cache=False)
    name = f"shop-{abs(hash(request.node.name)) % 10**9}"
    store.mkdir(name)
    return store, name


def fetched(store, place, folder):
    """What lies in the store, as a folder here."""
    store.get(place.rstrip("/"), str(folder), recursive=True)
    return tree(folder)


def here(files):
    """Without the lock that folders of this machine have instead of a note."""
    return {name: data for name, data in files.items() if name != "_aisle/lock"}


def test_in_and_out_of_a_store_is_as_here(run, trained, bucket, tmp_path):
    store, name = bucket
    file = csv_of(tmp_path, [*listings(20), ("bad", "", "")])
    store.put(str(file), f"{name}/day/in.csv")
    words = ("--shard-rows", 8, "--quiet")
    assert run("classify", trained.run, file, "--out", tmp_path / "local", *words)[0] == 0
    out = f"s3://{name}/answers"
    code, said, _ = run("classify", trained.run, f"s3://{name}/day/*.csv", "--out", out, *words)
    far, near = fetched(store, f"{name}/answers", tmp_path / "far"), here(tree(tmp_path / "local"))
    assert code == 0
    assert f"{out}/part-*.jsonl" in said
    assert far.pop("_aisle/run.json") != near.pop("_aisle/run.json")  # a store knows contents by its own tags
    assert far == near
    assert (
        run("classify", trained.run, f"s3://{name}/day/in.csv", "--out", f"s3://{name}/one.csv", "-q")[0] == 0
    )
    assert len(store.cat(f"{name}/one.csv").splitlines()) == 22
    code, _, err = run("classify", trained.run, f"s3://{name}/day/in.csv", "--out", out, "--shard-rows", 9)
    assert (code, "was begun with shard rows 8, not 9" in err) == (2, True)
    store.pipe(f"{name}/day/in.csv", file.read_bytes() + b"z,new,row\n")
    code, _, err = run("classify", trained.run, f"s3://{name}/day/in.csv", "--out", out, *words)
    assert (code, "another content of in.csv" in err) == (2, True)


@pytest.mark.parametrize("ending", ["csv.gz", "jsonl.zst", "parquet"])
def test_every_format_is_read_from_a_store_and_pictures_beside_it(
    run,
    trained,
    shop,
    bucket,
    tmp_path,
    ending,
):
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard

    import aisle

    store, name = bucket
    catalog = aisle.read(shop.incoming)
    if ending == "csv.gz":
        data = gzip.compress(shop.incoming.read_bytes())
    elif ending == "jsonl.zst":
        lines = (json.dumps(row, ensure_ascii=False) for row in catalog.table.to_pylist())
        data = zstandard.compress("\n".join(lines).encode())
    else:
        sink = pa.BufferOutputStream()
        pq.write_table(catalog.table, sink)
        data = sink.getvalue().to_pybytes()
    store.pipe(f"{name}/in.{ending}", data)
    for picture in (shop.folder / "images").glob("B*"):
        store.put(str(picture), f"{name}/images/{picture.name}")
    local, far = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    assert run("classify", trained.run, shop.incoming, "--out", local, "-q")[0] == 0
    assert run("classify", trained.run, f"s3://{name}/in.{ending}", "--out", far, "-q")[0] == 0
    said = far.read_text().replace(f"s3://{name}", str(shop.folder))
    assert said == local.read_text()


def test_killed_in_a_store_it_goes_on_to_the_same_bytes(trained, bucket, tmp_path):
    store, name = bucket
    file = csv_of(tmp_path, listings(600))
    store.put(str(file), f"{name}/in.csv")
    words = [sys.executable, "-m", "aisle", "classify", str(trained.run), f"s3://{name}/in.csv", "-q"]
    whole, out = ([*words, "--shard-rows", "20", "--out", f"s3://{name}/{to}"] for to in ("whole", "out"))
    subprocess.run(whole, check=True, env=os.environ)
    for kill in range(3):
        process = subprocess.Popen(out, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until(
            lambda p, seen: p.poll() is not None or len(store.glob(f"{name}/out/_aisle/shards/*")) > seen,
            process,
            3 * kill,
        )
        process.kill()
        process.communicate()
    assert 0 < len(store.glob(f"{name}/out/part-*")) < 30
    subprocess.run(
        out, check=True, env=os.environ
    )  # the writer that left a note is dead: nobody waits for it
    expected = fetched(store, f"{name}/whole", tmp_path / "whole")
    assert fetched(store, f"{name}/out", tmp_path / "out") == expected
    assert len([file for file in expected if file.startswith("part-")]) == 30


def test_a_second_writer_is_refused_until_the_note_goes_stale(run, trained, bucket, tmp_path):
    store, name = bucket
    file, out = csv_of(tmp_path, listings(5)), f"s3://{name}/out"
    note = {"writer": "a", "host": "elsewhere", "pid": 1, "at": time.time() - 12}
    store.pipe(f"{name}/out/_aisle/writer.json", json.dumps(note).encode())
    code, _, err = run("classify", trained.run, file, "--out", out)
    assert code == 2
    assert "is being written by process 1 on elsewhere (1" in err.splitlines()[-1]
    store.pipe(
        f"{name}/out/_aisle/writer.json", json.dumps(note | {"at": time.time() - locking.STALE - 1}).encode()
    )
    assert run("classify", trained.run, file, "--out", out, "-q")[0] == 0
    assert not store.exists(f"{name}/out/_aisle/writer.json")


def test_what_cannot_be_reached_is_one_line(run, trained, bucket, tmp_path, monkeypatch):
    _, name = bucket
    file = csv_of(tmp_path, listings(5))
    wrong = [
        ((f"s3://{name}/none.csv", "--out", tmp_path / "o"), "none.csv"),
        ((f"s3://{name}/*.tsv", "--out", tmp_path / "o"), "no file is of that pattern"),
        ((file, "--out", "s3://no-such-bucket-here/out"), "no-such-bucket-here"),
        ((file, "--out", "s5://x/out"), "no file system is called 's5'"),
    ]
    for words, message in wrong:
        code, _, err = run("classify", trained.run, *words)
        last = err.splitlines()[-1]
        assert (code, last[:7]) == (2, "error: "), (words, err)
        assert message in last
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    for words in ((f"s3://{name}/in.csv", "--out", tmp_path / "o"), (file, "--out", f"s3://{name}/out")):
        code, _, err = run("classify", trained.run, *words)
        assert (code, err.splitlines()[-1][:7]) == (2, "error: "), err
