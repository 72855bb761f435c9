"""What it costs and changes to keep near-duplicates on one side: `python benchmarks/near_duplicates.py`.

`marketplace`: how many rows are tied by equal content, by nearly equal titles too, and by first images that
look alike too, and how long it takes to find out; accuracy of `fast` on text only, shortened, on rows held
out by each kind of group. And the time for growing numbers of titles, made of real ones by changing words.
"""

import argparse
import time
from typing import NamedTuple

import numpy as np

from aisle.data import Catalog, read
from aisle.data.splits import assign
from aisle.data.text import normalize
from aisle.data.title_similarity import similar_titles
from aisle.inference.holdout import HeldOutRows
from aisle.taxonomy import Targets
from aisle.training.fit import fit
from aisle.workflow import resolve
from results import SHARED, machine, write_section

KINDS = {
    "equal content": {"near": False},
    "and nearly equal titles": {"images": False},
    "and images that look alike": {},
}
SIZES = (10_000, 100_000, 1_000_000)
SEEDS = 3
CHANGES = (
    "views.image=false", "split.validation=0", "split.calibration=0",
    "split.threshold=0",
)  # fmt: skip


class Tied(NamedTuple):
    """How rows are tied: seconds to find out, groups of several rows, rows in them, the largest group."""

    seconds: float
    groups: int
    rows: int
    largest: int


def tied(catalog: Catalog, **how: bool) -> tuple[np.ndarray, Tied]:
    """Each row's group, and what they are like."""
    started = time.perf_counter()
    groups = catalog.groups(**how)
    seconds = time.perf_counter() - started
    sizes = np.bincount(groups)
    several = sizes[sizes > 1]
    return groups, Tied(seconds, len(several), int(several.sum()), int(sizes.max()))


def accuracy(catalog: Catalog, groups: np.ndarray, seed: int) -> float:
    """Of a fifth of the rows, held out with their groups, of a model of the others."""
    node, exact = catalog.targets()
    part = assign(node, groups, np.array([0.8, 0.2]), seed)
    model = fit(catalog.select(part == 0), resolve("fast", [*CHANGES, f"seed={seed}"]))
    rows = np.flatnonzero(part == 1)
    places = [model.taxonomy.find(catalog.taxonomy.nodes[n].path) for n in node[rows]]
    found = np.array([-1 if place is None else place for place in places])
    held = HeldOutRows(catalog.select(rows), Targets(found, exact[rows]), groups[rows])
    return float(held.right(model.score(held.catalog)).mean())


def titles(catalog: Catalog, count: int) -> list[str]:
    """So many distinct titles: real ones with a word of another in the place of one."""
    rng = np.random.default_rng(0)
    real = [normalize(product.fields.get("title", "")).split() for product in catalog]
    real = [words for words in real if words]
    made: set[str] = set()
    while len(made) < count:
        words = list(real[rng.integers(len(real))])
        for _ in range(rng.integers(1, 4)):
            other = real[rng.integers(len(real))]
            words[rng.integers(len(words))] = other[rng.integers(len(other))]
        made.add(" ".join(words))
    return sorted(made)


def main() -> None:
    """Measure, and write the section."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    args = options.parse_args()
    catalog = read(SHARED / "data" / "marketplace" / "products.csv")
    catalog = catalog.select(catalog.targets().node >= 0)
    lines = [
        "## Near-duplicates in one split",
        "",
        f"`marketplace`, {len(catalog):,} labelled rows. Rows linked to others, by the kind of link; and "
        "accuracy of `fast` on text only, shortened, on a fifth held out with its groups "
        f"({args.seeds} seeds: mean, least to most).",
        "",
        "| linked by | seconds | groups | rows in them | largest | accuracy held out |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    found_by = {name: tied(catalog, **how) for name, how in KINDS.items()}  # before training looks for them
    for name, (groups, one) in found_by.items():
        right = [100 * accuracy(catalog, groups, seed) for seed in range(args.seeds)]
        lines.append(
            f"| {name} | {one.seconds:.1f} | {one.groups:,} | {one.rows:,} | {one.largest:,} | "
            f"{np.mean(right):.2f} % ({min(right):.2f} to {max(right):.2f}) |"
        )
    lines += ["", "| titles | seconds | nearly equal pairs |", "|---:|---:|---:|"]
    for size in args.sizes:
        some = titles(catalog, size)
        started = time.perf_counter()
        found = similar_titles(some)
        lines.append(f"| {size:,} | {time.perf_counter() - started:.1f} | {len(found.pairs):,} |")
    lines += ["", f"{machine()}. `python benchmarks/near_duplicates.py`"]
    write_section("near duplicates", "\n".join(lines))


if __name__ == "__main__":
    main()
