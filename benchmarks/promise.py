"""Is the promise kept, and what does it cost? `python benchmarks/promise.py` writes a section of RESULTS.md.

Over many duplicate-aware random splits of kept (out-of-fold) predictions, a policy is fitted on two
parts and judged on the third. A split violates the promise when the one-sided 95 % Clopper-Pearson
upper limit of what was realised lies below it. Coverage is compared with an oracle: the best threshold
on the same ranking, chosen with the labels of the very rows it is judged on. The same on simulated
probabilities whose truth is known, honest and over-confident, with fresh rows for every split.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aisle.decision import Policy, Sample, clopper_pearson, fit
from aisle.taxonomy import Scores, Targets, Taxonomy
from results import SHARED, machine, write_section

PARTS = (0.2, 0.6, 0.2)  # to calibrate, to test thresholds, to judge
DELTA = 0.05


class Outcome(NamedTuple):
    """One split: what was decided, how much of it was right, and what an oracle would have reached."""

    accepted: int
    accepted_right: int
    partial: int
    partial_right: int
    depth: float  # mean level at which partial paths end
    rows: int
    oracle: int
    branches: int  # promises made for single top categories
    branches_broken: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "aisle-promise")
    parser.add_argument("--dry", action="store_true", help="print the section, write nothing")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    lines = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for name, precision, case in cases(args.cache):
            lines.append(row(name, precision, list(pool.map(case, range(args.splits), chunksize=5))))
            print(lines[-1], flush=True)
            if not args.dry:  # after every case, so that a stopped run has written what it measured
                write_section("promise", report(lines, args.splits))


def cases(cache: Path) -> Iterator[tuple[str, float, Callable[[int], Outcome]]]:
    """What predictions, what precision, and the function that judges one split."""
    for name, sharpness in (("simulated, honest", 1.0), ("simulated, over-confident", 3.0)):
        yield name, 0.9, partial(simulated, sharpness, 0.9)
    for name, asked in (("marketplace", (0.95, 0.9, 0.8)), ("instacart", (0.9, 0.8))):
        if (cache / f"{name}.npz").exists() or SHARED.exists():
            kept(name, cache)  # computed once, before any worker asks
            for precision in asked:
                yield name, precision, partial(real, name, cache, precision)


def row(name: str, precision: float, found: list[Outcome]) -> str:
    """One line of the table."""
    x = np.array(found, dtype=float)
    accepted, accepted_right, named, named_right, depth, rows, oracle, branches, broken = x.T
    violated = [
        np.mean([clopper_pearson(int(r), int(n))[1] < precision for r, n in zip(right, count, strict=True)])
        for right, count in ((accepted_right, accepted), (named_right, named))
    ]
    cells = [
        name,
        f"{precision:.2f}",
        f"{accepted_right.sum() / max(accepted.sum(), 1):.3f}",
        f"{violated[0]:.1%}",
        f"{(accepted / rows).mean():.1%}",
        f"{(oracle / rows).mean():.1%}",
        f"{accepted.sum() / max(oracle.sum(), 1):.2f}",
        f"{(accepted == 0).mean():.0%}",
        f"{named_right.sum() / max(named.sum(), 1):.3f}",
        f"{violated[1]:.1%}",
        f"{(named / rows).mean():.1%}",
        f"{np.average(depth, weights=named) if named.sum() else 0:.2f}",
        f"{branches.mean():.1f}",
        f"{broken.sum() / max(branches.sum(), 1):.1%}",
    ]
    return "| " + " | ".join(cells) + " |"


def report(lines: list[str], splits: int) -> str:
    heads = [
        "predictions", "promise", "accept: realised", "violations", "coverage", "oracle", "ratio", "none",
        "partial: realised", "violations", "coverage", "mean level", "branches promised", "violations",
    ]  # fmt: skip
    table = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *lines]
    return "\n".join(
        [
            "## Promised precision",
            "",
            f"{splits} duplicate-aware random splits ({PARTS[0]:.0%} calibrate, {PARTS[1]:.0%} thresholds, "
            f"{PARTS[2]:.0%} judged), delta {DELTA}. Kept predictions: ten folds of a linear SVM on TF-IDF, "
            "six times its margins as logits. A violation is a split whose one-sided 95 % Clopper-Pearson "
            "upper limit lies below the promise. `none`: splits in which no full path could be promised. "
            f"{machine()}. `python benchmarks/promise.py`",
            "",
            *table,
        ]
    )


# -- one split ----------------------------------------------------------------------------------


def judged(policy: Policy, scores: Scores, targets: Targets, precision: float) -> Outcome:
    calibrated = policy.calibrate(scores)
    descent, stops = policy.stops(calibrated)
    lineage = scores.taxonomy.ancestors[targets.node]
    every, at = np.arange(len(scores)), np.maximum(stops - 1, 0)
    full = descent.best == targets.node
    named = descent.nodes[every, at] == lineage[every, at]
    accept = stops == descent.depth
    part = (stops > 0) & ~accept
    order = np.argsort(-descent.confidence[every, descent.depth - 1], kind="stable")
    running = np.cumsum(full[order]) / np.arange(1, len(order) + 1)
    branches = broken = 0
    for promise in policy.promises:
        if promise.branch and promise.holds:
            rows = (accept if promise.verdict == "accept" else part) & (
                descent.nodes[:, 0] == scores.taxonomy.index(promise.branch)
            )
            right = (full if promise.verdict == "accept" else named)[rows]
            branches += 1
            broken += clopper_pearson(int(right.sum()), len(right))[1] < precision
    return Outcome(
        int(accept.sum()), int(full[accept].sum()), int(part.sum()), int(named[part].sum()),
        float(stops[part].mean()) if part.any() else 0.0, len(scores),
        int(np.flatnonzero(running >= precision).max(initial=-1)) + 1, branches, broken,
    )  # fmt: skip


def real(name: str, cache: Path, precision: float, seed: int) -> Outcome:
    scores, targets, groups = kept(name, cache)
    share = np.random.default_rng(seed).random(groups.max() + 1)[groups]
    edges = np.cumsum((0.0, *PARTS))
    parts = [np.flatnonzero((share >= a) & (share < b)) for a, b in pairwise(edges)]
    samples = [Sample(scores[p], Targets(targets.node[p], targets.exact[p]), groups[p]) for p in parts]
    policy = fit(samples[0], samples[1], precision=precision, delta=DELTA)
    return judged(policy, samples[2].scores, samples[2].targets, precision)


def simulated(sharpness: float, precision: float, seed: int) -> Outcome:
    tree = Taxonomy.from_paths(
        [(a, b, c) for a in "ABC" for b in "pqr" for c in "xyz"] + [("D", b) for b in "mn"] + [("D",), ("E",)]
    )
    scores, targets = draw(tree, 20_000, seed, sharpness)
    cut = np.split(np.arange(20_000), [3_000, 15_000])
    first, second, third = ((scores[c], Targets(targets.node[c], targets.exact[c])) for c in cut)
    return judged(fit(first, second, precision=precision, delta=DELTA), *third, precision)


def draw(tree: Taxonomy, rows: int, seed: int, sharpness: float) -> tuple[Scores, Targets]:
    """Labels drawn from the truth; the model reports the truth to the power `sharpness`."""
    rng = np.random.default_rng(seed)
    logits = np.zeros((rows, len(tree.terminals)))
    for depth in range(tree.depth):
        logits += rng.normal(0, 2.0 ** (1 - depth), (rows, len(tree) + 1))[
            :, tree.ancestors[tree.terminals, depth]
        ]
    logits *= rng.gamma(2.0, 2.0, (rows, 1))
    label = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    logits *= sharpness
    logp = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return Scores(tree, logp), Targets(tree.terminals[label], np.ones(rows, dtype=bool))


# -- kept predictions ---------------------------------------------------------------------------


def kept(name: str, cache: Path) -> tuple[Scores, Targets, np.ndarray]:
    """Out-of-fold scores of the `train` rows, their labels and their near-duplicate groups."""
    file = cache / f"{name}.npz"
    if not file.exists():
        predict_out_of_fold(name, file)
    saved = np.load(file, allow_pickle=False)
    tree = Taxonomy.from_paths(tuple(path.split(" > ")) for path in saved["paths"])
    logits = saved["logits"].astype(np.float64)
    scores = Scores(tree, (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32))
    return scores, Targets(tree.terminals[saved["label"]], np.ones(len(logits), dtype=bool)), saved["groups"]


def predict_out_of_fold(name: str, file: Path, folds: int = 10) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    from aisle.catalog import read
    from aisle.catalog.splits import folds as cut

    where = (
        SHARED / "data" / ("marketplace/products.csv" if name == "marketplace" else f"text/{name}.parquet")
    )
    catalog = read(where)
    catalog = catalog.take(np.flatnonzero((catalog.split == "train") & (catalog.targets().node >= 0)))
    node, groups, fold = catalog.targets().node, catalog.groups(), cut(catalog, folds)
    used = np.unique(node)
    tree = Taxonomy.from_paths(catalog.taxonomy.nodes[n].path for n in used)
    number = {n: tree.terminal_of[tree.index(catalog.taxonomy.nodes[n].path)] for n in used}
    label = np.array([number[n] for n in node])
    text = [" . ".join(p.fields.get(f, "") for f in ("title", "description")) for p in catalog]
    logits = np.full((len(text), len(tree.terminals)), -9.0, dtype=np.float32)
    for k in range(folds):
        learn, ask = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        model = LinearSVC().fit(words.fit_transform([text[i] for i in learn]), label[learn])
        logits[np.ix_(ask, model.classes_)] = 6 * model.decision_function(
            words.transform([text[i] for i in ask])
        )
        print(f"{name} fold {k + 1}: {(logits[ask].argmax(1) == label[ask]).mean():.3f} right", flush=True)
    paths = np.array([" > ".join(tree.nodes[t].path) for t in tree.terminals])
    np.savez_compressed(
        file,
        logits=logits.astype(np.float16),
        label=label,
        paths=paths,
        groups=np.unique(groups, return_inverse=True)[1],
    )


if __name__ == "__main__":
    main()
