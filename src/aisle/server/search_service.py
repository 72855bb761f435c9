"""Search as the server offers it: an index beside the models, asked by few callers at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aisle.data import Product
from aisle.errors import AisleError
from aisle.server.models import Models
from aisle.server.problems import ApiError, BusyError
from aisle.server.stored_images import small

if TYPE_CHECKING:
    from aisle.search import Hit, Index

_AT_ONCE = 8  # searches under way; who comes then is told to come back


class Finder:
    """One index folder, opened at the start.

    Raises:
        AisleError: there is no index, or the model that made it cannot be loaded.
    """

    def __init__(self, folder: Path, models: Models) -> None:
        from aisle.search import open as opened

        self.index: Index = opened(folder)
        made_by = self.index.manifest.model_id
        same = [slot for slot in models.standing.slots.values() if slot.model_id == made_by]
        if same:  # one in memory is enough
            self.index = opened(folder, same[0].predictor)
        _ = self.index.model  # now, not when the first caller asks
        self._free = threading.BoundedSemaphore(_AT_ONCE)

    def search(self, product: Product, count: int, where: str | None) -> list[dict[str, Any]]:
        """The products that match this one best.

        Raises:
            ApiError: a filter that cannot be read, nothing to search by, or too many searches at once.
        """
        with self._asking():
            return [_told(hit) for hit in self.index.search([product], count, where)[0]]

    def like(self, product_id: str, count: int, where: str | None) -> list[dict[str, Any]]:
        """The products most like one of the index; as `search`."""
        with self._asking():
            return [_told(hit) for hit in self.index.more_like(product_id, count, where)]

    def count(self, where: str | None) -> int:
        """How many products could be found, by a filter that was searched with before."""
        return self.index.count(where)

    def get(self, product_id: str) -> "Hit | None":
        """A product of the index."""
        return self.index.get(product_id)

    def picture(self, product_id: str) -> bytes | None:
        """Its first picture as a small JPEG; None where it has none that decodes."""
        hit = self.index.get(product_id)
        return None if hit is None or hit.image is None else small(hit.image)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        if not self._free.acquire(blocking=False):
            raise BusyError(1)
        try:
            yield
        except AisleError as error:
            raise ApiError(422, "bad_search", str(error).removeprefix("--where: ")) from error
        finally:
            self._free.release()


def address(hit: "Hit") -> list[str]:
    """Where its picture is shown."""
    return [f"/v1/search/pictures/{quote(hit.id, safe='')}"] if hit.image else []


def _told(hit: "Hit") -> dict[str, Any]:
    return {
        "id": hit.id,
        "title": hit.fields.get("title") or hit.fields.get("name") or "",
        "fields": dict(hit.fields),
        "pictures": address(hit),
        "category": list(hit.category),
        "score": round(hit.score, 6),
        "similarity": None if hit.similarity is None else round(hit.similarity, 4),
        "words": None if hit.words is None else round(hit.words, 4),
    }
