"""Exports in several languages from `aisle train` to answers: columns are found, or proposed with flags."""

import csv
import json
import random
import shlex
import sys

import pytest

import aisle
from aisle.cli import main
from aisle.data.chunks import ChunkReader
from tests.conftest import QUICK

SHOPS = {
    "de": (
        "ID,Typ,Name,Beschreibung,Gewicht (kg),Kategorien,Bilder",
        {"Büro > Stifte": "Stift Tinte Gel Kuli Mine", "Küche > Tassen": "Tasse Tee Kaffee Becher Henkel"},
    ),
    "pl": (
        "ID,Rodzaj,Nazwa,Opis,Waga (kg),Kategorie,Obrazki",
        {"Biuro > Długopisy": "długopis tusz żel pióro", "Kuchnia > Kubki": "kubek herbata kawa ucho"},
    ),
    "ja": (
        "ID,タイプ,名前,説明,重量 (kg),カテゴリー,画像",
        {"文房具 > ペン": "ペン インク ゲル 筆記", "台所 > マグ": "マグ お茶 コーヒー 取っ手"},
    ),
}


TRAIN = ("--no-baseline", *(word for change in QUICK for word in ("--set", change)))


@pytest.fixture
def run(monkeypatch, capsys):
    """Type a command; (exit code, standard output, standard error)."""

    def typed(*words):
        monkeypatch.setattr(sys, "argv", ["aisle", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


def export(path, header, categories, count=60, label=True):
    """An export whose light and heavy products are of different categories."""
    rng = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        for i in range(count):
            category = list(categories)[i % len(categories)]
            words = categories[category].split()
            title = " ".join([*rng.sample(words, 3), str(i)])
            weight = 0.005 if i % len(categories) else 60
            writer.writerow([i + 1, "simple", title, words[0], weight, category if label else "", ""])
    return path


@pytest.mark.slow
@pytest.mark.parametrize("language", SHOPS)
def test_a_translated_export_trains_and_is_answered(run, tmp_path, language):
    header, categories = SHOPS[language]
    shop = export(tmp_path / "shop.csv", header, categories)
    code, _, err = run("train", shop, "--out", tmp_path / "run", *TRAIN)
    assert code == 0, err
    new = export(tmp_path / "new.csv", header, categories, count=20, label=False)
    answers = tmp_path / "answers.csv"
    code, _, err = run("classify", tmp_path / "run", new, "--out", answers)
    assert code == 0, err
    with answers.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["best"] for row in rows] == [list(categories)[i % 2] for i in range(20)]


def test_train_names_the_likeliest_columns_and_what_it_prints_can_be_pasted(run, tmp_path):
    header, categories = SHOPS["de"]
    header = header.replace("Kategorien", "Regal Ort").replace("Name", "Wortlaut")
    shop = export(tmp_path / "shop.csv", header, categories)
    code, out, err = run("train", shop, "--out", tmp_path / "run", *TRAIN)
    assert (code, out, (tmp_path / "run").exists()) == (2, "", False)
    assert "no column is recognised as the title; the most likely is 'Wortlaut': -c title=Wortlaut" in err
    error = err.strip().splitlines()[-1]
    assert error.startswith("error: no row has a usable category: nothing to learn from.")
    assert "'Regal Ort' for the label (2 values in 60 cells)" in error
    flags = error.partition(": add ")[2]
    assert flags == '-c "category=Regal Ort" -c title=Wortlaut'
    code, out, err = run("check", shop, *shlex.split(flags), "--json")
    data = json.loads(out)
    assert (code, data["classes"]["labelled"]) == (0, 60)
    assert {c["name"]: c["part"] for c in data["columns"]}["Wortlaut"] == "title"


def test_train_says_so_where_no_column_looks_like_a_label(run, tmp_path):
    shop = tmp_path / "shop.csv"
    shop.write_text("title,price\n" + "".join(f"thing {i} of red,{i}.99\n" for i in range(30)))
    code, _, err = run("train", shop, "--out", tmp_path / "run")
    assert code == 2
    assert "No column looks like a label; -c category=NAME names one" in err


def test_the_line_of_columns_stays_short_for_a_wide_file(run, tmp_path):
    shop = tmp_path / "shop.csv"
    names = [f"a{i}" for i in range(300)]
    shop.write_text(",".join(["title", *names]) + "\n" + ",".join(["red pen", *"1" * 300]) + "\n")
    _, _, err = run("train", shop, "--out", tmp_path / "run")
    assert "fields: a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11 and 288 more" in err


def test_image_urls_of_which_none_was_downloaded_are_one_note(run, tmp_path):
    rows = [f"{i},Blue mug {i},Mugs,https://shop.example/{i}.jpg" for i in range(30)]
    path = tmp_path / "shop.csv"
    path.write_text("id,title,category,image\n" + "\n".join(rows) + "\n")
    note = "image URLs, of which none was downloaded: see `aisle images`"
    catalog = aisle.read(path)
    assert [(p.row, p.column, p.message, p.value) for p in catalog.problems] == [
        (None, "image", note, "https://shop.example/0.jpg")
    ]
    (chunk,) = ChunkReader([path])
    assert [p.message for p in chunk.catalog().problems] == [note]
    code, said, _ = run("check", path)
    assert code == 0
    assert "30 rows: 30 without a problem, 0 with one, 0 not used for training" in said
    assert f"· image: {note}" in said
