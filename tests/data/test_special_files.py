"""Pipes, devices, sockets and packed files: nothing hangs, nothing fills the machine."""

import bz2
import gzip
import io
import lzma
import os
import socket
import subprocess
import sys

import pytest
import zstandard
from PIL import Image

import aisle
from aisle.data import ImageRef
from aisle.data.check import check
from aisle.data.images import ImageError, decode
from aisle.errors import AisleError, CatalogError

TEXT = b"id,title,category\n1,red pen,A > B\n2,pan,A > C\n"
LIMIT = 60  # seconds after which a command hangs


@pytest.fixture(params=["pipe", "socket", "folder", "device"])
def special(request, tmp_path, monkeypatch):
    """A path that is no regular file."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as kept:
        if request.param == "pipe":
            os.mkfifo("odd")
        elif request.param == "folder":
            os.mkdir("odd")
        elif request.param == "device":
            os.symlink("/dev/zero", "odd")
        else:
            kept.bind("odd")
        yield tmp_path / "odd"


def aisle_says(*words, **options):
    done = subprocess.run(
        [sys.executable, "-m", "aisle", *map(str, words)], capture_output=True, timeout=LIMIT, **options
    )
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def test_a_special_file_is_no_catalog_tree_table_of_columns_or_vectors(special):
    with pytest.raises(CatalogError, match=r"named pipe|socket|device|holds no table"):
        aisle.read(special)
    rows = [{"id": "1", "title": "pen"}]
    for given in ({"taxonomy": special}, {"columns": special}, {"vectors": {"clip": special}}):
        with pytest.raises(AisleError, match="odd"):
            aisle.read(rows, **given)
    with pytest.raises(AisleError, match="odd"):
        aisle.train(aisle.read(rows), special)


def test_a_special_file_is_no_picture(special, tmp_path):
    with pytest.raises(ImageError, match=r"not a file|not there|cannot be read"):
        decode(ImageRef(special))
    with pytest.raises(OSError, match="not a file"):
        ImageRef(special).read()
    rows = [{"title": f"pen {i}", "image": str(special)} for i in range(3)]
    catalog = aisle.read(rows)
    assert "image is not there" in str(catalog.problems[0])
    assert len(set(catalog.groups(near=True).tolist())) == 3 or catalog.groups().max() <= 2
    report = check(catalog)
    assert report.rows == 3


def test_special_files_in_a_folder_are_passed_over(tmp_path):
    (tmp_path / "a.csv").write_bytes(TEXT)
    os.mkfifo(tmp_path / "b.csv")
    os.mkfifo(tmp_path / "images.jsonl")
    assert len(aisle.read(tmp_path)) == 2


@pytest.mark.slow
def test_what_comes_through_a_pipe_is_read(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_bytes(TEXT)
    code, said = aisle_says("check", "-", input=TEXT)
    assert (code, "2 rows" in said) == (0, True)
    code, said = aisle_says("check", "-", input=gzip.compress(TEXT))
    assert (code, "2 rows" in said) == (0, True)
    line = f"{sys.executable} -m aisle check <(cat {file}) --json"
    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=LIMIT, check=True)
    assert b'"rows": 2' in done.stdout
    with file.open("rb") as handle:
        assert aisle_says("check", "/dev/stdin", stdin=handle)[0] == 0
    os.mkfifo(tmp_path / "named.csv")
    code, said = aisle_says("check", tmp_path / "named.csv")
    assert (code, "named pipe" in said) == (2, True)
    code, said = aisle_says("check", "-", stdin=subprocess.DEVNULL)
    assert (code, "empty" in said) == (2, True)


def test_a_pipe_may_hold_any_format():
    lines = b'{"title": "pen"}\n{"title": "ink"}\n'
    for data in (
        TEXT,
        lines,
        b'[{"title": "pen"}, {"title": "ink"}]',
        zstandard.compress(lines),
        bz2.compress(TEXT),
    ):
        read, write = os.pipe()
        os.write(write, data)
        os.close(write)
        try:
            catalog = aisle.read(f"/dev/fd/{read}")
        finally:
            os.close(read)
        assert len(catalog) == 2
        assert str(catalog.files[0].path) == f"/dev/fd/{read}"


PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.compress}


@pytest.mark.parametrize("ending", PACK)
def test_packed_files_are_read_up_to_a_bound(tmp_path, ending):
    file = tmp_path / f"rows.csv{ending}"
    file.write_bytes(PACK[ending](TEXT))
    assert [p.fields["title"] for p in aisle.read(file)] == ["red pen", "pan"]
    large = TEXT + b"3," + b"x" * 300_000 + b",A > B\n"
    file.write_bytes(PACK[ending](large))
    with pytest.raises(CatalogError, match=r"unpacks to more than 100,000 bytes.*--max-expanded"):
        aisle.read(file, max_expanded=100_000)
    assert len(aisle.read(file, max_expanded=400_000)) == 3
    assert len(aisle.read(file)) == 3
    file.write_bytes(PACK[ending](large)[:-10])
    with pytest.raises(CatalogError, match="cannot be read"):
        aisle.read(file)


@pytest.mark.slow
def test_a_bomb_is_refused_by_its_ratio_and_the_flag_allows_it(tmp_path):
    bomb = tmp_path / "bomb.csv.gz"
    bomb.write_bytes(gzip.compress(b"title\n" + (b"x" * 10_000 + b"\n") * 8000, 6))
    with pytest.raises(CatalogError, match="--max-expanded 10GB"):
        aisle.read(bomb)
    small = tmp_path / "small.csv.gz"
    small.write_bytes(gzip.compress(TEXT))
    assert aisle_says("check", small, "--max-expanded", "10KB")[0] == 0
    code, said = aisle_says("check", small, "--max-expanded", "10B")
    assert (code, "unpacks to more than 10 bytes" in said) == (2, True)
    code, said = aisle_says("check", small, "--max-expanded", "much")
    assert (code, "500MB" in said) == (2, True)


def test_a_broken_row_is_listed_once(tmp_path):
    file = tmp_path / "rows.csv"
    lines = [f"{i},thing {i},A > B,x.jpg|y.jpg" for i in range(20)]
    lines[3] = "3,only two"
    lines[7] = "7,a,b,c,d,e"
    file.write_text("id,title,category,images\n" + "\n".join(lines) + "\n")
    catalog = aisle.read(file)
    assert [p.message for p in catalog.problems_of(3)] == ["2 fields instead of 4"]
    report = check(catalog, images=False)
    counts = {f.message: f.count for f in report.findings if f.kind == "problem"}
    assert counts["images: the image is not there"] == 18  # rows, not pictures
    assert sum(counts.values()) == 20
    assert (report.clean, report.flagged, report.fatal) == (0, 18, 2)


def test_an_image_of_a_known_format_is_still_read(tmp_path):
    out = io.BytesIO()
    Image.new("RGB", (4, 4), (9, 8, 7)).save(out, "PNG")
    (tmp_path / "a.png").write_bytes(out.getvalue())
    assert decode(ImageRef(tmp_path / "a.png")).getpixel((0, 0)) == (9, 8, 7)
