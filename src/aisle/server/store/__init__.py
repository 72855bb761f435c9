"""The server's database: keys, feedback, the review queue, shadow predictions, promotions."""

from aisle.server.store.database import ServerStore, StoreError

__all__ = ["ServerStore", "StoreError"]
