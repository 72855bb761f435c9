"""Broken and hostile files: read as they should be, or a problem, never silence, never a traceback."""

import contextlib
import csv
import gzip
import io
import json
import random

import pyarrow as pa
import pyarrow.parquet
import pytest
import zstandard

from aisle.data import read
from aisle.errors import AisleError, CatalogError
from tests.data.catalogs import raw
from tests.shared import DATA, needs_shared

BAD = DATA / "bad_inputs"
SPECTRUM = sorted((BAD / "csv_spectrum" / "csvs").glob("*.csv")) if BAD.is_dir() else []


@needs_shared
@pytest.mark.parametrize("path", SPECTRUM, ids=lambda p: p.stem)
def test_torture_files_read_as_their_json_says(path):
    expected = (BAD / "csv_spectrum" / "json" / f"{path.stem}.json").read_text()
    if b"\r" not in path.read_bytes():  # this copy of the files lost its carriage returns
        expected = expected.replace(r"\r\n", r"\n")
    catalog = read(path)
    assert raw(catalog) == json.loads(expected)
    assert not [p for p in catalog.problems if p.fatal]


@needs_shared
def test_line_breaks_in_unquoted_fields_are_joined_and_told():
    catalog = read(BAD / "real_csv" / "gumtree_mixed_newlines_unquoted.csv")
    assert len(catalog) == 100
    assert len(catalog.problems) == 40
    assert {p.message for p in catalog.problems} == {
        "unquoted line breaks: lines that are too short were joined into one record"
    }
    sofa = next(p for p in catalog if "Modern Shannon" in p.fields["title"])
    assert sofa.fields["price"] == "£450.00"
    assert sofa.fields["location"] == "Delph, Manchester"
    assert sofa.fields["description"].count("\n") == 7
    assert len(set(catalog.rows)) == 100
    with pytest.raises(CatalogError, match="strict: stopped at the first"):
        read(BAD / "real_csv" / "gumtree_mixed_newlines_unquoted.csv", strict=True)


@needs_shared
def test_naughty_strings_come_through_unchanged(tmp_path):
    strings = json.loads((BAD / "blns.json").read_text())
    assert len(strings) == 515
    path = tmp_path / "naughty.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "title", "category"])
        writer.writerows([f"a{i}", text, f"C{i % 5} > x"] for i, text in enumerate(strings))
    catalog = read(path)
    assert [row["title"] for row in raw(catalog)] == strings
    assert [p.id for p in catalog] == [f"a{i}" for i in range(515)]
    path = tmp_path / "naughty.jsonl"
    path.write_text("\n".join(json.dumps({"sku": s, "title": "x"}) for s in strings))
    assert [p.id for p in read(path)] == [s or str(i) for i, s in enumerate(strings, 1)]


QUOTE = "a quote is not closed or not doubled"


@pytest.mark.parametrize(
    ("body", "rows", "fatal", "messages"),
    [
        ("1,a,b\n2,a\n3,a,b\n", 3, [2], ["2 fields instead of 3"]),  # too short
        ("1,a,b\n2,a,b,c\n3,a,b\n", 3, [2], ["4 fields instead of 3"]),  # too long
        ("1,a,b\n2,a,b,,\n3,a,b\n", 3, [], ["5 fields instead of 3; those in excess are empty"]),
        ('1,"a,b\n2,a,b\n3,a,b\n', 3, [1], [f"2 fields instead of 3 ({QUOTE})"]),
        ('1,"a" x,b\n2,a,b\n', 2, [], [f"{QUOTE}; read as it stands"]),  # a quote inside
        ("1,a,b\n\n\n2,a,b\n", 2, [], []),  # blank lines
    ],
)
def test_a_bad_record_costs_itself_alone(tmp_path, body, rows, fatal, messages):
    path = tmp_path / "x.csv"
    path.write_text("sku,title,size\n" + body)
    catalog = read(path)
    assert len(catalog) == rows
    assert [p.row for p in catalog.problems if p.fatal] == fatal
    assert [p.id for p in catalog] == [str(i) for i in range(1, rows + 1)]
    assert [p.message for p in catalog.problems] == messages


TEXT = "sku;naïve title;größe\n" + "".join(f"{i};Café n° {i}, «très» bon;größe {i}\n" for i in range(50))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_detected(tmp_path, encoding, delimiter):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(line.split(";") for line in TEXT.splitlines())
    path = tmp_path / "x.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    catalog = read(path)
    assert catalog.raw(3) == {"sku": "3", "naïve title": "Café n° 3, «très» bon", "größe": "größe 3"}
    assert bool(catalog.problems) == (encoding == "cp1252")  # a guess is told


def test_single_lines_that_are_not_utf8_are_told(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("sku,title\n1,Tür\n".encode() + b"2,T\xfcr\n" + "3,Öl\n4,Äpfel\n".encode())
    catalog = read(path)
    assert [p.fields["title"] for p in catalog] == ["Tür", "Tür", "Öl", "Äpfel"]
    assert [(p.row, p.column, p.value) for p in catalog.problems] == [(2, "title", "Tür")]


WORDS = {
    "cp932": "赤い靴 レディース ブーツ 送料無料 スニーカー 白い",
    "euc_kr": "빨간 신발 여성 가방 무료배송 운동화",
    "gb18030": "红色 鞋子 女士 免费送货 运动鞋 连衣裙",
    "cp1251": "красные туфли женские сумка бесплатная доставка",
    "koi8_r": "красные туфли женские сумка бесплатная доставка",
    "cp1250": "żółte łóżko śliczna sukienka mężczyzna kożuch",
    "cp1252": "très joli café für Männer Größe schön señora",
}


@pytest.mark.parametrize("encoding", WORDS)
def test_a_broken_line_neither_misleads_the_guess_nor_is_lost_silently(tmp_path, encoding):
    titles = [" ".join(random.Random(i).choices(WORDS[encoding].split(), k=5)) for i in range(40)]
    path = tmp_path / "x.csv"
    body = "".join(f"{i},{title}\n" for i, title in enumerate(titles)).encode(encoding)
    path.write_bytes(b"sku,title\n" + body + b"40,x \xff\x81 y\n")
    catalog = read(path)
    assert [p.fields["title"] for p in catalog][:-1] == titles
    told = [(p.row, p.column, p.value) for p in catalog.problems if p.row is not None]
    if encoding not in ("cp1251", "koi8_r"):  # in which every byte means something
        assert told == [(41, "title", catalog.problems[-1].value)]
        assert "\\x81" in told[0][2]
        assert "�" in catalog[40].fields["title"]
    with pytest.raises(AisleError, match=r"strict"):
        read(path, strict=True)


def test_bytes_that_mean_nothing_are_told_in_every_format(tmp_path):
    said = {"title": "Tür é \udc81\udcfc", "sku": "1"}
    lines = json.dumps(said, ensure_ascii=False).encode("utf-8", "surrogateescape")
    (tmp_path / "a.jsonl").write_bytes(b'{"title": "ok \xc3\xa9", "sku": "0"}\n' + lines)
    raw = pa.array([b"ok", "Tür é ".encode() + b"\x81\xfc"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    pa.parquet.write_table(pa.table({"title": text, "sku": ["0", "1"]}), tmp_path / "a.parquet")
    for path in (tmp_path / "a.jsonl", tmp_path / "a.parquet"):
        catalog = read(path)
        assert [p.fields["title"] for p in catalog][1] == "Tür é �ü"
        assert [(p.row, p.column, p.value) for p in catalog.problems] == [(2, "title", "Tür é \\x81ü")]
    (tmp_path / "half.jsonl").write_text('{"title": "\\ud83d boots", "sku": "1"}\n')
    (half,) = read(tmp_path / "half.jsonl").problems
    assert (half.row, half.column, half.value) == (1, "title", "� boots")
    (tmp_path / "name.csv").write_bytes(b"sku,titl" + b"\xe9\n1,caf\xc3\xa9\n2,caf\xc3\xa9\n")
    assert [(p.row, p.column) for p in read(tmp_path / "name.csv").problems] == [(None, "titlé")]


def test_two_encodings_in_one_file_are_both_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"sku,title\n" + b"1,T\xfcr\n" * 9 + "2,Tür\n".encode())
    catalog = read(path)
    assert {p.fields["title"] for p in catalog} == {"Tür"}
    assert len([p for p in catalog.problems if "Windows-1252" in p.message]) == 9


@pytest.mark.slow
def test_long_fields_are_read_and_endless_ones_are_the_problem_of_their_row(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"sku,title\n1,{'x' * 1_000_000}\n2,{'y' * 34_000_000}\n3,z\n")
    catalog = read(path)
    assert [len(p.fields["title"]) for p in catalog] == [1_000_000, 1000, 1]
    assert [(p.row, "longer than 16,777,216 characters" in p.message) for p in catalog.problems] == [
        (2, True)
    ]


def test_labels_that_do_not_matter_are_not_looked_at(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("sku,title,category\n1,a,Shoes\n2,b,\n")
    assert [p.message for p in read(path).problems] == ["no category; the row is not trained on"]
    catalog = read(path, labels=False)
    assert not catalog.problems
    assert not catalog.labelled
    assert [p.categories for p in catalog] == [(), ()]
    assert catalog.fields == ("title",)  # labels do not become text


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_every_format_reads_the_same_packed_or_not(tmp_path, kind, ending):
    rows = [{"id": "1", "title": 'a "b"\nc', "size": "1,5"}, {"id": "2", "title": "é", "size": ""}]
    if kind in ("csv", "tsv"):
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, rows[0], delimiter="," if kind == "csv" else "\t")
        writer.writeheader()
        writer.writerows(rows)
        data = out.getvalue().encode()
    elif kind == "jsonl":
        data = "\n".join(map(json.dumps, rows)).encode()
    elif kind == "json":
        data = json.dumps(rows, indent=1).encode()
    else:
        sink = pa.BufferOutputStream()
        pa.parquet.write_table(pa.Table.from_pylist(rows), sink)
        data = sink.getvalue().to_pybytes()
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[ending]
    path = tmp_path / f"x.{kind}{ending}"
    path.write_bytes(pack(data))
    assert raw(read(path)) == rows
    if ending and kind != "json":
        path.write_bytes(pack(data)[:-6])
        with pytest.raises(AisleError, match="cannot be read"):
            read(path)


def test_a_folder_of_files_is_one_catalogue(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.csv").write_text("id,title\n1,x\n2,y\n")
    (tmp_path / "b" / "c.jsonl").write_text('{"id": 3, "title": "z", "colour": "red"}\n{"id": 4, bad\n')
    catalog = read(tmp_path)
    assert [p.id for p in catalog] == ["1", "2", "3", "4"]
    assert catalog[2].fields == {"title": "z", "colour": "red"}
    assert [(part.path.name, part.first, part.last) for part in catalog.files] == [
        ("a.csv", 1, 2),
        ("c.jsonl", 3, 4),
    ]
    assert [(p.row, p.fatal) for p in catalog.problems if p.message.startswith("not JSON")] == [(4, True)]


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\x00\x01\x02", b"PK\x03\x04", b"PAR1junk", b"{", b"[1,2]", b"\xff\xfe\x00"]
)
@pytest.mark.parametrize(
    "name", ["x.csv", "x.tsv", "x.jsonl", "x.json", "x.parquet", "x.csv.gz", "x.jsonl.zst"]
)
def test_junk_is_an_error_or_problems(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with contextlib.suppress(AisleError):
        catalog = read(path)
        assert len(list(catalog)) == len(catalog)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("x.csv", b"PK\x03\x04rest", "a ZIP archive"),
        ("x.csv", gzip.compress(b"id,title\n1,a\n", mtime=0), "let its name end in .gz"),
        ("x.jsonl", zstandard.compress(b"{}"), "let its name end in .zst"),
        ("x.tsv", b"\x89PNG\r\n", "an image"),
        ("x.csv.gz", b"id,title\n1,a\n", "x.csv.gz: cannot be read"),
    ],
)
def test_what_is_no_text_is_refused_by_name_also_in_a_folder(tmp_path, name, data, told):
    (tmp_path / "good.csv").write_text("id,title\n1,a\n")
    (tmp_path / name).write_bytes(data)
    for source in (tmp_path / name, tmp_path):
        with pytest.raises(AisleError, match=name) as failed:
            read(source)
        assert told in str(failed.value)


def test_headers_that_are_missing_single_or_late(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("1,Red boots,Shoes,12.5\n2,Lamp,Home,3\n")
    (problem,) = read(path).problems
    assert (problem.row, problem.column) == (None, "12.5")
    assert "first line looks like a record" in problem.message
    path.write_text("title\nred boots\nblue, small; new\n")
    assert [p.fields["title"] for p in read(path)] == ["red boots", "blue, small; new"]
    path.write_text("Export of 2026\nid,title\n" + "".join(f"{i},t\n" for i in range(5)))
    assert read(path).fatal.all()  # told, not read as something else
    path.write_bytes("id,title\n1,Tür\n".encode("utf-16-le"))  # without its mark
    assert read(path)[0].fields == {"title": "Tür"}
    (tmp_path / "x.json").write_text('{"count": 1, "products": [{"id": 7, "title": "a"}]}')
    assert [p.id for p in read(tmp_path / "x.json")] == ["7"]
