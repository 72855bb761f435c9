"""Time and memory of training `fast` on text, by the number of rows and of categories.

    python benchmarks/cost_curve.py [--only 10000x10000 200000x5000]

Titles are made up: 4 of 12 words are a category's own, 3 its section's, the others follow Zipf's law. Each
size is trained in a process private, without a guarantee: cross-fitting trains one model a fold more.
Accuracy is that of 2,000 further titles of the same categories. Writes one section into RESULTS.md; rows of
sizes that are not run again stay.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
from results import machine, read_section, table, write_section

SIZES = ["2000x100", "10000x100", "50000x100", "10000x1000", "10000x10000", "200000x5000"]
SECTIONS = 20
NAME = "cost curve"
COLUMNS = ("rows", "categories", "wall, s", "processor, s", "peak memory, GiB", "titles/s", "accuracy")
FRESH = 2000


def words(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count,) distinct made-up words of 4 to 10 letters."""
    syllables = np.array([a + b for a in "bcdfghklmnprstvz" for b in "aeiou"])
    found: list[str] = []
    while len(found) < count:
        size = rng.integers(2, 6, count)
        found = list(dict.fromkeys(found + ["".join(rng.choice(syllables, n)) for n in size]))
    return np.array(found[:count])


def write(path: Path, rows: int, classes: int) -> None:
    """A CSV file of titles and category paths; the last `FRESH` rows are not for training."""
    rng = np.random.default_rng(0)
    common = words(rng, 40_000)
    own = common[rng.integers(0, len(common), (classes, 12))]
    shared = common[rng.integers(0, len(common), (SECTIONS, 60))]
    label = np.concatenate([np.arange(rows) % classes, rng.integers(0, classes, FRESH)])
    section = label % SECTIONS
    n = len(label)
    rare = np.minimum(rng.zipf(1.3, (n, 5)), len(common)) - 1
    title = np.concatenate(
        [
            own[label[:, None], rng.integers(0, 12, (n, 4))],
            shared[section[:, None], rng.integers(0, 60, (n, 3))],
            common[rare],
        ],
        axis=1,
    )
    names = [f"Section {c % SECTIONS} > {own[c, 0]} {own[c, 1]} {c}" for c in range(classes)]
    frame = {
        "id": np.arange(n),
        "title": [" ".join(row) for row in title],
        "category": [names[c] for c in label],
        "split": np.where(np.arange(n) < rows, "train", "test"),
    }
    pl.DataFrame(frame).write_csv(path)


def measure(path: str) -> dict[str, float]:
    """Train in this process."""
    import aisle
    from aisle.workflow import part

    catalog = aisle.read(path)
    train, fresh = part(catalog, "train"), part(catalog, "test")
    changes = ["views.image=false", 'guarantee.method="none"']
    began, used = time.perf_counter(), time.process_time()
    model = aisle.train(train, "fast", changes=changes)
    spent = {"wall": time.perf_counter() - began, "cpu": time.process_time() - used}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    used = time.process_time()
    best = model.score(fresh).best()
    scoring = len(fresh) / (time.process_time() - used)
    paths = [p.categories[0] for p in fresh]
    right = np.mean([model.taxonomy.nodes[n].path == path for n, path in zip(best, paths, strict=True)])
    return {**spent, "peak": peak, "scoring": scoring, "accuracy": float(right)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", choices=SIZES, help="sizes, ROWSxCATEGORIES (default: all)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure)))
        return
    rows = {key: line for line in read_section(NAME) if (key := size_of(line)) in SIZES}
    about = (
        f"`benchmarks/cost_curve.py`: `fast` on made-up titles of 12 words, no guarantee; {machine()}. "
        "Titles a second: one core, all categories scored."
    )
    for size in args.only or SIZES:
        rows[size] = row(size)
        print(rows[size], flush=True)
        lines = table(COLUMNS, [rows[one] for one in SIZES if one in rows])
        heading = "## Cost of training `fast` by rows and categories"
        write_section(NAME, "\n".join([heading, about, "", *lines]))


def size_of(line: str) -> str:
    """`ROWSxCATEGORIES` of a row of the table."""
    return "x".join(cell.strip().replace(",", "") for cell in line.split("|")[1:3])


def row(size: str) -> str:
    """Train a model of ROWSxCATEGORIES in another process; its row of the table."""
    rows, classes = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write(path, rows, classes)
        command = [sys.executable, __file__, "--measure", str(path)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout.splitlines()[-1])
    cells = [f"{rows:,}", f"{classes:,}", f"{found['wall']:.0f}", f"{found['cpu']:.0f}"]
    cells += [f"{found['peak']:.2f}", f"{found['scoring']:,.0f}", f"{found['accuracy']:.3f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
