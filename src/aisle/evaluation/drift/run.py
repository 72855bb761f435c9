"""Compare a new file with what a model was calibrated on."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from aisle.data import Catalog
from aisle.errors import AisleError
from aisle.evaluation.collect import decided_products
from aisle.evaluation.decision_metrics import decisions, rule_decisions
from aisle.evaluation.drift.permutation_tests import TestResult, clouds, holm, occurrences, shares, values
from aisle.evaluation.drift.profile import FILE, MOST, Profile, profile, profile_of
from aisle.evaluation.drift.result import Aspect, Drift, GuaranteeStatus, Shift
from aisle.evaluation.eval_set import EvalSet
from aisle.evaluation.operating import operating_curve
from aisle.evaluation.scores import ConfidenceInterval, OperatingCurve, RuleDecisions
from aisle.guarantee import Policy
from aisle.progress import SILENT, Progress

Verdict = Literal["holds", "doubtful", "broken", "none"]
SHIFTS = 8  # values shown, those that moved most
FEWEST = 30  # rows below which nothing is compared, and labels below which nothing is measured
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
    """Where a run's folder keeps what the products that its model was calibrated on look like."""
    return (run if (run / "model").is_dir() else run.parent) / FILE


def keep(classifier: Any, catalog: Catalog, run: Path, progress: Progress = SILENT) -> None:
    """Write the reference of `aisle drift` into a run's folder: a profile of rows kept aside, or of training
    rows as cross-fitting predicted them.

    If the file cannot be written, a message is shown and nothing is raised: `--reference FILE` replaces it.
    """
    rows = np.flatnonzero(~trained_on(classifier, catalog) & ~catalog.fatal & (catalog.targets().node >= 0))
    out_of_fold = getattr(classifier, "out_of_fold", None)
    if len(rows) >= FEWEST:
        found = profile(classifier, catalog.select(rows), progress)
    elif out_of_fold is not None and len(out_of_fold.predictions) >= FEWEST:
        found = profile_of(classifier, *out_of_fold)
    else:
        progress.say(
            f"no reference for `aisle drift`: it takes {FEWEST} labelled rows; give it --reference FILE"
        )
        return
    try:
        found.save(run / FILE)
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
    """What changed between a reference and a new file, and whether the guarantee can still be trusted.

    Rows that the model was trained on are left out: it is surer of those. named: the reference, for people.

    Raises:
        AisleError: too few rows on either side, or the reference is another model's.
    """
    if reference.model_id != classifier.model_id:
        raise AisleError(
            f"the reference is of model {reference.model_id}, not of {classifier.model_id}: "
            "give --reference FILE"
        )
    seen = trained_on(classifier, catalog)
    fresh = catalog.select(~seen)
    if min(len(fresh), len(reference)) < FEWEST:
        left = f" ({int(seen.sum()):,} more were trained on)" if seen.any() else ""
        raise AisleError(
            f"{len(fresh):,} rows{left} compared with {len(reference):,} of the reference: "
            f"fewer than {FEWEST} are too few to compare"
        )
    now = profile(classifier, fresh, progress, seed=1)
    aspects = compared(reference, now, progress)
    curve, by_rules = _measured_decisions(classifier, fresh)
    return Drift(
        model_id=classifier.model_id,
        source=", ".join(part.path.name for part in catalog.files),
        reference=named,
        rows=len(now),
        reference_rows=len(reference),
        seen=int(seen.sum()),
        faulty=int(fresh.fatal.sum()),
        aspects=aspects,
        guarantee=_guarantee_status(
            classifier, curve, by_rules, reference, now, [a.name for a in aspects if a.changed]
        ),
        operating_curve=curve,
    )


def compared(reference: Profile, now: Profile, progress: Progress = SILENT) -> tuple[Aspect, ...]:
    """Every aspect of two profiles by one model: how far apart they are, and whether that is a change."""
    asked, found = _tests(reference), []
    with progress("comparing", len(asked), "tests") as advance:
        for test in asked:
            found.append(test.test(reference, now))
            advance(1)
    real = holm([one.p for one in found])
    return tuple(
        Aspect(
            key=test.key, name=test.name, measure=test.measure, effect=one.effect, least=test.least, p=one.p,
            changed=significant and one.effect >= test.least, mean=test.mean,
            moved=test.moved(reference, now) if significant and one.effect >= test.least else (),
        )
        for test, one, significant in zip(asked, found, real, strict=True)
    )  # fmt: skip


def trained_on(classifier: Any, catalog: Catalog) -> np.ndarray:
    """(n,) bool: rows that the classifier learned from, as far as it knows."""
    seen = getattr(classifier, "seen", None)
    return np.zeros(len(catalog), bool) if seen is None else seen(catalog)


def _tests(reference: Profile) -> list[_Test]:
    """Everything that is compared: what it is called, how it is measured, the least effect that counts."""
    share, distance, apart = "share that moved", "KS distance", "distance"

    def of(name: str, test: Callable[..., TestResult]) -> Callable[[Profile, Profile], TestResult]:
        return lambda a, b: test(getattr(a, name), getattr(b, name))

    tests = [
        _Test("classes", "class mix", share, 0.05, of("path", shares), _paths),
        _Test("branches", "top categories", share, 0.04, of("top", shares), _tops),
        _Test("vocabulary", "vocabulary", apart, 0.01, of("sketch", clouds), _words),
        _Test("words", "single words", share, 0.05, _each_word, _words),
        _Test("length", "length of texts", distance, 0.08, of("length", values), _length, True),
        _Test("languages", "languages", share, 0.04, of("language", shares), _languages),
        _Test("confidence", "confidence", distance, 0.08, of("confidence", values), _confidence, True),
        _Test("unknown", "unknown categories", share, 0.03, of("ood", shares), _ood),
    ]
    for column, view in enumerate(reference.views):
        test, moved = _presence(column)
        tests.append(_Test(f"view {view}", f"view {view}", share, 0.03, test, moved))
    if reference.embedding.shape[1]:
        tests.append(_Test("embedding", "embedding", apart, 0.01, of("embedding", clouds), _embedding, True))
    return tests


def _each_word(a: Profile, b: Profile) -> TestResult:
    """A template or a new line of goods brings a few words, which long texts hide from `vocabulary`."""
    return occurrences(a.words, len(a), b.words, len(b))


def _presence(column: int) -> tuple[Callable[..., TestResult], Callable[..., tuple[Shift, ...]]]:
    """How many products have a view."""

    def test(a: Profile, b: Profile) -> TestResult:
        return shares(a.present[:, column], b.present[:, column])

    def moved(a: Profile, b: Profile) -> tuple[Shift, ...]:
        had, has = a.present[:, column].mean(), b.present[:, column].mean()
        return (Shift(name="has it", before=float(had), now=float(has)),)

    return test, moved


def _counted(before: np.ndarray, after: np.ndarray) -> tuple[Shift, ...]:
    a, b = Counter(before.tolist()), Counter(after.tolist())
    moved = [Shift(name=str(k), before=a[k] / len(before), now=b[k] / len(after)) for k in a | b]
    return tuple(sorted(moved, key=lambda m: (-abs(m.now - m.before), m.name))[:SHIFTS])


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

    ranked = sorted(a.words | b.words, key=lambda word: (-z(word), word))[:SHIFTS]
    return tuple(Shift(name=w, before=a.words.get(w, 0) / n, now=b.words.get(w, 0) / m) for w in ranked)


def _length(a: Profile, b: Profile) -> tuple[Shift, ...]:
    return (Shift(name="words a product", before=float(a.length.mean()), now=float(b.length.mean())),)


def _ood(a: Profile, b: Profile) -> tuple[Shift, ...]:
    whole = Shift(name="outside all known categories", before=float(a.ood.mean()), now=float(b.ood.mean()))
    return (whole, *_by_top(a, b, a.ood.astype(float), b.ood.astype(float))[: SHIFTS - 1])


def _confidence(a: Profile, b: Profile) -> tuple[Shift, ...]:
    whole = Shift(name="mean", before=float(a.confidence.mean()), now=float(b.confidence.mean()))
    return (whole, *_by_top(a, b, a.confidence, b.confidence)[: SHIFTS - 1])


def _embedding(a: Profile, b: Profile) -> tuple[Shift, ...]:
    """By top category, the mean cosine similarity to the reference's centre there."""
    centre = {top: a.embedding[a.top == top].mean(0) for top in set(a.top.tolist())}
    whole = a.embedding.mean(0)

    def near(p: Profile) -> np.ndarray:
        to = np.stack([centre.get(top, whole) for top in p.top.tolist()])
        return (p.embedding * to).sum(1) / np.maximum(np.linalg.norm(to, axis=1), 1e-9)

    return _by_top(a, b, near(a), near(b))


def _by_top(a: Profile, b: Profile, x: np.ndarray, y: np.ndarray) -> tuple[Shift, ...]:
    """Means in each top category that has rows enough on both sides, weighted by how many changed."""
    found = []
    for top in sorted(set(a.top.tolist()) & set(b.top.tolist())):
        here, there = a.top == top, b.top == top
        if min(here.sum(), there.sum()) >= _FEWEST_OF_TOP:
            moved = Shift(name=str(top), before=float(x[here].mean()), now=float(y[there].mean()))
            found.append((abs(moved.now - moved.before) * there.sum(), moved))
    return tuple(moved for _, moved in sorted(found, key=lambda f: (-f[0], f[1].name))[:SHIFTS])


def _guarantee_status(
    classifier: Any,
    curve: OperatingCurve | None,
    by_rules: RuleDecisions | None,
    before: Profile,
    now: Profile,
    changed: list[str],
) -> GuaranteeStatus:
    policy = getattr(classifier, "policy", None)
    guarantees = (
        [p for p in policy.guarantees if p.holds and not p.branch] if isinstance(policy, Policy) else []
    )
    guaranteed = min((p.precision for p in guarantees), default=None)
    expected = float(now.confidence[now.accepted].mean()) if now.accepted.any() else None
    full, branch = _measured(curve)
    verdict, why = _verdict(guaranteed, {"accepted": full, "placed in a branch": branch}, changed)
    return GuaranteeStatus(
        verdict=verdict, why=why, guaranteed=guaranteed, expected=expected, measured=full,
        measured_branch=branch, accepted=float(now.accepted.mean()), partial=float(now.partial.mean()),
        accepted_before=float(before.accepted.mean()), partial_before=float(before.partial.mean()),
        by_rules=by_rules,
    )  # fmt: skip


def _verdict(
    guaranteed: float | None, measured: dict[str, ConfidenceInterval | None], changed: list[str]
) -> tuple[Verdict, str]:
    """Whether the guarantee holds, and why, by what is measured of full paths and of branches."""
    if guaranteed is None:
        return "none", "nothing is guaranteed at the precision of this model: `aisle info` says what can be"
    there = {kind: interval for kind, interval in measured.items() if interval is not None}
    right = " and ".join(f"{100 * interval.value:.1f} % of those {kind}" for kind, interval in there.items())
    right = f"{right} are right by the file's own labels"
    if any(interval.high < guaranteed for interval in there.values()):
        return "broken", f"{right}, {100 * guaranteed:g} % were guaranteed"
    if not changed:
        return "holds", f"nothing changed beyond chance{f'; {right}' if there else ''}"
    if there and all(interval.low >= guaranteed for interval in there.values()):
        return "holds", f"{', '.join(changed)} changed, but {right}"
    why = f"it was fitted on other products: {', '.join(changed)} changed"
    return "doubtful", f"{why}; {right}" if there else why


def _measured(curve: OperatingCurve | None) -> tuple[ConfidenceInterval | None, ConfidenceInterval | None]:
    """How many full paths and branches are right at the precision that decides; None for too few."""
    point = next((p for p in curve.points if p.precision == curve.precision), None) if curve else None
    if point is None:
        return None, None
    full, branch = (
        score.precision if score.count >= FEWEST else None
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
    if len(rows) < FEWEST or not isinstance(policy, Policy):
        policy, rows = None, np.flatnonzero(~catalog.fatal)
    if policy is None and rules is None:
        return None, None
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(2).choice(rows, MOST, replace=False))
    predictions = decided_products(classifier, catalog, rows)
    by_rules = None if rules is None else rule_decisions(predictions)
    if policy is None:
        return None, by_rules
    truth = EvalSet.of(classifier.taxonomy, catalog.select(rows), None, None).truth
    by_rules = decisions(predictions, truth).by_rules or by_rules
    return operating_curve(predictions, truth, policy), by_rules
