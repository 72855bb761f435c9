"""POST /v1/classify and POST /v1/suggest."""

import asyncio
import math
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from aisle.guarantee import Prediction
from aisle.server.batching import FailedPredictionError
from aisle.server.errors import ApiError, ItemError
from aisle.server.model_registry import ServedModel
from aisle.server.product_parsing import ParsedItem, clean, clean_texts
from aisle.server.routes.queueing import enqueue_items
from aisle.server.routes.request_io import (
    json_response,
    prediction_json,
    product_list,
    read_body,
    select_models,
)
from aisle.server.routing import INLINE_BYTES, AuthFirstRoute
from aisle.server.schemas.classify import ClassifyOut, SuggestIn, SuggestOut
from aisle.server.schemas.common import error_responses
from aisle.server.security import Seller
from aisle.server.state import Server, ServerDep
from aisle.server.suggestion_checks import (
    MIN_CONFIDENCE,
    ViewConflict,
    find_conflict,
    split_by_view,
    unsure_reason,
)
from aisle.server.suggestion_tokens import suggestion_token

router = APIRouter(tags=["classify"], route_class=AuthFirstRoute, responses=error_responses(404, 415))
Predictions = Sequence[Prediction | FailedPredictionError | None]

_JSON_SCHEMA = {
    "type": "object",
    "required": ["products"],
    "additionalProperties": False,
    "properties": {
        "products": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1000,
            "description": "A product that is not as described gets an error of its own.",
            "items": {"anyOf": [{"$ref": "#/components/schemas/ProductIn"}, {}]},
        }
    },
}
_EXAMPLE = {
    "products": [
        {"id": "A-17", "title": "Red running shoes, size 42"},
        {"id": "A-18", "title": "Wall clock", "images": [{"base64": "iVBORw0KGgoAAAANSUhEUg…"}]},
    ]
}
_FORM_SCHEMA = {
    "type": "object",
    "description": "Either `products`, the JSON list, whose images name files of this form; or one product's "
    "fields, every file an image of it.",
    "properties": {
        "products": {"type": "string", "contentMediaType": "application/json"},
        **{name: {"type": "string"} for name in ("id", "title", "description")},
        "image": {"type": "string", "contentMediaType": "application/octet-stream"},
    },
}
PRODUCTS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _JSON_SCHEMA,
                "examples": {"two": {"summary": "Two products, one with an image", "value": _EXAMPLE}},
            },
            "multipart/form-data": {"schema": _FORM_SCHEMA},
        },
    }
}


@router.post(
    "/v1/classify", summary="Classify products", response_model=ClassifyOut, openapi_extra=PRODUCTS_BODY
)
async def classify(
    request: Request,
    server: ServerDep,
    key: Seller,
    models: Annotated[
        str | None,
        Query(max_length=1000, description="Models, separated by commas: `live,new`. Default: the live one."),
    ] = None,
    review: Annotated[bool, Query(description="Queue for review what the model does not accept.")] = False,
    conflicts: Annotated[
        bool, Query(description="Also what texts and images alone say, where they contradict each other.")
    ] = False,
) -> Response:
    """One result for each product, in order: a prediction, or an error if that product cannot be read.
    `?models=a,b` compares several models."""
    sent, files = await read_body(request, server)
    raw = product_list(sent, server.settings.limits.max_products)
    selected = select_models(server, models)
    length = request.headers.get("content-length", "")
    with_images = bool(files) or any(isinstance(value, dict) and value.get("images") for value in raw)
    if not with_images and length.isdecimal() and int(length) < INLINE_BYTES:
        items = server.parser.read(raw, files)
    else:
        items = await run_in_threadpool(server.parser.read, raw, files)
    predictions = await predict_all(server, selected, items)
    _offer_to_shadow(server, selected[0], items, predictions[0])
    request.state.products, request.state.model = len(items), selected[0].name
    results = [
        result_json(item, selected, [predicted[i] for predicted in predictions])
        for i, item in enumerate(items)
    ]
    for served, predicted in zip(selected, predictions, strict=True):
        count_predictions(server, served, predicted)
    if conflicts:
        for i, conflict in (await _conflicts(server, selected[0], items)).items():
            results[i]["conflict"] = conflict.to_dict()
    if review:
        ids = await run_in_threadpool(enqueue_items, server, selected[0].name, key, items, predictions[0])
        for i, review_id in ids.items():
            results[i]["review_id"] = review_id
    for result in results:
        if result["error"]:
            server.telemetry.item_errors.labels(result["error"]["code"]).inc()
    return json_response({"model": selected[0].name, "results": results})


async def predict_all(
    server: Server, models: Sequence[ServedModel], items: Sequence[ParsedItem]
) -> list[Predictions]:
    """Each model's predictions of all items; None for items with an error."""
    good = [i for i, item in enumerate(items) if item.product is not None]
    products = [item.product for item in items if item.product is not None]
    # Only the first may be refused as busy: further models wait for this very request.
    futures = [
        server.batcher.submit(served.predict, products, max_wait_s=math.inf if i else None)
        for i, served in enumerate(models)
    ]
    predictions: list[Predictions] = []
    for future in futures:
        results: list[Any] = [None] * len(items)
        for i, prediction in zip(good, await asyncio.wrap_future(future), strict=True):
            results[i] = prediction
        predictions.append(results)
    return predictions


async def _conflicts(
    server: Server, served: ServedModel, items: Sequence[ParsedItem]
) -> dict[int, ViewConflict]:
    """Conflicts between texts and images, by the positions of the items."""
    pairs = {i: split_by_view(item.product) for i, item in enumerate(items) if item.product is not None}
    parts = [part for pair in pairs.values() for part in pair]
    # Never refused as busy: the request has waited already.
    future = server.batcher.submit(served.predict, parts, max_wait_s=math.inf)
    predictions = iter(await asyncio.wrap_future(future))
    conflicts = {}
    for i in (i for i, pair in pairs.items() if pair):
        text, image = next(predictions), next(predictions)
        if isinstance(text, Prediction) and isinstance(image, Prediction):
            conflicts[i] = find_conflict(text, image)
    return {i: conflict for i, conflict in conflicts.items() if conflict is not None}


def result_json(item: ParsedItem, models: Sequence[ServedModel], predictions: Predictions) -> dict[str, Any]:
    """One item's result; `predictions`: of each model."""
    result: dict[str, Any] = {"id": item.id, "token": None, "prediction": None, "error": None}
    result |= {"unsure": None, "conflict": None}
    try:
        if item.error:
            raise item.error
        results = [
            prediction_json(prediction, item.problems) for prediction in predictions if prediction is not None
        ]
        result["prediction"] = results[0]
        if isinstance(predictions[0], Prediction):
            result["unsure"] = unsure_reason(predictions[0])
        if item.product is not None:
            result["images_read"] = models[0].images_read(item.product)
            result["missing_images"] = [missing.to_dict() for missing in item.missing]
            result["token"] = suggestion_token(item.product.fields, item.image_keys, results[0]["best_id"])
        if len(models) > 1:
            result["models"] = {
                served.name: prediction for served, prediction in zip(models, results, strict=True)
            }
    except ItemError as error:
        result["error"] = {"code": error.code, "message": str(error)}
    except FailedPredictionError:
        message = "the model failed on this product; the server's log says why"
        result["error"] = {"code": "model_failed", "message": message}
    return result


def count_predictions(server: Server, served: ServedModel, predictions: Predictions) -> None:
    """Count predictions in the metrics."""
    for prediction in predictions:
        if isinstance(prediction, Prediction):
            server.telemetry.predictions.labels(served.name, prediction.decision).inc()


def _offer_to_shadow(
    server: Server, live: ServedModel, items: Sequence[ParsedItem], predictions: Predictions
) -> None:
    state = server.registry.state
    if state.shadow is not None and live.name == state.live:
        pairs = zip(items, predictions, strict=True)
        good = [(item.product, prediction) for item, prediction in pairs if item.product and prediction]
        server.shadow_recorder.offer(state.get(state.shadow), good)


@router.post("/v1/suggest", summary="Suggest categories while a title is typed", response_model=SuggestOut)
async def suggest(
    sent: SuggestIn,
    request: Request,
    server: ServerDep,
    key: Seller,
    model: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The categories of highest confidence for a title as far as it is typed, each with a reason. The last
    word is completed, unless it is a known word, a space follows it, or the title is `finished`."""
    served = server.registry.state.get(model)
    about = {"model": served.name, "model_id": served.model_id}
    title = clean(sent.title)
    if not title.strip():
        empty = {"completed": None, "unsure": None, "token": None, "suggestions": []}
        return json_response({**about, **empty})
    fields = clean_texts({**sent.fields, "description": sent.description})
    query = served.suggester.query(title, fields, sent.finished)
    scoring = server.batcher.submit(served.confidences, query.products)
    predicting = server.batcher.submit(served.predict, [served.suggester.whole(query)], max_wait_s=math.inf)
    logp = await asyncio.wrap_future(scoring)
    (prediction,) = await asyncio.wrap_future(predicting)
    if any(isinstance(row, FailedPredictionError) for row in (*logp, prediction)):
        raise ApiError(422, "model_failed", "the model failed on this title; the server's log says why")
    ranked = served.suggester.categories(query, logp, served.taxonomy, sent.count)
    likely = ranked[0].confidence >= MIN_CONFIDENCE
    unsure = None if query.completed and likely else unsure_reason(prediction)
    suggestions = [
        {
            "id": served.taxonomy.nodes[suggestion.node].id,
            "path": list(served.taxonomy.nodes[suggestion.node].path),
            "confidence": round(suggestion.confidence, 6),
            "reason": suggestion.reason if unsure is None else "a guess",
        }
        for suggestion in ranked
    ]
    token = suggestion_token({**fields, "title": title}, (), suggestions[0]["id"])
    answer = {"completed": query.completed, "unsure": unsure, "token": token, "suggestions": suggestions}
    return json_response({**about, **answer})
