import numpy as np
import pytest

from aisle.errors import TaxonomyError
from aisle.guarantee import Policy, PolicyError, fit
from aisle.taxonomy import Node, Scores, Targets, Taxonomy

from .simulated import TREE, draw


@pytest.fixture(scope="module")
def policy():
    return fit(draw(2000, 1), draw(4000, 2), precision=0.9)


def test_without_calibration_everything_is_for_review():
    scores, _ = draw(20)
    found = Policy.uncalibrated(TREE).predict([str(i) for i in range(20)], scores)
    assert {p.decision for p in found} == {"review"}
    assert {p.path for p in found} == {()}
    assert found[0].reason == "not calibrated: nothing is guaranteed"
    assert found[0].best == TREE.nodes[scores.best()[0]].path


def test_a_prediction_says_how_far_it_is_sure(policy):
    scores, _ = draw(500, 3)
    for p in policy.predict([f"p{i}" for i in range(500)], scores, model_id="m"):
        assert len(p.confidence) == len(p.best)
        assert list(p.confidence) == sorted(p.confidence, reverse=True)
        assert p.path == p.best[: len(p.path)]
        assert p.decision == {0: "review", len(p.best): "accept"}.get(len(p.path), "partial")
        assert p.alternatives[0].path == p.best
        assert len(p.alternatives) == 5
        assert p.path_id == (TREE.nodes[TREE.index(p.path)].id if p.path else "")
        if p.decision == "accept":
            sure = f"confidence {p.confidence[-1]:.2f}, {p.threshold:.2f} is needed"
            assert p.reason == f"{p.best[-1]!r} is sure: {sure}"
        else:
            stop = len(p.path)
            level, first = (
                ("first", "second", "third")[stop],
                f"{p.best[stop]} ({p.confidence[stop]:.2f}) or ",
            )
            assert p.reason.startswith(f"{level} level unsure: {first}")
        assert p.model_id == "m"


@pytest.mark.slow
def test_each_decision_occurs_and_keeps_the_promise(policy):
    scores, targets = draw(20_000, 4)
    right = {"accept": [], "partial": [], "review": []}
    for p, node in zip(policy.predict([""] * len(scores), scores), targets.node, strict=True):
        right[p.decision].append(p.path == TREE.nodes[node].path[: len(p.path)])
    assert np.mean(right["accept"]) >= 0.9
    assert np.mean(right["partial"]) >= 0.9
    assert min(map(len, right.values())) > 1000


def test_a_product_without_any_view_is_for_review(policy):
    scores, _ = draw(50, 5)
    there = np.arange(50) % 2 == 0
    found = policy.predict([""] * 50, scores, present=there)
    usual = policy.predict([""] * 50, scores)
    assert [p.decision for p in found[::2]] == [p.decision for p in usual[::2]]
    assert {(p.decision, p.path) for p in found[1::2]} == {("review", ())}
    assert "known to the model" in found[1].reason


def test_problems_are_handed_on(policy):
    scores, _ = draw(2)
    assert [p.problems for p in policy.predict(["a", "b"], scores, problems=[[], ["no title"]])] == [
        (),
        ("no title",),
    ]


def test_too_few_ids_are_refused(policy):
    with pytest.raises(ValueError, match="1 ids for 2 rows"):
        policy.predict(["a"], draw(2)[0])


def test_no_row_no_prediction(policy):
    assert policy.predict([], draw(3)[0][:0]) == []


def test_it_survives_json_and_serves_a_reordered_and_grown_tree(policy):
    again = Policy.from_json(policy.to_json())
    assert again == policy
    shuffled = [*TREE.nodes[::-1], Node("new", ("A", "p", "new"))]
    grown = Taxonomy(shuffled)
    scores, _ = draw(300, 6)
    moved = np.full((300, len(grown.terminals)), -np.inf)
    for column, node in enumerate(TREE.terminals):
        moved[:, grown.terminal_of[grown.index(TREE.nodes[node].id)]] = scores.logp[:, column]
    before = policy.predict([""] * 300, scores)
    after = again.predict([""] * 300, Scores(grown, moved))
    same = [a.decision == b.decision and a.path == b.path for a, b in zip(before, after, strict=True)]
    assert np.mean(same) > 0.9  # the newcomer takes its share of the doubt among its siblings


@pytest.mark.slow
def test_a_point_of_the_curve_is_chosen_by_its_precision(policy):
    scores, targets = draw(20_000, 4)
    lenient = policy.at(0.8)
    decided, right = {}, {}
    for name, one in (("usual", policy), ("lenient", lenient)):
        found = one.predict([""] * len(scores), scores)
        hits = [p.path == TREE.nodes[n].path[: len(p.path)] for p, n in zip(found, targets.node, strict=True)]
        kept = [hit for p, hit in zip(found, hits, strict=True) if p.decision != "review"]
        decided[name], right[name] = len(kept) / len(scores), np.mean(kept)
        assert decided[name] == pytest.approx(one.point.decided, abs=0.03)
    assert decided["lenient"] > decided["usual"] + 0.05
    assert 0.8 <= right["lenient"] < right["usual"]
    assert policy.at(0.87).settings.precision == 0.9  # the next point that is at least as precise
    with pytest.raises(PolicyError, match=r"0\.999 is above this model's curve: 0\.99, 0\.98"):
        policy.at(0.999)
    assert policy.at(0.5).settings.precision == 0.8
    for wrong in (1.5, 0, -1, "high", True):
        with pytest.raises(PolicyError, match="give a number between 0 and 1"):
            policy.at(wrong)
    with pytest.raises(PolicyError, match="not calibrated"):
        Policy.uncalibrated(TREE).at(0.9)


def test_a_category_that_came_later_is_not_promised(policy):
    grown = Taxonomy([*TREE.nodes, Node("new", ("A", "p", "new"))])
    logp = np.full((1, len(grown.terminals)), -50.0)
    logp[0, grown.terminal_of[grown.index("new")]] = 0.0
    (found,) = policy.predict(["x"], Scores(grown, logp))
    assert found.best == ("A", "p", "new")
    assert found.decision == "partial"
    assert found.path == ("A", "p")
    assert "calibrate again" in found.reason


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 99}', '{"format": 1, "settings": 3}'])
def test_what_is_not_a_policy_is_refused(text):
    with pytest.raises(PolicyError):
        Policy.from_json(text)


@pytest.mark.parametrize(
    "wrong", [{"precision": 1.0}, {"alpha": 0}, {"costs": {"A": 0}}, {"level_precision": {0: 0.9}}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(PolicyError):
        fit(draw(5), draw(5), **wrong)


def test_an_id_that_is_not_in_the_tree_is_told_its_neighbor():
    with pytest.raises(TaxonomyError, match="Did you mean 'A > p > x'"):
        fit(draw(5), draw(5), never=["A > p > xx"])


def test_one_class_and_one_row():
    tree = Taxonomy.from_paths([("Only",)])
    one = Scores(tree, np.zeros((1, 1))), Targets(np.array([0]), np.array([True]))
    policy = fit(one, one)
    (found,) = policy.predict(["x"], one[0])
    assert (found.best, found.decision, found.confidence) == (("Only",), "review", (1.0,))
    many = Scores(tree, np.zeros((100, 1))), Targets(np.zeros(100, int), np.ones(100, bool))
    assert fit(many, many).predict(["x"], one[0])[0].decision == "accept"
