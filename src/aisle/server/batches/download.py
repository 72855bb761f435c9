"""The file that a person takes home: their own, with its categories filled in, or a table of predictions."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from aisle.data.rewriting.files import can_rewrite
from aisle.guarantee import Prediction
from aisle.inference.prediction_files import write_predictions
from aisle.inference.prediction_table import titles_of
from aisle.inference.write_back import write_back_catalog
from aisle.server.batches.folder import BatchFolder, endings
from aisle.server.batches.rows import ACCEPTED, CHOSEN, prediction_of
from aisle.server.errors import ApiError
from aisle.server.model_registry import ServedModel
from aisle.server.settings import BatchSettings
from aisle.server.store import ServerStore
from aisle.server.store.tables import feedback
from aisle.taxonomy import CategoryPath

Form = Literal["filled", "table"]
_REASONS = {ACCEPTED: "accepted by a person", CHOSEN: "chosen by a person"}
_REVIEWED = "decided by a reviewer"
_AT_ONCE = 500  # review items that are looked up at once


def write_download(
    store: ServerStore,
    folder: BatchFolder,
    served: ServedModel,
    settings: BatchSettings,
    form: Form,
    every: bool,
) -> Path:
    """Write the file.

    Args:
        store: Holds what reviewers decided.
        folder: The upload.
        served: The model that classified it.
        settings: Limits of reading.
        form: `filled`: the file itself, with categories where the model or a person decided; `table`: a CSV
            of all predictions.
        every: Fill in the best category of products that nobody decided, too.

    Raises:
        ApiError: A file of this format cannot be filled in.
    """
    if form == "filled" and not can_rewrite(folder.source):
        message = f"a file like {folder.name} cannot be filled in; take the table instead"
        raise ApiError(409, "cannot_fill", message)
    catalog = folder.catalog(served.predictor, settings)
    decided = _decided(store, folder)
    if form == "table":
        out = folder.path / "predictions.csv"
        write_predictions(decided, out, titles_of(catalog), served.taxonomy.depth)
        return out
    out = folder.path / f"filled{endings(folder.name)}"
    write_back_catalog(catalog, decided, out, served.predictor, every=every)
    return out


def download_name(name: str, form: Form) -> str:
    """The name of the download: `export.filled.csv`, `export.predictions.csv`."""
    ending = endings(name)
    stem = name[: len(name) - len(ending)] or "products"
    return f"{stem}.filled{ending}" if form == "filled" else f"{stem}.predictions.csv"


def _decided(store: ServerStore, folder: BatchFolder) -> Iterator[Prediction]:
    """The predictions in the order of the file, with what people decided in their place."""
    chunk: list[dict[str, Any]] = []
    for row in folder.rows.all():
        chunk.append(row)
        if len(chunk) == _AT_ONCE:
            yield from _with_reviews(store, chunk)
            chunk = []
    yield from _with_reviews(store, chunk)


def _with_reviews(store: ServerStore, rows: list[dict[str, Any]]) -> Iterator[Prediction]:
    items = [row["review_id"] for row in rows if row["review_id"] is not None]
    reviewed: dict[int, tuple[CategoryPath, str]] = {}
    if items:
        columns = (feedback.c.review_id, feedback.c.chosen, feedback.c.chosen_id)
        last = sa.select(*columns).where(feedback.c.review_id.in_(items), ~feedback.c.undone)
        with store.read() as connection:
            for item, path, node_id in connection.execute(last.order_by(feedback.c.id)):
                reviewed[item] = (tuple(path), node_id)
    for row in rows:
        prediction = prediction_of(row)
        if row["review_id"] in reviewed:
            yield _by_person(prediction, *reviewed[row["review_id"]], _REVIEWED)
        elif row["verdict"] in _REASONS:
            path = prediction_of({**row, "best": row["chosen"]}).best
            yield _by_person(prediction, path, row["chosen_id"], _REASONS[row["verdict"]])
        else:
            yield prediction


def _by_person(prediction: Prediction, path: CategoryPath, node_id: str, reason: str) -> Prediction:
    same = path == prediction.best
    confidence = prediction.confidence if same else (1.0,) * len(path)
    return replace(
        prediction,
        best=path,
        best_id=node_id,
        path=path,
        path_id=node_id,
        confidence=confidence,
        decision="accept",
        reason=reason,
    )
