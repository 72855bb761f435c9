"""`--ray`: the same bytes from a cluster of this machine, though a worker is killed under way."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.extras import require
from tests.inference.test_bulk import csv_of, listings, tree
from tests.inference.test_bulk_killed import command, records

from ..waiting import wait_until

require("ray", "ray")
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
    process = subprocess.Popen(command(trained.run, file, out, "--shard-rows", "50", "--ray", "local"))
    killed = set()

    def workers(shards=0):
        """Workers to kill, once so many shards are written."""
        titles = below(process.pid) if records(out) >= shards else {}
        return [pid for pid, title in titles.items() if "MapWorker" in title and pid not in killed]

    for shards in (1, 5):
        wait_until(lambda least: workers(least) or process.poll() is not None, shards, timeout=500)
        victim = workers()[0]
        os.kill(victim, signal.SIGKILL)
        killed.add(victim)
    assert process.wait(timeout=500) == 0
    assert tree(out) == tree(tmp_path / "here")


def test_begun_on_a_cluster_it_is_ended_here(trained, tmp_path):
    file, out = csv_of(tmp_path, listings(600)), tmp_path / "out"
    subprocess.run(command(trained.run, file, tmp_path / "whole", "--shard-rows", "20"), check=True)
    process = subprocess.Popen(command(trained.run, file, out, "--shard-rows", "20", "--ray", "local"))
    wait_until(lambda: process.poll() is not None or records(out) >= 3)
    process.kill()
    process.wait()
    assert 3 <= records(out) < 31
    subprocess.run(command(trained.run, file, out, "--shard-rows", "20"), check=True)
    assert tree(out) == tree(tmp_path / "whole")


def test_what_a_cluster_cannot_do_is_one_line(trained, tmp_path):
    file = csv_of(tmp_path, listings(5))
    one = subprocess.run(
        command(trained.run, file, tmp_path / "one.csv", "--ray", "local"), capture_output=True, text=True
    )
    assert (one.returncode, one.stderr.splitlines()[-1][:7]) == (2, "error: ")
    assert "--ray writes shards: name a folder" in one.stderr
    gone = subprocess.run(
        command(trained.run, file, tmp_path / "gone", "--ray", "127.0.0.1:9"), capture_output=True, text=True
    )
    assert (gone.returncode, gone.stderr.splitlines()[-1][:7]) == (2, "error: ")
    assert "no Ray cluster at 127.0.0.1:9" in gone.stderr.splitlines()[-1]


def test_a_point_of_the_curve_is_chosen_on_a_cluster_as_here(trained, tmp_path):
    file, asked = csv_of(tmp_path, listings(60)), ("--shard-rows", "20", "--precision", "0.8")
    subprocess.run(command(trained.run, file, tmp_path / "here", *asked), check=True)
    subprocess.run(command(trained.run, file, tmp_path / "there", *asked, "--ray", "local"), check=True)
    assert tree(tmp_path / "there") == tree(tmp_path / "here")
    subprocess.run(command(trained.run, file, tmp_path / "strict", "--shard-rows", "20"), check=True)
    assert tree(tmp_path / "strict") != tree(tmp_path / "here")
