from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
from sklearn.metrics import f1_score

from aisle.data import Product, read
from aisle.errors import AisleError
from aisle.evaluation import Evaluation, evaluate, label_counts
from aisle.progress import Silent
from aisle.taxonomy import Node, Taxonomy
from tests.evaluation.shop import PLACES, WordModel, catalog, products


def answers(model, test, without=()):
    """True and predicted paths, by asking the classifier directly."""
    best = model.score(list(test), without=without).best()
    return [p.categories[0] for p in test], [model.taxonomy.nodes[n].path for n in best]


def flat(paths, depth=9):
    return [">".join(p[:depth]) for p in paths]


def test_overall_numbers_are_those_of_plain_loops_and_scikit_learn(model, test):
    found = evaluate(model, test, per_view=False).model.overall
    true, predicted = answers(model, test)
    right = sum(t == p for t, p in zip(true, predicted, strict=True))
    assert found.accuracy.value == found.strict_accuracy == right / 300
    assert 0.5 < found.accuracy.low < found.accuracy.value < found.accuracy.high < 0.95
    for average in ("macro", "weighted"):
        theirs = f1_score(flat(true), flat(predicted), average=average, zero_division=0)
        assert getattr(found, f"{average}_f1") == pytest.approx(theirs)
    logp = model.score(list(test)).all()
    own = model.taxonomy.terminal_of[[model.taxonomy.index(t) for t in true]]
    rank = (logp > logp[np.arange(300), own][:, None]).sum(1)
    assert found.top5 == pytest.approx((rank < 5).mean())
    assert found.nll == pytest.approx(-logp[np.arange(300), own].mean())


def test_each_level_counts_the_products_that_reach_it(model, test):
    found = evaluate(model, test, per_view=False).model.levels
    true, predicted = answers(model, test)
    assert [level.level for level in found] == [1, 2, 3]
    for level in found:
        d = level.level
        kept = [(t[:d], p[:d]) for t, p in zip(true, predicted, strict=True) if len(t) >= d]
        assert level.products == len(kept)
        assert level.classes == len({t for t, _ in kept})
        assert level.accuracy == pytest.approx(np.mean([t == p for t, p in kept]))
        t, p = flat([t for t, _ in kept]), flat([p for _, p in kept])
        assert level.macro_f1 == pytest.approx(f1_score(t, p, average="macro", zero_division=0))
        assert level.top5 >= level.accuracy - 0.02
        assert 0 <= level.ece < 0.3


def test_each_view_is_taken_away_in_turn(model, test):
    found = evaluate(model, test)
    assert [v.view for v in found.views] == ["title", "description"]
    for view in found.views:
        true, predicted = answers(model, test, without=(view.view,))
        accuracy = np.mean([t == p for t, p in zip(true, predicted, strict=True)])
        assert view.accuracy == pytest.approx(accuracy)
        assert view.change.value == pytest.approx(accuracy - found.model.overall.accuracy.value)
        assert view.change.low < view.change.value < view.change.high < 0


def test_a_label_outside_the_models_tree_counts_as_wrong_and_lowers_the_ceiling(model):
    strange = {("Home", "Rugs"): "rug wool", ("Clothing", "Shirts", "Polo"): "shirt cotton", **PLACES}
    test = catalog(200, seed=3, places=strange)
    found = evaluate(model, test, per_view=False, train_counts=dict.fromkeys(PLACES, 9))
    lost = sum(p.categories[0] not in PLACES for p in test)
    true, predicted = answers(model, test)
    assert found.rows.outside == found.rows.unseen == lost > 20
    assert found.rows.ceiling == pytest.approx(1 - lost / 200)
    assert found.model.overall.accuracy.value == np.mean(
        [a == b for a, b in zip(true, predicted, strict=True)]
    )
    theirs = f1_score(flat(true), flat(predicted), average="macro", zero_division=0)
    assert found.model.overall.macro_f1 == pytest.approx(theirs)
    assert np.isfinite(found.model.overall.nll)
    assert found.model.bands[0].name == "0"
    assert found.model.bands[0].products == lost


def test_a_category_is_recognised_by_its_id_after_it_was_renamed(model):
    renamed = Taxonomy(n._replace(path=("Shop", *n.path)) for n in model.taxonomy.nodes)
    moved = [
        Product(p.id, p.fields, (), {}, (("Shop", *p.categories[0]),)) for p in products(100, 4)
    ]  # fmt: skip
    before = evaluate(model, catalog(100, 4), per_view=False).model.overall
    found = evaluate(model, read(moved, taxonomy=renamed), per_view=False)
    assert found.rows.outside == 0
    assert found.model.overall.accuracy == before.accuracy


def test_any_of_several_acceptable_places_is_right(model, test):
    wrong = [("Garden",), ("Home", "Lamps")]
    _, predicted = answers(model, test)
    several = read(
        [
            Product(p.id, p.fields, (), {}, (wrong[p.categories[0] == wrong[0]], best))
            for p, best in zip(test, predicted, strict=True)
        ]
    )
    found = evaluate(model, several, per_view=False)
    assert found.model.overall.accuracy.value == 1.0
    assert found.rows.several > 200


def test_a_label_known_only_to_a_branch_is_met_anywhere_inside(model):
    tree = Taxonomy([Node(n.id, n.path, assignable=n.path != ("Clothing",)) for n in model.taxonomy.nodes])
    rows = [Product(p.id, p.fields, (), {}, (p.categories[0][:1],)) for p in products(200, 5)]
    test = read(rows, taxonomy=tree)
    found = evaluate(model, test, per_view=False)
    true, predicted = answers(model, test)
    hits = [
        p[0] == "Clothing" if t == ("Clothing",) else p == t for t, p in zip(true, predicted, strict=True)
    ]
    assert found.rows.branch == sum(t == ("Clothing",) for t in true) > 50
    assert found.model.overall.accuracy.value == pytest.approx(np.mean(hits))
    strict = np.mean([t == p for t, p in zip(true, predicted, strict=True)])
    assert found.model.overall.strict_accuracy == pytest.approx(strict)
    assert strict < np.mean(hits)


def test_rows_without_a_label_are_counted_and_left_out(model, test):
    rows = [*test, Product("x", {"title": "boot"}), Product("y", {"title": "lamp"})]
    found = evaluate(model, read(rows), per_view=False)
    assert (found.rows.total, found.rows.evaluated, found.rows.unlabelled) == (302, 300, 2)
    assert found.model == evaluate(model, test, per_view=False).model


def test_without_any_label_the_error_says_so(model):
    with pytest.raises(AisleError, match="label"):
        evaluate(model, read([Product("x", {"title": "boot"})]))


def test_bands_and_support_come_from_the_training_products(full, train, test):
    counts = label_counts(train)
    assert counts == Counter(p.categories[0] for p in train)
    for band in full.model.bands:
        inside = [p for p in test if band.low <= counts[p.categories[0]] <= (band.high or 10**9)]
        assert band.products == len(inside)
        assert band.classes == len({p.categories[0] for p in inside})
    top = {n.path: n for n in full.nodes}
    assert top["Clothing",].train == sum(c for path, c in counts.items() if path[0] == "Clothing")


def test_every_node_is_scored_as_a_loop_scores_it(careful, full, test):
    true, predicted = answers(careful, test)
    assert {n.path for n in full.nodes} == {p[:d] for p in true + predicted for d in range(1, len(p) + 1)}
    for node in full.nodes:
        d = len(node.path)
        here = [(t, p) for t, p in zip(true, predicted, strict=True) if t[:d] == node.path]
        there = [t for t, p in zip(true, predicted, strict=True) if p[:d] == node.path]
        assert (node.products, node.predicted) == (len(here), len(there))
        if here:
            assert node.accuracy == pytest.approx(np.mean([p[:d] == node.path for _, p in here]))
            assert node.path_accuracy == pytest.approx(np.mean([t == p for t, p in here]))
        if there:
            assert node.precision == pytest.approx(np.mean([t[:d] == node.path for t in there]))


def test_every_error_is_one_confusion_where_the_paths_part(careful, full, test):
    true, predicted = answers(careful, test)
    pairs = Counter()
    for t, p in zip(true, predicted, strict=True):
        if t != p:
            d = next(i for i in range(9) if t[i : i + 1] != p[i : i + 1]) + 1
            pairs[t[:d], p[:d]] += 1
    assert {(c.true, c.predicted): c.count for c in full.confusions} == dict(pairs)
    assert [c.count for c in full.confusions] == sorted(pairs.values(), reverse=True)
    assert full.matrix.names == ("Clothing", "Garden", "Home")
    cross = sum(t[0] != p[0] for t, p in zip(true, predicted, strict=True))
    assert sum(map(sum, full.matrix.counts)) - np.trace(full.matrix.counts) == cross


def test_decisions_are_judged_as_far_as_they_go(careful, full, test):
    found = full.decisions
    tally = Counter()
    for prediction, product in zip(careful.predict(list(test)), test, strict=True):
        label = product.categories[0]
        tally[prediction.decision] += 1
        if prediction.decision == "accept":
            tally["accept right"] += prediction.path == label
        if prediction.decision == "partial":
            tally["partial right"] += label[:1] == prediction.path
    assert found.accept.count == tally["accept"] > 50
    assert found.partial.count == tally["partial"] > 10
    assert found.review.count == tally["review"] > 10
    assert found.accept.precision.value == pytest.approx(tally["accept right"] / tally["accept"])
    assert found.partial.precision.value == pytest.approx(tally["partial right"] / tally["partial"])
    assert found.placed.coverage == pytest.approx((tally["accept"] + tally["partial"]) / 300)
    assert found.levels[0].count == tally["accept"] + tally["partial"]
    assert found.review.precision is None


def test_what_was_promised_stands_beside_what_happened(promising, promised, test):
    verdicts = Counter(p.decision for p in promising.predict(list(test)))
    kept = {(k.verdict, k.level, k.branch): k for k in promised.guarantee.checks}
    whole = kept["accept", 0, ""]
    assert whole.shown
    assert not whole.broken
    assert (whole.guaranteed, whole.count) == (0.8, verdicts["accept"])
    assert whole.precision == whole.right / whole.count == promised.decisions.accept.precision.value
    levels = [k.count for (verdict, level, _), k in kept.items() if verdict == "accept" and level]
    assert sum(levels) == whole.count
    tops = [k.count for (verdict, _, branch), k in kept.items() if verdict == "accept" and branch]
    assert sum(tops) == whole.count
    assert {c.level for c in promised.guarantee.curves if not c.branch} == {0, 1, 2, 3}
    assert {c.branch for c in promised.guarantee.curves} == {"", "Clothing", "Garden", "Home"}
    assert all(len(c.coverage) <= 60 and c.coverage[-1] == 1 for c in promised.guarantee.curves)
    assert sum(c.products for c in promised.guarantee.curves if c.branch and c.level == 0) == 300


def test_the_curves_hold_every_product(full):
    assert sum(b.count for b in full.reliability) == 300
    assert full.coverage[-1].coverage == 1
    assert full.coverage[-1].precision == pytest.approx(full.model.overall.accuracy.value)
    assert full.coverage[0].precision > full.coverage[-1].precision


def test_examples_are_the_surest_hits_the_surest_misses_and_the_nearest_ties(careful, full, test):
    p = np.exp(careful.score(list(test)).all())
    true, predicted = answers(careful, test)
    right = np.array([t == q for t, q in zip(true, predicted, strict=True)])
    ids = [q.id for q in test]
    assert full.examples.best[0].id == ids[np.argmax(np.where(right, p.max(1), 0))]
    assert full.examples.worst[0].id == ids[np.argmax(np.where(right, 0, p.max(1)))]
    ordered = np.sort(p, 1)
    assert full.examples.confused[0].id == ids[np.argmin(ordered[:, -1] - ordered[:, -2])]
    for example in (*full.examples.best, *full.examples.worst):
        assert example.guesses[0].confidence == pytest.approx(p[ids.index(example.id)].max(), abs=1e-6)
        assert len(example.confidence) == len(example.guesses[0].path)


def test_examples_say_why_they_were_decided_or_not(promising, promised, test):
    reasons = {p.id: p.reason for p in promising.predict(list(test))}
    shown = [*promised.examples.best, *promised.examples.worst, *promised.examples.confused]
    assert {one.reason for one in shown} == {reasons[one.id] for one in shown}
    assert all(one.reason == reasons[one.id] for one in shown)


def test_an_evaluation_read_back_equals_the_one_written(full):
    assert Evaluation.from_json(full.to_json()).to_json() == full.to_json()
    assert '"src"' not in full.to_json()
    with pytest.raises(AisleError, match="not a saved evaluation"):
        Evaluation.from_json('{"rows": 3}')
    with pytest.raises(AisleError, match="format 99"):
        Evaluation.from_json(full.to_json().replace('"format_version": 1', '"format_version": 99'))


def test_progress_tells_what_is_done(train, test):
    told = Counter()

    class Listener(Silent):
        @contextmanager
        def __call__(self, label, total=None, unit="products"):
            yield lambda n: told.update({(label, total): n})

    evaluate(WordModel(train), test, progress=Listener())
    assert told == {(what, 300): 300 for what in ("evaluating", "without title", "without description")}
