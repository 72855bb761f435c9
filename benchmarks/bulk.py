"""How memory and time of `aisle classify --out FOLDER` grow with the rows, and with the leaves of the tree.

    python benchmarks/bulk.py --rows 1000,10000,100000,1000000,10000000 --leaves 100,1000,10000

Trains recipe `fast` on a sample shop, writes catalogues of the given lengths whose listings are made of the
shop's own words (every one different: nothing is answered from the cache) and classifies each in a process of
its own; then so many rows as `--over` says over trees that were given further leaves. Writes a section of
RESULTS.md and growth.svg beside it. Peak memory is the process's own (VmHWM); a busy machine changes
wall-clock times, processor time somewhat, memory never.
"""

import argparse
import csv
import dataclasses
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure

import aisle
from aisle.data.demo import make_shop
from aisle.taxonomy import Node, Taxonomy
from results import machine, write_section

PLOT = Path(__file__).parent / "growth.svg"


class Measured(NamedTuple):
    """What a run took: seconds, and MiB held at most and written."""

    rows: int
    leaves: int
    processor: float
    wall: float
    peak: float
    written: float

    def line(self) -> str:
        rate = self.rows / self.processor
        return (
            f"| {self.rows:,} | {self.leaves:,} | {self.peak:,.0f} | {self.processor:,.1f} "
            f"| {self.wall:,.0f} | {rate:,.0f} | {self.written:,.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="1000,10000,100000,1000000,10000000")
    parser.add_argument("--leaves", default="100,1000,10000")
    parser.add_argument("--over", type=int, default=10_000, help="rows placed in each of these trees")
    parser.add_argument("--format", default="jsonl", choices=("jsonl", "csv", "parquet"))
    parser.add_argument("--shard-rows", type=int, default=50_000)
    parser.add_argument("--demo", type=Path, help="what `aisle demo` made, in place of a new shop and model")
    args = parser.parse_args()
    how = ["--shard-format", args.format, "--shard-rows", str(args.shard_rows)]
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        run = args.demo / "run" if args.demo else home / "run"
        catalog = aisle.read(args.demo / "shop" if args.demo else make_shop(home / "shop", 600).products)
        if not args.demo:
            aisle.train(catalog, "fast", out=run)
        words = sorted({word for product in catalog for word in product.fields["title"].split()})
        by_rows: list[Measured] = []
        for count in map(int, args.rows.split(",")):
            write_rows(home / "rows.csv", words, count)
            by_rows.append(measured(run, home, count, how))
            print(by_rows[-1].line(), flush=True)
        by_leaves: list[Measured] = []
        write_rows(home / "rows.csv", words, args.over)
        for leaves in map(int, args.leaves.split(",")):
            widened(run, home / "wide", leaves)
            by_leaves.append(measured(home / "wide", home, args.over, how))
            print(by_leaves[-1].line(), flush=True)
    said = f"Shards of {args.shard_rows:,} rows, {args.format}. {machine()}, load {os.getloadavg()[1]:.0f}."
    head = "| rows | leaves | peak, MiB | processor, s | wall, s | rows a processor-second | written, MiB |"
    table = [head, "|---:" * 7 + "|", *(one.line() for one in (*by_rows, *by_leaves))]
    plot(by_rows, by_leaves)
    write_section("bulk", "\n".join([*HEAD, said, "", *table, "", f"![growth]({PLOT.name})"]))


HEAD = [
    "## Bulk: memory and time by the number of rows, and of leaves",
    "",
    "`aisle classify RUN FILE --out FOLDER` (`benchmarks/bulk.py`), recipe `fast`, text only, no two",
    "listings alike, one thread. Memory includes Python, torch and the model, processor time their start.",
]


def write_rows(file: Path, words: list[str], count: int) -> None:
    """A catalog of listings that all differ."""
    rng = random.Random(count)
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["id", "title", "description"])
        for i in range(count):
            writer.writerow(
                [i, f"{' '.join(rng.choices(words, k=6))} {i}", " ".join(rng.choices(words, k=12))]
            )


def widened(run: Path, folder: Path, leaves: int) -> None:
    """The model over a tree of so many leaves, and its promise with it: each of its own gets further ones
    beside it. Two rows of a leaf or two thousand take the same time to answer with."""
    model = aisle.load(run)
    own = model.taxonomy
    nodes = list(own.nodes)
    ends = [own.nodes[end] for end in own.terminals]
    for i in range(max(leaves - len(ends), 0)):
        path = (*ends[i % len(ends)].path[:-1], f"{ends[i % len(ends)].name} {i}")
        nodes.append(Node(f"leaf-{i}", path))
    wide = dataclasses.replace(model, zero_shot=None).with_taxonomy(Taxonomy(nodes))
    shutil.rmtree(folder, ignore_errors=True)
    wide.with_policy(model.policy).save(folder)


def measured(run: Path, home: Path, count: int, how: list[str]) -> Measured:
    """Classify the rows in a process of its own."""
    out = home / "out"
    command = [sys.executable, "-m", "aisle", "classify", str(run), str(home / "rows.csv"), "--out", str(out)]
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    options = ["-q", "--device", "cpu", *how]
    process = subprocess.Popen([*command, *options], env=env, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, high_water(process.pid))
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"classifying {count:,} rows ended with status {process.returncode}")
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    size = sum(path.stat().st_size for path in out.glob("part-*")) / 2**20
    shutil.rmtree(out)
    return Measured(count, len(aisle.load(run).taxonomy.terminals), processor, wall, peak / 1024, size)


def high_water(process: int) -> int:
    """The most memory it has held so far, in KiB. What `wait` tells counts the parent's before the start."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def plot(by_rows: Sequence[Measured], by_leaves: Sequence[Measured]) -> None:
    """Processor seconds and peak memory, by rows and by leaves, all on scales of powers of ten."""
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    for row, (what, unit) in enumerate((("processor", "processor, s"), ("peak", "peak memory, MiB"))):
        for column, (some, by) in enumerate(((by_rows, "rows"), (by_leaves, "leaves"))):
            axes = figure.add_subplot(2, 2, 2 * row + column + 1)
            axes.loglog([getattr(one, by) for one in some], [getattr(one, what) for one in some], marker="o")
            axes.set_ylim(bottom=1 if what == "processor" else 100)
            if what == "peak":
                axes.set_ylim(top=10 * max(one.peak for one in some))
            over = f" ({some[0].rows:,} rows)" if by == "leaves" and some else ""
            axes.set(xlabel=by + over, ylabel=unit)
            axes.grid(alpha=0.3)
    with matplotlib.rc_context({"svg.hashsalt": "growth"}):
        figure.savefig(PLOT, metadata={"Date": None})


if __name__ == "__main__":
    main()
