"""Judge a classifier on a labelled catalog."""

import time
from collections import Counter
from collections.abc import Mapping

import numpy as np

from aisle.data import Catalog
from aisle.evaluation.baseline import LinearBaseline
from aisle.evaluation.branches import below, confusions, matrix, node_scores
from aisle.evaluation.collect import ScoreFn, chunks
from aisle.evaluation.compare_reports import packed, which
from aisle.evaluation.decision_metrics import decisions, guarantee_report
from aisle.evaluation.eval_set import EvalSet, MethodResult
from aisle.evaluation.examples import choose
from aisle.evaluation.operating import operating_curve
from aisle.evaluation.result import Evaluation
from aisle.evaluation.robustness import robustness
from aisle.evaluation.scores import (
    BaselineResult,
    CoveragePoint,
    ReliabilityBin,
    StageScore,
    ViewRemoved,
)
from aisle.evaluation.shown_products import RobustnessScore
from aisle.evaluation.summary import limits
from aisle.guarantee import Policy, Prediction
from aisle.inference import Classifier
from aisle.inference.cascade import Cascade
from aisle.inference.classifier import confidences
from aisle.inference.training_counts import own_training_counts, training_products
from aisle.metrics import macro_f1_of_pairs, paired_bootstrap, precision_coverage, reliability
from aisle.models.features import FeatureStore
from aisle.progress import SILENT, Progress
from aisle.taxonomy import CategoryPath

CURVE = 200  # points kept of the precision-coverage curve


def evaluate(
    classifier: Classifier,
    catalog: Catalog,
    *,
    train_counts: Mapping[CategoryPath, int] | None = None,
    baseline: Catalog | None = None,
    per_view: bool = True,
    why: bool = True,
    measure_robustness: bool = False,
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure a classifier on the labelled products of a catalog.

    Labels are matched to the classifier's tree by path, then by id; one that it lacks counts as wrong and
    lowers the `ceiling`. Faulty and unlabelled rows are counted and left out. A `Predictor` is scored by its
    calibrated confidences; where the classifier has `predict`, its decisions are scored too.

    Args:
        classifier: of products.
        catalog: with labels.
        train_counts: training products of each label, for the bands by class frequency (`label_counts`); by
            default those of `baseline`, else those that the classifier remembers.
        baseline: training products to fit the linear SVM on.
        per_view: classify everything once more without each view.
        why: explain a few examples.
        measure_robustness: change products in ways that should not change their category, and count how
            often the prediction changes.
        progress: reports each step.

    Raises:
        AisleError: no product has a label.
    """
    if train_counts is None:
        train_counts = label_counts(baseline) if baseline is not None else _remembered(classifier)
    case = EvalSet.of(classifier.taxonomy, catalog, train_counts, baseline)
    ours = case.ask(_scorer(classifier), "judging", progress)
    linear = None if baseline is None else _baseline(case, ours, baseline, progress)
    views = classifier.views if per_view else ()
    found = _predictions(case, classifier, progress)
    policy = getattr(classifier, "policy", None)
    policy = policy if isinstance(policy, Policy) else None
    curve = precision_coverage(ours.sure, ours.judged.right)
    return Evaluation(
        model_id=classifier.model_id,
        source=", ".join(part.path.name for part in catalog.files),
        split=_split(catalog),
        rows=case.count(catalog, classifier.taxonomy, _seen(classifier, catalog)),
        training_products=_training_products(classifier),
        model=ours.summary,
        baseline=linear,
        views=tuple(_without(case, ours, classifier, view, progress) for view in views),
        stages=_stages(case, ours, classifier, progress),
        reliability=_reliability(ours),
        coverage=tuple(
            CoveragePoint(threshold=float(t), coverage=float(c), precision=float(p))
            for t, c, p in zip(*(part[_thin(len(curve.threshold))] for part in curve), strict=True)
        ),
        decisions=None if found is None else decisions(found, case.truth, policy),
        guarantee=None if found is None else guarantee_report(found, case.truth, policy),
        operating_curve=None if found is None or not policy else operating_curve(found, case.truth, policy),
        nodes=node_scores(
            ours.judged,
            None if case.train is None else below(case.truth.taxonomy, case.train),
            None if found is None else np.array([p.decision == "accept" for p in found]),
        ),
        confusions=confusions(ours.judged),
        matrix=matrix(ours.judged),
        examples=choose(
            ours.answers, ours.judged, case.truth, case.products, case.rows, classifier if why else None
        ),
        robustness=_robustness(case, classifier, progress) if measure_robustness else (),
        products=which(catalog.select(case.rows)),
        hits=packed(ours.judged.right),
    )


def label_counts(catalog: Catalog) -> dict[CategoryPath, int]:
    """How many products of a catalog carry each (primary) label; faulty ones, and those of weight 0, are
    left out."""
    node, weights = catalog.targets().node, catalog.weights
    kept = node[(node >= 0) & ~catalog.fatal & (True if weights is None else weights > 0)]
    return {catalog.taxonomy.nodes[n].path: count for n, count in Counter(kept.tolist()).items()}


def _scorer(classifier: Classifier, without: tuple[str, ...] = ()) -> ScoreFn:
    """The confidences that a classifier answers with: of one without a policy its own probabilities."""
    return lambda products: confidences(classifier, products, without)


def _remembered(classifier: Classifier) -> dict[CategoryPath, int] | None:
    """Training products of each label, where the classifier knows them."""
    if getattr(classifier, "context", None) is None:
        return None
    tree = classifier.taxonomy
    return {node.path: int(n) for node, n in zip(tree.nodes, own_training_counts(classifier), strict=True)}


def _training_products(classifier: Classifier) -> int | None:
    return training_products(classifier) if hasattr(classifier, "results") else None


def _seen(classifier: Classifier, catalog: Catalog) -> np.ndarray | None:
    """(n,) which rows the classifier was trained on, where it knows."""
    seen = getattr(classifier, "seen", None)
    return None if seen is None else seen(catalog)


def _split(catalog: Catalog) -> str | None:
    """The one split that all rows belong to, if they do."""
    values = set() if catalog.split is None else set(catalog.split)
    return values.pop() or None if len(values) == 1 else None


def _without(
    case: EvalSet, ours: MethodResult, classifier: Classifier, view: str, progress: Progress
) -> ViewRemoved:
    left = case.ask(_scorer(classifier, (view,)), f"without {view}", progress)
    return ViewRemoved(
        view=view,
        accuracy=left.summary.overall.accuracy.value,
        macro_f1=left.summary.overall.macro_f1,
        level1=float(left.top_right.mean()),
        change=limits(paired_bootstrap(left.judged.right, ours.judged.right)),
    )


def _stages(
    case: EvalSet, ours: MethodResult, classifier: Classifier, progress: Progress
) -> tuple[StageScore, ...]:
    """What each stage of a cascade answered; nothing of another classifier, or of one never measured."""
    if not isinstance(classifier, Cascade) or not classifier.stages:
        return ()
    with progress("asking which stage answers", len(case.rows)) as advance:
        parts = []
        for part in chunks(case.products, case.rows):
            parts.append(classifier.answered_by(part))
            advance(len(part))
    by = [np.concatenate(parts) == i for i in range(len(classifier.stages))]
    return tuple(
        StageScore(
            name=stage["name"],
            share=float(answered.mean()),
            accuracy=float(ours.judged.right[answered].mean()) if answered.any() else None,
            milliseconds=stage["milliseconds"],
        )
        for stage, answered in zip(classifier.stages, by, strict=True)
    )


def _baseline(case: EvalSet, ours: MethodResult, train: Catalog, progress: Progress) -> BaselineResult:
    began = time.perf_counter()
    svm = LinearBaseline.fit(train, progress)
    seconds = time.perf_counter() - began
    theirs = case.ask(svm.score, "judging the baseline", progress, probable=False)
    compared = {
        "accuracy": paired_bootstrap(ours.judged.right, theirs.judged.right),
        "macro_f1": paired_bootstrap(ours.pairs, theirs.pairs, macro_f1_of_pairs),
        "level1": paired_bootstrap(ours.top_right, theirs.top_right),
    }
    return BaselineResult(
        name=svm.name,
        train_products=svm.train_products,
        seconds=seconds,
        summary=theirs.summary,
        differences={metric: limits(interval) for metric, interval in compared.items()},
    )


def _predictions(case: EvalSet, classifier: Classifier, progress: Progress) -> list[Prediction] | None:
    """What the classifier decides, if it decides anything."""
    predict = getattr(classifier, "predict", None)
    if predict is None:
        return None
    found: list[Prediction] = []
    with progress("deciding", len(case.rows)) as advance:
        for part in chunks(case.products, case.rows):
            found.extend(predict(part))
            advance(len(part))
    return found


def _robustness(case: EvalSet, classifier: Classifier, progress: Progress) -> tuple[RobustnessScore, ...]:
    plain = classifier
    if isinstance(getattr(classifier, "store", None), FeatureStore):  # a changed image is not worth keeping
        plain = classifier.with_store(None)  # type: ignore[attr-defined]
    return robustness(_scorer(plain), case.products, case.rows, case.truth, progress)


def _reliability(method: MethodResult) -> tuple[ReliabilityBin, ...]:
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
