"""`--ray`: the same bytes from a cluster of this machine, though a worker is killed under way."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.inference.test_bulk import csv_of, listings, tree
from tests.inference.test_bulk_killed import command, records

pytest.importorskip("ray", reason="--ray needs Ray: pip install 'aisle[ray]'")
pytestmark = pytest.mark.slow


def below(root):
    """{process: its title} of everything that a process started, and what those started."""
    parents, titles = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                titles[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:  # it has ended meanwhile
                continue
    found, more = set(), {root}
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - found
        found |= more
    return {pid: titles[pid] for pid in found}


def test_a_worker_is_killed_and_the_output_is_the_same(trained, tmp_path):
    rows = [*listings(1500), ("bad", "", ""), *listings(9)]
    file = csv_of(tmp_path, rows)
    subprocess.run(command(trained.run, file, tmp_path / "here", "--shard-rows", "50"), check=True)
    out = tmp_path / "there"
    process = subprocess.Popen(command(trained.run, file, out, "--shard-rows", "50", "--ray"))
    killed, started = [], time.monotonic()
    while process.poll() is None and time.monotonic() - started < 500:
        if len(killed) < 2 and records(out) > 4 * len(killed):
            workers = [pid for pid, title in below(process.pid).items() if "MapWorker" in title]
            if workers:
                os.kill(workers[0], signal.SIGKILL)
                killed.append(workers[0])
                time.sleep(0.5)
        time.sleep(0.01)
    assert process.wait(timeout=10) == 0
    assert len(killed) == 2
    assert tree(out) == tree(tmp_path / "here")


def test_begun_on_a_cluster_it_is_ended_here(trained, tmp_path):
    file, out = csv_of(tmp_path, listings(600)), tmp_path / "out"
    subprocess.run(command(trained.run, file, tmp_path / "whole", "--shard-rows", "20"), check=True)
    process = subprocess.Popen(command(trained.run, file, out, "--shard-rows", "20", "--ray"))
    while process.poll() is None and records(out) < 3:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert 3 <= records(out) < 31
    subprocess.run(command(trained.run, file, out, "--shard-rows", "20"), check=True)
    assert tree(out) == tree(tmp_path / "whole")


def test_what_a_cluster_cannot_do_is_one_line(trained, tmp_path):
    file = csv_of(tmp_path, listings(5))
    one = subprocess.run(
        command(trained.run, file, tmp_path / "one.csv", "--ray"), capture_output=True, text=True
    )
    assert (one.returncode, one.stderr.splitlines()[-1][:7]) == (2, "error: ")
    assert "--ray writes shards: name a folder" in one.stderr
    gone = subprocess.run(
        command(trained.run, file, tmp_path / "gone", "--ray", "127.0.0.1:9"), capture_output=True, text=True
    )
    assert (gone.returncode, gone.stderr.splitlines()[-1][:7]) == (2, "error: ")
    assert "no Ray cluster at 127.0.0.1:9" in gone.stderr.splitlines()[-1]
