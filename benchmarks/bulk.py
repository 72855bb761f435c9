"""Memory and time of `aisle classify --out FOLDER` from 10^4 rows on: both must not grow but with the rows.

    python benchmarks/bulk.py --rows 10000,100000,1000000,10000000

Trains recipe `fast` on a sample shop, writes catalogues of the given lengths whose listings are made of the
shop's own words (every one different: nothing is answered from the cache), classifies each in a process of
its own and writes a section of RESULTS.md. Peak memory is the process's own, as the system counts it; a busy
machine changes wall-clock times, hardly processor time and never memory.
"""

import argparse
import csv
import os
import random
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
    args = parser.parse_args()
    lines = ["| rows | peak memory, MiB | processor, s | wall, s | rows a processor-second | written, MiB |"]
    lines.append("|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        shop = make_shop(home / "shop", 600)
        catalog = aisle.read(shop.products)
        aisle.train(catalog, "fast", changes=["stages.0.epochs=3", "stages.0.steps=0"], out=home / "run")
        words = sorted({word for product in catalog for word in product.fields["title"].split()})
        for count in map(int, args.rows.split(",")):
            lines.append(measured(home, words, count, args.format))
            print(lines[-1], flush=True)
            write_section("bulk", "\n".join([*HEAD, machine() + ".", "", *lines]))


HEAD = [
    "## Bulk: memory and time by the number of rows",
    "",
    "`aisle classify RUN FILE --out FOLDER` (`benchmarks/bulk.py`), recipe `fast`, text alone, shards of",
    "50,000 rows, no two listings alike, one thread. Memory includes Python, torch and the model.",
]


def measured(home: Path, words: list[str], count: int, form: str) -> str:
    """A line of the table."""
    file, out = home / "rows.csv", home / "out"
    rng = random.Random(count)
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["id", "title", "description"])
        for i in range(count):
            writer.writerow(
                [i, f"{' '.join(rng.choices(words, k=6))} {i}", " ".join(rng.choices(words, k=12))]
            )
    command = [sys.executable, "-m", "aisle", "classify", home / "run", file, "--out", out, "-q"]
    start = time.perf_counter()
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(list(map(str, [*command, "--format", form, "--device", "cpu"])), env=env)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"classifying {count:,} rows ended with status {status}")
    wall, processor = time.perf_counter() - start, used.ru_utime + used.ru_stime
    size = sum(path.stat().st_size for path in out.glob("part-*")) / 2**20
    shutil.rmtree(out)
    return (
        f"| {count:,} | {used.ru_maxrss / 1024:,.0f} | {processor:,.1f} | {wall:,.0f} | "
        f"{count / processor:,.0f} | {size:,.0f} |"
    )


if __name__ == "__main__":
    main()
