"""The review queue: what people should look at, lent to one of them at a time."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from aisle.server import schemas
from aisle.server.models import Slot
from aisle.server.problems import ApiError
from aisle.server.routes import request_io
from aisle.server.routes.classify import BODY, ask, one, tally
from aisle.server.routes.feedback import category
from aisle.server.routes.queueing import queue
from aisle.server.routing import KeyRoute
from aisle.server.security import Reviewer
from aisle.server.state import Here, Server
from aisle.server.store import feedback as kept
from aisle.server.store import reviews
from aisle.server.store.database import now
from aisle.server.store.keys import Holder
from aisle.server.tokens import check, token
from aisle.taxonomy import DELIMITER

router = APIRouter(tags=["review"], route_class=KeyRoute)
FAILURES = {**schemas.USUAL, **schemas.failures(404, 409, 503)}
RequestKey = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]


@router.post(
    "/v1/review/items",
    summary="Put products into the review queue",
    response_model=schemas.QueuedOut,
    responses={**schemas.USUAL, **schemas.failures(404, 415, 503)},
    openapi_extra=BODY,
)
async def fill(
    request: Request,
    server: Here,
    holder: Reviewer,
    every: Annotated[bool, Query(description="Also those the model is sure of.")] = False,
) -> Response:
    """Classify products, and queue those that the model does not accept by itself."""
    sent, files = await request_io.read_body(request, server)
    raw = request_io.products_of(sent, server.settings.limits.products)
    slot = server.models.standing.slot(None)
    items = await run_in_threadpool(server.items.read, raw, files)
    found = (await ask(server, [slot], items))[0]
    tally(server, slot, found)
    answers = [one(item, [slot], [prediction]) for item, prediction in zip(items, found, strict=True)]
    numbers = await run_in_threadpool(queue, server, slot.name, holder, items, found, every)
    for i, number in numbers.items():
        answers[i]["review_id"] = number
    sure = sum(answer["prediction"] is not None for answer in answers) - len(numbers)
    return request_io.answer({"queued": len(numbers), "sure": sure, "answers": answers})


@router.post(
    "/v1/review/next",
    summary="Borrow the items most worth a look",
    response_model=schemas.ReviewsOut,
    responses=FAILURES,
)
def following(sent: schemas.TakeIn, server: Here, holder: Reviewer) -> Response:
    """They are lent to you for some minutes, and to nobody else meanwhile; an empty list: nothing is left.
    `renew` keeps them for longer, `release` gives them back."""
    rows = reviews.take(server.store, holder.person, sent.count, sent.minutes)
    items = [shown(row, holder.person) for row in rows]
    return request_io.answer({"items": items, "batch_floor": server.settings.batch_floor})


@router.post(
    "/v1/review/renew",
    summary="Keep borrowed items for longer",
    response_model=schemas.HeldOut,
    responses=FAILURES,
)
def renew(sent: schemas.RenewIn, server: Here, holder: Reviewer) -> Response:
    """Which of these you hold now; others have been decided, or somebody else looks at them."""
    return request_io.answer({"ids": reviews.renew(server.store, holder.person, sent.ids, sent.minutes)})


@router.post(
    "/v1/review/release",
    summary="Give borrowed items back",
    response_model=schemas.ReleasedOut,
    responses=FAILURES,
)
def release(sent: schemas.ReleaseIn, server: Here, holder: Reviewer) -> Response:
    """These, or all that you hold: others may have them at once."""
    return request_io.answer({"released": reviews.release(server.store, holder.person, sent.ids)})


@router.get(
    "/v1/review/items/{number}",
    summary="One item of the queue",
    response_model=schemas.ReviewOut,
    responses=FAILURES,
)
def item(number: request_io.Number, server: Here, holder: Reviewer) -> Response:
    """As it stands."""
    return request_io.answer(shown(reviews.get(server.store, number), holder.person))


@router.post(
    "/v1/review/items/{number}/decide",
    summary="Say where an item belongs",
    response_model=schemas.FeedbackOut,
    responses=FAILURES,
)
def decide(
    number: request_io.Number,
    sent: schemas.DecideIn,
    server: Here,
    holder: Reviewer,
    request_key: RequestKey = None,
) -> Response:
    """It is kept as feedback, with the prediction as what was suggested."""
    row = reviews.get(server.store, number)
    check(sent.token, _token(row))
    event = _event(server, holder, row, sent.chosen, sent.how, request_key)
    return _kept(server, number, event)


@router.post(
    "/v1/review/accept",
    summary="Accept several first suggestions",
    response_model=schemas.BulkOut,
    responses=FAILURES,
)
def accept(sent: schemas.AcceptIn, server: Here, holder: Reviewer) -> Response:
    """Each by itself: one that cannot be accepted says why. One of less confidence than the floor
    (`aisle serve --batch-min-confidence`) cannot. Without `confirm` nothing is accepted: the answer says
    what could be. It is kept as `batch`, which does not count in the share of right first suggestions."""
    floor = max(server.settings.batch_floor, sent.min_confidence or 0.0)
    done = []
    for number in dict.fromkeys(sent.ids):
        entry: dict[str, Any] = {"id": number, "confidence": None, "feedback": None, "error": None}
        try:
            request_io.check_number(number)
            row = reviews.get(server.store, number)
            check(sent.tokens.get(number), _token(row))
            entry["confidence"] = confidence = row["prediction"]["confidence"][-1]
            if confidence < floor:
                message = f"its confidence, {confidence:.3f}, is below {floor:g}: look at it by itself"
                raise ApiError(409, "below_floor", message)
            event = _event(server, holder, row, row["prediction"]["best_id"], "batch", None)
            if sent.confirm:
                entry["feedback"] = reviews.decide(server.store, number, event)[0]
                server.telemetry.feedback.labels("batch").inc()
            else:
                reviews.check(server.store, number, holder.person)
        except ApiError as error:
            entry["error"] = {"code": error.code, "message": str(error)}
        done.append(entry)
    return request_io.answer({"items": done, "confirmed": sent.confirm, "floor": floor})


@router.post(
    "/v1/review/items/{number}/skip", summary="Leave an item to others", status_code=204, responses=FAILURES
)
def skip(number: request_io.Number, server: Here, holder: Reviewer) -> Response:
    """You will not be offered it again."""
    reviews.skip(server.store, number, holder.person)
    return Response(status_code=204)


@router.post(
    "/v1/review/undo",
    summary="Take back your last decision or skip",
    response_model=schemas.ReviewOut,
    responses=FAILURES,
)
def undo(server: Here, holder: Reviewer) -> Response:
    """The item is lent to you again, unless somebody else is looking at it just now (`lent_to_you`)."""
    return request_io.answer(shown(reviews.undo(server.store, holder.person), holder.person))


@router.get(
    "/v1/review/progress",
    summary="How reviewing goes",
    response_model=schemas.ProgressOut,
    responses=FAILURES,
)
def progress(server: Here, holder: Reviewer) -> Response:
    """What waits and what is done, by whom, how often the first suggestion was right, and how well people
    agree."""
    return request_io.answer(reviews.progress(server.store, holder.person))


def shown(row: dict[str, Any], person: str) -> dict[str, Any]:
    """An item as JSON, as this person sees it. A field that callers named `id` is not the product's."""
    same = ("id", "prediction", "model", "worth", "value", "needed", "decided", "state", "locked_until")
    same = (*same, "missing_images")
    product = {**row["fields"], "id": row["product_id"]}
    lent = row["locked_by"] == person and row["locked_until"] >= now()
    pictures = [f"/v1/pictures/{name}" for name in row["pictures"]]
    own = {"product": product, "pictures": pictures, "lent_to_you": lent, "token": _token(row)}
    return {**{key: row[key] for key in same}, **own}


def _token(row: dict[str, Any]) -> str:
    return token(row["fields"], row["pictures"], row["prediction"]["best_id"])


def _event(
    server: Server, holder: Holder, row: dict[str, Any], chosen: str, how: str | None, request_key: str | None
) -> kept.Event:
    standing, said = server.models.standing, row["prediction"]
    slot = standing.slots.get(row["model"]) or standing.slot(None)
    node = category(slot, chosen)
    first = said["best_id"]
    others = [one for one in said["alternatives"] if one["path"] != said["best"]]
    suggested = [(first, said["confidence"][-1])]
    suggested += [(_id(slot, one["path"]), one["confidence"]) for one in others]
    return kept.Event(
        person=holder.person,
        role=holder.role,
        product_id=row["product_id"],
        fields=row["fields"],
        pictures=row["pictures"],
        missing_images=row["missing_images"],
        chosen_id=node.id,
        chosen=node.path,
        how=how or ("accepted" if node.id == first else "chosen"),
        model=row["model"],
        model_id=said["model_id"],
        suggested=suggested,
        request_key=request_key,
    )


def _kept(server: Server, number: int, event: kept.Event) -> Response:
    feedback_id, before = reviews.decide(server.store, number, event)
    if not before:
        server.telemetry.feedback.labels(event.how).inc()
    told = {"id": feedback_id, "how": event.how, "chosen": list(event.chosen), "repeated": before}
    return request_io.answer({**told, "missing_images": list(event.missing_images)})


def _id(slot: Slot, path: str) -> str:
    """The id of a path as predictions write it; the path itself, where the tree has changed since."""
    node = slot.taxonomy.find(tuple(path.split(DELIMITER)))
    return path if node is None else slot.taxonomy.nodes[node].id
