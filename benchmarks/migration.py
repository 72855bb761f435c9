"""How well are nodes matched, and how accurate is a migrated model? `python benchmarks/migration.py [PART]`

Histories of trees are simulated (`tree_histories.py`): renames, moves, merges, splits, additions and
retirements, each of 3 % of the categories. `matching`: F1 of corresponding pairs of nodes with ids hidden.
`accuracy`: a model of the old tree, migrated, compared with one trained on the same rows, all labelled in the
new tree. `splits`: both with a few examples of each part of a split category.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import aisle
from aisle.data import Catalog, read
from aisle.inference.labelled_scores import LabelledScores
from aisle.inference.migration import migrate
from aisle.metrics import clopper_pearson
from aisle.taxonomy import CategoryPath, Taxonomy, read_taxonomy
from aisle.taxonomy.tree_diff import diff
from results import SHARED, machine, table, write_section
from tree_histories import History, simulate

TREES = {
    "Google": "taxonomies/google_taxonomy-with-ids.en-US.txt",
    "Best Buy": "taxonomies/bestbuy_categories.json",
    "marketplace": "marketplace/products.csv",
    "instacart": "text/instacart.parquet",
}
SEEDS = (11, 12, 13)  # weights were fitted on others
EXAMPLES = (0, 1, 5, 20)
RECIPE = ("guarantee.method=none",)  # accuracy only


def tree_of(name: str) -> Taxonomy:
    """The tree of a file, or of the labels of a catalog."""
    file = SHARED / "data" / TREES[name]
    return read_taxonomy(file) if "taxonomies" in TREES[name] else read(file).taxonomy


def f1(found: set[tuple[int, int]], truth: set[tuple[int, int]]) -> float:
    """F1 of pairs of nodes."""
    return 2 * len(found & truth) / max(len(found) + len(truth), 1)


def changed_pairs(history: History, found: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The pairs found that involve a category whose name, parent or number changed."""
    old, new = {a for a, _ in history.changed}, {b for _, b in history.changed}
    return {(a, b) for a, b in found if a in old or b in new}


def matching() -> list[str]:
    """Lines of the table of matched nodes."""
    lines, chances = [], []
    for name in TREES:
        base = tree_of(name)
        every, changed, seconds = [], [], []
        for seed in SEEDS:
            history = simulate(base, seed)
            start = time.process_time()
            found = diff(history.old, history.new, ids=False)
            seconds.append(time.process_time() - start)
            pairs = found.pairs()
            every.append(f1(pairs, history.pairs))
            changed.append(f1(changed_pairs(history, pairs), history.changed))
            chances += [
                (change.probability, (a, b) in history.pairs)
                for change in found
                if change.kind != "kept"
                for a in change.old
                for b in change.new
            ]
        means = f"{np.mean(every):.3f} | {np.mean(changed):.3f} | {np.mean(seconds):.1f}"
        lines.append(f"| {name} | {len(base):,} | {means} |")
    given, right = np.array(chances).T
    bins = [
        f"{low:.0%} to {high:.0%}: {right[inside].mean():.0%} of {inside.sum():,}"
        for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 0.99), (0.99, 1.01))
        if (inside := (given >= low) & (given < high)).any()
    ]
    calibration = "Probability given, and share of pairs that are right: " + "; ".join(bins) + "."
    header = ("tree", "categories", "F1 of all pairs", "F1 of changed pairs", "seconds of one core")
    return [*table(header, lines), "", calibration.replace("101%", "100%")]


def rows_of(
    catalog: Catalog, rows: np.ndarray, place: Mapping[CategoryPath, CategoryPath | None]
) -> list[dict[str, str]]:
    """Rows with their categories in one version of the tree; those without one are left out."""
    nodes, tree = catalog.targets().node, catalog.taxonomy
    found = []
    for i in rows.tolist():
        path = place.get(tree.nodes[nodes[i]].path)
        if path is not None:
            found.append({**catalog[i].fields, "id": str(i), "category": " > ".join(path)})
    return found


def parts_of(name: str, limit: int, test: int) -> tuple[Catalog, np.ndarray, np.ndarray]:
    """A catalog, and rows to train and to test on; categories of fewer than five products are left out."""
    catalog = read(SHARED / "data" / TREES[name])
    nodes = catalog.targets().node
    frequent = np.flatnonzero((np.bincount(nodes[nodes >= 0]) >= 5)[np.maximum(nodes, 0)] & (nodes >= 0))
    rows = np.random.default_rng(0).permutation(frequent)[:limit]
    catalog = catalog.select(np.sort(rows))
    order = np.random.default_rng(1).permutation(len(catalog))
    return catalog, np.sort(order[test:]), np.sort(order[:test])


def correct(model: Any, rows: list[dict[str, str]]) -> np.ndarray:
    """(n,) bool: the best category is the label."""
    bare = [{k: v for k, v in row.items() if k != "category"} for row in rows]
    return np.array([
        " > ".join(p.best) == row["category"] for p, row in zip(model.predict(bare), rows, strict=True)
    ])  # fmt: skip


def best_scored(model: Any, rows: list[dict[str, str]]) -> np.ndarray:
    """(n,) bool: the terminal of the highest score is the label; uncalibrated, as one side is."""
    best = model.score(read([{k: v for k, v in row.items() if k != "category"} for row in rows])).best()
    paths = [" > ".join(model.taxonomy.nodes[node].path) for node in best]
    return np.array([path == row["category"] for path, row in zip(paths, rows, strict=True)])


def base_of(catalog: Catalog) -> Taxonomy:
    """The tree of the labels that are left."""
    used = np.unique(catalog.targets().node)
    return Taxonomy.from_paths(catalog.taxonomy.nodes[n].path for n in used)


def accuracy(limit: int) -> list[str]:
    """Lines of the table of migrated and retrained models: renames, moves and merges."""
    lines = []
    for name in ("marketplace", "instacart"):
        catalog, train, test = parts_of(name, limit, limit // 3)
        history = simulate(base_of(catalog), 21, ("rename", "move", "merge"), 0.08)
        model = aisle.train(rows_of(catalog, train, history.old_of), changes=RECIPE)
        start = time.process_time()
        migrated = migrate(model, history.new)
        seconds = time.process_time() - start
        rows = rows_of(catalog, test, history.new_of)
        retrained = aisle.train(rows_of(catalog, train, history.new_of), changes=RECIPE)
        mine, theirs = correct(migrated.model, rows), correct(retrained, rows)
        lines.append(
            f"| {name} | {len(train):,} | {len(rows):,} | {mine.mean():.1%} | {theirs.mean():.1%} | "
            f"{mine.mean() / max(theirs.mean(), 1e-9):.1%} | {seconds:.1f} |"
        )
        print(lines[-1], flush=True)
    header = ("products", "trained on", "tested on", "migrated", "retrained", "share of retrained", "seconds")
    return table(header, lines)


def splits(limit: int) -> list[str]:
    """Lines of the table of split categories."""
    lines = []
    for name in ("marketplace", "instacart"):
        catalog, train, test = parts_of(name, limit, limit // 3)
        history = simulate(base_of(catalog), 31, ("split",), 0.1)
        folder = Path(tempfile.mkdtemp())
        model = aisle.train(rows_of(catalog, train, history.old_of), out=folder)
        kept = LabelledScores.load(folder)
        split = {" > ".join(path) for old, path in history.new_of.items() if path and old in history.split}
        labelled = rows_of(catalog, train, history.new_of)
        rows = [row for row in rows_of(catalog, test, history.new_of) if row["category"] in split]
        for count in EXAMPLES:
            seen: dict[str, int] = {}
            shown, known = [], []
            for row in labelled:
                if row["category"] not in split:
                    known.append(row)
                elif seen.setdefault(row["category"], 0) < count:
                    seen[row["category"]] += 1
                    shown.append(row)
            examples = read(shown) if shown else None
            migrated = migrate(model, history.new, examples=examples, labelled=kept).model
            retrained = aisle.train([*known, *shown], changes=RECIPE)
            right = [best_scored(one, rows) for one in (migrated, retrained)]
            shares = [f"{one.mean():.1%}" for one in right]
            _, low, high = clopper_pearson(int(right[0].sum()), len(rows))
            lines.append(
                f"| {name} | {len(split)} | {len(rows):,} | {count} | "
                f"{shares[0]} ({low:.1%} to {high:.1%}) | {shares[1]} |"
            )
            print(lines[-1], flush=True)
    header = (
        "products", "parts", "tested on", "examples of each", "migrated", "retrained",
    )  # fmt: skip
    return table(header, lines)


def main() -> None:
    """Measure and write the section; parts that are not measured stay as they were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["matching", "accuracy", "splits"])
    parser.add_argument("--rows", type=int, default=3000, help="products of each catalog")
    parser.add_argument(
        "--kept", type=Path, default=Path("/tmp/migration.json"), help="parts measured before"
    )
    given = parser.parse_args()
    kept = json.loads(given.kept.read_text()) if given.kept.exists() else {}
    for name in given.parts:
        kept[name] = matching() if name == "matching" else globals()[name](given.rows)
        given.kept.write_text(json.dumps(kept))
    text = [
        "## Another version of a tree",
        "",
        f"`benchmarks/migration.py`, {machine()}. Simulated histories: renames, moves, merges, splits, "
        "additions and retirements, each of 3 % of the categories, ids hidden; seeds other than those that "
        "weights were fitted on.",
        "",
        *kept.get("matching", []),
    ]
    if "accuracy" in kept:
        text += [
            "",
            "Accuracy of full paths after renames, moves and merges (8 % of the categories each), recipe "
            "`fast`: migrated without training, and trained on the same rows with labels of the new tree.",
            "",
            *kept["accuracy"],
        ]
    if "splits" in kept:
        text += [
            "",
            "Accuracy of full paths in split categories, by labelled examples of each part. `retrained`: on "
            "all other rows with labels of the new tree, and the same examples. With 95 % intervals.",
            "",
            *kept["splits"],
        ]
    write_section("migration", "\n".join(text))


if __name__ == "__main__":
    main()
