"""Judge a classifier on a labelled catalogue."""

import time
from collections import Counter
from collections.abc import Mapping

import numpy as np

from aisle.catalog import Catalog
from aisle.decision import Prediction
from aisle.evaluation import baseline as rivals
from aisle.evaluation.branches import below, confusions, matrix, node_scores
from aisle.evaluation.case import Case, Method
from aisle.evaluation.collect import Progress, chunks
from aisle.evaluation.decided import decisions
from aisle.evaluation.examples import choose
from aisle.evaluation.result import (
    BaselineResult,
    CoveragePoint,
    Decisions,
    Difference,
    Evaluation,
    Limits,
    ReliabilityBin,
    ViewRemoved,
)
from aisle.evaluation.summary import limits
from aisle.inference import Classifier
from aisle.metrics import macro_f1, paired_bootstrap, precision_coverage, reliability
from aisle.taxonomy import CategoryPath

CURVE = 200  # points kept of the precision-coverage curve


def evaluate(
    classifier: Classifier,
    catalog: Catalog,
    *,
    train_counts: Mapping[CategoryPath, int] | None = None,
    baseline: Catalog | None = None,
    per_view: bool = True,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a classifier on the labelled products of a catalogue.

    Labels are matched to the classifier's tree by path, then by id; one that it lacks counts as wrong
    and lowers the `ceiling`. Faulty and unlabelled rows are counted and left out. Where the
    classifier has `predict`, its decisions are judged too.

    train_counts: training products of each label, for the bands by class frequency (`label_counts`).
    baseline: training products to fit the plain rival on, a linear SVM; they also give the counts.
    per_view: answer everything once more without each view. progress: told (what, done, total).

    Raises:
        AisleError: no product carries a label.
    """
    tell = progress or (lambda what, done, total: None)
    if train_counts is None and baseline is not None:
        train_counts = label_counts(baseline)
    case = Case.of(classifier.taxonomy, catalog, train_counts, baseline)
    ours = case.ask(classifier.score, "judging", tell)
    rival = None if baseline is None else _rival(case, ours, baseline, tell)
    views = classifier.views if per_view else ()
    curve = precision_coverage(ours.sure, ours.judged.right)
    return Evaluation(
        model_id=classifier.model_id,
        rows=case.count(catalog, classifier.taxonomy),
        model=ours.summary,
        baseline=rival,
        views=tuple(_without(case, ours, classifier, view, tell) for view in views),
        reliability=_reliability(ours),
        coverage=tuple(
            CoveragePoint(threshold=float(t), coverage=float(c), precision=float(p))
            for t, c, p in zip(*(part[_thin(len(curve.threshold))] for part in curve), strict=True)
        ),
        decisions=_decisions(case, classifier, tell),
        nodes=node_scores(
            ours.judged, None if case.train is None else below(case.truth.taxonomy, case.train)
        ),
        confusions=confusions(ours.judged),
        matrix=matrix(ours.judged),
        examples=choose(ours.answers, ours.judged, case.truth, case.products, case.rows),
    )


def label_counts(catalog: Catalog) -> dict[CategoryPath, int]:
    """How many products of a catalogue carry each (primary) label; faulty ones are left out."""
    node = catalog.targets().node
    kept = node[(node >= 0) & ~catalog.fatal]
    return {catalog.taxonomy.nodes[n].path: count for n, count in Counter(kept.tolist()).items()}


def _without(case: Case, ours: Method, classifier: Classifier, view: str, tell: Progress) -> ViewRemoved:
    left = case.ask(lambda products: classifier.score(products, without=(view,)), f"without {view}", tell)
    return ViewRemoved(
        view=view,
        accuracy=left.summary.overall.accuracy.value,
        macro_f1=left.summary.overall.macro_f1,
        level1=float(left.top_right.mean()),
        change=limits(paired_bootstrap(left.judged.right, ours.judged.right)),
    )


def _rival(case: Case, ours: Method, train: Catalog, tell: Progress) -> BaselineResult:
    began = time.perf_counter()
    tell("fitting the baseline", 0, 1)
    svm = rivals.LinearBaseline.fit(train)
    seconds = time.perf_counter() - began
    tell("fitting the baseline", 1, 1)
    theirs = case.ask(svm.score, "judging the baseline", tell, probable=False)

    def against(metric: str, a: Limits) -> Difference:
        return Difference.model_validate({"metric": metric, "difference": a})

    return BaselineResult(
        name=svm.name,
        train_products=svm.train_products,
        seconds=seconds,
        summary=theirs.summary,
        differences=(
            against("accuracy", limits(paired_bootstrap(ours.judged.right, theirs.judged.right))),
            against("macro_f1", limits(paired_bootstrap(ours.pairs, theirs.pairs, macro_f1))),
            against("level1", limits(paired_bootstrap(ours.top_right, theirs.top_right))),
        ),
    )


def _decisions(case: Case, classifier: Classifier, tell: Progress) -> Decisions | None:
    predict = getattr(classifier, "predict", None)
    if predict is None:
        return None
    found: list[Prediction] = []
    for part in chunks(case.products, case.rows):
        found.extend(predict(part))
        tell("deciding", len(found), len(case.rows))
    return decisions(found, case.truth)


def _reliability(method: Method) -> tuple[ReliabilityBin, ...]:
    bins = reliability(method.sure, method.judged.right)
    return tuple(
        ReliabilityBin(
            low=float(low), high=float(high), count=int(n),
            confidence=float(sure) if n else None, accuracy=float(right) if n else None,
        )
        for low, high, n, sure, right in zip(*bins, strict=True)
    )  # fmt: skip


def _thin(count: int) -> np.ndarray:
    """At most `CURVE` evenly spread indexes, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, CURVE)).round().astype(np.int64))
