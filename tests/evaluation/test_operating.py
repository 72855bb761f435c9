"""The operating curve in an evaluation: measured at each precision, on the products evaluated."""

import numpy as np
import pytest

from aisle.guarantee import summarize_curve


def test_each_point_is_measured_as_predict_decides_there(promising, promised, test):
    curve = promised.operating_curve
    assert [p.precision for p in curve.points] == [p.precision for p in promising.policy.curve]
    truth = {p.id: p.categories[0] for p in test}
    for point in curve.points:
        policy = promising.policy.at(point.precision)
        found = policy.predict([p.id for p in test], promising.score(list(test)))
        full = [p for p in found if p.decision == "accept"]
        branch = [p for p in found if p.decision == "partial"]
        for kind, score in ((full, point.measured_full), (branch, point.measured_branch)):
            assert score.count == len(kind)
            if kind:
                within = [None if p.decision == "accept" else len(p.path) for p in kind]
                right = np.mean([truth[p.id][:n] == p.path for p, n in zip(kind, within, strict=True)])
                assert score.precision.value == pytest.approx(right)
                assert score.precision.low <= right <= score.precision.high
        assert point.measured_review.count == len(found) - len(full) - len(branch)


def test_what_is_expected_is_what_the_model_says_of_itself(promising, promised):
    found = summarize_curve(promising.policy)
    told = promised.operating_curve.model_dump()
    for name in ("precision", "together", "rows", "method", "statement", "advice"):
        assert told[name] == getattr(found, name)
    assert [p["text"] for p in told["points"]] == [p.text for p in found.points]
