"""Compares a new file with the rows that a model was calibrated on."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from aisle.data import Catalog
from aisle.errors import AisleError
from aisle.evaluation.collect import decided_products
from aisle.evaluation.decision_metrics import decisions, rule_decisions
from aisle.evaluation.drift.permutation_tests import (
    TestResult,
    energy_distance,
    holm,
    ks_test,
    share_test,
    word_test,
)
from aisle.evaluation.drift.profile import FILE, MAX_ROWS, Profile, profile, profile_of
from aisle.evaluation.drift.result import Aspect, Drift, GuaranteeStatus, Shift
from aisle.evaluation.eval_set import EvalSet
from aisle.evaluation.operating import operating_curve
from aisle.evaluation.scores import ConfidenceInterval, OperatingCurve, RuleDecisions
from aisle.guarantee import Policy
from aisle.progress import SILENT, Progress

Verdict = Literal["holds", "doubtful", "broken", "none"]
MAX_SHIFTS = 8  # values shown, those that moved most
MIN_ROWS = 30  # rows below which nothing is compared, and labels below which nothing is measured
_FEWEST_OF_TOP = 10  # rows of a top category on each side


class _Test(NamedTuple):
    key: str
    name: str
    measure: str
    least: float  # a smaller effect is no change worth an alarm
    test: Callable[[Profile, Profile], TestResult]
    moved: Callable[[Profile, Profile], tuple[Shift, ...]]
    mean: bool = False


def reference_of(run: Path) -> Path:
    """The path of the reference profile in a run's folder."""
    return (run if (run / "model").is_dir() else run.parent) / FILE


def save_reference(classifier: Any, catalog: Catalog, run: Path, progress: Progress = SILENT) -> None:
    """Write the reference of `aisle drift` into a run's folder: a profile of rows kept aside, or of training
    rows as cross-fitting predicted them.

    If the file cannot be written, a message is shown and nothing is raised: `--reference FILE` replaces it.
    """
    rows = np.flatnonzero(~trained_on(classifier, catalog) & ~catalog.fatal & (catalog.targets().node >= 0))
    out_of_fold = getattr(classifier, "out_of_fold", None)
    if len(rows) >= MIN_ROWS:
        reference = profile(classifier, catalog.select(rows), progress)
    elif out_of_fold is not None and len(out_of_fold.predictions) >= MIN_ROWS:
        reference = profile_of(classifier, *out_of_fold)
    else:
        progress.say(
            f"no reference for `aisle drift`: it takes {MIN_ROWS} labelled rows; give it --reference FILE"
        )
        return
    try:
        reference.save(run / FILE)
    except OSError as error:
        progress.say(f"{run / FILE} cannot be written: {error.strerror or error}")


def drift(
    classifier: Any,
    catalog: Catalog,
    reference: Profile,
    *,
    named: str = "the rows it was calibrated on",
    progress: Progress = SILENT,
) -> Drift:
    """Compare a new file with a reference, and check whether the guarantee can still be trusted.

    Rows that the model was trained on are left out, since their confidences are too high.

    Args:
        classifier: The model.
        catalog: The new file.
        reference: The profile of the rows that the model was calibrated on.
        named: The reference's name in the result.
        progress: Reports progress.

    Raises:
        AisleError: too few rows on either side, or the reference is another model's.
    """
    if reference.model_id != classifier.model_id:
        raise AisleError(
            f"the reference is of model {reference.model_id}, not of {classifier.model_id}: "
            "give --reference FILE"
        )
    is_training = trained_on(classifier, catalog)
    unseen = catalog.select(~is_training)
    if min(len(unseen), len(reference)) < MIN_ROWS:
        trained = f" ({int(is_training.sum()):,} more were trained on)" if is_training.any() else ""
        raise AisleError(
            f"{len(unseen):,} rows{trained} compared with {len(reference):,} of the reference: "
            f"fewer than {MIN_ROWS} are too few to compare"
        )
    current = profile(classifier, unseen, progress, seed=1)
    aspects = compare_profiles(reference, current, progress)
    curve, by_rules = _measured_decisions(classifier, unseen)
    return Drift(
        model_id=classifier.model_id,
        source=", ".join(part.path.name for part in catalog.files),
        reference=named,
        rows=len(current),
        reference_rows=len(reference),
        seen=int(is_training.sum()),
        faulty=int(unseen.fatal.sum()),
        aspects=aspects,
        guarantee=_guarantee_status(
            classifier, curve, by_rules, reference, current, [a.name for a in aspects if a.changed]
        ),
        operating_curve=curve,
    )


def compare_profiles(reference: Profile, current: Profile, progress: Progress = SILENT) -> tuple[Aspect, ...]:
    """Test every aspect of two profiles by one model for a change."""
    tests, results = _tests(reference), []
    with progress("comparing", len(tests), "tests") as advance:
        for test in tests:
            results.append(test.test(reference, current))
            advance(1)
    significant = holm([result.p for result in results])
    return tuple(
        Aspect(
            key=test.key, name=test.name, measure=test.measure, effect=result.effect, least=test.least,
            p=result.p, changed=is_significant and result.effect >= test.least, mean=test.mean,
            moved=test.moved(reference, current) if is_significant and result.effect >= test.least else (),
        )
        for test, result, is_significant in zip(tests, results, significant, strict=True)
    )  # fmt: skip


def trained_on(classifier: Any, catalog: Catalog) -> np.ndarray:
    """(n,) bool: rows that the classifier was trained on; all False if unknown."""
    is_training = getattr(classifier, "seen", None)
    return np.zeros(len(catalog), bool) if is_training is None else is_training(catalog)


def _tests(reference: Profile) -> list[_Test]:
    """The aspects to compare, each with its measure and the smallest effect that counts as a change."""
    total_variation, distance, energy = "share that moved", "KS distance", "distance"

    def on_field(name: str, test: Callable[..., TestResult]) -> Callable[[Profile, Profile], TestResult]:
        return lambda a, b: test(getattr(a, name), getattr(b, name))

    tests = [
        _Test("classes", "class mix", total_variation, 0.05, on_field("path", share_test), _paths),
        _Test("branches", "top categories", total_variation, 0.04, on_field("top", share_test), _tops),
        _Test("vocabulary", "vocabulary", energy, 0.01, on_field("sketch", energy_distance), _words),
        _Test("words", "single words", total_variation, 0.05, _each_word, _words),
        _Test("length", "length of texts", distance, 0.08, on_field("length", ks_test), _length, True),
        _Test("languages", "languages", total_variation, 0.04, on_field("language", share_test), _languages),
        _Test("confidence", "confidence", distance, 0.08, on_field("confidence", ks_test), _confidence, True),
        _Test("unknown", "unknown categories", total_variation, 0.03, on_field("ood", share_test), _ood),
    ]
    for column, view in enumerate(reference.views):
        test, shifts = _presence(column)
        tests.append(_Test(f"view {view}", f"view {view}", total_variation, 0.03, test, shifts))
    if reference.embedding.shape[1]:
        tests.append(
            _Test(
                "embedding",
                "embedding",
                energy,
                0.01,
                on_field("embedding", energy_distance),
                _embedding,
                True,
            )
        )
    return tests


def _each_word(a: Profile, b: Profile) -> TestResult:
    """A template or a new line of goods brings a few words, which long texts hide from `vocabulary`."""
    return word_test(a.words, len(a), b.words, len(b))


def _presence(column: int) -> tuple[Callable[..., TestResult], Callable[..., tuple[Shift, ...]]]:
    """How many products have a view."""

    def test(a: Profile, b: Profile) -> TestResult:
        return share_test(a.present[:, column], b.present[:, column])

    def moved(a: Profile, b: Profile) -> tuple[Shift, ...]:
        before, now = a.present[:, column].mean(), b.present[:, column].mean()
        return (Shift(name="has it", before=float(before), now=float(now)),)

    return test, moved


def _counted(before: np.ndarray, after: np.ndarray) -> tuple[Shift, ...]:
    a, b = Counter(before.tolist()), Counter(after.tolist())
    shifts = [Shift(name=str(k), before=a[k] / len(before), now=b[k] / len(after)) for k in a | b]
    return tuple(sorted(shifts, key=lambda m: (-abs(m.now - m.before), m.name))[:MAX_SHIFTS])


def _paths(a: Profile, b: Profile) -> tuple[Shift, ...]:
    return _counted(a.path, b.path)


def _tops(a: Profile, b: Profile) -> tuple[Shift, ...]:
    return _counted(a.top, b.top)


def _languages(a: Profile, b: Profile) -> tuple[Shift, ...]:
    return _counted(a.language, b.language)


def _words(a: Profile, b: Profile) -> tuple[Shift, ...]:
    """By the log-odds of a word, in its standard errors, with half a row added to each side."""
    n, m = len(a), len(b)

    def z(word: str) -> float:
        x, y = a.words.get(word, 0) + 0.5, b.words.get(word, 0) + 0.5
        odds = np.log(x / (n + 1 - x)) - np.log(y / (m + 1 - y))
        return float(abs(odds) / np.sqrt(1 / x + 1 / y + 1 / (n + 1 - x) + 1 / (m + 1 - y)))

    ranked = sorted(a.words | b.words, key=lambda word: (-z(word), word))[:MAX_SHIFTS]
    return tuple(Shift(name=w, before=a.words.get(w, 0) / n, now=b.words.get(w, 0) / m) for w in ranked)


def _length(a: Profile, b: Profile) -> tuple[Shift, ...]:
    return (Shift(name="words a product", before=float(a.length.mean()), now=float(b.length.mean())),)


def _ood(a: Profile, b: Profile) -> tuple[Shift, ...]:
    overall = Shift(name="outside all known categories", before=float(a.ood.mean()), now=float(b.ood.mean()))
    return (overall, *_by_top(a, b, a.ood.astype(float), b.ood.astype(float))[: MAX_SHIFTS - 1])


def _confidence(a: Profile, b: Profile) -> tuple[Shift, ...]:
    overall = Shift(name="mean", before=float(a.confidence.mean()), now=float(b.confidence.mean()))
    return (overall, *_by_top(a, b, a.confidence, b.confidence)[: MAX_SHIFTS - 1])


def _embedding(a: Profile, b: Profile) -> tuple[Shift, ...]:
    """By top category, the mean cosine similarity to the reference's centre there."""
    center = {top: a.embedding[a.top == top].mean(0) for top in set(a.top.tolist())}
    overall = a.embedding.mean(0)

    def similarity(p: Profile) -> np.ndarray:
        centers = np.stack([center.get(top, overall) for top in p.top.tolist()])
        return (p.embedding * centers).sum(1) / np.maximum(np.linalg.norm(centers, axis=1), 1e-9)

    return _by_top(a, b, similarity(a), similarity(b))


def _by_top(a: Profile, b: Profile, x: np.ndarray, y: np.ndarray) -> tuple[Shift, ...]:
    """Means in each top category that has rows enough on both sides, weighted by how many changed."""
    weighted = []
    for top in sorted(set(a.top.tolist()) & set(b.top.tolist())):
        rows_a, rows_b = a.top == top, b.top == top
        if min(rows_a.sum(), rows_b.sum()) >= _FEWEST_OF_TOP:
            shift = Shift(name=str(top), before=float(x[rows_a].mean()), now=float(y[rows_b].mean()))
            weighted.append((abs(shift.now - shift.before) * rows_b.sum(), shift))
    return tuple(shift for _, shift in sorted(weighted, key=lambda f: (-f[0], f[1].name))[:MAX_SHIFTS])


def _guarantee_status(
    classifier: Any,
    curve: OperatingCurve | None,
    by_rules: RuleDecisions | None,
    reference: Profile,
    current: Profile,
    changed: list[str],
) -> GuaranteeStatus:
    policy = getattr(classifier, "policy", None)
    guarantees = (
        [p for p in policy.guarantees if p.holds and not p.branch] if isinstance(policy, Policy) else []
    )
    guaranteed = min((p.precision for p in guarantees), default=None)
    expected = float(current.confidence[current.accepted].mean()) if current.accepted.any() else None
    full, branch = _measured(curve)
    verdict, reason = _verdict(guaranteed, {"accepted": full, "placed in a branch": branch}, changed)
    return GuaranteeStatus(
        verdict=verdict, why=reason, guaranteed=guaranteed, expected=expected, measured=full,
        measured_branch=branch, accepted=float(current.accepted.mean()),
        partial=float(current.partial.mean()),
        accepted_before=float(reference.accepted.mean()), partial_before=float(reference.partial.mean()),
        by_rules=by_rules,
    )  # fmt: skip


def _verdict(
    guaranteed: float | None, measured: dict[str, ConfidenceInterval | None], changed: list[str]
) -> tuple[Verdict, str]:
    """Whether the guarantee holds, and why, by what is measured of full paths and of branches."""
    if guaranteed is None:
        return "none", "nothing is guaranteed at the precision of this model: `aisle info` says what can be"
    intervals = {kind: interval for kind, interval in measured.items() if interval is not None}
    accuracy_text = " and ".join(
        f"{100 * interval.value:.1f} % of those {kind}" for kind, interval in intervals.items()
    )
    accuracy_text = f"{accuracy_text} are right by the file's own labels"
    if any(interval.high < guaranteed for interval in intervals.values()):
        return "broken", f"{accuracy_text}, {100 * guaranteed:g} % were guaranteed"
    if not changed:
        return "holds", f"nothing changed beyond chance{f'; {accuracy_text}' if intervals else ''}"
    if intervals and all(interval.low >= guaranteed for interval in intervals.values()):
        return "holds", f"{', '.join(changed)} changed, but {accuracy_text}"
    reason = f"it was fitted on other products: {', '.join(changed)} changed"
    return "doubtful", f"{reason}; {accuracy_text}" if intervals else reason


def _measured(curve: OperatingCurve | None) -> tuple[ConfidenceInterval | None, ConfidenceInterval | None]:
    """How many full paths and branches are right at the precision that decides; None for too few."""
    point = next((p for p in curve.points if p.precision == curve.precision), None) if curve else None
    if point is None:
        return None, None
    full, branch = (
        score.precision if score.count >= MIN_ROWS else None
        for score in (point.measured_full, point.measured_branch)
    )
    return full, branch


def _measured_decisions(
    classifier: Any, catalog: Catalog
) -> tuple[OperatingCurve | None, RuleDecisions | None]:
    """The curve measured on the file's labels, where enough rows have one, and what rules decide; a category
    that is not in the model's tree makes every decision wrong."""
    policy, rules = getattr(classifier, "policy", None), getattr(classifier, "rules", None)
    given = catalog.targets().node >= 0 if catalog.labelled else np.zeros(len(catalog), bool)
    rows = np.flatnonzero(given & ~catalog.fatal)
    if len(rows) < MIN_ROWS or not isinstance(policy, Policy):
        policy, rows = None, np.flatnonzero(~catalog.fatal)
    if policy is None and rules is None:
        return None, None
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(2).choice(rows, MAX_ROWS, replace=False))
    predictions = decided_products(classifier, catalog, rows)
    by_rules = None if rules is None else rule_decisions(predictions)
    if policy is None:
        return None, by_rules
    truth = EvalSet.of(classifier.taxonomy, catalog.select(rows), None, None).truth
    by_rules = decisions(predictions, truth).by_rules or by_rules
    return operating_curve(predictions, truth, policy), by_rules
