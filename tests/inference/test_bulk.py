"""`aisle classify RUN FILES --out DIR`: shards that add up to the file, resumed, refused, never half done."""

import json
import resource
import signal
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import aisle
from aisle.data.chunks import ChunkReader
from aisle.errors import AisleError
from aisle.inference.bulk import BulkJob, CachedPredictions, classify_to_folder
from aisle.inference.bulk.folder import Folder


class Counting:
    """A model that counts what it is asked, and breaks down when it was asked for too much."""

    def __init__(self, model, most=10**9):
        self.model, self.most, self.asked = model, most, 0
        self.model_id, self.inputs, self.taxonomy = model.model_id, model.inputs, model.taxonomy

    def predict_stream(self, products, advance=None):
        for prediction in self.model.predict_stream(products, advance):
            self.asked += 1
            if self.asked > self.most:
                raise KeyboardInterrupt
            yield prediction


def jsonl(*files):
    return [json.loads(line) for file in sorted(files) for line in file.read_text().splitlines()]


def tree(folder):
    """Every file under a folder and its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def csv_of(folder, rows, name="in.csv"):
    """A catalogue of (id, title, description)."""
    file = folder / name
    file.write_text("id,title,description\n" + "".join(f"{','.join(row)}\n" for row in rows))
    return file


def listings(n):
    kinds = ("red shoes", "oak table", "silver ring", "wool coat", "tin robot")
    return [(f"p{i}", f"{kinds[i % 5]} {i}", f"number {i * 7}") for i in range(n)]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_the_shards_are_the_one_file_cut_in_pieces(run, trained, shop, tmp_path, form):
    one, out = tmp_path / f"one.{form}", tmp_path / "out"
    assert run("classify", trained.run, shop.incoming, "--out", one, "--quiet")[0] == 0
    command = (
        "classify",
        trained.run,
        shop.incoming,
        "--out",
        out,
        "--shard-format",
        form,
        "--shard-rows",
        7,
    )
    code, said, _ = run(*command, "--json")
    found = json.loads(said)
    parts = sorted(out.glob("part-*"))
    assert code == 0
    assert found["rows"] == 24
    assert [part.name for part in parts] == [f"part-{i:05d}.{form}" for i in range(4)]
    if form == "parquet":
        whole = pq.read_table(one)
        assert list(chain(*(pq.read_table(p).to_pylist() for p in parts))) == whole.to_pylist()
        assert pq.read_table(out).num_rows == 24  # what reads a folder as one table passes `_` by
    else:
        header = one.read_bytes().splitlines(keepends=True)[0] if form == "csv" else b""
        joined = b"".join(part.read_bytes().removeprefix(header) for part in parts)
        assert header + joined == one.read_bytes()
    assert json.loads((out / "_summary.json").read_text())["decisions"] == found["decisions"]


def test_bad_rows_are_answered_for_review_and_listed_with_reasons(run, trained, tmp_path):
    bad = tmp_path / "odd.csv"
    bad.write_text('id,title,description\na,red shoes,fine\nb,,\n,"oak, table",x\nd,one,two,three,four\n')
    code, out, _ = run("classify", trained.run, bad, "--out", tmp_path / "o", "--shard-rows", 2)
    rows = jsonl(*(tmp_path / "o").glob("part-*"))
    told = jsonl(tmp_path / "o" / "_problems.jsonl")
    assert code == 0
    assert "_problems.jsonl" in out
    assert [row["id"] for row in rows] == ["a", "b", "3", "d"]
    assert [(item["row"], item["id"], item["answered"]) for item in told] == [
        (2, "b", False),
        (3, "3", True),
        (4, "d", False),
    ]
    assert "no text and no image" in told[0]["reasons"][0]
    assert "catalog row 3, column 'id': no id" in told[1]["reasons"][0]
    assert "5 fields instead of 3" in told[2]["reasons"][0]
    assert rows[3]["problems"] == told[2]["reasons"]


def test_interrupted_anywhere_it_goes_on_to_the_same_bytes(trained, tmp_path):
    file = csv_of(tmp_path, [*listings(30), ("x", "", ""), *listings(9)])
    pieces = ChunkReader([file], 6)
    classify_to_folder(BulkJob(trained.model, pieces, tmp_path / "whole"))
    expected = tree(tmp_path / "whole")
    for most in (0, 13, 39):
        out = tmp_path / f"cut{most}"
        with pytest.raises(KeyboardInterrupt):
            classify_to_folder(BulkJob(Faithful(trained.model, most), pieces, out))
        done = classify_to_folder(BulkJob(trained.model, pieces, out))
        assert done.before == most // 6 * 6
        assert done.rows == 40
        assert tree(out) == expected


class Faithful(Counting):
    """Breaks down in the model's own name, so that the folder takes it for the same."""


Faithful.__name__ = "LinearPredictor"


def test_a_shard_that_was_damaged_is_written_again(trained, tmp_path):
    file = csv_of(tmp_path, listings(20))
    job = BulkJob(trained.model, ChunkReader([file], 6), tmp_path / "out")
    classify_to_folder(job)
    expected = tree(tmp_path / "out")
    (tmp_path / "out" / "part-00001.jsonl").write_text("half")
    (tmp_path / "out" / "part-00002.jsonl").unlink()
    assert classify_to_folder(job).before == 8
    assert tree(tmp_path / "out") == expected


def test_a_finished_folder_is_left_as_it_is(run, trained, tmp_path):
    words = ("classify", trained.run, csv_of(tmp_path, listings(20)), "--out", tmp_path / "out")
    assert run(*words)[0] == 0
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("part-*")}
    code, _, err = run(*words)
    assert code == 0
    assert "20 rows in 1 shards are written already" in err
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("part-*")} == before


@pytest.mark.slow
def test_it_refuses_to_go_on_with_another_model_files_or_settings(run, trained, shop, tmp_path):
    file, out = csv_of(tmp_path, listings(20)), tmp_path / "out"
    words = ("classify", trained.run, file, "--out", out)
    assert run(*words)[0] == 0
    before = tree(out)
    other = trained.model.with_policy(trained.model.policy.__class__.uncalibrated(trained.model.taxonomy))
    other.save(tmp_path / "other")
    wrong = [
        (
            ("classify", tmp_path / "other", file, "--out", out),
            f"was begun with model '{trained.model.model_id}'",
        ),
        (("classify", trained.run, shop.incoming, "--out", out), "other files: in.csv, not incoming.csv"),
        ((*words, "--shard-rows", 5), "was begun with shard rows 50000, not 5"),
        ((*words, "--shard-format", "csv"), "was begun with format 'jsonl', not 'csv'"),
        ((*words, "--no-cache"), "was begun with cache 32768, not 0"),
        ((*words, "-c", "title=description"), "was begun with columns title = 'title', not 'description'"),
    ]
    for command, message in wrong:
        code, _, err = run(*command)
        last = err.splitlines()[-1]
        assert (code, last[:7]) == (2, "error: "), command
        assert message in last
    csv_of(tmp_path, [*listings(19), ("p19", "changed", "")])
    assert "another content of in.csv: it has changed since" in run(*words)[2]
    assert tree(out) == before


def test_it_never_writes_among_files_that_are_not_its_own(run, trained, tmp_path):
    file = csv_of(tmp_path, listings(5))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    (tmp_path / "plain").write_text("a file")
    for out, message in (
        ("mine", "already holds thesis.txt; name a new folder"),
        ("plain", "is a file; name a folder"),
        ("no/where", "does not exist"),
    ):
        code, _, err = run("classify", trained.run, file, "--out", tmp_path / out)
        assert code == 2
        assert message in err.splitlines()[-1]
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_second_writer_is_refused_while_the_first_is_at_work(run, trained, tmp_path):
    file, out = csv_of(tmp_path, listings(5)), tmp_path / "out"
    words = ("classify", trained.run, file, "--out", out)
    job = BulkJob(trained.model, ChunkReader([file]), out)
    with Folder(out, job.identity()).writing():
        code, _, err = run(*words)
        assert code == 2
        assert "is being written by another process" in err.splitlines()[-1]
    out.joinpath("_aisle", "run.json").unlink()
    assert run(*words)[0] == 0


def test_a_full_disk_is_one_line_and_what_is_written_stays(trained, tmp_path):
    rows = [(f"{'long' * 100 * (i // 10)}{i}", *rest) for i, (_, *rest) in enumerate(listings(30))]
    file = csv_of(tmp_path, rows)
    job = BulkJob(trained.model, ChunkReader([file], 10), tmp_path / "out")
    classify_to_folder(BulkJob(trained.model, ChunkReader([file], 10), tmp_path / "whole"))
    expected = tree(tmp_path / "whole")
    biggest = max(len(data) for name, data in expected.items() if name.startswith("part"))
    first = len(expected["part-00000.jsonl"])
    assert first < biggest  # so the first shard fits and a later one does not
    before, quiet = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (biggest - 1, before[1]))
    try:
        with pytest.raises(AisleError, match=r"part-0000\d.jsonl cannot be written: .* rows are safe: run"):
            classify_to_folder(job)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, quiet)
    assert not list((tmp_path / "out").rglob("*.part"))
    assert (tmp_path / "out" / "part-00000.jsonl").read_bytes() == expected["part-00000.jsonl"]
    assert classify_to_folder(job).before >= 10
    assert tree(tmp_path / "out") == expected


# -- listings that say the same -------------------------------------------------------------------------


def repeated(n):
    """Rows of which two in three say what an earlier one says, under ids of their own."""
    return [(f"p{i}", *listings(n)[i % (n // 3)][1:]) for i in range(n)]


def test_listings_that_say_the_same_are_asked_once_and_keep_their_ids(trained, tmp_path):
    file = csv_of(tmp_path, repeated(60))
    once, always = Counting(trained.model), Counting(trained.model)
    done = classify_to_folder(BulkJob(once, ChunkReader([file]), tmp_path / "once"))
    classify_to_folder(BulkJob(always, ChunkReader([file]), tmp_path / "always", cache_size=0))
    assert (once.asked, always.asked, done.cached) == (20, 60, 40)
    rows = jsonl(tmp_path / "once" / "part-00000.jsonl")
    assert rows == jsonl(tmp_path / "always" / "part-00000.jsonl")
    assert [row["id"] for row in rows] == [f"p{i}" for i in range(60)]


def test_a_picture_is_part_of_what_a_listing_says(trained, shop, tmp_path):
    pictures = sorted((shop.folder / "images").glob("A*.jpg"))[:2]
    lines = [f"{i},same words,{pictures[i // 2]}" for i in range(4)]
    file = tmp_path / "in.csv"
    file.write_text("id,title,image\n" + "\n".join(lines) + "\n")
    counting = Counting(trained.model)
    list(CachedPredictions(counting)(aisle.read(file)))
    assert counting.asked == 2


def test_what_no_view_reads_does_not_part_two_listings(trained):
    views = {field for view in trained.model.inputs for field in view.fields}
    if "*" in views:
        pytest.skip("this recipe reads every field")
    counting = Counting(trained.model)
    rows = [{"id": str(i), "title": "red shoes", "stock": str(i)} for i in range(5)]
    assert len(list(CachedPredictions(counting)(aisle.read(rows)))) == 5
    assert counting.asked == 1


def test_memory_of_answers_is_bounded(trained, tmp_path):
    catalog = aisle.read(csv_of(tmp_path, [*listings(12), *listings(12)]))
    small = CachedPredictions(Counting(trained.model), 5)
    few = [small(catalog.select([i])) for i in range(24)]
    assert [p.id for one in few for p in one] == [f"p{i}" for i in (*range(12), *range(12))]
    assert small.model.asked == 24  # of 12 listings the first 7 were forgotten before they came again
    assert len(small._cache) == 5


# -- pace and price -------------------------------------------------------------------------------------


def test_pace_and_price_are_told(run, trained, tmp_path):
    words = ("classify", trained.run, csv_of(tmp_path, listings(20)), "--price-per-hour", "3.6")
    found = json.loads(run(*words, "--out", tmp_path / "out", "--json")[1])
    half = 0.0005  # seconds are told in thousandths
    assert 20 / (found["seconds"] + half) <= found["products_per_second"] * 1.001
    assert found["products_per_second"] * 0.999 <= 20 / (found["seconds"] - half)
    assert found["cost_per_million"] == pytest.approx(1000 / found["products_per_second"], rel=0.01)
    _, said, _ = run(*words, "--out", tmp_path / "two.csv")
    assert "products/s" in said
    assert "per million" in said


def test_several_files_are_one_run(run, trained, tmp_path):
    one = csv_of(tmp_path, listings(5), "a.csv")
    two = tmp_path / "b.jsonl"
    two.write_text("".join(json.dumps({"id": f"q{i}", "title": "red hat"}) + "\n" for i in range(4)))
    code, _, _ = run("classify", trained.run, one, two, "--out", tmp_path / "out", "--shard-rows", 3)
    rows = jsonl(*(tmp_path / "out").glob("part-*"))
    assert code == 0
    assert [row["id"] for row in rows] == [*(f"p{i}" for i in range(5)), *(f"q{i}" for i in range(4))]


def test_no_row_at_all_is_a_run_too(run, trained, tmp_path):
    code, said, _ = run("classify", trained.run, csv_of(tmp_path, []), "--out", tmp_path / "out")
    assert code == 0
    assert "0 products" in said
    assert json.loads((tmp_path / "out" / "_summary.json").read_text())["rows"] == 0
    assert not list(Path(tmp_path / "out").glob("part-*"))
