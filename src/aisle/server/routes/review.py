"""The review queue: products that people decide, each leased to one person at a time."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from aisle.data import ImageRef, Product
from aisle.server.errors import ApiError
from aisle.server.explanations import explain_product
from aisle.server.model_registry import ServedModel
from aisle.server.product_parsing import clean
from aisle.server.routes.classify import PRODUCTS_BODY, count_predictions, predict_all, result_json
from aisle.server.routes.feedback import find_category
from aisle.server.routes.queueing import enqueue_items
from aisle.server.routes.request_io import ItemId, check_item_id, json_response, product_list, read_body
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.common import error_responses
from aisle.server.schemas.feedback import FeedbackOut
from aisle.server.schemas.review import (
    AcceptIn,
    BatchAcceptOut,
    DecideIn,
    EvidenceOut,
    LeasedOut,
    NextItemsIn,
    NoteIn,
    ProgressOut,
    QueuedOut,
    ReleasedOut,
    ReleaseIn,
    RenewIn,
    ReviewHistoryOut,
    ReviewOut,
    ReviewsOut,
)
from aisle.server.security import Reviewer
from aisle.server.state import Server, ServerDep
from aisle.server.store import feedback, reviews
from aisle.server.store.database import now
from aisle.server.store.keys import ApiKey
from aisle.server.suggestion_tokens import check_token, suggestion_token
from aisle.taxonomy import DELIMITER

router = APIRouter(tags=["review"], route_class=AuthFirstRoute, responses=error_responses(404, 409, 415))
_ITEM_KEYS = (
    *("id", "prediction", "model", "priority", "expected_gain", "needed", "decided", "state"),
    *("leased_until", "missing_images", "label", "note", "flagged"),
)
_SIMILAR = 3  # products of the index that are shown beside an item


@router.post(
    "/v1/review/items", summary="Queue products", response_model=QueuedOut, openapi_extra=PRODUCTS_BODY
)
async def enqueue(
    request: Request,
    server: ServerDep,
    key: Reviewer,
    include_accepted: Annotated[bool, Query(description="Also what the model accepts.")] = False,
) -> Response:
    """Classifies products and queues those that the model does not accept."""
    sent, files = await read_body(request, server)
    raw = product_list(sent, server.settings.limits.max_products)
    served = server.registry.state.get()
    items = await run_in_threadpool(server.parser.read, raw, files)
    (predictions,) = await predict_all(server, [served], items)
    count_predictions(server, served, predictions)
    results = [
        result_json(item, [served], [prediction]) for item, prediction in zip(items, predictions, strict=True)
    ]
    arguments = (server, served.name, key, items, predictions, include_accepted)
    ids = await run_in_threadpool(enqueue_items, *arguments)
    for i, review_id in ids.items():
        results[i]["review_id"] = review_id
    accepted = sum(result["prediction"] is not None for result in results) - len(ids)
    return json_response({"queued": len(ids), "auto_accepted": accepted, "results": results})


@router.post("/v1/review/next", summary="Lease the next items", response_model=ReviewsOut)
def lease(sent: NextItemsIn, server: ServerDep, key: Reviewer) -> Response:
    """Nobody else gets them for some minutes; the list is empty if nothing is left. `renew` extends leases,
    `release` ends them."""
    where = reviews.QueueFilter(**sent.model_dump(exclude={"count", "minutes"}))
    rows = reviews.lease(server.store, key.person, sent.count, sent.minutes, where)
    answer = {
        "items": [item_json(row, key.person) for row in rows],
        "matching": reviews.count_available(server.store, key.person, where),
        "batch_min_confidence": server.settings.batch_min_confidence,
    }
    return json_response(answer)


@router.post("/v1/review/renew", summary="Keep leased items for longer", response_model=LeasedOut)
def renew(sent: RenewIn, server: ServerDep, key: Reviewer) -> Response:
    """Which of these you hold now; others are decided, or leased to somebody else."""
    return json_response({"ids": reviews.renew(server.store, key.person, sent.ids, sent.minutes)})


@router.post("/v1/review/release", summary="Release leased items", response_model=ReleasedOut)
def release(sent: ReleaseIn, server: ServerDep, key: Reviewer) -> Response:
    """These, or all that you hold; others may have them at once."""
    return json_response({"released": reviews.release(server.store, key.person, sent.ids)})


@router.get("/v1/review/items/{item_id}", summary="One item", response_model=ReviewOut)
def item(item_id: ItemId, server: ServerDep, key: Reviewer) -> Response:
    """As it is now."""
    return json_response(item_json(reviews.get(server.store, item_id), key.person))


@router.get(
    "/v1/review/items/{item_id}/evidence", summary="Why an item is classified so", response_model=EvidenceOut
)
def evidence(item_id: ItemId, server: ServerDep, key: Reviewer) -> Response:
    """The words and image regions that move the prediction, and similar products. 404 if the model that
    classified the item is not served any more."""
    row = reviews.get(server.store, item_id)
    served = server.registry.state.models.get(row["model"])
    if served is None:
        raise ApiError(404, "no_such_model", f"model {row['model']!r} is not served any more")
    stored = [feedback.image(server.store, name) for name in row["images"]]
    images = tuple(ImageRef(data=data) for data in stored if data is not None)
    product = Product(row["product_id"] or str(item_id), row["fields"], images)
    node = served.taxonomy.find(row["prediction"]["best_id"])
    answer = explain_product(server, served, product, node).to_dict()
    answer["similar"] = [] if server.search is None else server.search.search(product, _SIMILAR, None)
    return json_response(answer)


@router.put("/v1/review/items/{item_id}/note", summary="Note on an item", response_model=ReviewOut)
def annotate(item_id: ItemId, sent: NoteIn, server: ServerDep, key: Reviewer) -> Response:
    """Every reviewer sees the note and the flag."""
    note = None if sent.note is None else clean(sent.note).strip()
    return json_response(item_json(reviews.annotate(server.store, item_id, note, sent.flagged), key.person))


@router.post("/v1/review/items/{item_id}/decide", summary="Decide an item", response_model=FeedbackOut)
def decide(
    item_id: ItemId,
    sent: DecideIn,
    server: ServerDep,
    key: Reviewer,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Stored as feedback, with the prediction as the suggestions."""
    row = reviews.get(server.store, item_id)
    check_token(sent.token, _token(row))
    event = _event(server, key, row, sent.chosen, sent.how, idempotency_key)
    feedback_id, repeated = reviews.decide(server.store, item_id, event)
    if not repeated:
        server.telemetry.feedback.labels(event.how).inc()
    return json_response(event.response(feedback_id, repeated))


@router.post("/v1/review/accept", summary="Accept several first suggestions", response_model=BatchAcceptOut)
def accept(sent: AcceptIn, server: ServerDep, key: Reviewer) -> Response:
    """Each item by itself; one that cannot be accepted has an error. Confidences below
    `aisle serve --batch-min-confidence` are never accepted. Without `confirm` nothing is stored: the
    response says what could be. Stored as `batch`, which is no evidence that first suggestions are right."""
    floor = max(server.settings.batch_min_confidence, sent.min_confidence or 0.0)
    accepted = []
    for item_id in dict.fromkeys(sent.ids):
        entry: dict[str, Any] = {"id": item_id, "confidence": None, "feedback": None, "error": None}
        try:
            check_item_id(item_id)
            row = reviews.get(server.store, item_id)
            check_token(sent.tokens.get(item_id), _token(row))
            entry["confidence"] = confidence = row["prediction"]["confidence"][-1]
            if confidence < floor:
                message = f"its confidence, {confidence:.3f}, is below {floor:g}: look at it by itself"
                raise ApiError(409, "low_confidence", message)
            event = _event(server, key, row, row["prediction"]["best_id"], "batch", None)
            if sent.confirm:
                entry["feedback"] = reviews.decide(server.store, item_id, event)[0]
                server.telemetry.feedback.labels("batch").inc()
            else:
                reviews.check(server.store, item_id, key.person)
        except ApiError as error:
            entry["error"] = {"code": error.code, "message": str(error)}
        accepted.append(entry)
    return json_response({"items": accepted, "confirmed": sent.confirm, "min_confidence": floor})


@router.post("/v1/review/items/{item_id}/skip", summary="Skip an item", status_code=204)
def skip(item_id: ItemId, server: ServerDep, key: Reviewer) -> Response:
    """You do not get it again."""
    reviews.skip(server.store, item_id, key.person)
    return Response(status_code=204)


@router.post("/v1/review/items/{item_id}/discard", summary="Discard an item", status_code=204)
def discard(item_id: ItemId, server: ServerDep, key: Reviewer) -> Response:
    """It leaves the queue without a decision: a duplicate, a test, no product."""
    reviews.discard(server.store, item_id, key.person)
    return Response(status_code=204)


@router.post(
    "/v1/review/items/{item_id}/undo", summary="Undo what you did with an item", response_model=ReviewOut
)
def undo_item(item_id: ItemId, server: ServerDep, key: Reviewer) -> Response:
    """The last decision, skip or discard of this item by you; as `/v1/review/undo`."""
    return json_response(item_json(reviews.undo(server.store, key.person, item_id), key.person))


@router.get("/v1/review/history", summary="What you did", response_model=ReviewHistoryOut)
def review_history(
    server: ServerDep, key: Reviewer, count: Annotated[int, Query(ge=1, le=500)] = 50
) -> Response:
    """Decisions, skips and discarded items, the latest first."""
    actions = reviews.history(server.store, key.person, count)
    return json_response({"actions": [action._asdict() for action in actions]})


@router.post("/v1/review/undo", summary="Undo your last action", response_model=ReviewOut)
def undo(server: ServerDep, key: Reviewer) -> Response:
    """A decision, a skip or a discard. The item is leased to you again, unless somebody else holds it now
    (`leased_to_you`)."""
    return json_response(item_json(reviews.undo(server.store, key.person), key.person))


@router.get("/v1/review/progress", summary="Progress of the queue", response_model=ProgressOut)
def progress(server: ServerDep, key: Reviewer) -> Response:
    """Open and decided items, by person, the share of first suggestions, and how well people agree."""
    return json_response(reviews.progress(server.store, key.person))


def item_json(row: dict[str, Any], person: str) -> dict[str, Any]:
    """An item as this person sees it."""
    return {
        **{name: row[name] for name in _ITEM_KEYS},
        "product": {**row["fields"], "id": row["product_id"]},  # a field named `id` is not the product's id
        "images": image_urls(row),
        "queued_by": row["person"],
        "queued_at": row["at"],
        "leased_to_you": row["leased_by"] == person and row["leased_until"] >= now(),
        "token": _token(row),
    }


def image_urls(row: dict[str, Any]) -> list[str]:
    """The paths of a row's stored images in the API."""
    return [f"/v1/images/{name}" for name in row["images"]]


def _token(row: dict[str, Any]) -> str:
    return suggestion_token(row["fields"], row["images"], row["prediction"]["best_id"])


def _event(
    server: Server, key: ApiKey, row: dict[str, Any], chosen: str, how: str | None, request_key: str | None
) -> feedback.FeedbackEvent:
    state, prediction = server.registry.state, row["prediction"]
    served = state.models.get(row["model"]) or state.get()
    node = find_category(served, chosen)
    first = prediction["best_id"]
    others = [
        alternative for alternative in prediction["alternatives"] if alternative["path"] != prediction["best"]
    ]
    suggested = [(first, prediction["confidence"][-1])]
    suggested += [
        (_category_id(served, alternative["path"]), alternative["confidence"]) for alternative in others
    ]
    return feedback.FeedbackEvent(
        person=key.person,
        role=key.role,
        product_id=row["product_id"],
        fields=row["fields"],
        images=row["images"],
        missing_images=row["missing_images"],
        chosen_id=node.id,
        chosen=node.path,
        how=how or ("accepted" if node.id == first else "chosen"),
        model=row["model"],
        model_id=prediction["model_id"],
        suggested=suggested,
        request_key=request_key,
    )


def _category_id(served: ServedModel, path: str) -> str:
    """The id of a prediction's path; the path itself if the tree has changed since."""
    node = served.taxonomy.find(tuple(path.split(DELIMITER)))
    return path if node is None else served.taxonomy.nodes[node].id
