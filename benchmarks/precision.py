"""Does the guarantee hold, and what does it cost? `python benchmarks/precision.py` writes a section.

Over many duplicate-aware random splits of saved (out-of-fold) predictions, a policy is fitted on two
parts and evaluated on the third. A split violates the guarantee when the one-sided 95 % Clopper-Pearson
upper limit of what was realised lies below it. Coverage is compared with an oracle: the best threshold
on the same ranking, chosen with the labels of the very rows it is evaluated on. The same on simulated
probabilities whose truth is known, honest and over-confident, with fresh rows for every split.

What is slow is cached in `--cache`: predictions, and every case's outcomes; a run that was stopped goes on.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aisle.data import Catalog, read
from aisle.data.splits import folds as cut
from aisle.guarantee import Nearest, Policy, Sample, clopper_pearson, fit
from aisle.taxonomy import CategoryPath, Scores, Targets, Taxonomy
from results import SHARED, machine, write_section

PARTS = (0.15, 0.65, 0.2)  # to calibrate, to test thresholds, to judge
ALPHA = 0.05
# The fields of `Nearest` in a cached file.
NEAREST = ("branch_similarity", "node", "similarity", "branch_score", "distance")
LEAST = -16.0  # the logit of what a fold never learned
# Saved predictions, by guaranteed precision: of the network alone, and with the nearest neighbors.
REAL: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "marketplace-balanced": ((0.9, 0.95), (0.9, 0.95, 0.8)),
    "marketplace-svm": ((0.9, 0.8), ()),
    "instacart-svm": ((0.9,), ()),
}


class Outcome(NamedTuple):
    """One split: what was decided, how much of it was right, and what an oracle would have reached."""

    accepted: int
    accepted_right: int
    partial: int
    partial_right: int
    depth: float  # mean level at which partial paths end
    rows: int
    oracle: int
    branches: int  # guarantees for single top categories
    branches_broken: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "aisle-precision")
    parser.add_argument("--dry", action="store_true", help="print the section, write nothing")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    lines = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for name, precision, case in cases(args.cache):
            done = args.cache / f"{slug(name)}-{precision:g}-{args.splits}.npy"
            if not done.exists():
                np.save(done, np.array(list(pool.map(case, range(args.splits), chunksize=5)), dtype=float))
            lines.append(row(name, precision, np.load(done)))
            print(lines[-1], flush=True)
            if not args.dry:  # after every case, so that a stopped run has written what it measured
                write_section("precision", report(lines, args.splits))


def cases(cache: Path) -> Iterator[tuple[str, float, Callable[[int], Outcome]]]:
    """What predictions, what precision, and the function that judges one split."""
    for name, sharpness in (("simulated, honest", 1.0), ("simulated, over-confident", 3.0)):
        yield name, 0.9, partial(simulated, sharpness, 0.9)
    for name, precisions in REAL.items():
        if (cache / f"{name}.npz").exists() or SHARED.exists():
            saved_predictions(name, cache)  # computed once, before any worker asks
            for precision in precisions[1]:
                neighbors(name, cache)
                yield f"{name}, neighbors", precision, partial(real, name, cache, precision, True)
            for precision in precisions[0]:
                yield name, precision, partial(real, name, cache, precision, False)


def slug(name: str) -> str:
    """A file's name."""
    return "-".join(name.replace(",", "").split())


def row(name: str, precision: float, x: np.ndarray) -> str:
    """One line of the table. x: (splits, fields of `Outcome`)."""
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
        "predictions", "guaranteed", "accept: realised", "violations", "coverage", "oracle", "ratio", "none",
        "partial: realised", "violations", "coverage", "mean level", "branches guaranteed", "violations",
    ]  # fmt: skip
    table = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *lines]
    return "\n".join(
        [
            "## Guaranteed precision",
            "",
            f"{splits} duplicate-aware random splits ({PARTS[0]:.0%} calibrate, {PARTS[1]:.0%} thresholds, "
            f"{PARTS[2]:.0%} evaluated), alpha {ALPHA}. Saved predictions of `train` rows: `balanced`, five "
            "folds of the shipped recipe; `svm`, ten folds of a linear SVM on TF-IDF, six times its margins "
            "as logits. `neighbors`: the model's k-NN index over all its views. A violation is a "
            "split whose one-sided 95 % Clopper-Pearson upper limit lies below the guaranteed one. "
            "`oracle`: the best threshold on the same ranking, chosen on the labels of the evaluated rows. "
            "`none`: splits in which no full path could be guaranteed. "
            f"{machine()}. `python benchmarks/precision.py`",
            "",
            *table,
        ]
    )


# -- one split ----------------------------------------------------------------------------------


def evaluate(policy: Policy, sample: Sample, precision: float) -> Outcome:
    scores, targets = sample.scores, sample.targets
    calibrated = policy.calibrate(scores)
    descent = policy.descend(scores, sample.nearest)
    stops = policy.stops(scores.taxonomy, descent, policy.is_ood(calibrated, sample.nearest))
    lineage = scores.taxonomy.ancestors[targets.node]
    every, at = np.arange(len(scores)), np.maximum(stops - 1, 0)
    full = descent.best == targets.node
    named = descent.nodes[every, at] == lineage[every, at]
    accept = stops == descent.depth
    part = (stops > 0) & ~accept
    order = np.argsort(-descent.confidence[every, descent.depth - 1], kind="stable")
    running = np.cumsum(full[order]) / np.arange(1, len(order) + 1)
    branches = broken = 0
    for guarantee in policy.guarantees:
        if guarantee.branch and guarantee.holds:
            rows = (accept if guarantee.verdict == "accept" else part) & (
                descent.nodes[:, 0] == scores.taxonomy.index(guarantee.branch)
            )
            right = (full if guarantee.verdict == "accept" else named)[rows]
            branches += 1
            broken += clopper_pearson(int(right.sum()), len(right))[1] < precision
    return Outcome(
        int(accept.sum()), int(full[accept].sum()), int(part.sum()), int(named[part].sum()),
        float(stops[part].mean()) if part.any() else 0.0, len(scores),
        int(np.flatnonzero(running >= precision).max(initial=-1)) + 1, branches, broken,
    )  # fmt: skip


def real(name: str, cache: Path, precision: float, ask: bool, seed: int) -> Outcome:
    scores, targets, groups, _ = saved_predictions(name, cache)
    near = neighbors(name, cache) if ask else None
    share = np.random.default_rng(seed).random(groups.max() + 1)[groups]
    edges = np.cumsum((0.0, *PARTS))
    parts = [np.flatnonzero((share >= a) & (share < b)) for a, b in pairwise(edges)]
    samples = [
        Sample(scores[p], Targets(targets.node[p], targets.exact[p]), groups[p], near and near.take(p))
        for p in parts
    ]
    policy = fit(samples[0], samples[1], precision=precision, alpha=ALPHA)
    return evaluate(policy, samples[2], precision)


def simulated(sharpness: float, precision: float, seed: int) -> Outcome:
    tree = Taxonomy.from_paths(
        [(a, b, c) for a in "ABC" for b in "pqr" for c in "xyz"] + [("D", b) for b in "mn"] + [("D",), ("E",)]
    )
    scores, targets = draw(tree, 20_000, seed, sharpness)
    cut = np.split(np.arange(20_000), [3_000, 15_000])
    first, second, third = (Sample(scores[c], Targets(targets.node[c], targets.exact[c])) for c in cut)
    return evaluate(fit(first, second, precision=precision, alpha=ALPHA), third, precision)


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


# -- saved predictions ---------------------------------------------------------------------------


@lru_cache(maxsize=2)
def saved_predictions(name: str, cache: Path) -> tuple[Scores, Targets, np.ndarray, np.ndarray]:
    """Out-of-fold scores of the `train` rows, their labels, near-duplicate groups and folds."""
    file = cache / f"{name}.npz"
    if not file.exists():
        predict_out_of_fold(name, file)
    saved = np.load(file, allow_pickle=False)
    tree = Taxonomy.from_paths(tuple(path.split(" > ")) for path in saved["paths"])
    logits = saved["logits"].astype(np.float64)
    scores = Scores(tree, (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32))
    exact = np.ones(len(logits), dtype=bool)
    return scores, Targets(tree.terminals[saved["label"]], exact), saved["groups"], saved["fold"]


@lru_cache(maxsize=1)
def neighbors(name: str, cache: Path) -> Nearest:
    """What the products that a fold's model remembers, in all its spaces, say of each."""
    saved = np.load(cache / f"{name}.npz")
    return Nearest(*(saved[array] for array in NEAREST))


def rows_of(name: str) -> Catalog:
    """The labelled `train` rows."""
    data = name.rpartition("-")[0]
    where = "marketplace/products.csv" if data == "marketplace" else f"text/{data}.parquet"
    catalog = read(SHARED / "data" / where)
    return catalog.select(np.flatnonzero((catalog.split == "train") & (catalog.targets().node >= 0)))


def texts(catalog: Catalog) -> list[str]:
    return [" . ".join(p.fields.get(f, "") for f in ("title", "description")) for p in catalog]


def predict_out_of_fold(name: str, file: Path) -> None:
    """Every fold's rows, scored by what learned from the others; over the tree that all labels span."""
    catalog, learner = rows_of(name), name.rpartition("-")[2]
    number = 5 if learner == "balanced" else 10
    node, groups, fold = catalog.targets().node, catalog.groups(), cut(catalog, number)
    tree = Taxonomy.from_paths(catalog.taxonomy.nodes[n].path for n in np.unique(node))
    label = np.array([tree.terminal_of[tree.index(catalog.taxonomy.nodes[n].path)] for n in node])
    logits = np.full((len(label), len(tree.terminals)), LEAST, dtype=np.float32)
    near: list[Nearest] = []
    for k in range(number):
        learn, held_out = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        if learner == "balanced":
            places, found, nearest = balanced(catalog.select(learn), catalog.select(held_out), tree)
            near.append(nearest)
        else:
            places, found = linear_svm(catalog.select(learn), catalog.select(held_out))
        columns = [tree.terminal_of[tree.index(place)] for place in places]
        logits[np.ix_(held_out, columns)] = np.maximum(found, LEAST)
        print(
            f"{name} fold {k + 1}: {(logits[held_out].argmax(1) == label[held_out]).mean():.3f} right",
            flush=True,
        )
    back = np.argsort(np.concatenate([np.flatnonzero(fold == k) for k in range(number)]))
    remembered = dict(zip(NEAREST, Nearest.join(near).take(back), strict=True)) if near else {}
    np.savez_compressed(
        file,
        **remembered,
        logits=logits.astype(np.float16),
        label=label,
        paths=np.array([" > ".join(tree.nodes[t].path) for t in tree.terminals]),
        groups=np.unique(groups, return_inverse=True)[1],
        fold=fold,
    )


def linear_svm(learn: Catalog, rows: Catalog) -> tuple[list[CategoryPath], np.ndarray]:
    """Paths (C,), and six times the margins (B, C)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    words, node = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), learn.targets().node
    model = LinearSVC().fit(words.fit_transform(texts(learn)), node)
    margins = model.decision_function(words.transform(texts(rows)))
    return [learn.taxonomy.nodes[n].path for n in model.classes_], 6 * margins


def balanced(
    learn: Catalog, rows: Catalog, whole: Taxonomy
) -> tuple[list[CategoryPath], np.ndarray, Nearest]:
    """Paths (C,), and log-probabilities (B, C) of the shipped recipe on local encoders; what its memory says
    of B products over the whole tree."""
    from aisle import train
    from unknown import installed_encoder

    changes = [f"split.{part}=0" for part in ("validation", "calibration", "threshold")]
    changes += [f"text_encoder={installed_encoder()}"]
    changes += [f"image_encoder={SHARED / 'weights' / 'mobilenet_v2'}"]
    model = train(learn, "balanced", changes=changes)
    tree = model.taxonomy
    ids = [whole.nodes[whole.index(learn.taxonomy.nodes[n].path)].id for n in learn.targets().node]
    memory = model.with_knn_index(learn, ids).knn_index
    assert memory is not None
    paths = [tree.nodes[t].path for t in tree.terminals]
    return paths, model.score(rows).all(), memory.query(model.view_embeddings(rows), whole)


if __name__ == "__main__":
    main()
