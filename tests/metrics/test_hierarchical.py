import numpy as np
import pytest
from sklearn.metrics import f1_score

from aisle.metrics import Truth, at_level, contest_score, hierarchical_scores, level_ranks
from aisle.taxonomy import Targets, Taxonomy
from tests.metrics.helpers import TREE, judged_by_hand, path_of, places, random_scores, random_truth


def exact(tree, paths):
    nodes = np.array([tree.index(p) for p in paths])
    return Truth.of(tree, Targets(nodes, np.ones(len(nodes), bool)))


def test_worked_by_hand():
    """True places {A, A>y, A>y>1} and {B}; predicted {A, A>x} and {B}: two ancestors are common to
    both sets of three predicted and four true ones, so hP = 2/3, hR = 2/4, hF = 4/7."""
    matched = exact(TREE, [("A", "y", "1"), ("B",)]).match(
        np.array([TREE.index(("A", "x")), TREE.index(("B",))])
    )
    assert hierarchical_scores(matched) == pytest.approx((2 / 3, 2 / 4, 4 / 7))


def test_micro_averages_are_those_of_ancestor_sets():
    rng = np.random.default_rng(0)
    truth, predicted = random_truth(rng, 300), rng.choice(TREE.terminals, 300)
    common = of_predicted = of_true = 0
    for i in range(300):
        path = path_of(TREE, predicted[i])
        label, right, _ = judged_by_hand(truth, i, path)
        path = label if right else path
        sets = [{p[:n] for n in range(1, len(p) + 1)} for p in (path, label)]
        common, of_predicted, of_true = (
            common + len(sets[0] & sets[1]), of_predicted + len(sets[0]), of_true + len(sets[1]),
        )  # fmt: skip
    p, r = common / of_predicted, common / of_true
    assert hierarchical_scores(truth.match(predicted)) == pytest.approx((p, r, 2 * p * r / (p + r)))


def test_a_near_miss_costs_less_than_a_far_one():
    near = exact(TREE, [("A", "y", "1")]).match(np.array([TREE.index(("A", "y", "2"))]))
    far = exact(TREE, [("A", "y", "1")]).match(np.array([TREE.index(("B",))]))
    assert hierarchical_scores(near).f1 > hierarchical_scores(far).f1 == 0


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_level_scores_as_scikit_learn_does_on_paths_cut_there(depth):
    rng = np.random.default_rng(depth)
    truth, predicted = random_truth(rng, 300), rng.choice(TREE.terminals, 300)
    true, answers = [], []
    for i in range(300):
        path = path_of(TREE, predicted[i])
        label, _, _ = judged_by_hand(truth, i, path)
        if len(label) >= depth:
            true.append(">".join(label[:depth]))
            answers.append(">".join(path[:depth]))
    level = at_level(truth.match(predicted), depth)
    assert len(level.rows) == len(true)
    assert level.right.tolist() == [a == b for a, b in zip(true, answers, strict=True)]
    assert level.f1.macro == pytest.approx(f1_score(true, answers, average="macro", zero_division=0))
    assert level.f1.weighted == pytest.approx(f1_score(true, answers, average="weighted", zero_division=0))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_rank_and_likelihood_at_a_level_sum_the_terminals_below(depth):
    rng = np.random.default_rng(depth)
    truth, scores = random_truth(rng, 150), random_scores(rng, 150)
    rank, nll = level_ranks(scores, truth, depth)
    for i, row in enumerate(np.exp(scores.all())):
        mass = {}  # the cut path of every terminal; those ending above share one place
        for terminal, p in zip(TREE.terminals, row, strict=True):
            path = path_of(TREE, terminal)
            key = path[:depth] if len(path) >= depth else None
            mass[key] = mass.get(key, 0) + p
        wanted = {label[:depth] for label, _ in places(truth, i) if len(label) >= depth}
        if not wanted:
            assert np.isinf(nll[i])
            assert rank[i] > 1000
            continue
        assert np.isclose(nll[i], -np.log(sum(mass[w] for w in wanted)))
        best = max(mass[w] for w in wanted)
        assert rank[i] == sum(m > best + 1e-12 for m in mass.values())


def test_the_contest_score_worked_by_hand():
    """Kakao Arena: 1.0, 1.2, 1.3, 1.4 times the accuracy over rows whose id is not -1, divided by 4."""
    tree = Taxonomy.from_paths([("a", "b", "c", "d"), ("a", "b", "e"), ("a", "f"), ("g", "h", "i", "j")])
    true = [("a", "b", "c", "d"), ("a", "b", "e"), ("a", "f"), ("g", "h", "i", "j")]
    said = [("a", "b", "e"), ("a", "b", "e"), ("a", "f"), ("a", "f")]
    matched = exact(tree, true).match(np.array([tree.index(path) for path in said]))
    # b: 3 of 4; m: 3 of 4; s: rows 1, 2, 4 have one, row 2 is right; d: rows 1 and 4, none is right
    expected = (1.0 * 3 / 4 + 1.2 * 3 / 4 + 1.3 * 1 / 3 + 1.4 * 0) / 4
    assert contest_score(matched) == pytest.approx(expected)
    perfect = exact(tree, true).match(np.array([tree.index(path) for path in true]))
    assert contest_score(perfect) == pytest.approx(1.225)
    shallow = exact(TREE, [("A",)]).match(np.array([TREE.index(("A",))]))
    assert contest_score(shallow) == pytest.approx(1 / 4)  # no label reaches further
    with pytest.raises(ValueError, match="2 weights for a tree of 3 levels"):
        contest_score(shallow, (1.0, 1.2))
