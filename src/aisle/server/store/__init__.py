"""What the server keeps: keys, feedback, the review queue, answers of shadow models, promotions."""

from aisle.server.store.database import Store, StoreError

__all__ = ["Store", "StoreError"]
