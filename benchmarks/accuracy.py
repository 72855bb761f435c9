"""How accurate are the shipped recipes, beside linear models on the same rows?

    python benchmarks/accuracy.py marketplace            # 5-fold inside `train`, to choose by
    python benchmarks/accuracy.py marketplace --test     # train on `train`, report on `test`: once

Folds keep near-duplicates together. `aside` rows train on what a recipe leaves after the rows it keeps
for calibration and promise; `all rows` keeps none aside, as the linear models do. Writes its table into
RESULTS.md. Differences are to the first method, paired bootstrap over products, 95 %.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import aisle
from aisle.catalog import Catalog
from aisle.catalog.splits import folds
from aisle.cli.console import progress
from aisle.evaluation.baseline import LinearBaseline
from aisle.metrics import Interval, f1_scores, paired_bootstrap
from aisle.workflow import part
from results import SHARED, machine, write_section

SETS = {
    "marketplace": ("marketplace/products.csv", ["title", "description", "image"]),
    "fashion": ("fashion/products.parquet", ["title", "image"]),
    "instacart": ("text/instacart.parquet", ["title"]),
    "amazon_in": ("text/amazon_in.parquet", ["title"]),
    "fashion_text": ("text/fashion.parquet", ["title"]),
}
ALL_ROWS = ("parts.stop=0", "parts.calibrate=0", "parts.promise=0")


class Answers(NamedTuple):
    """Best paths of the judged rows, and seconds: of training, and of answering."""

    paths: list[tuple[str, ...]]
    fit: float
    answer: float


Method = Callable[[Catalog, Catalog], Answers]


def svm(train: Catalog, judged: Catalog) -> Answers:
    start = time.perf_counter()
    model = LinearBaseline.fit(train)
    fitted = time.perf_counter()
    best = model.score(judged).best()
    paths = [model.taxonomy.nodes[n].path for n in best]
    return Answers(paths, fitted - start, time.perf_counter() - fitted)


def recipe(name: str, *changes: str) -> Method:
    def run(train: Catalog, judged: Catalog) -> Answers:
        start = time.perf_counter()
        model = aisle.train(train, name, changes=changes, progress=progress(False))
        fitted = time.perf_counter()
        best = model.score(judged).best()
        paths = [model.taxonomy.nodes[n].path for n in best]
        return Answers(paths, fitted - start, time.perf_counter() - fitted)

    return run


METHODS: dict[str, Method] = {
    "linear SVM on TF-IDF": svm,
    "fast, text only, all rows": recipe("fast", "views.image=false", *ALL_ROWS),
    "fast, all rows": recipe("fast", *ALL_ROWS),
    "fast, rows kept aside": recipe("fast"),
}


class Row(NamedTuple):
    """One method's numbers, and its paired differences to the first method's."""

    accuracy: float
    macro_f1: float
    level1: float
    fit: float
    answered: float
    gain: Interval
    gain_f1: Interval


def judge(
    truth: np.ndarray,
    found: np.ndarray,
    first: np.ndarray,
    timing: tuple[float, float],
    top: Callable[[np.ndarray], np.ndarray],
) -> Row:
    pairs, others = np.stack([truth, found], 1), np.stack([truth, first], 1)

    def macro(rows: np.ndarray) -> float:
        return f1_scores(rows[:, 0], rows[:, 1]).macro

    return Row(
        float((found == truth).mean()),
        macro(pairs),
        float((top(found) == top(truth)).mean()),
        timing[0],
        len(truth) / timing[1],
        paired_bootstrap((found == truth).astype(float), (first == truth).astype(float)),
        paired_bootstrap(pairs, others, macro, resamples=500),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=SETS)
    parser.add_argument("--test", action="store_true", help="report on `test`, once")
    parser.add_argument("--only", nargs="*", help="methods by a part of their name (the SVM always runs)")
    parser.add_argument("--folds", type=int, default=5)
    args = parser.parse_args()
    catalog = aisle.read(SHARED / "data" / SETS[args.data][0])
    train = part(catalog, "train")
    if args.test:
        turns = [(train, part(catalog, "test"))]
    else:
        number = folds(train, args.folds)
        turns = [
            (train.take(np.flatnonzero(number != k)), train.take(np.flatnonzero(number == k)))
            for k in range(args.folds)
        ]
    chosen = {
        n: m
        for i, (n, m) in enumerate(METHODS.items())
        if not i or not args.only or any(o in n for o in args.only)
    }
    nodes = catalog.taxonomy
    truth = np.concatenate([judged.targets().node for _, judged in turns])
    answers: dict[str, np.ndarray] = {}
    seconds: dict[str, tuple[float, float]] = {}
    for name, method in chosen.items():
        parts = [method(*turn) for turn in turns]
        answers[name] = np.array([nodes.index(path) for one in parts for path in one.paths])
        seconds[name] = (sum(p.fit for p in parts) / len(parts), sum(p.answer for p in parts))
        print(f"{name}: {(answers[name] == truth).mean():.4f}", file=sys.stderr, flush=True)
    first = next(iter(answers.values()))

    def top(node: np.ndarray) -> np.ndarray:
        return nodes.ancestors[node, 0]

    rows = {name: judge(truth, found, first, seconds[name], top) for name, found in answers.items()}
    what = "`test`, trained on `train`" if args.test else f"{len(turns)}-fold inside `train`"
    write_section(
        f"accuracy {args.data} {'test' if args.test else 'folds'}", table(args.data, what, rows, len(truth))
    )


def table(data: str, what: str, rows: dict[str, Row], count: int) -> str:
    lines = [
        f"## Accuracy on `{data}`: {what}",
        f"`benchmarks/accuracy.py {data}`; {count:,} products judged; {machine()}.",
        "",
        "| method | path accuracy | macro-F1 | level 1 | accuracy, gain | macro-F1, gain | fit, s | /s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, r in rows.items():
        gains = [
            f"{g.value:+.3f} ({g.low:+.3f} to {g.high:+.3f})" if g.value or g.low or g.high else "–"
            for g in (r.gain, r.gain_f1)
        ]
        numbers = [f"{x:.3f}" for x in (r.accuracy, r.macro_f1, r.level1)]
        lines.append("| " + " | ".join([name, *numbers, *gains, f"{r.fit:.0f}", f"{r.answered:,.0f}"]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
