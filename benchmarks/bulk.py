"""Memory and time of `aisle classify --out FOLDER` from 10^4 rows on: both must not grow but with the rows.

    python benchmarks/bulk.py --rows 10000,100000,1000000,10000000

Trains recipe `fast` on a sample shop, writes catalogues of the given lengths whose listings are made of the
shop's own words (every one different: nothing is answered from the cache), classifies each in a process of
its own and writes a section of RESULTS.md. Peak memory is the process's own (VmHWM); a busy machine changes
wall-clock times, hardly processor time and never memory.
"""

import argparse
import csv
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aisle
from aisle.catalog.demo import make_shop
from results import machine, write_section


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="10000,100000,1000000,10000000")
    parser.add_argument("--format", default="jsonl", choices=("jsonl", "csv", "parquet"))
    parser.add_argument("--shard-rows", type=int, default=50_000)
    parser.add_argument("--demo", type=Path, help="what `aisle demo` made, in place of a new shop and model")
    args = parser.parse_args()
    lines = ["| rows | peak memory, MiB | processor, s | wall, s | rows a processor-second | written, MiB |"]
    lines.append("|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        run = args.demo / "run" if args.demo else home / "run"
        catalog = aisle.read(args.demo / "shop" if args.demo else make_shop(home / "shop", 600).products)
        if not args.demo:
            aisle.train(catalog, "fast", changes=["stages.0.epochs=3", "stages.0.steps=0"], out=run)
        words = sorted({word for product in catalog for word in product.fields["title"].split()})
        for count in map(int, args.rows.split(",")):
            write_rows(home / "rows.csv", words, count)
            how = ["--format", args.format, "--shard-rows", str(args.shard_rows)]
            lines.append(measured(run, home, count, how))
            print(lines[-1], flush=True)
            said = f"Shards of {args.shard_rows:,} rows, {args.format}. {machine()}."
            write_section("bulk", "\n".join([*HEAD, said, "", *lines]))


HEAD = [
    "## Bulk: memory and time by the number of rows",
    "",
    "`aisle classify RUN FILE --out FOLDER` (`benchmarks/bulk.py`), recipe `fast`, text alone, no two",
    "listings alike, one thread. Memory includes Python, torch and the model, processor time their start.",
]


def write_rows(file: Path, words: list[str], count: int) -> None:
    """A catalogue of listings that all differ."""
    rng = random.Random(count)
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["id", "title", "description"])
        for i in range(count):
            writer.writerow(
                [i, f"{' '.join(rng.choices(words, k=6))} {i}", " ".join(rng.choices(words, k=12))]
            )


def measured(run: Path, home: Path, count: int, how: list[str]) -> str:
    """A line of the table."""
    out = home / "out"
    command = [sys.executable, "-m", "aisle", "classify", str(run), str(home / "rows.csv"), "--out", str(out)]
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "-q", "--device", "cpu", *how], env=env)
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
    rate = count / processor
    return f"| {count:,} | {peak / 1024:,.0f} | {processor:,.1f} | {wall:,.0f} | {rate:,.0f} | {size:,.0f} |"


def high_water(process: int) -> int:
    """The most memory it has held so far, in KiB. What `wait` tells counts the parent's before the start."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


if __name__ == "__main__":
    main()
