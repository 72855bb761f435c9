"""Prediction files: lines of JSONL, and the table that spreadsheets open."""

import codecs
import csv
import json

import pytest

from aisle.guarantee import Alternative, Prediction
from aisle.inference.prediction_files import write_predictions

SAID = 'quotes " and \\ and \n\t\x00\x1f, ‘é’ 日本 🛍 \u2028'


@pytest.mark.parametrize("path", [(SAID, "b"), ()])
def test_a_line_is_what_json_says_of_the_prediction(path, tmp_path):
    sure = (0.1234565, 1.0, 1e-7, 2.5e-6, 0.30000000000000004)
    some = tuple(Alternative((SAID, str(p)), p) for p in sure)
    one = Prediction(SAID, ("a", SAID), SAID, path, SAID, sure, "partial", SAID, some, (SAID, "x"), "id")
    other = Prediction("", ("a",), "a", (), "", (), "review", "", (), (), "")
    assert write_predictions([one, other] * 600, tmp_path / "found.jsonl") == 1200
    lines = (tmp_path / "found.jsonl").read_text("utf-8").split("\n")
    expected = [json.dumps(p.to_dict(), ensure_ascii=False) for p in (one, other)]
    assert lines == expected * 600 + [""]


def prediction(id_="p", path=("A",), decision="partial", reason="why", problems=()):
    best, sure = ("A", "B", "C"), (0.9, 0.75, 0.5)
    some = (Alternative(best, 0.5), Alternative(("A", "D"), 0.25))
    return Prediction(id_, best, "c", path, "a", sure, decision, reason, some, problems, "m", 0.625)


def table_of(file):
    with file.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_table_has_a_column_per_level_and_one_confidence(tmp_path):
    rows = [
        prediction("1", ("A", "B", "C"), "accept"),
        prediction("2", ("A",)),
        prediction("3", (), "review", problems=("one", "two")),
    ]
    file = tmp_path / "predictions.csv"
    assert write_predictions(iter(rows), file, ["Schöne Lampe", "", "<b>x</b>"], levels=4) == 3
    assert file.read_bytes().startswith(codecs.BOM_UTF8 + b"id,title,decision,path,level 1,level 2,")
    found = table_of(file)
    assert [[row[f"level {i}"] for i in range(1, 5)] for row in found] == [
        ["A", "B", "C", ""],
        ["A", "", "", ""],
        ["", "", "", ""],
    ]
    assert [(row["title"], row["decision"], row["path"]) for row in found] == [
        ("Schöne Lampe", "accept", "A > B > C"),
        ("", "partial", "A"),
        ("<b>x</b>", "review", ""),
    ]
    assert [row["confidence"] for row in found] == ["0.5", "0.9", "0.5"]  # in review that of `best`
    assert [row["best"] for row in found] == ["A > B > C"] * 3
    assert found[2]["problems"] == "one | two"
    assert found[0]["alternatives"] == "A > B > C (0.5) | A > D (0.25)"


def test_without_a_number_of_levels_the_table_has_as_many_as_the_longest_path(tmp_path):
    write_predictions(iter([prediction()]), tmp_path / "predictions.csv")
    assert [name for name in table_of(tmp_path / "predictions.csv")[0] if name.startswith("level")] == [
        "level 1",
        "level 2",
        "level 3",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+2", "'+1+2"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1+1", "'＝1+1"),
        ("-12", "-12"),
        ("+4,5", "+4,5"),
        ("a=b", "a=b"),
    ],
)
def test_no_cell_of_the_table_is_a_formula(text, shown, tmp_path):
    one = prediction(text, (text,), reason=text, problems=(text,))
    write_predictions([one], tmp_path / "predictions.csv", [text])
    (row,) = table_of(tmp_path / "predictions.csv")
    assert {row[name] for name in ("id", "title", "path", "level 1", "reason", "problems")} == {shown}


@pytest.mark.slow
def test_the_host_processs_garbage_collector_is_left_alone(trained, tmp_path):
    """A library call neither freezes what the host has nor unfreezes it, nor changes when it collects."""
    import gc

    from aisle.inference.prediction_files import write_whole

    seen = []

    def predictions():
        for prediction in trained.model.predict(list(trained.catalog)[:5]):
            seen.append((gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()))
            yield prediction

    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        own = [[] for _ in range(5000)]  # of the host, and not frozen
        before = gc.isenabled(), gc.get_threshold()
        assert write_whole(predictions(), tmp_path / "placed.jsonl") == 5
        seen.append((gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()))
        assert {state[:2] for state in seen} == {before}
        assert all(frozen - len(own) < count < frozen + len(own) for *_, count in seen)  # some end meanwhile
    finally:
        gc.unfreeze()
