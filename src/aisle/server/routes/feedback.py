"""POST /v1/feedback: where a person says that a product belongs."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from aisle.server import schemas
from aisle.server.items import clean, pictures_of
from aisle.server.models import Slot
from aisle.server.problems import ApiError, ItemError
from aisle.server.routes.request_io import answer
from aisle.server.routing import KeyRoute
from aisle.server.security import Seller
from aisle.server.state import Here
from aisle.server.store import feedback as kept
from aisle.server.stored_images import small_copies
from aisle.server.tokens import check, token
from aisle.taxonomy import DELIMITER, Node

router = APIRouter(tags=["feedback"], route_class=KeyRoute)


@router.post(
    "/v1/feedback",
    summary="Say where a product belongs",
    response_model=schemas.FeedbackOut,
    responses={**schemas.USUAL, **schemas.failures(404, 409, 503)},
)
def feedback(
    sent: schemas.FeedbackIn,
    server: Here,
    holder: Seller,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """The answer comes once the choice is on disk. Send the `token` that came with the suggestions back: an
    accepted suggestion needs it. Where it was given for another text, or other images, the choice is refused.
    What was suggested, what was chosen, by whom, by which model and when is kept, and exported by `aisle
    feedback export` for training. Images that cannot be read are listed in the answer, and kept with the
    choice."""
    slot = server.models.standing.slot(sent.model)
    node = category(slot, sent.chosen)
    try:
        product, missing = server.items.product(sent.product)
    except ItemError as error:
        raise ApiError(422, error.code, str(error)) from error
    first = sent.suggested[0].id if sent.suggested else None
    check(sent.token, token(product.fields, pictures_of(sent.product, product), first or ""))
    images, missing_images = small_copies(product.images), [one.to_dict() for one in missing]
    how = sent.how or ("accepted" if first == node.id else "chosen")
    if how == "accepted" and sent.token is None:
        message = "an accepted suggestion needs the `token` that came with it; else send `how`: chosen"
        raise ApiError(422, "token_missing", message)
    event = kept.Event(
        person=clean(sent.person or holder.person),
        role=holder.role,
        product_id=product.id,
        fields=dict(product.fields),
        chosen_id=node.id,
        chosen=node.path,
        how=how,
        model=slot.name,
        model_id=clean(sent.model_id or slot.model_id),
        suggested=[(clean(one.id), one.confidence) for one in sent.suggested],
        pictures=list(images),
        missing_images=missing_images,
        request_key=clean(idempotency_key) if idempotency_key else None,
    )
    number, repeated = kept.add(server.store, event, images)
    if not repeated:
        server.telemetry.feedback.labels(how).inc()
    said = {"id": number, "how": how, "chosen": list(node.path), "repeated": repeated}
    return answer({**said, "missing_images": missing_images})


def category(slot: Slot, chosen: str) -> Node:
    """The category of this id, or of this path written `A > B`.

    Raises:
        ApiError: it is not in the tree.
    """
    tree = slot.taxonomy
    found = tree.find(chosen)
    if found is None:
        found = tree.find(tuple(part.strip() for part in chosen.split(DELIMITER.strip())))
    if found is None:
        shown = clean(chosen)[:200]
        near = tree.did_you_mean(shown) if len(tree) <= 2000 else ""
        raise ApiError(422, "no_such_category", f"{shown!r} is not in the tree of {slot.name}.{near}")
    return tree.nodes[found]
