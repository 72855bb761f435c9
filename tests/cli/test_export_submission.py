"""A contest from its files to a submission, from the command line."""

import json

import pytest
from typer.testing import CliRunner

from aisle import cli
from aisle.errors import CatalogError
from tests.data.test_benchmark_datasets import sigir

SMALL = [
    "views.image=false",
]


def aisle(*words):
    return CliRunner().invoke(cli.register(), [str(word) for word in words], catch_exceptions=False)


@pytest.mark.slow
def test_train_on_a_contest_and_submit(tmp_path):
    folder = sigir(tmp_path)
    changes = [word for change in SMALL for word in ("--set", change)]
    parts = [w for p in ("validation", "calibration", "threshold") for w in ("--set", f"split.{p}=0")]
    done = aisle("train", f"rakuten:{folder}", "--out", tmp_path / "run", *changes, *parts, "--quiet")
    assert done.exit_code == 0, done.output
    out = tmp_path / "out.tsv"
    done = aisle("export-submission", tmp_path / "run", f"rakuten:{folder}:phase2", "--out", out, "--json")
    assert json.loads(done.stdout)["rows"] == 2
    header, *lines = out.read_text().splitlines()
    assert header == "Integer_id\tImage_id\tProduct_id\tPrdtypecode"
    assert [line.split("\t")[0] for line in lines] == ["0", "1"]
    assert {line.split("\t")[3] for line in lines} <= {"10", "50", "2280"}
    with pytest.raises(
        CatalogError, match=r"'products\.csv' is not a benchmark data set; write kakao:FOLDER:PHASE"
    ):
        aisle("export-submission", tmp_path / "run", "products.csv", "--out", out)
    with pytest.raises(CatalogError, match="does not exist"):
        aisle(
            "export-submission",
            tmp_path / "run",
            f"rakuten:{folder}:phase2",
            "--out",
            tmp_path / "no" / "out.tsv",
        )
