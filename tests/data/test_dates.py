"""Dates: one order of day and month a column; where it cannot be told, `--date-format` says it."""

import pytest
from typer.testing import CliRunner

from aisle.cli import register
from aisle.data import read
from aisle.data.splits import split_by_time
from aisle.errors import CatalogError


def dates(cells, **more):
    catalog = read([{"title": f"t{i}", "date": cell} for i, cell in enumerate(cells)], **more)
    return [str(date)[:16] for date in catalog.dates], [(p.row, p.message) for p in catalog.problems]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["03/25/2024", "03/04/2024"], ["2024-03-25", "2024-03-04"]),
        (["25/03/2024", "03/04/2024"], ["2024-03-25", "2024-04-03"]),
        (["13-04-2024", "03-04-2024"], ["2024-04-13", "2024-04-03"]),
        (["03.04.2024", "05.06.2024"], ["2024-04-03", "2024-06-05"]),
        (["05/05/2024", "07/07/2024"], ["2024-05-05", "2024-07-07"]),
        (["3/4/24 2:30 PM", "12/31/24 1:05 AM"], ["2024-03-04T14:30", "2024-12-31T01:05"]),
        (["25.03.2024 14:30:15", "1.4.2024"], ["2024-03-25T14:30", "2024-04-01"]),
        (["2024/03/05", "2024-3-6 10:00"], ["2024-03-05", "2024-03-06T10:00"]),
        (["March 3, 2024", "25 Mar 2024", "3-Apr-24"], ["2024-03-03", "2024-03-25", "2024-04-03"]),
        (["1711324800", "2024-03-25T01:00:00+01:00"], ["2024-03-25", "2024-03-25"]),
    ],
)
def test_the_whole_column_says_what_stands_first(cells, expected):
    found, problems = dates(cells)
    assert found == [text if "T" in text else f"{text}T00:00" for text in expected]
    assert problems == []


def test_an_unclear_column_asks_for_the_format_and_takes_it():
    cells = ["03/04/2024", "11/12/2024", "2024-05-06", ""]
    found, ((row, what),) = dates(cells)
    assert found == ["NaT", "NaT", "2024-05-06T00:00", "NaT"]
    assert row is None
    assert "--date-format %d/%m/%Y or --date-format %m/%d/%Y" in what
    assert dates(cells[:2], date_format="%d/%m/%Y")[0] == ["2024-04-03T00:00", "2024-12-11T00:00"]
    assert dates(cells[:2], columns={"date_format": "MM/DD/YYYY"})[0] == [
        "2024-03-04T00:00",
        "2024-11-12T00:00",
    ]
    assert dates(["24/03/11", "24/03/12"])[0] == ["NaT", "NaT"]
    assert dates(["24/03/11"], date_format="%y/%m/%d")[0] == ["2024-03-11T00:00"]


def test_a_column_of_both_orders_is_unclear_and_strays_are_problems_of_their_rows():
    found, ((row, what),) = dates(["25/03/2024", "03/26/2024", "01/02/2024"])
    assert (found, row) == (["NaT"] * 3, None)
    assert "25/03/2024 is day first, 03/26/2024 is month first" in what
    found, problems = dates(
        [f"03/{day}/2024" for day in range(13, 32)] + ["soon", "13/01/2024", "03/04/2024"]
    )
    assert found[-3:] == ["NaT", "NaT", "2024-03-04T00:00"]
    assert [row for row, _ in problems] == [20, 21]
    _, problems = dates(["25/03/2024", "03/04/2024"], date_format="%m/%d/%Y")
    assert problems == [(1, "not a date in the format %m/%d/%Y")]
    with pytest.raises(CatalogError, match="write it as %d/%m/%Y"):
        dates(["25/03/2024"], date_format="%d of %m")


def test_a_split_by_time_needs_a_clear_order():
    rows = [{"title": f"t{i}", "date": f"{i + 1:02}/{12 - i:02}/2024"} for i in range(10)]
    with pytest.raises(CatalogError, match="--date-format %d/%m/%Y"):
        split_by_time(read(rows), [0.8, 0.2])
    assert split_by_time(read(rows, date_format="%m/%d/%Y"), [0.8, 0.2])[1].tolist() == [8, 9]
    assert split_by_time(read(rows, date_format="%d/%m/%Y"), [0.8, 0.2])[1].tolist() == [0, 1]


def test_the_flag_reaches_the_split(tmp_path):
    path, out = tmp_path / "x.csv", tmp_path / "o.csv"
    path.write_text("id,title,date\n" + "".join(f"{i},t{i},{i + 1:02}/{12 - i:02}/2024\n" for i in range(10)))
    asked = CliRunner().invoke(register(), ["split", str(path), "--by", "time", "--out", str(out)])
    assert isinstance(asked.exception, CatalogError)
    assert "--date-format %d/%m/%Y" in str(asked.exception)
    assert not out.exists()
    done = CliRunner().invoke(
        register(), ["split", str(path), "--by", "time", "--out", str(out), "--date-format", "%d/%m/%Y"]
    )
    assert done.exit_code == 0
    assert [line.rsplit(",", 1)[1] for line in out.read_text().split()[1:]] == ["test"] * 2 + ["train"] * 8
