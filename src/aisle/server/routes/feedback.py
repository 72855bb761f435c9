"""POST /v1/feedback: stores a person's choice of a category."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from aisle.server.errors import ApiError, ItemError
from aisle.server.model_registry import ServedModel
from aisle.server.product_parsing import clean, image_keys
from aisle.server.routes.request_io import ItemId, json_response
from aisle.server.routing import AuthFirstRoute
from aisle.server.schemas.common import error_responses
from aisle.server.schemas.feedback import FeedbackIn, FeedbackOut, UndoneOut
from aisle.server.security import Seller
from aisle.server.state import ServerDep
from aisle.server.store import feedback as feedback_store
from aisle.server.suggestion_tokens import check_token, suggestion_token
from aisle.server.thumbnails import thumbnails
from aisle.taxonomy import DELIMITER, Node

router = APIRouter(tags=["feedback"], route_class=AuthFirstRoute, responses=error_responses(404, 409))


@router.post("/v1/feedback", summary="Store a choice", response_model=FeedbackOut)
def feedback(
    sent: FeedbackIn,
    server: ServerDep,
    key: Seller,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Responds once the choice is on disk. An accepted suggestion needs the `token` of the suggestions; if
    this belongs to another text or other images, the choice is refused. `aisle feedback export` exports
    choices for training. Images that cannot be read are listed, here and with the stored choice."""
    served = server.registry.state.get(sent.model)
    node = find_category(served, sent.chosen)
    try:
        product, missing = server.parser.product(sent.product)
    except ItemError as error:
        raise ApiError(422, error.code, str(error)) from error
    first = sent.suggested[0].id if sent.suggested else None
    keys = image_keys(sent.product, product)
    check_token(sent.token, suggestion_token(product.fields, keys, first or ""))
    how = sent.how or ("accepted" if first == node.id else "chosen")
    if how == "accepted" and sent.token is None:
        message = "an accepted suggestion needs the `token` that came with it; else send `how`: chosen"
        raise ApiError(422, "token_missing", message)
    images, missing_images = thumbnails(product.images), [image.to_dict() for image in missing]
    event = feedback_store.FeedbackEvent(
        person=clean(sent.person or key.person),
        role=key.role,
        product_id=product.id,
        fields=dict(product.fields),
        chosen_id=node.id,
        chosen=node.path,
        how=how,
        model=served.name,
        model_id=clean(sent.model_id or served.model_id),
        suggested=[(clean(image.id), image.confidence) for image in sent.suggested],
        images=list(images),
        missing_images=missing_images,
        request_key=clean(idempotency_key) if idempotency_key else None,
    )
    feedback_id, repeated = feedback_store.add(server.store, event, images)
    if not repeated:
        server.telemetry.feedback.labels(how).inc()
    return json_response(event.response(feedback_id, repeated))


@router.post(
    "/v1/feedback/{feedback_id}/undo", summary="Take a choice of yours back", response_model=UndoneOut
)
def undo_feedback(feedback_id: ItemId, server: ServerDep, key: Seller) -> Response:
    """It no longer counts, and is not exported for training."""
    feedback_store.undo(server.store, feedback_id, key.person)
    return json_response({"id": feedback_id, "undone": True})


def find_category(served: ServedModel, chosen: str) -> Node:
    """The category of an id, or of a path written `A > B`.

    Raises:
        ApiError: It is not in the tree.
    """
    tree = served.taxonomy
    node = tree.find(chosen)
    if node is None:
        node = tree.find(tuple(part.strip() for part in chosen.split(DELIMITER.strip())))
    if node is None:
        cleaned = clean(chosen)[:200]
        suggestion = tree.did_you_mean(cleaned) if len(tree) <= 2000 else ""
        raise ApiError(
            422, "no_such_category", f"{cleaned!r} is not in the tree of {served.name}.{suggestion}"
        )
    return tree.nodes[node]
