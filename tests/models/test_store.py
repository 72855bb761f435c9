"""The feature store under what befalls disks: killed writers, full disks, flipped bits; and at size."""

import multiprocessing
import os
import resource
import signal
import time

import numpy as np
import pytest

from aisle.models.features import Features, FeatureStore, content_key
from tests.training.test_stages import Lines


def keys(count, start=0):
    return [content_key(str(i)) for i in range(start, start + count)]


def row(i):
    """What is computed from the i-th text: four numbers, and i % 3 tokens."""
    return np.full(4, i, np.float32), np.full((i % 3, 2), i, np.float16)


class Counted:
    """Computes rows of the texts `start` and on, and keeps how many."""

    def __init__(self, start=0, tokens=False):
        self.start, self.tokens, self.count = start, tokens, 0

    def __call__(self, positions):
        self.count += len(positions)
        pooled, tokens = zip(*(row(self.start + i) for i in positions), strict=True)
        return Features(np.stack(pooled), list(tokens) if self.tokens else None)


def ask(folder, count, start=0, progress=None, tokens=False, chunk=256):
    """(rows found, how many of them were computed)."""
    computed = Counted(start, tokens)
    more = {"progress": progress} if progress else {}
    found = FeatureStore(folder).get("space", keys(count, start), computed, chunk, **more)
    expected = [row(i) for i in range(start, start + count)]
    np.testing.assert_array_equal(found.pooled, [pooled for pooled, _ in expected])
    if tokens:
        assert found.lengths.tolist() == [len(t) for _, t in expected]
        np.testing.assert_array_equal(
            found.tokens(range(count), 2)[:, 0].max(1), [t.max(initial=0) for _, t in expected]
        )
    return found, computed.count


@pytest.mark.parametrize("tokens", [False, True])
def test_rows_of_many_shards_come_back_in_any_order(tmp_path, tokens):
    assert ask(tmp_path, 30, tokens=tokens, chunk=4)[1] == 30
    assert ask(tmp_path, 12, start=9, tokens=tokens)[1] == 0
    store, computed = FeatureStore(tmp_path), Counted(tokens=tokens)
    mixed = np.random.default_rng(0).permutation(30)
    all_keys = keys(30)
    found = store.get("space", [all_keys[i] for i in mixed], computed)
    assert found.pooled[:, 0].tolist() == mixed.tolist()
    assert computed.count == 0
    if tokens:
        some = found.tokens([3, 0], 5)
        assert some.shape == (2, 5, 2)
        assert (some[0] != 0).sum() == 2 * (mixed[3] % 3) or mixed[3] == 0


def test_a_flipped_bit_is_noticed_said_and_computed_anew(tmp_path):
    ask(tmp_path, 20, tokens=True, chunk=5)
    for place in (-1, -20, -40, -80, -120, -160, -200):  # in every array
        shard = sorted(tmp_path.rglob("*.safetensors"))[1]
        data = bytearray(shard.read_bytes())
        data[place] ^= 4
        shard.write_bytes(data)
        lines = Lines()
        _, computed = ask(tmp_path, 20, tokens=True, progress=lines)
        assert computed == 5
        (damaged,) = [said for said in lines.said if "damaged" in said]
        assert damaged == f"{shard} is damaged: what it kept is computed anew"
        assert ask(tmp_path, 20, tokens=True)[1] == 0


@pytest.mark.parametrize(
    "content", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"\xff" * 40, b"\x04\0\0\0\0\0\0\0null"]
)
def test_a_file_that_is_no_shard_is_thrown_away_and_said(tmp_path, content):
    ask(tmp_path, 4)
    (tmp_path / "space" / "other.safetensors").write_bytes(content)
    lines = Lines()
    assert ask(tmp_path, 6, progress=lines)[1] == 2
    assert "other.safetensors is damaged" in lines.said[0]
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def slow_writer(folder, started):
    def compute(positions):
        started.value += 1
        return Features(np.stack([row(i)[0].repeat(50_000) for i in positions]))

    FeatureStore(folder).get("space", keys(1000), compute, chunk=4)


def test_a_writer_killed_at_any_moment_leaves_whole_shards(tmp_path):
    fork = multiprocessing.get_context("fork")
    for turn in range(3):
        folder = tmp_path / str(turn)
        started = fork.Value("i", 0)
        writer = fork.Process(target=slow_writer, args=(folder, started))
        writer.start()
        deadline = time.monotonic() + 30
        while started.value < 2 + turn and time.monotonic() < deadline:
            os.sched_yield()
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(30)
        lines, computed = Lines(), []

        def compute(positions, computed=computed):
            computed.extend(positions)
            return Features(np.stack([row(i)[0].repeat(50_000) for i in positions]))

        found = FeatureStore(folder).get("space", keys(20), compute, progress=lines)
        assert found.pooled[:, 0].tolist() == list(range(20))
        assert computed == list(range(20 - len(computed), 20))  # what was whole was found
        assert lines.said == []


def test_what_a_killed_writer_left_is_swept_away_after_a_while(tmp_path):
    ask(tmp_path, 4)
    old, new = tmp_path / "space" / "old.part", tmp_path / "space" / "new.part"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    ask(tmp_path, 6)
    assert not old.exists()
    assert new.read_bytes() == b"half"


def full_disk(folder, answer):
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
    lines = Lines()
    store, computed = FeatureStore(folder), Counted()
    found = store.get("space", keys(400), computed, chunk=100, progress=lines)
    again = store.get("space", keys(400), computed)
    answer.put((found.pooled[:, 0].tolist(), again.pooled[:, 0].tolist(), computed.count, lines.said))


def test_on_a_full_disk_rows_stay_in_memory_and_that_is_said_once(tmp_path):
    fork = multiprocessing.get_context("fork")
    answer = fork.Queue()
    writer = fork.Process(target=full_disk, args=(tmp_path, answer))
    writer.start()
    found, again, computed, said = answer.get(timeout=60)
    writer.join(60)
    assert found == again == list(range(400))
    assert computed == 400
    (line,) = said
    assert line.startswith(f"features cannot be kept in {tmp_path / 'space'} (File too large)")
    assert not list(tmp_path.rglob("*.part"))


def test_rows_that_another_process_adds_meanwhile_are_found(tmp_path):
    one, computed = FeatureStore(tmp_path), Counted()
    one.get("space", keys(5), computed)
    ask(tmp_path, 10)
    assert one.get("space", keys(10), computed).pooled.shape == (10, 4)
    assert computed.count == 5


def test_a_batch_costs_the_same_however_many_shards_there_are(tmp_path):
    """Shards are opened once; afterwards a batch touches its own rows alone."""
    ask(tmp_path, 200, chunk=2)
    store = FeatureStore(tmp_path)
    store.get("space", keys(200), Counted())
    for file in tmp_path.rglob("*.safetensors"):
        file.unlink()
    computed = Counted(start=100)
    assert store.get("space", keys(50, 100), computed).pooled[0, 0] == 100
    assert computed.count == 0
