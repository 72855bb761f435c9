import csv
import json

import pytest
import typer
from typer.testing import CliRunner

import aisle
from aisle.cli.evaluate import evaluate
from aisle.errors import AisleError
from tests.evaluation.shop import products

pytestmark = pytest.mark.slow  # it trains a model
command = typer.Typer()
command.command()(evaluate)
QUICK = ["split.threshold=0.2"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A file with two splits, and a run trained on one of them."""
    folder = tmp_path_factory.mktemp("shop")
    file = folder / "products.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "title", "description", "category", "split"])
        for i, p in enumerate(products(600, seed=11)):
            row = [p.id, p.fields["title"], p.fields["description"], " > ".join(p.categories[0])]
            writer.writerow([*row, "test" if i % 4 == 0 else "train"])
    aisle.train(aisle.read(file), "fast", changes=QUICK, out=folder / "run")
    return file, folder / "run"


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


def test_it_prints_the_numbers_and_writes_page_and_json(shop):
    file, folder = shop
    said = run(folder, file, "--baseline", "--quiet")
    assert said.exit_code == 0
    assert said.stderr == ""
    data = json.loads((folder / "report" / "report.json").read_text())
    assert (data["source"], data["split"], data["rows"]["evaluated"]) == ("products.csv", "test", 150)
    lines = {line.split("  ")[0]: line for line in said.stdout.splitlines()}
    accuracy = data["model"]["overall"]["accuracy"]["value"]
    assert f"{100 * accuracy:.1f}" in lines["full path"]
    assert f"{data['baseline']['summary']['overall']['macro_f1']:.3f}" in lines["linear SVM on TF-IDF"]
    assert {"level 1", "level 2", "level 3"} <= set(lines)
    assert said.stdout.rstrip().endswith("report.html")
    assert "<title>" in (folder / "report" / "report.html").read_text()
    assert [view["view"] for view in data["views"]] == ["text", "title"]
    assert data["decisions"]["review"]["count"] + data["decisions"]["placed"]["count"] == 150


def test_one_json_document_and_the_folder_asked_for(shop, tmp_path):
    file, folder = shop
    said = run(folder / "model", file, "--split", "train", "--json", "--out", tmp_path / "here")
    found = json.loads(said.stdout)
    assert found == json.loads((tmp_path / "here" / "report.json").read_text())
    assert found["rows"]["evaluated"] == 450
    assert found["rows"]["trained_on"] > 200
    assert found["baseline"] is None
    assert sum(band["products"] for band in found["model"]["bands"]) == 450


def test_a_wrong_split_or_a_baseline_without_rows_is_refused(shop, tmp_path):
    file, folder = shop
    with pytest.raises(AisleError, match=r"its splits are test, train\. Did you mean 'test'"):
        run(folder, file, "--split", "tset")
    alone = tmp_path / "alone.csv"
    alone.write_text("title,category\nboot leather,Clothing > Shoes > Boots\n")
    with pytest.raises(AisleError, match="--train FILE"):
        run(folder, alone, "--baseline")
    said = run(folder, alone, "--baseline", "--train", file, "--json", "--out", tmp_path)
    assert json.loads(said.stdout)["baseline"]["train_products"] == 450
