"""Files of tasks: a JSON array for Label Studio, JSON lines for Prodigy."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from aisle.atomic_files import atomic_binary
from aisle.data import Catalog
from aisle.guarantee import Prediction
from aisle.inference.label_studio.config import choices, label_config
from aisle.inference.label_studio.prodigy import prodigy_task
from aisle.inference.label_studio.tasks import task
from aisle.taxonomy import Taxonomy


def write_tasks(
    file: Path,
    catalog: Catalog,
    predictions: Iterable[Prediction],
    decisions: Sequence[str] = (),
    reasons: Sequence[str] = (),
) -> int:
    """Write tasks, one a line.

    Args:
        file: The file to write: `.json` for Label Studio, `.jsonl` for Prodigy.
        catalog: The products.
        predictions: Of each product, in order.
        decisions: Only products with one of these decisions; none: all.
        reasons: Why each product is to be labelled, in order; shown to annotators, no field of the product.

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
            one = make(catalog[i], prediction, catalog.image_names(i))
            if reasons:
                one["meta"] = {**one.get("meta", {}), "reason": reasons[i]}
            line = json.dumps(one, ensure_ascii=False)
            handle.write((f"{between}\n" if count else "").encode() + line.encode("utf-8", "replace"))
            count += 1
        handle.write(b"\n" if lines else b"\n]\n")
    return count


def write_config(tasks: Path, taxonomy: Taxonomy, choices_url: str | None = None) -> dict[str, Path]:
    """Write the labeling configuration (.xml) and the tree (.choices.json) next to a file of tasks.

    Args:
        tasks: The file of tasks.
        taxonomy: The tree that annotators choose from.
        choices_url: Where browsers load the tree from; None: it is part of the configuration.

    Returns:
        The files: `config` and `choices`.
    """
    config, tree = tasks.with_suffix(".xml"), tasks.with_suffix(".choices.json")
    tree.write_text(json.dumps(choices(taxonomy), ensure_ascii=False), "utf-8")
    config.write_text(label_config(taxonomy, choices_url), "utf-8")
    return {"config": config, "choices": tree}
