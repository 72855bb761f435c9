"""Models side by side: which there are, which one answers, which one shadows; promoting, going back."""

from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool

from aisle.inference.training_counts import training_products
from aisle.server import schemas
from aisle.server.models import Slot, Standing
from aisle.server.problems import ApiError
from aisle.server.promotion import judge
from aisle.server.routes.request_io import answer
from aisle.server.routing import KeyRoute
from aisle.server.security import Admin, Seller
from aisle.server.state import Here
from aisle.server.store import promotions

router = APIRouter(tags=["models"], route_class=KeyRoute)
FAILURES = {**schemas.USUAL, **schemas.failures(404, 409, 503)}
Name = InPath(max_length=200)


@router.get(
    "/v1/models", summary="Which models there are", response_model=schemas.ModelsOut, responses=FAILURES
)
def models(server: Here, holder: Seller) -> Response:
    """All of them, the live one, and the one that answers along unseen."""
    return answer(_told(server.models.standing))


@router.get(
    "/v1/models/history",
    summary="Which model went live when",
    response_model=schemas.HistoryOut,
    responses=FAILURES,
)
def history(server: Here, holder: Admin) -> Response:
    """Promotions, refused ones too, with what was measured; the latest first."""
    return answer({"changes": promotions.history(server.store)})


@router.post("/v1/models", summary="Load a model", response_model=schemas.ModelsOut, responses=FAILURES)
async def load(sent: schemas.LoadIn, server: Here, holder: Admin) -> Response:
    """From a folder below the one that `aisle serve --library` names, beside the others or in the place of
    one that is not live. Requests are answered meanwhile."""
    library = server.settings.library
    if library is None:
        raise ApiError(403, "no_library", "start the server with --library FOLDER to load models from there")
    folder = _resolved(library / sent.folder)
    if not folder.is_relative_to(library.resolve()):
        raise ApiError(403, "outside", "models are loaded from below the library's folder only")
    try:
        await run_in_threadpool(server.models.add, sent.name, folder)
    except OSError as error:
        raise _no_folder(error) from error
    return answer(_told(server.models.standing))


@router.delete(
    "/v1/models/{name}", summary="Let a model go", response_model=schemas.ModelsOut, responses=FAILURES
)
def remove(server: Here, holder: Admin, name: str = Name) -> Response:
    """Not the live one."""
    server.models.remove(name)
    return answer(_told(server.models.standing))


@router.post(
    "/v1/shadow",
    summary="Let a model answer along, unseen",
    response_model=schemas.ModelsOut,
    responses=FAILURES,
)
def shadow(sent: schemas.ShadowIn, server: Here, holder: Admin) -> Response:
    """Its answers are kept beside those of the live one, and returned to nobody; null: no model does."""
    server.models.shadow(sent.model)
    return answer(_told(server.models.standing))


@router.get(
    "/v1/shadow",
    summary="How the shadow compares",
    response_model=schemas.ShadowOut,
    responses=FAILURES,
)
def compared(server: Here, holder: Admin) -> Response:
    """On the products that both answered."""
    standing = server.models.standing
    if standing.shadow is None:
        raise ApiError(404, "no_shadow", "no model answers along")
    mine, live = standing.slot(standing.shadow), standing.slot(None)
    summary = promotions.shadow_summary(server.store, mine.model_id, live.model_id)
    return answer({"model": mine.name, "live": live.name, **summary})


@router.post(
    "/v1/models/{name}/promote",
    summary="Let a model answer, if it is not worse",
    response_model=schemas.PromotedOut,
    responses=FAILURES,
)
async def promote(server: Here, holder: Admin, name: str = Name) -> Response:
    """Both are judged on the fixed set (`aisle serve --golden-set FILE`); 409 where the new one gets fewer
    right. Requests under way are finished by the model that they began with."""
    standing = server.models.standing
    mine, live = standing.slot(name), standing.slot(None)
    if mine is live:
        raise ApiError(409, "is_live", f"{name} is live already")
    if not server.gold:
        raise ApiError(409, "no_gold", "there is no fixed set to judge by: start with --golden-set FILE")
    if server.promoting.locked():
        raise ApiError(409, "under_way", "another model is being judged just now")
    async with server.promoting:
        verdict = await judge(server.batcher, mine, live, server.gold)
        measured = {**verdict._asdict(), "not_worse": verdict.not_worse}
        what = promotions.PROMOTED if verdict.not_worse else promotions.REFUSED
        change = promotions.Change(what, mine.name, mine.model_id, live.name, measured)
        record = partial(promotions.record, server.store, holder.person, change)
        if not verdict.not_worse:
            await run_in_threadpool(record)
            said = f"{name} gets {verdict.candidate} of {verdict.products} right, {live.name} {verdict.live}"
            raise ApiError(409, "worse", said)
        await run_in_threadpool(server.models.promote, mine, live, record)
        server.telemetry.went_live(mine.name, mine.model_id)
    return answer({**_told(server.models.standing), "measured": measured})


@router.post(
    "/v1/models/rollback",
    summary="Go back to the model before",
    response_model=schemas.ModelsOut,
    responses=FAILURES,
)
def rollback(server: Here, holder: Admin) -> Response:
    """At once, without judging."""
    left = server.models.standing.live
    # First back, then written down: in an emergency the store may be what is broken.
    standing = server.models.roll_back()
    slot = standing.slot(None)
    change = promotions.Change(promotions.ROLLED_BACK, slot.name, slot.model_id, left)
    server.telemetry.went_live(slot.name, slot.model_id)
    promotions.record(server.store, holder.person, change)
    return answer(_told(standing))


def _resolved(folder: Path) -> Path:
    try:
        return folder.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise _no_folder(error) from error


def _no_folder(error: Exception) -> ApiError:
    why = error.strerror if isinstance(error, OSError) else None
    return ApiError(422, "bad_folder", f"this folder cannot be read: {why or 'it is no path'}")


def _told(standing: Standing) -> dict[str, Any]:
    listed = [_model(slot, standing) for slot in standing.slots.values()]
    return {
        "live": standing.live,
        "shadow": standing.shadow,
        "before": list(standing.before),
        "models": listed,
    }


def _model(slot: Slot, standing: Standing) -> dict[str, Any]:
    results = slot.predictor.results
    return {
        "name": slot.name,
        "model_id": slot.model_id,
        "live": slot.name == standing.live,
        "shadow": slot.name == standing.shadow,
        "recipe": results.get("recipe"),
        "training_products": training_products(slot.predictor),
        "categories": len(slot.taxonomy),
        "views": list(slot.predictor.views),
        "metrics": dict(results.get("metrics") or {}),
        "guarantee": slot.predictor.policy.decides(slot.taxonomy),
    }
