"""POST /v1/classify and POST /v1/suggest."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from aisle.guarantee import Prediction
from aisle.server import schemas
from aisle.server.batching import FailedAnswerError
from aisle.server.items import Item, clean
from aisle.server.models import Slot
from aisle.server.problems import ApiError, ItemError
from aisle.server.routes import request_io
from aisle.server.routes.queueing import queue
from aisle.server.routing import KeyRoute
from aisle.server.security import Seller
from aisle.server.state import Here, Server
from aisle.server.tokens import token

router = APIRouter(tags=["classify"], route_class=KeyRoute)
_SMALL = 64 * 1024  # a body up to which it is quicker to read it here than to hand it to a thread

ModelsAsked = Annotated[
    str | None,
    Query(max_length=1000, description="Models to ask, parted by commas: `live,new`. Default: the live one."),
]

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["products"],
                    "additionalProperties": False,
                    "properties": {
                        "products": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 1000,
                            "description": "One that is not as described gets an error of its own.",
                            "items": {"anyOf": [{"$ref": "#/components/schemas/ProductIn"}, {}]},
                        }
                    },
                },
                "examples": {
                    "two": {
                        "summary": "Two products, one with a picture",
                        "value": {
                            "products": [
                                {"id": "A-17", "title": "Red running shoes, size 42"},
                                {
                                    "id": "A-18",
                                    "title": "Wall clock",
                                    "images": [{"base64": "iVBORw0KGgoAAAANSUhEUg…"}],
                                },
                            ]
                        },
                    }
                },
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "description": "Either `products`, the JSON list, whose pictures name files of this "
                    "form; or one product's fields, every file a picture of it.",
                    "properties": {
                        "products": {"type": "string", "contentMediaType": "application/json"},
                        "id": {"type": "string"},
                        "title": {"type": "string"},
                        "description": {"type": "string"},
                        "image": {"type": "string", "contentMediaType": "application/octet-stream"},
                    },
                }
            },
        },
    }
}


@router.post(
    "/v1/classify",
    summary="Say where products belong",
    response_model=schemas.ClassifyOut,
    responses={**schemas.USUAL, **schemas.failures(404, 415, 503)},
    openapi_extra=BODY,
)
async def classify(
    request: Request,
    server: Here,
    holder: Seller,
    models: ModelsAsked = None,
    review: Annotated[bool, Query(description="Queue for review what the model is not sure of.")] = False,
) -> Response:
    """One answer a product, in order: the library's `Prediction`, or an error where that one product cannot
    be read. Several models are asked on the very same products with `?models=a,b`."""
    sent, files = await request_io.read_body(request, server)
    raw = request_io.products_of(sent, server.settings.limits.products)
    slots = request_io.slots_of(server, models)
    length = request.headers.get("content-length", "")
    pictured = bool(files) or any(isinstance(one, dict) and one.get("images") for one in raw)
    quick = not pictured and length.isdecimal() and int(length) < _SMALL
    if quick:
        items = server.items.read(raw, files)
    else:
        items = await run_in_threadpool(server.items.read, raw, files)
    by_model = await ask(server, slots, items)
    shadow(server, slots[0], items, by_model[0])
    request.state.products, request.state.model = len(items), slots[0].name
    answers = [one(item, slots, [found[i] for found in by_model]) for i, item in enumerate(items)]
    for slot, found in zip(slots, by_model, strict=True):
        tally(server, slot, found)
    if review:
        numbers = await run_in_threadpool(queue, server, slots[0].name, holder, items, by_model[0])
        for i, number in numbers.items():
            answers[i]["review_id"] = number
    for entry in answers:
        if entry["error"]:
            server.telemetry.faults.labels(entry["error"]["code"]).inc()
    return request_io.answer({"model": slots[0].name, "answers": answers})


Found = Sequence[Prediction | FailedAnswerError | None]


async def ask(server: Server, slots: Sequence[Slot], items: Sequence[Item]) -> list[Found]:
    """For each model, what it says of each item; None for those with an error."""
    good = [i for i, item in enumerate(items) if item.product is not None]
    products = [item.product for item in items if item.product is not None]
    # Whether it has to wait too long is asked once: further models wait for this very request.
    futures = [
        server.batcher.submit(slot.predict, products, patience=math.inf if i else None)
        for i, slot in enumerate(slots)
    ]
    by_model = []
    for future in futures:
        found: list[Any] = [None] * len(items)
        for i, prediction in zip(good, await request_io.asked(future), strict=True):
            found[i] = prediction
        by_model.append(found)
    return by_model


def one(item: Item, slots: Sequence[Slot], found: Found) -> dict[str, Any]:
    """An item's answer as JSON."""
    entry: dict[str, Any] = {"id": item.id, "token": None, "prediction": None, "error": None}
    try:
        if item.error:
            raise item.error
        said = [request_io.told(p, item.problems) for p in found if p is not None]
        entry["prediction"] = said[0]
        if item.product is not None:
            entry["images_read"] = slots[0].images_read(item.product)
            entry["missing_images"] = [one.to_dict() for one in item.missing]
            entry["token"] = token(item.product.fields, item.pictures, said[0]["best_id"])
        if len(slots) > 1:
            entry["models"] = {slot.name: one for slot, one in zip(slots, said, strict=True)}
    except ItemError as error:
        entry["error"] = {"code": error.code, "message": str(error)}
    except FailedAnswerError:
        message = "the model failed on this product; the server's log says why"
        entry["error"] = {"code": "model_failed", "message": message}
    return entry


def tally(server: Server, slot: Slot, found: Found) -> None:
    """Into the metrics."""
    for prediction in found:
        if isinstance(prediction, Prediction):
            server.telemetry.predictions.labels(slot.name, prediction.decision).inc()


def shadow(server: Server, live: Slot, items: Sequence[Item], found: Found) -> None:
    """Let the shadow model, if there is one, answer what the live one just answered."""
    standing = server.models.standing
    if standing.shadow is not None and live.name == standing.live:
        pairs = zip(items, found, strict=True)
        good = [(item.product, answer) for item, answer in pairs if item.product and answer]
        server.recorder.offer(standing.slot(standing.shadow), good)


@router.post(
    "/v1/suggest",
    summary="Suggest places while a title is typed",
    response_model=schemas.SuggestOut,
    responses={**schemas.USUAL, **schemas.failures(404, 503)},
)
async def suggest(
    sent: schemas.SuggestIn,
    request: Request,
    server: Here,
    holder: Seller,
    model: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The full paths of highest confidence for a title as far as it is typed, each with why. The last word
    counts as the start of one, unless it is a known word, a space follows it, or the title is `finished`."""
    slot = server.models.standing.slot(model)
    title = clean(sent.title)
    if not title.strip():
        nothing = {"completed": None, "token": None, "suggestions": []}
        return request_io.answer({"model": slot.name, "model_id": slot.model_id, **nothing})
    given = {**sent.fields, "description": sent.description}
    fields = {clean(name): clean(text) for name, text in given.items() if text and text.strip()}
    query = slot.suggester.query(title, fields, sent.finished)
    logp = await request_io.asked(server.batcher.submit(slot.confidences, query.products))
    if any(isinstance(row, FailedAnswerError) for row in logp):
        raise ApiError(422, "model_failed", "the model failed on this title; the server's log says why")
    nodes = slot.taxonomy.nodes
    found = [
        {
            "id": nodes[place.node].id,
            "path": list(nodes[place.node].path),
            "confidence": round(place.confidence, 6),
            "reason": place.reason,
        }
        for place in slot.suggester.places(query, logp, slot.taxonomy, sent.count)
    ]
    mine = token({**fields, "title": title}, (), found[0]["id"])
    told = {"completed": query.completed, "token": mine, "suggestions": found}
    return request_io.answer({"model": slot.name, "model_id": slot.model_id, **told})
