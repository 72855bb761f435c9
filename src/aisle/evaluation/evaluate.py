"""Evaluates a classifier on a labelled catalog."""

import time
from collections import Counter
from collections.abc import Mapping

import numpy as np

from aisle.data import Catalog
from aisle.evaluation.baseline import LinearBaseline
from aisle.evaluation.branches import confusions, matrix, node_scores, subtree_sums
from aisle.evaluation.collect import ScoreFn, decided_products, product_batches
from aisle.evaluation.compare_reports import pack_hits, products_hash
from aisle.evaluation.decision_metrics import decisions, guarantee_report
from aisle.evaluation.eval_set import EvalSet, MethodResult
from aisle.evaluation.examples import choose_examples
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
    """Evaluate a classifier on the labelled products of a catalog.

    Labels are matched to the classifier's tree by path, then by id; a label that the tree lacks counts as
    wrong and lowers the `ceiling`. Faulty and unlabelled rows are counted and left out. A `Predictor` is
    scored by its calibrated confidences; where the classifier has `predict`, its decisions are scored too.

    Args:
        classifier: The classifier.
        catalog: The labelled products.
        train_counts: Training products of each label, for the bands by class frequency (`label_counts`).
            Default: those of `baseline`, else those that the classifier remembers.
        baseline: Training products on which the linear SVM is fitted. Default: no baseline.
        per_view: Classify all products once more without each view.
        why: Explain a few examples.
        measure_robustness: Change products in ways that should not change their category, and count how
            often the prediction changes.
        progress: Reports each step.

    Raises:
        AisleError: No product has a label.
    """
    if train_counts is None:
        train_counts = label_counts(baseline) if baseline is not None else _known_training_counts(classifier)
    eval_set = EvalSet.of(classifier.taxonomy, catalog, train_counts, baseline)
    scored = eval_set.score(_score_function(classifier), "evaluating", progress)
    baseline_result = None if baseline is None else _baseline(eval_set, scored, baseline, progress)
    views = classifier.views if per_view else ()
    predictions = _predictions(eval_set, classifier, progress)
    policy = getattr(classifier, "policy", None)
    policy = policy if isinstance(policy, Policy) else None
    coverage_curve = precision_coverage(scored.confidence, scored.matched.right)
    return Evaluation(
        model_id=classifier.model_id,
        source=", ".join(part.path.name for part in catalog.files),
        split=_split(catalog),
        rows=eval_set.count(catalog, classifier.taxonomy, _rows_trained_on(classifier, catalog)),
        training_products=_training_products(classifier),
        model=scored.summary,
        baseline=baseline_result,
        views=tuple(_without_view(eval_set, scored, classifier, view, progress) for view in views),
        stages=_stages(eval_set, scored, classifier, progress),
        reliability=_reliability(scored),
        coverage=tuple(
            CoveragePoint(threshold=float(t), coverage=float(c), precision=float(p))
            for t, c, p in zip(
                *(part[_spread_indices(len(coverage_curve.threshold))] for part in coverage_curve),
                strict=True,
            )
        ),
        decisions=None if predictions is None else decisions(predictions, eval_set.truth, policy),
        guarantee=None if predictions is None else guarantee_report(predictions, eval_set.truth, policy),
        operating_curve=None
        if predictions is None or not policy
        else operating_curve(predictions, eval_set.truth, policy),
        nodes=node_scores(
            scored.matched,
            None if eval_set.train is None else subtree_sums(eval_set.truth.taxonomy, eval_set.train),
            None if predictions is None else np.array([p.decision == "accept" for p in predictions]),
        ),
        confusions=confusions(scored.matched),
        matrix=matrix(scored.matched),
        examples=choose_examples(
            scored.predictions,
            scored.matched,
            eval_set.truth,
            eval_set.products,
            eval_set.rows,
            classifier if why else None,
            predictions,
        ),
        robustness=_robustness(eval_set, classifier, progress) if measure_robustness else (),
        products=products_hash(catalog.select(eval_set.rows)),
        hits=pack_hits(scored.matched.right),
    )


def label_counts(catalog: Catalog) -> dict[CategoryPath, int]:
    """Count the products of each primary label, without faulty ones and those of weight 0."""
    node, weights = catalog.targets().node, catalog.weights
    kept = node[(node >= 0) & ~catalog.fatal & (True if weights is None else weights > 0)]
    return {catalog.taxonomy.nodes[n].path: count for n, count in Counter(kept.tolist()).items()}


def _score_function(classifier: Classifier, without: tuple[str, ...] = ()) -> ScoreFn:
    """Confidences of a classifier; probabilities if it has no policy."""
    return lambda products: confidences(classifier, products, without)


def _known_training_counts(classifier: Classifier) -> dict[CategoryPath, int] | None:
    """Training products of each label; None if the classifier does not know them."""
    if getattr(classifier, "context", None) is None:
        return None
    tree = classifier.taxonomy
    return {node.path: int(n) for node, n in zip(tree.nodes, own_training_counts(classifier), strict=True)}


def _training_products(classifier: Classifier) -> int | None:
    return training_products(classifier) if hasattr(classifier, "results") else None


def _rows_trained_on(classifier: Classifier, catalog: Catalog) -> np.ndarray | None:
    """(n,) bool: rows that the classifier was trained on; None if it does not know them."""
    is_training = getattr(classifier, "seen", None)
    return None if is_training is None else is_training(catalog)


def _split(catalog: Catalog) -> str | None:
    """The split of all rows, if it is the same."""
    values = set() if catalog.split is None else set(catalog.split)
    return values.pop() or None if len(values) == 1 else None


def _without_view(
    eval_set: EvalSet, scored: MethodResult, classifier: Classifier, view: str, progress: Progress
) -> ViewRemoved:
    reduced = eval_set.score(_score_function(classifier, (view,)), f"without {view}", progress)
    return ViewRemoved(
        view=view,
        accuracy=reduced.summary.overall.accuracy.value,
        macro_f1=reduced.summary.overall.macro_f1,
        level1=float(reduced.top_right.mean()),
        change=limits(paired_bootstrap(reduced.matched.right, scored.matched.right)),
    )


def _stages(
    eval_set: EvalSet, scored: MethodResult, classifier: Classifier, progress: Progress
) -> tuple[StageScore, ...]:
    """Scores of the stages of a cascade; empty for other classifiers."""
    if not isinstance(classifier, Cascade) or not classifier.stages:
        return ()
    with progress("finding the stage of each product", len(eval_set.rows)) as advance:
        parts = []
        for part in product_batches(eval_set.products, eval_set.rows):
            parts.append(classifier.stage_of(part))
            advance(len(part))
    by_stage = [np.concatenate(parts) == i for i in range(len(classifier.stages))]
    return tuple(
        StageScore(
            name=stage["name"],
            share=float(decided.mean()),
            accuracy=float(scored.matched.right[decided].mean()) if decided.any() else None,
            milliseconds=stage["milliseconds"],
        )
        for stage, decided in zip(classifier.stages, by_stage, strict=True)
    )


def _baseline(eval_set: EvalSet, scored: MethodResult, train: Catalog, progress: Progress) -> BaselineResult:
    start = time.perf_counter()
    svm = LinearBaseline.fit(train, progress)
    seconds = time.perf_counter() - start
    svm_scored = eval_set.score(svm.score, "evaluating the baseline", progress, probabilistic=False)
    differences = {
        "accuracy": paired_bootstrap(scored.matched.right, svm_scored.matched.right),
        "macro_f1": paired_bootstrap(scored.pairs, svm_scored.pairs, macro_f1_of_pairs),
        "level1": paired_bootstrap(scored.top_right, svm_scored.top_right),
    }
    return BaselineResult(
        name=svm.name,
        train_products=svm.train_products,
        seconds=seconds,
        summary=svm_scored.summary,
        differences={metric: limits(interval) for metric, interval in differences.items()},
    )


def _predictions(eval_set: EvalSet, classifier: Classifier, progress: Progress) -> list[Prediction] | None:
    """The decisions of the classifier; None if it has no `predict`."""
    if not hasattr(classifier, "predict"):
        return None
    with progress("deciding", len(eval_set.rows)) as advance:
        return decided_products(classifier, eval_set.products, eval_set.rows, advance)


def _robustness(eval_set: EvalSet, classifier: Classifier, progress: Progress) -> tuple[RobustnessScore, ...]:
    uncached = classifier
    if isinstance(getattr(classifier, "store", None), FeatureStore):  # changed images are not cached
        uncached = classifier.with_store(None)  # type: ignore[attr-defined]
    return robustness(_score_function(uncached), eval_set.products, eval_set.rows, eval_set.truth, progress)


def _reliability(method: MethodResult) -> tuple[ReliabilityBin, ...]:
    bins = reliability(method.confidence, method.matched.right)
    return tuple(
        ReliabilityBin(
            low=float(low), high=float(high), count=int(n),
            confidence=float(mean_confidence) if n else None, accuracy=float(right) if n else None,
        )
        for low, high, n, mean_confidence, right in zip(*bins, strict=True)
    )  # fmt: skip


def _spread_indices(count: int) -> np.ndarray:
    """At most `CURVE` evenly spaced indices, with the first and the last."""
    return np.unique(np.linspace(0, count - 1, min(count, CURVE)).round().astype(np.int64))
