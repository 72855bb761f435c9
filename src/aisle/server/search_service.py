"""Search over a served index, limited to a few requests at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aisle.data import Product
from aisle.errors import AisleError
from aisle.server.errors import ApiError, BusyError
from aisle.server.model_registry import ModelRegistry
from aisle.server.thumbnails import thumbnail

if TYPE_CHECKING:
    from aisle.search import Hit, Index

_MAX_CONCURRENT = 8


class SearchService:
    """One index folder, opened at the start.

    Raises:
        AisleError: There is no index, or its model cannot be loaded.
    """

    def __init__(self, folder: Path, registry: ModelRegistry) -> None:
        from aisle.search import open as open_index

        self.index: Index = open_index(folder)
        model_id = self.index.manifest.model_id
        same = [served for served in registry.state.models.values() if served.model_id == model_id]
        if same:  # shares its memory
            self.index = open_index(folder, same[0].predictor)
        _ = self.index.model  # loaded now, not by the first request
        self._slots = threading.BoundedSemaphore(_MAX_CONCURRENT)

    def search(self, product: Product, count: int, where: str | None) -> list[dict[str, Any]]:
        """The best hits for a product that serves as the query, as JSON.

        Raises:
            ApiError: The filter is malformed, the query is empty, or too many searches are running.
        """
        with self.slot():
            return [_hit_json(hit) for hit in self.index.search([product], count, where)[0]]

    def more_like(self, product_id: str, count: int, where: str | None) -> list[dict[str, Any]]:
        """The products most similar to one of the index, as JSON.

        Raises:
            ApiError: As `search`.
        """
        with self.slot():
            return [_hit_json(hit) for hit in self.index.more_like(product_id, count, where)]

    def count(self, where: str | None) -> int:
        """How many products pass a filter."""
        return self.index.count(where)

    def get(self, product_id: str) -> "Hit | None":
        """A product of the index."""
        return self.index.get(product_id)

    def thumbnail(self, product_id: str) -> bytes | None:
        """The JPEG thumbnail of a product's first image; None if there is none."""
        hit = self.index.get(product_id)
        return None if hit is None or hit.image is None else thumbnail(hit.image)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Count as one of the concurrent searches.

        Raises:
            ApiError: Too many are running, or an error of the search.
        """
        if not self._slots.acquire(blocking=False):
            raise BusyError(1)
        try:
            yield
        except AisleError as error:
            raise ApiError(422, "bad_search", str(error).removeprefix("--where: ")) from error
        finally:
            self._slots.release()


def hit_image_urls(hit: "Hit") -> list[str]:
    """The path of a hit's thumbnail in the API."""
    return [f"/v1/search/images/{quote(hit.id, safe='')}"] if hit.image else []


def _hit_json(hit: "Hit") -> dict[str, Any]:
    return {
        "id": hit.id,
        "title": hit.fields.get("title") or hit.fields.get("name") or "",
        "fields": dict(hit.fields),
        "images": hit_image_urls(hit),
        "category": list(hit.category),
        "score": round(hit.score, 6),
        "similarity": None if hit.similarity is None else round(hit.similarity, 4),
        "bm25": None if hit.words is None else round(hit.words, 4),
    }
