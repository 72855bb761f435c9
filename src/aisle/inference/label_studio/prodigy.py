"""Tasks of Prodigy's interface `choice`, one a line; what it saves is read as annotations of Label Studio."""

import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aisle.data import Product
from aisle.guarantee import Prediction
from aisle.inference.label_studio.tasks import task
from aisle.taxonomy import format_path


def prodigy_task(
    product: Product, prediction: Prediction, names: Sequence[str | bytes] = ()
) -> dict[str, Any]:
    """A task with the likeliest categories as options, of which the best is chosen.

    Args:
        product: The product.
        prediction: Its prediction.
        names: The images as the catalog names them.
    """
    data = task(product, names=names)["data"]
    texts = [html.escape(data["title"]), html.escape(data["description"]), data["images"]]
    paths = dict.fromkeys((prediction.best, *(alternative.path for alternative in prediction.alternatives)))
    return {
        "html": "".join(f"<p>{text}</p>" for text in texts if text),
        "options": [
            {"id": format_path(path), "text": format_path(path), "path": list(path)} for path in paths
        ],
        "accept": [format_path(prediction.best)],
        "meta": {
            "id": product.id,
            "decision": prediction.decision,
            "confidence": round(prediction.confidence[-1], 4),
            "model": prediction.model_id,
        },
        "data": data,
    }


def annotated_tasks(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Tasks with annotations as Label Studio has them, from the lines of `prodigy db-out`.

    Raises:
        ValueError: A line is no annotated task of `prodigy_task`.
    """
    tasks: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = json.loads(line)
        if not isinstance(record, dict) or not isinstance(record.get("data"), dict):
            raise ValueError(f"line {number:,} is no task of `aisle export-tasks`")
        key = str(record["data"].get("id", number))
        known = tasks.setdefault(key, {"id": key, "data": record["data"], "annotations": []})
        if "answer" in record:
            known["annotations"].append(_annotation(record, number))
    yield from tasks.values()


def _annotation(record: Mapping[str, Any], number: int) -> dict[str, Any]:
    chosen, options = record.get("accept") or (), record.get("options") or ()
    paths = [option["path"] for option in options if option.get("id") in chosen and option.get("path")]
    return {
        "id": number,
        "completed_by": record.get("_annotator_id") or record.get("_session_id"),
        "updated_at": f"{record.get('_timestamp') or 0:020}",
        "was_cancelled": record["answer"] != "accept",
        "result": [{"value": {"taxonomy": paths}}],
    }
