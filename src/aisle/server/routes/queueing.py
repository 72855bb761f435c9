"""From answered products to the review queue."""

from collections.abc import Sequence

from aisle.guarantee import Prediction
from aisle.server.batching import FailedAnswerError
from aisle.server.items import Item
from aisle.server.routes.request_io import told
from aisle.server.state import Server
from aisle.server.store import reviews
from aisle.server.store.keys import Holder
from aisle.server.stored_images import small_copies


def queue(
    server: Server,
    model: str,
    holder: Holder,
    items: Sequence[Item],
    found: Sequence[Prediction | FailedAnswerError | None],
    every: bool = False,
) -> dict[int, int]:
    """Queue what the model is not sure of (or all): position among the items -> number in the queue."""
    entries: dict[int, reviews.Entry] = {}
    images: dict[str, bytes] = {}
    for i, (item, prediction) in enumerate(zip(items, found, strict=True)):
        if item.product is None or not isinstance(prediction, Prediction):
            continue
        if prediction.decision == "accept" and not every:
            continue
        copies = small_copies(item.product.images)
        images |= copies
        entries[i] = reviews.Entry(
            person=holder.person,
            product_id=item.id if item.named else "",
            fields=dict(item.product.fields),
            pictures=list(copies),
            missing_images=[one.to_dict() for one in item.missing],
            prediction=told(prediction, item.problems),
            model=model,
            worth=1.0 if item.worth is None else item.worth,
        )
    numbers = reviews.enqueue(server.store, list(entries.values()), server.settings.double, images)
    return dict(zip(entries, numbers, strict=True))
