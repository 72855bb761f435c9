import json

import numpy as np
import pytest

from aisle.errors import AisleError
from aisle.evaluation import compare_with_report, evaluate, load_report
from aisle.evaluation.compare_reports import pack_hits, unpack_hits
from aisle.evaluation.report import render
from tests.evaluation.shop import CarefulModel, catalog


@pytest.fixture(scope="module")
def before(test):
    """The same shop, learned from a tenth of the products."""
    return evaluate(CarefulModel(catalog(40, seed=1)), test, per_view=False)


def test_the_same_products_give_paired_limits(full, before, test):
    found = compare_with_report(full, before).comparison
    right = [unpack_hits(e.hits, e) for e in (full, before)]
    assert right[0].mean() == pytest.approx(full.model.overall.accuracy.value)
    assert found.same
    assert found.accuracy.value == pytest.approx((right[0] - right[1]).mean())
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high
    change = {c.name: (c.before, c.now) for c in found.changes}
    assert change["accuracy"] == (before.model.overall.accuracy.value, full.model.overall.accuracy.value)
    assert change["accepted"][1] == full.decisions.accept.coverage
    for move in (*found.worse, *found.better):
        then = next(n for n in before.nodes if n.path == move.path)
        assert move.before == then.accuracy
        assert move.products >= 10
    assert all(n.now < n.before for n in found.worse)


def test_other_products_are_said_to_be_others(full, careful):
    found = compare_with_report(full, evaluate(careful, catalog(120, seed=9), per_view=False)).comparison
    assert not found.same
    assert found.accuracy is None
    assert "not the same products" in render(full.model_copy(update={"comparison": found}))


def test_a_node_tells_how_many_of_its_products_were_accepted(full, careful, test):
    accepted = [p.decision == "accept" for p in careful.predict(list(test))]
    boots = [p.categories[0][-1] == "Boots" for p in test]
    node = next(n for n in full.nodes if n.path[-1] == "Boots")
    assert node.coverage == pytest.approx(np.mean([a for a, b in zip(accepted, boots, strict=True) if b]))


def test_an_earlier_report_is_found_in_its_run_and_anything_else_refused(full, tmp_path):
    full.write(tmp_path / "run" / "report")
    for place in (tmp_path / "run", tmp_path / "run" / "report", tmp_path / "run" / "report" / "report.json"):
        assert load_report(place).model_id == full.model_id
    with pytest.raises(AisleError, match=r"holds no report\.json"):
        load_report(tmp_path)
    (tmp_path / "report.json").write_text(json.dumps({"model_id": 3}))
    with pytest.raises(AisleError, match="not a saved evaluation"):
        load_report(tmp_path)
    (tmp_path / "report.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AisleError, match="no text"):
        load_report(tmp_path)


def test_hits_survive_packing():
    hits = np.random.default_rng(0).random(300) < 0.4
    assert len(pack_hits(hits)) == 52
