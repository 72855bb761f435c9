"""Predictions as they are written: the lines of a JSONL file."""

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
