"""Accuracy of the shipped recipes compared with linear baselines on the same rows.

    python benchmarks/accuracy.py marketplace            # 5-fold inside `train`, to choose by
    python benchmarks/accuracy.py marketplace --test     # train on `train`, report on `test`: once
    python benchmarks/accuracy.py marketplace --remove   # drop a section that earlier recipes wrote

Folds keep near-duplicates together. Recipes train on every row, without a guarantee, as the baselines do.
`balanced` and the linear stack read the same frozen encoders' vectors: name local folders of them where no
hub is reached. Writes its tables into RESULTS.md, a whole section at a time, so that none holds figures of
earlier recipes. Differences: paired bootstrap over products, 95 %.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import aisle
from aisle.cli.console import progress
from aisle.data import Catalog
from aisle.data.splits import folds
from aisle.evaluation.baseline import LinearBaseline
from aisle.metrics import Interval, f1_scores, paired_bootstrap
from aisle.training.recipe import load_recipe
from aisle.workflow import part
from baselines import LinearStack
from results import SHARED, machine, remove_section, write_section

SETS = {
    "marketplace": "marketplace/products.csv",
    "fashion": "fashion/products.parquet",
    "instacart": "text/instacart.parquet",
    "amazon_in": "text/amazon_in.parquet",
    "fashion_text": "text/fashion.parquet",
}
WITH_IMAGES = {"marketplace", "fashion"}
MEANING = ["title_meaning", "meaning"]
NO_GUARANTEE = ['guarantee.method="none"']  # the model is the same: cross-fitting trains on every row too


class Predicted(NamedTuple):
    """Best paths of the evaluated rows, and seconds of training and of prediction."""

    paths: list[tuple[str, ...]]
    fit: float
    answer: float


class Method(NamedTuple):
    """A way to classify. `recipe`: what its predictions depend on besides its name."""

    run: Callable[[Catalog, Catalog], Predicted]
    recipe: Any = ""


def svm(train: Catalog, evaluated: Catalog) -> Predicted:
    start = time.perf_counter()
    model = LinearBaseline.fit(train, progress(False))
    fitted = time.perf_counter()
    best = model.score(evaluated).best()
    paths = [model.taxonomy.nodes[n].path for n in best]
    return Predicted(paths, fitted - start, time.perf_counter() - fitted)


def stack(views: list[str], changes: list[str]) -> Method:
    def run(train: Catalog, evaluated: Catalog) -> Predicted:
        start = time.perf_counter()
        model = LinearStack("balanced", changes, views, progress(False))
        model.fit(train)
        fitted = time.perf_counter()
        return Predicted(model.best(evaluated), fitted - start, time.perf_counter() - fitted)

    return Method(run, (views, changes))


def recipe(name: str, changes: list[str]) -> Method:
    def run(train: Catalog, evaluated: Catalog) -> Predicted:
        start = time.perf_counter()
        model = aisle.train(train, name, changes=changes, progress=progress(False))
        fitted = time.perf_counter()
        best = model.score(evaluated).best()
        paths = [model.taxonomy.nodes[n].path for n in best]
        return Predicted(paths, fitted - start, time.perf_counter() - fitted)

    return Method(run, load_recipe(name, changes).model_dump(mode="json"))


def methods(data: str, text: str | None, image: str | None) -> dict[str, Method]:
    """All methods that make sense on a data set, baselines first."""
    words = [f"text_encoder={json.dumps(text)}"] if text else []
    images = [f"image_encoder={json.dumps(image)}"] if image else []
    blind, both = ["views.image=false", *words], [*images, *words]
    found = {
        "linear SVM on TF-IDF": Method(svm),
        "linear stack, text": stack(MEANING, blind),
        "fast, text": recipe("fast", ["views.image=false", *NO_GUARANTEE]),
        "balanced, text": recipe("balanced", [*blind, *NO_GUARANTEE]),
    }
    if data in WITH_IMAGES:
        found |= {
            "linear stack": stack([*MEANING, "image"], both),
            "fast": recipe("fast", NO_GUARANTEE),
            "balanced": recipe("balanced", [*both, *NO_GUARANTEE]),
        }
    return found


PAIRS = [
    ("fast, text", "linear SVM on TF-IDF"),
    ("fast", "linear SVM on TF-IDF"),
    ("fast", "fast, text"),
    ("balanced, text", "linear stack, text"),
    ("balanced", "linear stack"),
    ("balanced", "balanced, text"),
    ("linear stack", "linear stack, text"),
]


class Row(NamedTuple):
    """One method's numbers."""

    accuracy: float
    macro_f1: float
    level1: float
    fit: float
    predicted: float


class Gain(NamedTuple):
    """One method's paired differences to another."""

    accuracy: Interval
    macro_f1: Interval


def judge(
    truth: np.ndarray, found: np.ndarray, timing: tuple[float, float], top: Callable[[np.ndarray], np.ndarray]
) -> Row:
    return Row(
        float((found == truth).mean()),
        f1_scores(truth, found).macro,
        float((top(found) == top(truth)).mean()),
        timing[0],
        len(truth) / timing[1],
    )


def gain(truth: np.ndarray, one: np.ndarray, other: np.ndarray) -> Gain:
    def macro(rows: np.ndarray) -> float:
        return f1_scores(rows[:, 0], rows[:, 1]).macro

    return Gain(
        paired_bootstrap((one == truth).astype(float), (other == truth).astype(float)),
        paired_bootstrap(np.stack([truth, one], 1), np.stack([truth, other], 1), macro, resamples=500),
    )


def predicted(name: str, method: Method, turn: tuple[Catalog, Catalog], keep: Path | None) -> Predicted:
    """A method's predictions, from the folder of saved ones where it has the same rows and recipe."""
    if keep is None:
        return method.run(*turn)
    what = json.dumps([name, method.recipe, *(rows.fingerprint for rows in turn)])
    file = keep / f"{hashlib.sha256(what.encode()).hexdigest()[:20]}.json"
    if file.exists():
        found = Predicted(*json.loads(file.read_text()))
        return found._replace(paths=[tuple(path) for path in found.paths])
    found = method.run(*turn)
    keep.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=SETS)
    parser.add_argument("--test", action="store_true", help="report on `test`, once")
    parser.add_argument("--only", nargs="*", help="methods by name (default: all)")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--max-folds", type=int, help="evaluate the first folds only (default: all)")
    parser.add_argument("--remove", action="store_true", help="remove the section, and measure nothing")
    parser.add_argument("--text", help="folder of the text encoder's weights, in place of its hub name")
    parser.add_argument("--image", help="folder of the image encoder's weights, in place of its hub name")
    parser.add_argument("--keep", type=Path, help="folder of predictions, so that a stopped run goes on")
    args = parser.parse_args()
    section = f"accuracy {args.data} {'test' if args.test else 'folds'}"
    if args.remove:
        remove_section(section)
        return
    catalog = aisle.read(SHARED / "data" / SETS[args.data])
    train = part(catalog, "train")
    if args.test:
        turns = [(train, part(catalog, "test"))]
    else:
        number = folds(train, args.folds)
        turns = [
            (train.select(np.flatnonzero(number != k)), train.select(np.flatnonzero(number == k)))
            for k in range(args.max_folds or args.folds)
        ]
    nodes = catalog.taxonomy
    truth = np.concatenate([evaluated.targets().node for _, evaluated in turns])
    predictions: dict[str, np.ndarray] = {}
    seconds: dict[str, tuple[float, float]] = {}
    for name, method in methods(args.data, args.text, args.image).items():
        if args.only and name not in args.only:
            continue
        parts = [predicted(name, method, turn, args.keep) for turn in turns]
        predictions[name] = np.array([nodes.index(path) for one in parts for path in one.paths])
        seconds[name] = (sum(p.fit for p in parts) / len(parts), sum(p.answer for p in parts))
        print(f"{name}: {(predictions[name] == truth).mean():.4f}", file=sys.stderr, flush=True)

    def top(node: np.ndarray) -> np.ndarray:
        return nodes.ancestors[node, 0]

    rows = {name: judge(truth, found, seconds[name], top) for name, found in predictions.items()}
    pairs = [pair for pair in PAIRS if predictions.keys() >= set(pair)]
    gains = {(a, b): gain(truth, predictions[a], predictions[b]) for a, b in pairs}
    what = "`test`, trained on `train`" if args.test else f"{len(turns)} of {args.folds} folds inside `train`"
    write_section(
        section,
        f"## Accuracy on `{args.data}`: {what}\n"
        f"`benchmarks/accuracy.py {args.data}`; {len(truth):,} products evaluated; {machine()}.\n\n"
        + table(rows)
        + "\n\n"
        + differences(gains),
    )


def table(rows: dict[str, Row]) -> str:
    lines = ["| method | path accuracy | macro-F1 | level 1 | fit, s | /s |", "|---|---|---|---|---|---|"]
    for name, r in rows.items():
        numbers = [f"{x:.3f}" for x in (r.accuracy, r.macro_f1, r.level1)]
        lines.append("| " + " | ".join([name, *numbers, f"{r.fit:.0f}", f"{r.predicted:,.0f}"]) + " |")
    return "\n".join(lines)


def differences(gains: dict[tuple[str, str], Gain]) -> str:
    lines = ["| method | over | path accuracy | macro-F1 |", "|---|---|---|---|"]
    for (one, other), found in gains.items():
        both = [f"{g.value:+.4f} ({g.low:+.4f} to {g.high:+.4f})" for g in found]
        lines.append("| " + " | ".join([one, other, *both]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
