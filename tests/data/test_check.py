import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from aisle.cli.check import check as command
from aisle.data import read
from aisle.data.check import check
from aisle.data.problems import FirstProblemError

HEADER = "sku,title,description,category,images,split,shop,code\n"

app = typer.Typer()
app.command()(command)


def photograph(rng):
    """Noise at every scale, as nature has it."""
    layers = [
        np.asarray(Image.fromarray(rng.integers(0, 255, (n, n, 3), np.uint8)).resize((320, 240)), float) / n
        for n in (4, 8, 16, 32, 64)
    ]
    total = sum(layers)
    return Image.fromarray((255 * (total - total.min()) / np.ptp(total)).astype(np.uint8))


@pytest.fixture
def shop(tmp_path):
    """A catalogue with one of everything that a check looks for."""
    rng = np.random.default_rng(0)
    for name in ("boot", "lamp", "sofa"):
        picture = photograph(rng)
        picture.save(tmp_path / f"{name}.png")
        if name == "sofa":
            picture.resize((200, 150)).save(tmp_path / "sofa-small.jpg", quality=60)
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "boot.png").read_bytes()[:300])
    rows = [
        "1,Red boots,Dry feet,Clothing > Shoes,boot.png,train,a,x1",
        "2,red BOOTS!,dry feet,Clothing > Boots,boot.png,train,a,x1",  # near duplicate, other label
        "3,Desk lamp,Bright,Home > Lamps,lamp.png,train,a,x2",
        "4,Desk lamp,Bright,Home > Lamps,lamp.png,test,a,x2",  # exact duplicate across the split
        "5,Sofa,Soft,Home > Sofas,sofa.png,train,a,x3",
        "6,Couch,Comfy,Home > Sofas,sofa-small.jpg,train,a,x3",  # looks alike
        "7,Chair,Wood,home >  SOFAS,broken.jpg,train,a,x3",  # spelling, unreadable picture
        "8,Table,Oak,Home > Tables,gone.jpg,test,a,x4",  # missing picture, unseen class
        "9,,,Home > Tables,,train,,",  # nothing
        "10,Mat,Red",  # too short
    ]
    path = tmp_path / "shop.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def found(report, kind):
    return [f for f in report.findings if f.kind == kind]


def test_a_check_finds_one_of_everything(shop):
    report = check(read(shop))
    assert (report.rows, report.clean, report.flagged, report.fatal) == (10, 6, 2, 2)
    assert report.clean + report.flagged + report.fatal == report.rows
    assert [(p.row, p.column, p.value) for p in report.problems if "image" in p.message and not p.fatal] == [
        (7, "images", "broken.jpg"),
        (8, "images", "gone.jpg"),
    ]
    (exact,) = found(report, "exact duplicates")
    assert [[e.row for e in group] for group in exact.groups] == [[3, 4]]
    (near,) = found(report, "near duplicates")
    assert [[e.row for e in group] for group in near.groups] == [[1, 2]]
    (alike,) = found(report, "look-alikes")
    assert [[e.row for e in group] for group in alike.groups] == [[5, 6]]
    (conflict,) = found(report, "conflicts")
    assert {e.label for e in conflict.groups[0]} == {"Clothing > Shoes", "Clothing > Boots"}
    (spelling,) = found(report, "spelling")
    assert spelling.examples[0].value == "home > SOFAS → Home > Sofas"
    (leak,) = found(report, "leakage")
    assert [e.row for e in leak.groups[0]] == [3, 4]
    assert not report.ok
    assert any("shop: one value" in f.message for f in found(report, "column"))
    assert report.classes.sizes == (3, 2, 1, 1, 1)
    assert (report.classes.singletons, report.classes.labelled) == (3, 8)
    assert [(level.level, level.nodes, level.rows) for level in report.levels] == [(1, 2, 8), (2, 5, 8)]
    assert dict(report.missing)["image"] == 2
    assert all(f.action for f in report.findings)


def test_json_holds_every_problem_and_the_counts_add_up(shop):
    data = json.loads(check(read(shop)).to_json())
    assert data["clean"] + data["flagged"] + data["fatal"] == data["rows"] == sum(n for _, n in data["files"])
    assert {"row", "column", "message", "value", "fatal"} == set(data["problems"][0])
    assert {p["row"] for p in data["problems"] if p["fatal"]} == {9, 10}


def test_the_page_shows_pictures_and_escapes_what_sellers_wrote(tmp_path, shop):
    path = tmp_path / "x.csv"
    path.write_text(shop.read_text().replace("Sofa,Soft", "<script>alert(1)</script>,Soft"))
    page = check(read(path)).to_html(tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("data:image/jpeg;base64,") >= 6
    assert "http" not in page.replace("http-equiv", "")


def test_strict_stops_at_the_first_problem(shop):
    with pytest.raises(FirstProblemError, match="row 10: 3 fields instead of 8"):
        read(shop, strict=True)
    clean = read([{"title": "a", "image": b"no picture"}], strict=True)
    with pytest.raises(FirstProblemError, match="not an image of a known format"):
        check(clean, strict=True)


def test_columns_that_give_the_label_away_are_told(tmp_path):
    rows = [
        {"title": f"t{i}", "category": f"c{i % 4}", "code": f"k{i % 4}", "size": f"{i % 3}"}
        for i in range(40)
    ]
    findings = check(read(rows)).findings
    assert [f.message for f in findings if f.kind == "column"] == ["code: nearly gives the label away"]


def test_the_command_prints_a_page_json_and_html(shop, tmp_path):
    run = CliRunner()
    page = run.invoke(app, [str(shop)])
    assert page.exit_code == 0
    assert "10 rows: 6 without a problem, 2 with one, 2 not used for training" in page.stdout
    assert "the same product on both sides of the given split: 2 rows in 1 group" in page.stdout
    data = json.loads(run.invoke(app, [str(shop), "--json"]).stdout)
    assert data["rows"] == 10
    assert run.invoke(app, [str(shop), "--html", str(tmp_path / "p.html"), "-q"]).exit_code == 0
    assert (tmp_path / "p.html").stat().st_size > 10_000
    strict = run.invoke(app, [str(shop), "--strict"])
    assert strict.exit_code == 1
    assert "row 10" in strict.stderr
    renamed = run.invoke(app, [str(shop), "--json", "-c", "title=description", "-c", "ignored=title,code"])
    assert dict(json.loads(renamed.stdout)["mapping"])["title"] == "description"


def test_terminal_commands_in_titles_are_shown_not_obeyed(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("title,category\n\x1b[31mred\x1b[2J,A\n\x1b[31mred\x1b[2J,B\n[bold]x[/],A\n")
    out = CliRunner().invoke(app, [str(path)]).stdout
    assert "\x1b[2J" not in out
    assert "[31mred" in out
