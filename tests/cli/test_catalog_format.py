"""A run knows its catalog's columns: every command reads later files by them, whatever they are called."""

import csv
import json
import random
import shlex

import pytest
from typer.testing import CliRunner

import aisle
from aisle.cli import main, register
from aisle.errors import CatalogError
from tests.conftest import NETWORK

QUICK = ("views.image=false",)
GOODS = {
    "Küche": ("kettle", "toaster", "pan"),
    "Garten": ("spade", "hose", "rake"),
    "Büro": ("pen", "paper", "ink"),
}


def goods(count=90):
    """(number, text, category, split) of things whose words tell the category."""
    chance = random.Random(3)
    rows = []
    for i in range(count):
        group = list(GOODS)[i % 3]
        words = [*chance.sample(GOODS[group], 2), chance.choice("abcdefgh") * 3, str(i)]
        rows.append((f"n{i}", " ".join(words), group, "test" if i % 5 == 0 else "train"))
    return rows


def write(file, rows, names=("nr", "artikeltext", "gruppe", "teil"), delimiter=",", encoding="utf-8"):
    with file.open("w", encoding=encoding, newline="") as out:
        writer = csv.writer(out, delimiter=delimiter)
        writer.writerow(names)
        writer.writerows(rows)
    return file


def typed(monkeypatch, capsys, *words):
    """Type a command; (exit code, standard output, standard error)."""
    monkeypatch.setattr("sys.argv", ["aisle", *map(str, words)])
    try:
        main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def run(monkeypatch, capsys):
    return lambda *words: typed(monkeypatch, capsys, *words)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A file whose columns no name tells, and a run in a folder with a space that was told of them."""
    home = tmp_path_factory.mktemp("shop with a space")
    file = write(home / "goods file.csv", goods())
    changes = [word for change in QUICK for word in ("--set", change)]
    flags = ["-c", "title=artikeltext", "-c", "category=gruppe", "-c", "split=teil", "-c", "id=nr"]
    words = ["train", str(file), *flags, "--out", str(home / "my run"), *changes]
    said = CliRunner().invoke(register(), words)
    return home, file, home / "my run", said.stdout


def best(file):
    with file.open(encoding="utf-8-sig", newline="") as handle:
        return [row["best"] for row in csv.DictReader(handle)]


def right(answers, rows):
    return sum(a == row[2] for a, row in zip(answers, rows, strict=True)) / len(rows)


def test_the_next_line_can_be_pasted_and_answers_by_the_runs_own_columns(shop, run, monkeypatch):
    home, file, _, said = shop
    monkeypatch.chdir(home)
    line = next(text for text in said.splitlines() if text.startswith("next"))
    words = shlex.split(line.removeprefix("next"))
    assert words[:2] == ["aisle", "classify"]
    assert words[3] == str(file)
    code, _, _ = run(*words[1:])
    assert code == 0
    assert right(best(home / "predictions.csv"), goods()) > 0.9


@pytest.mark.slow
def test_evaluate_and_calibrate_and_drift_read_the_runs_columns(shop, run, tmp_path):
    _, file, folder, _ = shop
    code, said, _ = run("evaluate", folder, file, "--out", tmp_path / "report", "--json")
    assert code == 0
    found = json.loads(said)
    assert found["rows"]["evaluated"] == 18  # the rows that `teil` marks
    assert found["model"]["overall"]["accuracy"]["value"] > 0.8
    more = write(
        tmp_path / "more.csv", [(f"m{i}", f"{t} more", g, "") for i, (_, t, g, _) in enumerate(goods(60))]
    )
    code, said, _ = run("calibrate", folder, more, "--out", tmp_path / "calibrated", "--json")
    assert code == 0
    assert json.loads(said)["rows"]["unlabelled"] == 0
    rows = [(f"n{i}", f"{t} other", g, "") for i, (_, t, g, _) in enumerate(goods(60))]
    fresh = write(tmp_path / "fresh.csv", rows)
    code, said, error = run(
        "drift", folder, fresh, "--reference", more, "--out", tmp_path / "drift", "--json"
    )
    assert code == 0, error
    assert "confidence" in {aspect["key"] for aspect in json.loads(said)["aspects"]}


@pytest.mark.slow
def test_a_mapping_survives_calibration_export_cascade_and_ensemble(shop, run, tmp_path):
    pytest.importorskip("onnxruntime")
    _, file, folder, _ = shop
    assert run("calibrate", folder, file, "--out", tmp_path / "calibrated", "-c", "split=")[0] == 0
    network = tmp_path / "network"
    aisle.train(
        aisle.read(file, like=aisle.load(folder)), {**NETWORK, "stages": [{"epochs": 20}]}, out=network
    )
    assert run("export", network, file, "--onnx", "--out", tmp_path / "onnx")[0] == 0
    assert run("ensemble", folder, folder, "--out", tmp_path / "both")[0] == 0
    rows = [(f"m{i}", f"{text} more", group, "") for i, (_, text, group, _) in enumerate(goods())]
    new = write(tmp_path / "new.csv", rows)
    code, _, said = run(
        "cascade", tmp_path / "onnx", folder, new, "--out", tmp_path / "cascade", "--max-loss", 50
    )
    assert code == 0, said
    for made in ("calibrated", "onnx", "both", "cascade"):
        out = tmp_path / f"{made}.csv"
        assert run("classify", tmp_path / made, file, "--out", out)[0] == 0, made
        assert right(best(out), goods()) > 0.9, made
    manifest = json.loads((tmp_path / "onnx" / "aisle.json").read_text())
    assert "catalog.json" in manifest["files"]


def test_a_file_with_none_of_the_columns_is_refused_and_nothing_is_written(shop, run, tmp_path):
    _, _, folder, _ = shop
    strange = write(tmp_path / "strange.csv", [("1", "2"), ("3", "4")], ("foo", "bar"))
    for out in ("answers.csv", "answers/"):
        code, _, said = run("classify", folder, strange, "--out", f"{tmp_path}/{out}")
        assert code == 2
        assert "foo, bar" in said
        assert "artikeltext (title)" in said
        assert "Traceback" not in said
        assert not (tmp_path / out).exists()
    for command in (("evaluate", folder, strange), ("index", folder, strange, "--out", tmp_path / "index")):
        code, _, said = run(*command)
        assert code == 2
        assert "foo, bar" in said
    code, _, said = run("explain", folder, "--product", '{"foo": "pen"}', "--out", tmp_path / "why")
    assert code == 2
    assert "foo" in said
    assert not (tmp_path / "why").exists()


def test_blank_titles_are_refused_too_and_shards_of_blank_rows_are_not(shop, run, tmp_path):
    _, _, folder, _ = shop
    names = ("artikeltext", "x")
    blank = write(tmp_path / "blank.csv", [("", "1")] * 4, names)
    assert run("classify", folder, blank, "--out", tmp_path / "a.csv")[0] == 2
    assert run("classify", folder, blank, "--out", f"{tmp_path}/a/")[0] == 2
    late = write(tmp_path / "late.csv", [("", "1")] * 4 + [("kettle pan", "1")], names)
    assert run("classify", folder, late, "--out", f"{tmp_path}/b/", "--shard-rows", 2)[0] == 0


def test_what_is_said_of_a_file_goes_before_and_known_names_are_still_found(shop, run, tmp_path):
    _, _, folder, _ = shop
    rows = [(n, "nothing", text) for n, text, _, _ in goods()]
    both = write(tmp_path / "both.csv", rows, ("nr", "artikeltext", "neu"))
    assert run("classify", folder, both, "--out", tmp_path / "a.csv", "-c", "title=neu")[0] == 0
    assert right(best(tmp_path / "a.csv"), goods()) > 0.9
    renamed = write(tmp_path / "renamed.csv", [(text,) for _, text, _, _ in goods()], ("title",))
    assert run("classify", folder, renamed, "--out", tmp_path / "b.csv")[0] == 0
    assert right(best(tmp_path / "b.csv"), goods()) > 0.9


def test_explain_takes_a_product_by_the_columns_names(shop, run, tmp_path):
    _, _, folder, _ = shop
    wanted = json.dumps({"artikeltext": "kettle toaster"})
    code, said, _ = run("explain", folder, "--product", wanted, "--out", tmp_path / "why", "--json")
    assert code == 0
    assert json.loads(said)[0]["path"] == ["Küche"]


@pytest.mark.slow
def test_separators_and_encoding_are_kept_in_python_too(tmp_path):
    rows = [(text, f"Häuser~{group}~{text.split()[0]}") for _, text, group, _ in goods()]
    file = write(tmp_path / "old.csv", rows, ("artikeltext", "gruppe"), "^", "cp1250")
    given = {"title": "artikeltext", "category": "gruppe", "delimiter": "~"}
    catalog = aisle.read(file, columns=given, delimiter="^", encoding="cp1250")
    model = aisle.train(catalog, "fast", changes=QUICK).save(tmp_path / "model")
    loaded = aisle.load(tmp_path / "model")
    few = write(tmp_path / "few.csv", rows[:3], ("artikeltext", "gruppe"), "^", "cp1250")
    for source in (model, loaded, catalog):
        again = aisle.read(few, like=source)
        assert again.columns.title == "artikeltext"
        assert again[0].categories == (("Häuser", "Küche", rows[0][0].split()[0]),)
        assert aisle.evaluate(loaded, again).rows.outside == 0
    other = write(tmp_path / "other.csv", rows[:3], ("artikeltext", "gruppe"), ";", "utf-8")
    assert aisle.read(other, like=loaded)[0].categories == again[0].categories
    with pytest.raises(CatalogError, match="artikeltext"):
        aisle.evaluate(loaded, aisle.read([{"foo": "a", "category": "b"}]))
    with pytest.raises(CatalogError, match="artikeltext"):
        loaded.predict(aisle.read([{"foo": "a"}]))


def test_a_column_that_was_closed_stays_closed_and_a_field_stays_a_field(tmp_path):
    rows = [{"name": "pen", "titel": "red pen", "weight": "3", "label": "A", "split": "wall"}]
    given = {"title": "titel", "weight": "", "split": "", "category": "label"}
    first = aisle.read(rows, columns=given)
    again = aisle.read([{"name": "ink", "weight": "9", "label": "B", "split": "roof"}], like=first)
    assert (again.columns.title, again.columns.weight, again.columns.split) == (None, None, None)
    assert set(again.fields) == {"name", "weight", "split"}
    with pytest.raises(CatalogError, match="like: a model or a catalog is needed"):
        aisle.read(rows, like="model")


@pytest.mark.slow
def test_resuming_and_going_on_need_no_flags_again(tmp_path, shop, run):
    _, file, folder, _ = shop
    code, said, _ = run("train", file, "--resume", "--out", folder, "--json", "--no-baseline")
    assert code == 0, said
    more = write(tmp_path / "more.csv", goods(30))
    code, _, said = run("train", more, "--init-from", folder, "--out", tmp_path / "second", "--no-baseline")
    assert code == 0
    assert "title: artikeltext" in said
