"""How many labels does `aisle label-next` save? `python benchmarks/label_next.py` writes a section.

A few random rows of the `train` part are labelled; then batches are chosen and labelled, and the model is
trained again. What `aisle label-next --method informative` chooses is compared with a random choice, the
smallest margin and the highest entropy. Labels are of `train` rows, accuracy is that on `test`; the variant
of label-next was chosen on the same `test` rows (docs/lab-notes.md), so its figures are somewhat favorable.
Measured rows are kept, and a run that was interrupted continues.

The model is ridge regression on the words, word pairs and letters that the recipe `fast` reads: it trains in
about a second, `fast` on 300 categories in up to twenty.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.stats import t as student
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score

from aisle.data import Catalog, read
from aisle.inference.coverage import choose_informative, learning_weight
from results import SHARED, machine, table, write_section

SETS = {"instacart": "text/instacart.parquet", "marketplace": "marketplace/products.csv"}
METHODS = {"informative": "label-next", "random": "random", "margin": "smallest margin",
           "entropy": "entropy"}  # fmt: skip
POOL, EVALUATED = 12_000, 3_000  # `train` and `test` rows at most
LABELS = {"random": 3000, "informative": 2400}  # labels up to which it is followed; others: `REACHED`
REACHED, TARGET = 1800, 3000
START, BATCH = 300, 300
PENALTY, TEMPERATURES = 0.15, (3, 5, 8, 12, 18, 27)
PRECISION = 0.95
TERMS: tuple[dict[str, Any], ...] = (
    {"ngram_range": (1, 2), "min_df": 2},
    {"analyzer": "char_wb", "ngram_range": (3, 5), "min_df": 3},
    {},
)


class Fitted(NamedTuple):
    """A model: rows that it learned, their coefficients (n, C), the shares (C,) and names (C,) of classes."""

    rows: np.ndarray
    coefficients: np.ndarray
    share: np.ndarray
    classes: np.ndarray
    temperature: float


class Pool:
    """Rows to label, and rows to evaluate on.

    Args:
        name: of the data set.
    """

    def __init__(self, name: str) -> None:
        catalog = read(SHARED / "data" / SETS[name])
        labelled = catalog.targets().node >= 0
        train = np.flatnonzero((catalog.split == "train") & labelled)
        train = catalog.select(np.sort(np.random.default_rng(1).permutation(train)[:POOL]))
        # One of near-duplicates, for every method.
        train = train.select(np.unique(train.groups(images=False), return_index=True)[1])
        test = np.flatnonzero((catalog.split == "test") & labelled)
        test = np.sort(np.random.default_rng(0).permutation(test)[:EVALUATED])
        self.texts, self.titles, self.label = fields_of(train)
        texts, titles, self.truth = fields_of(catalog.select(test))
        given = (self.texts + texts, self.titles + titles, self.titles + titles)
        parts = [
            TfidfVectorizer(sublinear_tf=True, **options).fit_transform(one)
            for one, options in zip(given, TERMS, strict=True)
        ]
        found = sparse.csr_matrix(sparse.hstack(parts), dtype=np.float32) * np.float32(len(parts) ** -0.5)
        self.pool, self.test = found[: len(self.label)], found[len(self.label) :]

    def train(self, rows: np.ndarray) -> Fitted:
        """Ridge regression on one-hot labels, and the temperature that suits rows left out one by one."""
        x = self.pool[rows]
        classes, label = np.unique(self.label[rows], return_inverse=True)
        target = np.eye(len(classes))[label]
        share = target.mean(0)
        inverse = np.linalg.inv((x @ x.T).toarray().astype(np.float64) + PENALTY * np.eye(len(rows)))
        coefficients = inverse @ (target - share)
        left_out = target - coefficients / np.diag(inverse)[:, None]
        loss = [-np.log(softmax(left_out * t)[np.arange(len(rows)), label]).mean() for t in TEMPERATURES]
        best = float(TEMPERATURES[int(np.argmin(loss))])
        return Fitted(rows, coefficients.astype(np.float32), share.astype(np.float32), classes, best)

    def probabilities(self, model: Fitted, x: Any) -> np.ndarray:
        """(n, C) of rows of `pool` or `test`."""
        kernel = (x @ self.pool[model.rows].T).toarray()
        return softmax((kernel @ model.coefficients + model.share) * model.temperature)

    def choose(self, model: Fitted, order: np.ndarray, method: str, count: int, seed: int) -> np.ndarray:
        """The rows that a method labels next; `order` is a random one."""
        free = order[~np.isin(order, model.rows)]
        if method == "random":
            return free[:count]
        p = self.probabilities(model, self.pool[free])
        top = np.partition(p, -2, axis=1)
        value = 1 - (top[:, -1] - top[:, -2])
        if method == "informative":
            texts, titles = [self.texts[i] for i in free], [self.titles[i] for i in free]
            rng = np.random.default_rng(seed)
            labelled = np.bincount(np.searchsorted(model.classes, self.label[model.rows]))
            weight = learning_weight(value, p, labelled)
            return free[choose_informative(weight, texts, titles, p, count, rng).chosen]
        if method == "entropy":
            value = -(p * np.log(np.maximum(p, 1e-12))).sum(1)
        return free[np.argsort(-value, kind="stable")[:count]]

    def evaluate(self, model: Fitted) -> dict[str, float]:
        """Accuracy, macro-F1, and the share of the surest products of which 95 % are right."""
        p = self.probabilities(model, self.test)
        best = model.classes[p.argmax(1)]
        order = np.argsort(-p.max(1), kind="stable")
        right = np.cumsum((best == self.truth)[order]) / np.arange(1, len(order) + 1)
        decided = np.flatnonzero(right >= PRECISION)
        return {
            "accuracy": float((best == self.truth).mean()),
            "macro_f1": float(f1_score(self.truth, best, average="macro", zero_division=0)),
            "decided": float((decided[-1] + 1) / len(order)) if len(decided) else 0.0,
        }


def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax of rows."""
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def fields_of(catalog: Catalog) -> tuple[list[str], list[str], np.ndarray]:
    """All text, titles, and categories."""
    titles = [one.fields.get("title", "") for one in catalog]
    texts = [f"{one.fields.get('title', '')} {one.fields.get('description', '')}" for one in catalog]
    return texts, titles, np.array([" > ".join(one.categories[0]) for one in catalog])


def curve(pool: Pool, method: str, seed: int) -> Iterable[dict[str, Any]]:
    """Accuracy by the number of labels."""
    order = np.random.default_rng(seed).permutation(len(pool.label))
    rows, end = order[:START], LABELS.get(method, REACHED)
    while True:
        model = pool.train(rows)
        yield {"labels": len(rows), **pool.evaluate(model)}
        if len(rows) >= end:
            return
        # A random curve is followed in larger steps where nobody is compared with it.
        step = 2 * BATCH if method == "random" and len(rows) >= REACHED else BATCH
        rows = np.append(rows, pool.choose(model, order, method, step, seed))


def measure(kept: Path, seeds: Iterable[int], names: Iterable[str]) -> None:
    """Measure what is not in a file yet."""
    done = {(one["data"], one["seed"], one["method"]) for one in rows_in(kept)}
    for name in names:
        todo = [(seed, method) for seed in seeds for method in METHODS if (name, seed, method) not in done]
        if todo:
            pool = Pool(name)
            for seed, method in todo:
                key = {"data": name, "seed": seed, "method": method}
                new = [{**key, **point} for point in curve(pool, method, seed)]
                with kept.open("a") as file:
                    file.writelines(json.dumps(one) + "\n" for one in new)
                print(key, [f"{p['labels']}: {p['accuracy']:.3f}" for p in new], flush=True)


def rows_in(kept: Path) -> list[dict[str, Any]]:
    """What was measured."""
    return [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []


def by_seed(rows: list[dict[str, Any]], name: str, method: str, labels: int, what: str) -> np.ndarray:
    """(seeds,) a figure of each seed, in order; NaN where it was not measured."""
    seeds = sorted({one["seed"] for one in rows})
    found = {
        one["seed"]: one[what]
        for one in rows
        if (one["data"], one["method"], one["labels"]) == (name, method, labels)
    }
    return np.array([found.get(seed, np.nan) for seed in seeds])


def interval(values: np.ndarray) -> str:
    """Mean and 95 % interval of Student's t over seeds."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return f"{values.mean():+.3f}" if len(values) else ""
    low = lowest(values)
    return f"{values.mean():+.3f} ({low:+.3f} to {2 * values.mean() - low:+.3f})"


def lowest(values: np.ndarray) -> float:
    """Lower end of the 95 % interval of a mean."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - half)


def curve_table(rows: list[dict[str, Any]], name: str) -> list[str]:
    """Mean accuracy, macro-F1 and share decided by the number of labels, over seeds."""
    own = [one for one in rows if one["data"] == name]
    labels = sorted({one["labels"] for one in own})
    lines = []
    for method, title in METHODS.items():
        cells = []
        for count in labels:
            figures = [
                by_seed(own, name, method, count, what) for what in ("accuracy", "macro_f1", "decided")
            ]
            known = np.isfinite(figures[0]).any()
            cells.append(" / ".join(f"{np.nanmean(f):.3f}".lstrip("0") for f in figures) if known else "")
        if any(cells):
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return table((f"`{name}`", *(f"{count:,}" for count in labels)), lines)


def needed(rows: list[dict[str, Any]], name: str, what: str) -> str:
    """Labels with which label-next reaches what random labels reach at `TARGET`, on the mean curves."""
    goal = np.nanmean(by_seed(rows, name, "random", TARGET, what))
    labels = list(range(START, LABELS["informative"] + 1, BATCH))
    mean = np.array([np.nanmean(by_seed(rows, name, "informative", n, what)) for n in labels])
    over = np.flatnonzero(mean >= goal)
    if not len(over):
        return f"more than {labels[-1]:,}"
    i = int(over[0])
    count = labels[0] if i == 0 else np.interp(goal, mean[i - 1 : i + 1], labels[i - 1 : i + 1])
    return f"{count:,.0f} ({count / TARGET:.0%})"


def bars(rows: list[dict[str, Any]]) -> list[str]:
    """The bars, each with its interval."""
    lines = []
    for name in SETS:
        for what in ("accuracy", "macro_f1"):
            own = by_seed(rows, name, "informative", REACHED, what)
            differences = [
                own - by_seed(rows, name, other, REACHED, what) for other in ("random", "margin", "entropy")
            ]
            target = own - by_seed(rows, name, "random", TARGET, what)
            cells = [needed(rows, name, what), interval(target), *map(interval, differences)]
            lines.append(f"| `{name}`, {what.replace('_f1', '-F1')} | {' | '.join(cells)} |")
    header = (
        "", f"labels to reach random at {TARGET:,}", f"at {REACHED:,} less random at {TARGET:,}",
        f"less random at {REACHED:,}", f"less margin at {REACHED:,}", f"less entropy at {REACHED:,}",
    )  # fmt: skip
    return table(header, lines)


def verdict(rows: list[dict[str, Any]]) -> str:
    """Whether the bars are reached, in a sentence."""
    said = []
    for name in SETS:
        own = by_seed(rows, name, "informative", REACHED, "accuracy")
        reached = np.nanmean(own - by_seed(rows, name, "random", TARGET, "accuracy")) >= 0
        ahead = [
            title
            for other, title in (("margin", "margin"), ("entropy", "entropy"))
            if lowest(own - by_seed(rows, name, other, REACHED, "accuracy")) > 0
        ]
        bar = "is reached" if reached else "is not reached"
        others = " and ".join(ahead) or "neither margin nor entropy"
        said.append(
            f"`{name}`: the bar (random's accuracy at {TARGET:,} labels with {REACHED:,}) {bar}; at "
            f"{REACHED:,} labels label-next is ahead of {others} (interval above 0)."
        )
    return " ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", nargs="*", default=list(SETS), choices=SETS, help="measured, if not yet")
    parser.add_argument("--kept", type=Path, default=Path("/tmp/label_next.jsonl"), help="measured before")
    args = parser.parse_args()
    measure(args.kept, range(args.seeds), args.data)
    rows = rows_in(args.kept)
    if {one["data"] for one in rows} < set(SETS):
        return
    seeds = len({one["seed"] for one in rows})
    text = [
        "## What to label next",
        "",
        f"`benchmarks/label_next.py`, {machine()}. Ridge regression on the words, word pairs and letters "
        f"that `fast` reads; {START} random labels, then batches of {BATCH} chosen from the `train` rows "
        f"(at most {POOL:,}); mean over {seeds} seeds on `test` (at most {EVALUATED:,} rows): accuracy / "
        f"macro-F1 / share of the surest products of which {PRECISION:.0%} are right (the threshold is "
        "chosen on the same rows: what a guarantee could reach at best). In brackets: 95 % interval over "
        "seeds. The variant of label-next was chosen on these `test` rows with two of the seeds: its figures "
        "are somewhat favorable.",
        "",
        verdict(rows),
        "",
        *bars(rows),
    ]
    for name in SETS:
        text += ["", *curve_table(rows, name)]
    write_section("label_next", "\n".join(text))


if __name__ == "__main__":
    main()
