"""/v1/batches: files of products are uploaded, classified in the background, decided and downloaded."""

import os
from pathlib import Path, PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParam
from fastapi.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from aisle.data.rewriting.files import can_rewrite
from aisle.errors import AisleError
from aisle.server.batches.download import Form, download_name, write_download
from aisle.server.batches.folder import BatchFolder, no_space
from aisle.server.batches.rows import RowFilter
from aisle.server.errors import ApiError, BusyError
from aisle.server.product_parsing import clean
from aisle.server.routes.feedback import find_category
from aisle.server.routes.request_io import json_response
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.batches import (
    BatchAcceptedOut,
    BatchAcceptIn,
    BatchChooseIn,
    BatchListOut,
    BatchOut,
    BatchProductsOut,
    BatchReviewIn,
    BatchReviewOut,
    BatchUndoOut,
    Decision,
    Verdict,
)
from aisle.server.schemas.common import error_responses
from aisle.server.security import Seller
from aisle.server.state import Server, ServerDep
from aisle.server.store import batches as store_batches
from aisle.server.store.keys import ApiKey

router = APIRouter(tags=["batches"], route_class=AuthFirstRoute, responses=error_responses(404, 409))
BatchId = Annotated[str, PathParam(pattern="^[0-9a-f]{16}$")]
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FILE = {"requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}}}


@router.post("/v1/batches", status_code=201, response_model=BatchOut, openapi_extra=_FILE)
async def upload_batch(
    request: Request,
    server: ServerDep,
    key: Seller,
    name: Annotated[str, Query(min_length=1, max_length=200, description="The file's name: `shop.csv`.")],
    start: Annotated[bool, Query(description="Classify it at once.")] = False,
) -> Response:
    """The body is the file: CSV, TSV, XLSX, JSON lines, Parquet, an XML feed, or whatever else `aisle check`
    reads, also compressed (`feed.xml.gz`). It is read as `aisle check` reads it; a file that this refuses
    gets 422 with the same message. No image file of the server is opened, whatever the file names; images by
    URL are fetched where `--fetch-urls` allows it."""
    shown = clean(PurePath(name.replace("\\", "/")).name) or "file"
    if not server.reading_slots.acquire(blocking=False):
        raise BusyError(5)
    folder = BatchFolder.new(server.settings.files_folder.absolute(), shown)
    try:
        size = await _save(request, folder.source)
        batch_id = await run_in_threadpool(_add, server, key, folder, size, start)
    except BaseException:
        folder.delete()
        raise
    finally:
        server.reading_slots.release()
    if start:
        server.worker.wake()
    return json_response(await run_in_threadpool(_batch_json, server, key, batch_id), status=201)


async def _save(request: Request, file: Path) -> int:
    size = 0
    try:
        with file.open("wb") as out:
            async for chunk in request.stream():
                size += len(chunk)
                await run_in_threadpool(out.write, chunk)
            out.flush()
            await run_in_threadpool(os.fsync, out.fileno())
    except OSError as error:
        raise no_space(error) from error
    if not size:
        raise ApiError(422, "bad_file", "the file is empty")
    return size


def _add(server: Server, key: ApiKey, folder: BatchFolder, size: int, start: bool) -> str:
    served, settings = server.registry.state.get(), server.settings.batches
    catalog = folder.catalog(served.predictor, settings)
    row = {
        "id": folder.id,
        "person": key.person,
        "name": folder.name,
        "bytes": size,
        "rows": len(catalog),
        "model": served.name,
        "model_id": served.model_id,
        "summary": {**folder.summary(catalog), "can_fill": can_rewrite(folder.source)},
    }
    store_batches.add(server.store, row, settings.max_files)
    folder.keep()
    if start:
        store_batches.update(server.store, row["id"], state="queued")
    return row["id"]


@router.get("/v1/batches", response_model=BatchListOut)
def list_batches(server: ServerDep, key: Seller) -> Response:
    """Your files, the latest first."""
    found = store_batches.of_person(server.store, key.person)
    return json_response({"batches": [_shown(server, row) for row in found]})


@router.get("/v1/batches/{batch_id}", response_model=BatchOut)
def get_batch(batch_id: BatchId, server: ServerDep, key: Seller) -> Response:
    """A file of yours, and how far its classification is."""
    return json_response(_batch_json(server, key, batch_id))


@router.post("/v1/batches/{batch_id}/start", response_model=BatchOut)
def start_batch(batch_id: BatchId, server: ServerDep, key: Seller) -> Response:
    """Classify the products, in the background; after a cancellation or a failure, go on where it was. The
    server works on one file at a time, and on requests of people first."""
    batch, folder = _batch(server, key, batch_id)
    served = server.registry.state.get()
    changes: dict[str, Any] = {"state": "queued", "error": None}
    if not folder.rows.count():
        changes |= {"model": served.name, "model_id": served.model_id}
    if not store_batches.update(server.store, batch_id, "ready", "cancelled", "failed", **changes):
        raise ApiError(409, "not_now", f"{batch['name']} is {batch['state']} already")
    server.worker.wake()
    return json_response(_batch_json(server, key, batch_id))


@router.post("/v1/batches/{batch_id}/cancel", response_model=BatchOut)
def cancel_batch(batch_id: BatchId, server: ServerDep, key: Seller) -> Response:
    """Stop what is queued or runs; what is done stays."""
    batch, _ = _batch(server, key, batch_id)
    if not store_batches.update(server.store, batch_id, *store_batches.ACTIVE, state="cancelled"):
        raise ApiError(409, "not_now", f"{batch['name']} is {batch['state']}: there is nothing to cancel")
    return json_response(_batch_json(server, key, batch_id))


@router.delete("/v1/batches/{batch_id}", status_code=204)
def delete_batch(batch_id: BatchId, server: ServerDep, key: Seller) -> Response:
    """Delete the file and all predictions; products in the review queue stay there."""
    _, folder = _batch(server, key, batch_id)
    store_batches.delete(server.store, batch_id)
    folder.delete()
    return Response(status_code=204)


@router.get("/v1/batches/{batch_id}/products", response_model=BatchProductsOut)
def batch_products(
    batch_id: BatchId,
    server: ServerDep,
    key: Seller,
    branch: Annotated[str, Query(max_length=500, description="Level-1 category.")] = "",
    decision: Annotated[Decision, Query(description="The model's.")] = "",
    verdict: Annotated[Verdict, Query(description="A person's; review: sent to the queue.")] = "",
    q: Annotated[str, Query(max_length=200, description="A part of the title, or the id.")] = "",
    min_confidence: Annotated[float, Query(ge=0, le=1)] = 0.0,
    sort: Annotated[str, Query(pattern="^(-?confidence|row)$")] = "confidence",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    size: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """A page of the classified products, the least sure first, with counts by facet."""
    _, folder = _batch(server, key, batch_id)
    rows = RowFilter(branch, decision, verdict, q, min_confidence)
    found = folder.rows.page(rows, sort, (page - 1) * size, size)
    return json_response({"total": found.total, "products": found.rows, "facets": found.facets})


@router.post("/v1/batches/{batch_id}/accept", response_model=BatchAcceptedOut)
def accept_batch(batch_id: BatchId, sent: BatchAcceptIn, server: ServerDep, key: Seller) -> Response:
    """Accept the best categories of open products, such as all above a confidence. They are filled into the
    download; since nobody looked at each, they are no feedback, and no model is trained on them."""
    _, folder = _idle(server, key, batch_id)
    rows = RowFilter(sent.branch, sent.decision, "", sent.q, sent.min_confidence)
    return json_response({**folder.rows.accept(rows, sent.confirm), "confirmed": sent.confirm})


@router.post("/v1/batches/{batch_id}/products/{row}", response_model=BatchUndoOut)
def choose_in_batch(
    batch_id: BatchId,
    row: Annotated[int, PathParam(ge=0, le=2**31 - 1)],
    sent: BatchChooseIn,
    server: ServerDep,
    key: Seller,
) -> Response:
    """Choose a category for one product of the file."""
    batch, folder = _idle(server, key, batch_id)
    node = find_category(server.registry.state.get(batch["model"]), sent.chosen)
    if not folder.rows.choose(row, node.path, node.id):
        raise ApiError(404, "no_such_product", f"{batch['name']} has no product {row}")
    return json_response({"count": 1})


@router.post("/v1/batches/{batch_id}/undo", response_model=BatchUndoOut)
def undo_batch(batch_id: BatchId, server: ServerDep, key: Seller) -> Response:
    """Take your last acceptance or choice in this file back."""
    _, folder = _idle(server, key, batch_id)
    count = folder.rows.undo()
    if not count:
        raise ApiError(409, "nothing_to_undo", "there is nothing to take back")
    return json_response({"count": count})


@router.post("/v1/batches/{batch_id}/review", response_model=BatchReviewOut)
def review_batch(batch_id: BatchId, sent: BatchReviewIn, server: ServerDep, key: Seller) -> Response:
    """Put all products that neither the model nor a person accepted into the review queue, in the background.
    What reviewers decide is in later downloads."""
    _, folder = _idle(server, key, batch_id)
    count = folder.rows.rest_count()
    if sent.confirm and count:
        changes = {"state": "queued", "task": store_batches.REVIEW, "done": 0}
        store_batches.update(server.store, batch_id, "done", "cancelled", "failed", **changes)
        server.worker.wake()
    return json_response({"count": count, "confirmed": sent.confirm and count > 0})


@router.get(
    "/v1/batches/{batch_id}/download",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": _BYTES}, "description": "The file"}},
)
def download_batch(
    batch_id: BatchId,
    server: ServerDep,
    key: Seller,
    form: Annotated[
        Form, Query(description="filled: your file, with categories; table: predictions.")
    ] = "filled",
    every: Annotated[
        bool, Query(description="Fill in the best category of undecided products, too.")
    ] = False,
) -> Response:
    """Your file as `aisle classify --fill` writes it: with the categories that the model or a person decided,
    every other cell as it was; or a CSV table of all predictions."""
    batch, folder = _idle(server, key, batch_id)
    if folder.rows.count() < batch["rows"]:
        raise ApiError(409, "not_done", f"{batch['name']} is not classified to its end: start it again")
    served = server.registry.state.models.get(batch["model"]) or server.registry.state.get()
    if not server.reading_slots.acquire(blocking=False):
        raise BusyError(5)
    try:
        out = write_download(server.store, folder, served, server.settings.batches, form, every)
    except ApiError:
        raise
    except AisleError as error:
        raise ApiError(422, "bad_file", folder.named(str(error))) from error
    finally:
        server.reading_slots.release()
    return FileResponse(
        out, 200, None, "application/octet-stream", filename=download_name(batch["name"], form)
    )


def _batch(server: Server, key: ApiKey, batch_id: str) -> tuple[dict[str, Any], BatchFolder]:
    """A file of this person, and its folder.

    Raises:
        ApiError: There is none, or another server has it.
    """
    batch = store_batches.get(server.store, batch_id, key.person)
    folder = server.worker.place.batch_folder(batch)
    if not folder.path.is_dir():
        raise ApiError(404, "no_such_batch", f"{batch['name']} is not on this server")
    return batch, folder


def _idle(server: Server, key: ApiKey, batch_id: str) -> tuple[dict[str, Any], BatchFolder]:
    """The same, of a file that nothing is done with.

    Raises:
        ApiError: It is not classified, or just now.
    """
    batch, folder = _batch(server, key, batch_id)
    if batch["state"] in (*store_batches.ACTIVE, "ready"):
        why = (
            "is not classified yet" if batch["state"] == "ready" else "is being worked on: wait, or cancel it"
        )
        raise ApiError(409, "not_now", f"{batch['name']} {why}")
    return batch, folder


def _batch_json(server: Server, key: ApiKey, batch_id: str) -> dict[str, Any]:
    return _shown(server, store_batches.get(server.store, batch_id, key.person))


def _shown(server: Server, row: dict[str, Any]) -> dict[str, Any]:
    rows = server.worker.place.batch_folder(row).rows
    counts = {"classified": rows.count(), "rest": rows.rest_count() if rows.path.exists() else 0}
    left = {name: value for name, value in row.items() if name not in ("summary", "person")}
    return {**left, **row["summary"], **counts}
