"""Train one fold with the code on the path and write the held-out rows' best paths: for against_commit.py.

    python benchmarks/train_fold.py '["rows.csv", 0, "folds.npy", "fast", ["key=value"], "out.json"]'

Imports what both commits have, and nothing else of the benchmarks.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import aisle


def train(file: str, fold: int, folds: str, recipe: str, changes: list[str], out: str) -> None:
    """Train on all folds but one (numbers from 0, -1: neither), and predict that one."""
    catalog: Any = aisle.read(file)
    select = catalog.select if hasattr(catalog, "select") else catalog.take  # its former name
    number = np.load(folds)
    rows, held = np.flatnonzero((number >= 0) & (number != fold)), np.flatnonzero(number == fold)
    began = time.process_time()
    model: Any = aisle.train(select(rows), recipe, changes=changes)
    spent = time.process_time() - began
    best = model.score(select(held)).best()
    paths = ["\t".join(model.taxonomy.nodes[n].path) for n in best]
    Path(out).write_text(json.dumps({"paths": paths, "seconds": spent}))


if __name__ == "__main__":
    train(*json.loads(sys.argv[1]))
