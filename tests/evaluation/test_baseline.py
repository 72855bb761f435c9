import numpy as np
import pytest

from aisle.data import Product, read
from aisle.errors import AisleError
from aisle.evaluation import evaluate
from aisle.evaluation.baseline import LinearBaseline
from tests.evaluation.shop import catalog
from tests.shared import SHARED, needs_shared


def test_the_rival_learns_and_is_compared_product_by_product(full, train, test):
    rival = full.baseline
    assert rival.train_products == 400
    alone = evaluate(LinearBaseline.fit(train), test, per_view=False)
    assert rival.summary.overall.accuracy == alone.model.overall.accuracy
    assert rival.summary.overall.accuracy.value > 0.5
    assert rival.summary.overall.ece is None
    assert list(rival.differences) == ["accuracy", "macro_f1", "level1"]
    for found, ours, theirs in zip(
        rival.differences.values(),
        (full.model.overall.accuracy.value, full.model.overall.macro_f1, full.model.levels[0].accuracy),
        (
            rival.summary.overall.accuracy.value,
            rival.summary.overall.macro_f1,
            rival.summary.levels[0].accuracy,
        ),
        strict=True,
    ):
        assert found.value == pytest.approx(ours - theirs)
        assert found.low <= found.value <= found.high


def test_branches_rank_by_their_best_place(train, test):
    levels = evaluate(LinearBaseline.fit(train), test, per_view=False).model.levels
    assert all(level.top5 >= level.accuracy for level in levels)


@pytest.mark.parametrize("places", [1, 2])
def test_a_tree_of_one_or_two_places_is_no_special_case(places):
    rows = [Product(str(i), {"title": f"word{i % places}"}, (), {}, ((f"c{i % places}",),)) for i in range(8)]
    svm = LinearBaseline.fit(read(rows))
    assert np.isfinite(svm.score(rows).all()).all()
    assert (svm.score(rows).best() == np.arange(8) % places).all()


def test_without_text_or_labels_it_says_why_it_cannot_learn():
    with pytest.raises(AisleError, match="title or description"):
        LinearBaseline.fit(read([Product("1", {"colour": "red"}, (), {}, (("A",),))]))
    with pytest.raises(AisleError, match="label"):
        LinearBaseline.fit(catalog(20).select(np.array([], int)))


@needs_shared
@pytest.mark.slow
def test_on_a_real_marketplace_it_is_as_good_as_published():
    """The reference for a linear SVM on TF-IDF of title and description: .634 / .406 / .799."""
    rows = read(SHARED / "data" / "marketplace" / "products.csv")
    svm = LinearBaseline.fit(rows.select(rows.split == "train"))
    found = evaluate(svm, rows.select(rows.split == "test"), per_view=False).model
    assert 0.63 < found.overall.accuracy.value < 0.68
    assert 0.39 < found.overall.macro_f1 < 0.45
    assert 0.79 < found.levels[0].accuracy < 0.84
