"""`aisle train`, `classify`, `show` and `recipes` as they are typed: what they print, write and exit with."""

import csv
import io
import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

import aisle
from aisle.cli import main
from tests.conftest import QUICK


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


def strict(text):
    """One JSON document, as every reader accepts it: no NaN."""

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def read_rows(file):
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    if file.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))
    return pq.read_table(file).to_pylist()


def test_help_and_import_are_light():
    heavy = "{'torch', 'transformers', 'scipy', 'sklearn', 'pyarrow', 'polars', 'numpy'} & set(sys.modules)"
    code = (
        "import sys; sys.argv = ['aisle', '--help']\nfrom aisle.cli import main\n"
        f"try: main()\nexcept SystemExit: pass\nprint({heavy}, file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("train", "classify", "evaluate", "check", "info", "recipes", "demo"):
        assert command in found.stdout
    assert found.stderr.strip() == "set()"


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_each_row_in_is_one_row_out_in_order_with_its_problems(run, trained, shop, tmp_path, ending):
    out = tmp_path / f"answers.{ending}"
    code, said, _ = run("classify", trained.run, shop.incoming, "--out", out, "--quiet")
    catalog, rows = aisle.read(shop.incoming), read_rows(out)
    assert code == 0
    assert [row["id"] for row in rows] == [product.id for product in catalog]
    assert str(out.name) in said
    expected = trained.model.predict(catalog)
    assert [row["best"] for row in rows] == [" > ".join(p.best) for p in expected]
    assert [row["decision"] for row in rows] == [p.decision for p in expected]
    assert all(row["model_id"] == trained.model.model_id for row in rows)


def test_the_three_formats_say_the_same(trained, shop, tmp_path):
    from aisle.inference.prediction_files import write_predictions

    answers = trained.model.predict(aisle.read(shop.incoming))
    files = [tmp_path / f"a.{ending}" for ending in ("jsonl", "csv", "parquet")]
    for file in files:
        assert write_predictions(answers, file) == len(answers)
    jsonl, table, parquet = map(read_rows, files)
    assert parquet == jsonl
    levels = [f"level {level}" for level in range(1, 1 + trained.model.taxonomy.depth)]
    assert list(table[0]) == [
        *("id", "title", "decision", "path", *levels, "confidence", "reason", "rule"),
        *(
            "best",
            "best_confidence",
            "alternatives",
            "threshold",
            "problems",
            "path_id",
            "best_id",
            "model_id",
        ),
    ]
    assert [float(row["best_confidence"]) for row in table] == [row["confidence"][-1] for row in jsonl]
    flat = ("id", "best", "best_id", "path", "path_id", "decision", "reason", "model_id")
    assert [{k: row[k] for k in flat} for row in table] == [{k: row[k] for k in flat} for row in jsonl]
    assert len(jsonl[0]["alternatives"]) == 5
    assert sorted(tmp_path.iterdir()) == sorted(files)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_no_row_is_a_whole_file_too(trained, tmp_path, ending):
    from aisle.inference.prediction_files import write_predictions

    assert write_predictions(iter([]), tmp_path / f"none.{ending}") == 0
    assert read_rows(tmp_path / f"none.{ending}") == []
    if ending == "csv":
        assert (tmp_path / "none.csv").read_text("utf-8-sig").startswith("id,title,")


def test_bad_rows_are_for_review_and_say_why(run, trained, tmp_path):
    source = tmp_path / "odd.csv"
    source.write_text('id,title,description\na,red shoes,fine\nb,,\nc,"oak, table",x\nd,one,two,three,four\n')
    code, _, _ = run("classify", trained.run, source, "--out", tmp_path / "o.jsonl", "--quiet")
    rows = read_rows(tmp_path / "o.jsonl")
    assert code == 0
    assert [row["id"] for row in rows][:3] == ["a", "b", "c"]
    assert len(rows) == 4
    assert rows[1]["decision"] == rows[3]["decision"] == "review"
    assert "no text and no image" in rows[1]["problems"][0]
    assert rows[3]["problems"] == ["catalog row 4: 5 fields instead of 3: 'd,one,two,three,four\\n'"]
    assert rows[3]["reason"] == "the row is faulty: see its problems"
    assert rows[0]["problems"] == []


def test_an_interrupted_writer_leaves_no_half_file(trained, tmp_path):
    from aisle.inference.prediction_files import write_predictions

    def broken():
        yield trained.model.predict([aisle.Product("1", {"title": "shoe"})])[0]
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_predictions(broken(), tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_what_the_user_can_mend_is_one_line_and_exit_code_2(run, trained, shop, tmp_path):
    wrong = [
        (("classify", trained.run, shop.incoming, "--out", tmp_path / "a.xlsx"), "name a file ending in one"),
        (("classify", trained.run, shop.incoming, "--out", tmp_path / "no" / "a.csv"), "does not exist"),
        (
            ("classify", tmp_path / "nowhere", shop.incoming, "--out", tmp_path / "a.csv"),
            "there is no folder",
        ),
        (("classify", trained.run, tmp_path / "none.csv", "--out", tmp_path / "a.csv"), "none.csv"),
        (("info", tmp_path), "is not a saved model"),
        (("train", shop.products, "--recipe", "fats"), "Did you mean 'fast'"),
        (("train", shop.products, "--set", "linear_svm.penality=1"), "Did you mean 'penalty'"),
        (("train", shop.products, "--out", trained.run), "already holds"),
        (("recipes", "fats"), "Did you mean 'fast'"),
    ]
    for words, message in wrong:
        code, out, err = run(*words)
        assert code == 2, words
        assert out == ""
        last = err.splitlines()[-1]
        assert last.startswith("error: "), err
        assert message in last
        assert "Traceback" not in err
    assert run("train")[0] == 2
    assert run("classify", trained.run, shop.incoming, "--colour", "red")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_json_is_one_document_and_nothing_else(run, trained, shop, tmp_path):
    code, out, err = run("classify", trained.run, shop.incoming, "--out", tmp_path / "a.csv", "--json")
    found = strict(out)
    assert (code, err) == (0, "")
    assert found["rows"] == len(aisle.read(shop.incoming)) == sum(found["decisions"].values())
    assert found["model_id"] == trained.model.model_id
    code, out, err = run("info", trained.run, "--json")
    found = strict(out)
    assert (code, err) == (0, "")
    assert [node["path"] for node in found["tree"]] == [
        " > ".join(node.path) for node in trained.model.taxonomy.nodes
    ]
    code, out, err = run("recipes", "--json")
    assert (code, err) == (0, "")
    assert "fast" in strict(out)


def test_show_prints_the_card_and_the_tree(run, trained):
    code, out, _ = run("info", trained.run)
    assert code == 0
    assert "full-path accuracy" in out
    code, out, _ = run("info", trained.run / "model", "--tree")
    assert code == 0
    assert len(out.strip().splitlines()) == len(trained.model.taxonomy)


def test_a_recipe_printed_is_a_recipe_read(run, tmp_path):
    from aisle.training.recipe import load_recipe

    code, out, _ = run("recipes", "fast")
    (tmp_path / "mine.toml").write_text(out)
    assert code == 0
    assert load_recipe(tmp_path / "mine.toml") == load_recipe("fast")


@pytest.mark.slow
def test_train_writes_a_run_reports_on_test_rows_and_says_where(run, shop, tmp_path):
    sets = [word for change in QUICK for word in ("--set", change)]
    words = ("train", shop.products, "--out", tmp_path / "run", "--no-baseline", *sets)
    code, out, err = run(
        *words, "--set", "views.image=false", "--set", "linear_svm.level1_weight=0", "--json"
    )
    assert (code, err) == (0, "")
    found = strict(out)
    assert found["model_id"] == aisle.load(tmp_path / "run").model_id
    judged = int((aisle.read(shop.products).split == "test").sum())
    assert found["evaluation"]["rows"]["evaluated"] <= judged
    assert "<title>" in (tmp_path / "run" / "report" / "report.html").read_text()
    code, out, err = run(*words)
    assert code == 2
    assert "already holds" in err
