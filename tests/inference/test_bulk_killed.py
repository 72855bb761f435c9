"""A real `aisle classify` process, killed again and again: each row once, the bytes of an undisturbed run."""

import random
import subprocess
import sys
import time

import pytest

from tests.inference.test_bulk import csv_of, jsonl, tree

from ..waiting import wait_until

pytestmark = pytest.mark.slow


def command(run, file, out, *more):
    return [sys.executable, "-m", "aisle", "classify", str(run), str(file), "--out", str(out), "-q", *more]


def finish(words):
    return subprocess.run(words, capture_output=True, text=True, check=True)


def test_killed_at_twenty_random_instants_the_output_is_that_of_an_undisturbed_run(trained, tmp_path):
    rows = [(f"p{i}", f"red shoes {i % 900}", f"number {i}" if i % 7 else "") for i in range(4000)]
    for i in range(5, 4000, 400):
        rows[i] = (f"bad{i}", "", "")
    file, out = csv_of(tmp_path, rows), tmp_path / "out"
    finish(command(trained.run, file, tmp_path / "whole", "--shard-rows", "50"))
    expected = tree(tmp_path / "whole")
    words = command(trained.run, file, out, "--shard-rows", "50")
    rng, written = random.Random(7), [0]
    for kill in range(20):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        # Most of so short a run is its start, with nothing at stake: instants count from a new shard on.
        wait_until(lambda p, seen: p.poll() is not None or records(out) != seen, process, written[-1])
        # No further than this kill's share of the shards: on a quick machine the last would meet a run done.
        instant = time.monotonic() + rng.uniform(0, 0.15)
        wait_until(
            lambda end, most: time.monotonic() >= end or records(out) >= most,
            instant,
            3 * (kill + 1),
            every=0.001,
        )
        process.kill()
        process.communicate()
        written.append(records(out))
    assert written == sorted(written)
    assert len(set(written)) > 15
    assert written[-1] < 80
    finish(words)
    assert [row["id"] for row in jsonl(*out.glob("part-*"))] == [row[0] for row in rows]
    assert tree(out) == expected


def records(out):
    """How many shards are written."""
    return len(list(out.glob("_aisle/shards/*.json")))
