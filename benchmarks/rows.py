"""Ten million rows: how fast a catalog is read, streamed and checked, and in how much memory.

    python benchmarks/rows.py [--rows 10000000] [--folder /tmp]

Writes a CSV file of that many rows, reads it, makes every product once, takes rows at random, and looks it
over as `aisle check` does, each size in a process private, so that peaks do not add up. The file is
deleted.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, measure_apart, table, write_section

WORDS = [
    a + b
    for a in ("red", "soft", "old", "oak", "mini", "pro", "eco", "x")
    for b in ("shoe", "lamp", "sofa", "tent", "case", "desk")
]
CLASSES = 1000
TAKEN = 20_000


def write(path: Path, rows: int, chunk: int = 500_000) -> None:
    """Rows of about 170 bytes: id, title, description, price, a path of three levels, split."""
    rng = np.random.default_rng(0)
    words, paths = (
        np.array(WORDS),
        np.array([f"Top {c % 10} > Middle {c % 100} > Leaf, {c} & more" for c in range(CLASSES)]),
    )
    with path.open("wb") as file:
        for start in range(0, rows, chunk):
            n = min(chunk, rows - start)
            text = [pl.Series(words[rng.integers(0, len(words), n)]) for _ in range(18)]
            frame = pl.DataFrame(
                {
                    "product_id": np.arange(start, start + n),
                    "title": pl.select(pl.concat_str(text[:6], separator=" ")).to_series(),
                    "description": pl.select(pl.concat_str(text[6:], separator=" ")).to_series(),
                    "price": rng.integers(1, 9999, n) / 100,
                    "category": paths[(rng.pareto(1.0, n) * 20).astype(int) % CLASSES],
                    "split": np.where(rng.random(n) < 0.9, "train", "test"),
                }
            )
            file.write(frame.write_csv(include_header=start == 0).encode())


class Peak:
    """The most anonymous memory the process held (file pages the kernel can drop are not counted)."""

    def __init__(self) -> None:
        self.most, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            lines = Path("/proc/self/status").read_text().splitlines()
            self.most = max(self.most, *(int(x.split()[1]) for x in lines if x.startswith("RssAnon")))

    def stop(self) -> float:
        """MiB."""
        self._stop.set()
        self._thread.join()
        return self.most / 1024


def measure(path: str) -> dict:
    """Read the file and go through it, in this process. Seconds are of processor time."""
    from aisle.data import read
    from aisle.data.check import check

    peak, began = Peak(), time.perf_counter()
    seconds = {}
    start = time.process_time()
    catalog = read(path)
    seconds["read"] = time.process_time() - start
    start, count = time.process_time(), 0
    for product in catalog:
        count += bool(product.fields["title"])
    seconds["stream"] = time.process_time() - start
    rng = random.Random(0)
    start = time.process_time()
    for _ in range(TAKEN):
        _ = catalog[rng.randrange(len(catalog))]
    seconds["random"] = time.process_time() - start
    node = catalog.targets().node
    before, start = peak.most / 1024, time.process_time()
    report = check(catalog)
    seconds["check"] = time.process_time() - start
    assert report.clean + report.flagged + report.fatal == report.rows == count
    return {
        "rows": count,
        "known": int((node >= 0).sum()),
        "seconds": seconds,
        "wall": time.perf_counter() - began,
        "reading": before,
        "anonymous": peak.stop(),
        "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure)))
        return
    lines = []
    for rows in (given.rows // 10, given.rows):
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            path = Path(folder) / "rows.csv"
            write(path, rows)
            size = path.stat().st_size / 2**20
            found = measure_apart(__file__, str(path), folder)
        assert found["rows"] == found["known"] == rows, found
        s = found["seconds"]
        cells = [
            f"{rows:,}",
            f"{size:,.0f} MiB",
            f"{s['read']:,.0f} s, {rows / s['read']:,.0f}/s",
            f"{s['stream']:,.0f} s, {rows / s['stream']:,.0f}/s",
            f"{TAKEN / s['random']:,.0f}/s",
            f"{s['check']:,.0f} s, {rows / s['check']:,.0f}/s",
            f"{found['reading']:,.0f} MiB",
            f"{found['anonymous']:,.0f} MiB",
            f"{found['resident']:,.0f} MiB",
            f"{found['wall']:,.0f} s",
        ]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    names = ["rows", "CSV", "read", "every product built", "at random", "`check`"]
    names += ["peak memory, reading", "peak, with `check`", "with file pages", "wall clock"]
    about = (
        f"`python benchmarks/rows.py --rows {given.rows}`, one process; {machine()}. Seconds and rates are "
        "of processor time. Peak memory is anonymous memory; file pages are the memory-mapped catalog, "
        "which the kernel drops when memory is short."
    )
    write_section("rows", "\n".join(["## Ten million rows", "", about, "", *table(names, lines)]))


if __name__ == "__main__":
    main()
