import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import aisle
from aisle.cli import register
from aisle.errors import AisleError, CatalogError, TaxonomyError
from aisle.guarantee import OUTSIDE
from aisle.inference.label_targets import targets_in

pytestmark = pytest.mark.slow  # it needs a trained model


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained.run, tmp_path / "run")


def calibrate(*arguments):
    return CliRunner().invoke(register(), ["calibrate", *map(str, arguments)], catch_exceptions=False)


def test_rows_seen_in_training_are_left_out_and_said_so(copy, shop, trained):
    said = json.loads(calibrate(copy, shop.products, "--precision", "0.6", "--json").stdout)
    labelled = int((trained.catalog.targets().node >= 0).sum())
    rows = said["rows"]
    assert rows["calibration"] + rows["thresholds"] + rows["seen"] + rows["unlabelled"] == len(
        trained.catalog
    )
    assert rows["seen"] >= trained.model.seen(trained.catalog).sum() > 0
    assert rows["unlabelled"] == len(trained.catalog) - labelled
    assert aisle.load(copy).policy.settings.precision == 0.6
    assert aisle.load(copy).model_id == said["model_id"]


def test_a_person_reads_what_is_promised(copy, shop, tmp_path):
    said = calibrate(copy, shop.products, "--precision", "0.9", "--out", tmp_path / "other")
    assert "full paths" in said.stdout
    assert "left out" in said.stderr
    assert aisle.load(tmp_path / "other").policy.settings.precision == 0.9
    assert aisle.load(copy).policy.settings.precision != 0.9


@pytest.mark.parametrize(
    ("flags", "error", "what"),
    [
        (["--never", "Nowhere"], TaxonomyError, "'Nowhere' is not in the tree"),
        (["--cost", "5"], AisleError, "write ID=NUMBER"),
        (["--level", "one=0.9"], AisleError, "write LEVEL=NUMBER"),
        (["--precision", "1.5"], AisleError, "between 0 and 1"),
    ],
)
def test_wrong_use_is_told(copy, shop, flags, error, what):
    with pytest.raises(error, match=what):
        calibrate(copy, shop.products, *flags)


def test_a_file_of_training_rows_alone_is_refused(copy, trained, tmp_path):
    seen = trained.catalog.select(np.flatnonzero(trained.model.seen(trained.catalog)))
    lines = [json.dumps({"title": p.fields.get("title", ""), "description": p.fields.get("description", ""),
                         "category": " > ".join(p.categories[0])}) for p in seen if p.categories]  # fmt: skip
    file = tmp_path / "seen.jsonl"
    file.write_text("\n".join(lines))
    with pytest.raises(CatalogError, match="seen in training"):
        calibrate(copy, file)


def test_labels_of_another_tree_are_placed_as_far_as_they_go():
    tree = aisle.Taxonomy.from_paths([("A", "x"), ("B",)])
    rows = [
        {"title": str(i), "category": c} for i, c in enumerate(["A > x", "A > new", "C > y", "A", "", "B"])
    ]
    found = targets_in(tree, aisle.read(rows))
    a = tree.index("A")
    assert found.node.tolist() == [tree.index("A > x"), a, OUTSIDE, a, -1, tree.index("B")]
    assert found.exact[[0, 1, 3, 5]].tolist() == [True, True, False, True]
