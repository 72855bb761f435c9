"""Models: list, load, remove, shadow, promote, roll back."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Response
from fastapi import Path as PathParam
from fastapi.concurrency import run_in_threadpool

from aisle.guarantee import summarize_curve
from aisle.inference.training_counts import training_products
from aisle.server.errors import ApiError
from aisle.server.golden_set import compare_on_golden_set
from aisle.server.model_changes import find_changes
from aisle.server.model_registry import RegistryState, ServedModel
from aisle.server.routes.request_io import json_response
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.common import error_responses
from aisle.server.schemas.models import (
    ChangesOut,
    HistoryOut,
    LoadIn,
    ModelsOut,
    PromotedOut,
    ShadowIn,
    ShadowOut,
)
from aisle.server.security import Admin, Seller
from aisle.server.state import ServerDep
from aisle.server.store import promotions

router = APIRouter(tags=["models"], route_class=AuthFirstRoute, responses=error_responses(404, 409))
_NAME = PathParam(max_length=200)


@router.get("/v1/models", summary="List models", response_model=ModelsOut)
def models(server: ServerDep, key: Seller) -> Response:
    """All models, and which are live and shadow."""
    return _models_response(server.registry.state)


@router.get("/v1/models/history", summary="List promotions", response_model=HistoryOut)
def history(server: ServerDep, key: Admin) -> Response:
    """Promotions, refused ones too, and rollbacks; the latest first."""
    return json_response({"changes": promotions.history(server.store)})


@router.post("/v1/models", summary="Load a model", response_model=ModelsOut)
async def load(sent: LoadIn, server: ServerDep, key: Admin) -> Response:
    """From a folder below that of `aisle serve --library`; a model of the same name is replaced, unless it is
    live. Other requests go on meanwhile."""
    library = server.settings.library
    if library is None:
        raise ApiError(403, "no_library", "start the server with --library FOLDER to load models from there")
    try:
        folder = (library / sent.folder).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise _bad_folder(error) from error
    if not folder.is_relative_to(library.resolve()):
        raise ApiError(403, "outside_library", "models are loaded from below the library's folder only")
    try:
        await run_in_threadpool(server.registry.add, sent.name, folder)
    except OSError as error:
        raise _bad_folder(error) from error
    return _models_response(server.registry.state)


@router.delete("/v1/models/{name}", summary="Remove a model", response_model=ModelsOut)
def remove(server: ServerDep, key: Admin, name: str = _NAME) -> Response:
    """The live model cannot be removed."""
    server.registry.remove(name)
    return _models_response(server.registry.state)


@router.post("/v1/shadow", summary="Set the shadow model", response_model=ModelsOut)
def shadow(sent: ShadowIn, server: ServerDep, key: Admin) -> Response:
    """Its predictions are stored and compared with the live model's, and never returned; null for none."""
    server.registry.set_shadow(sent.model)
    return _models_response(server.registry.state)


@router.get("/v1/shadow", summary="Compare the shadow with the live model", response_model=ShadowOut)
def shadow_summary(server: ServerDep, key: Admin) -> Response:
    """On the products that both predicted."""
    state = server.registry.state
    if state.shadow is None:
        raise ApiError(404, "no_shadow", "there is no shadow model")
    served, live = state.get(state.shadow), state.get()
    summary = promotions.shadow_summary(server.store, served.model_id, live.model_id)
    return json_response({"model": served.name, "live": live.name, **summary})


@router.get("/v1/models/{name}/changes", summary="Compare with the live model", response_model=ChangesOut)
async def changes(server: ServerDep, key: Admin, name: str = _NAME) -> Response:
    """What would change if this model went live: products of the golden set and those with the latest
    feedback (500 at most) that get another category, counted by branch."""
    state = server.registry.state
    candidate, live = state.get(name), state.get()
    found = await find_changes(server.batcher, server.store, candidate, live, server.golden_set)
    return json_response(found.model_dump())


@router.post("/v1/models/{name}/promote", summary="Promote a model", response_model=PromotedOut)
async def promote(server: ServerDep, key: Admin, name: str = _NAME) -> Response:
    """Compares it with the live model on the golden set (`aisle serve --golden-set FILE`); 409 if it gets
    fewer right. Requests in progress keep the model they began with."""
    state = server.registry.state
    candidate, live = state.get(name), state.get()
    if candidate is live:
        raise ApiError(409, "is_live", f"{name} is live already")
    if not server.golden_set:
        raise ApiError(409, "no_golden_set", "there is no golden set: start with --golden-set FILE")
    if server.promotion_lock.locked():
        raise ApiError(409, "promotion_running", "another model is being compared just now")
    async with server.promotion_lock:
        result = await compare_on_golden_set(server.batcher, candidate, live, server.golden_set)
        comparison = result.model_dump()
        action = promotions.PROMOTED if result.not_worse else promotions.REFUSED
        change = promotions.PromotionRecord(action, candidate.name, candidate.model_id, live.name, comparison)
        record = partial(promotions.record, server.store, key.person, change)
        if not result.not_worse:
            await run_in_threadpool(record)
            counts = f"{name} gets {result.candidate} of {result.products} right, {live.name} {result.live}"
            raise ApiError(409, "worse", counts)
        await run_in_threadpool(server.registry.promote, candidate, live, record)
        server.telemetry.set_live(candidate.name, candidate.model_id)
    return _models_response(server.registry.state, comparison=comparison)


@router.post("/v1/models/rollback", summary="Roll back to the previous model", response_model=ModelsOut)
def rollback(server: ServerDep, key: Admin) -> Response:
    """At once, without a comparison."""
    before = server.registry.state.live
    # The switch comes before its record: in an emergency the store may be what is broken.
    state = server.registry.roll_back()
    served = state.get()
    change = promotions.PromotionRecord(promotions.ROLLED_BACK, served.name, served.model_id, before)
    server.telemetry.set_live(served.name, served.model_id)
    promotions.record(server.store, key.person, change)
    return _models_response(state)


def _bad_folder(error: Exception) -> ApiError:
    reason = error.strerror if isinstance(error, OSError) else None
    return ApiError(422, "bad_folder", f"this folder cannot be read: {reason or 'it is no path'}")


def _models_response(state: RegistryState, **more: Any) -> Response:
    return json_response(
        {
            "live": state.live,
            "shadow": state.shadow,
            "previous": list(state.previous),
            "models": [_model_json(served, state) for served in state.models.values()],
            **more,
        }
    )


def _model_json(served: ServedModel, state: RegistryState) -> dict[str, Any]:
    results = served.predictor.results
    return {
        "name": served.name,
        "model_id": served.model_id,
        "live": served.name == state.live,
        "shadow": served.name == state.shadow,
        "recipe": results.get("recipe"),
        "training_products": training_products(served.predictor),
        "categories": len(served.taxonomy),
        "views": list(served.predictor.views),
        "metrics": dict(results.get("metrics") or {}),
        "guarantee": served.predictor.policy.decides(served.taxonomy),
        "operating_curve": summarize_curve(served.predictor.policy).to_dict(),
    }
