"""Puts classified products into the review queue."""

from collections.abc import Sequence

from aisle.guarantee import Prediction
from aisle.server.batching import FailedPredictionError
from aisle.server.product_parsing import ParsedItem
from aisle.server.routes.request_io import prediction_json
from aisle.server.state import Server
from aisle.server.store import reviews
from aisle.server.store.keys import ApiKey
from aisle.server.thumbnails import thumbnails


def enqueue_items(
    server: Server,
    model: str,
    key: ApiKey,
    items: Sequence[ParsedItem],
    predictions: Sequence[Prediction | FailedPredictionError | None],
    include_accepted: bool = False,
) -> dict[int, int]:
    """Queue what the model does not accept.

    Args:
        server: The server.
        model: The model's name.
        key: Whose request it is.
        items: The products.
        predictions: Theirs, in order.
        include_accepted: Queue all.

    Returns:
        Positions among the items -> ids in the queue.
    """
    entries: dict[int, reviews.ReviewEntry] = {}
    images: dict[str, bytes] = {}
    for i, (item, prediction) in enumerate(zip(items, predictions, strict=True)):
        if item.product is None or not isinstance(prediction, Prediction):
            continue
        if prediction.decision == "accept" and not include_accepted:
            continue
        copies = thumbnails(item.product.images)
        images |= copies
        entries[i] = reviews.ReviewEntry(
            person=key.person,
            product_id=item.id if item.has_id else "",
            fields=dict(item.product.fields),
            images=list(copies),
            missing_images=[missing.to_dict() for missing in item.missing],
            prediction=prediction_json(prediction, item.problems),
            model=model,
            priority=1.0 if item.priority is None else item.priority,
            label=item.label,
            note=item.note,
        )
    rate = server.settings.double_review_rate
    ids = reviews.enqueue(server.store, list(entries.values()), rate, images)
    return dict(zip(entries, ids, strict=True))
