"""Files of tasks: a JSON array for Label Studio, JSON lines for Prodigy."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from aisle.atomic_files import atomic_binary
from aisle.data import Catalog
from aisle.guarantee import Prediction
from aisle.inference.label_studio.prodigy import prodigy_task
from aisle.inference.label_studio.tasks import task


def write_tasks(
    file: Path, catalog: Catalog, predictions: Iterable[Prediction], decisions: Sequence[str] = ()
) -> int:
    """Write tasks, one a line.

    Args:
        file: The file to write: `.json` for Label Studio, `.jsonl` for Prodigy.
        catalog: The products.
        predictions: Of each product, in order.
        decisions: Only products with one of these decisions; none: all.

    Returns:
        The number of tasks.
    """
    lines = file.suffix == ".jsonl"
    make, between, count = (prodigy_task if lines else task), ("" if lines else ","), 0
    with atomic_binary(file) as handle:
        handle.write(b"" if lines else b"[\n")
        for i, prediction in enumerate(predictions):
            if decisions and prediction.decision not in decisions:
                continue
            line = json.dumps(make(catalog[i], prediction, catalog.image_names(i)), ensure_ascii=False)
            handle.write((f"{between}\n" if count else "").encode() + line.encode("utf-8", "replace"))
            count += 1
        handle.write(b"\n" if lines else b"\n]\n")
    return count
