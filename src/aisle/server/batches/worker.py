"""One thread that classifies uploaded files and puts their products into the review queue.

What is done is on disk after each chunk: a stopped server goes on where it was. Products are scored in the
server's own queue while nothing else waits in it.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from aisle.data import Catalog, Product
from aisle.data.text import strip_markup
from aisle.errors import AisleError
from aisle.guarantee import Prediction
from aisle.server.batches.folder import BatchFolder, sweep
from aisle.server.batches.image_urls import fetch_images
from aisle.server.batching import Batcher
from aisle.server.errors import BusyError
from aisle.server.model_registry import ModelRegistry, ServedModel
from aisle.server.product_parsing import ProductParser
from aisle.server.row_products import RowProduct, row_products
from aisle.server.settings import BatchSettings
from aisle.server.store import ServerStore, StoreError
from aisle.server.store import batches as store_batches
from aisle.server.store.reviews import ReviewEntry, enqueue

_CHUNK = 512  # products that are done at once: what a stop loses
_SWEEP_S = 60.0  # seconds between two looks for folders of deleted files
_log = logging.getLogger("aisle.server")


class StoppedError(Exception):
    """The task was cancelled, or the server stops."""


class Workplace(NamedTuple):
    """What the worker uses.

    Attributes:
        store: The server's store.
        registry: Its models.
        batcher: Its queue of products.
        folder: The folder of uploaded files.
        settings: Limits.
        double_review_rate: The share of review items that two people decide.
        parser: Fetches the images that a file names by URL; None: they are not fetched.
    """

    store: ServerStore
    registry: ModelRegistry
    batcher: Batcher
    folder: Path
    settings: BatchSettings
    double_review_rate: float = 0.0
    parser: ProductParser | None = None

    def batch_folder(self, batch: dict[str, Any]) -> BatchFolder:
        """The folder of a stored file."""
        return BatchFolder(self.folder / batch["id"], batch["name"])


class BatchWorker:
    """The thread; it starts with the first task.

    Args:
        place: What it uses.
    """

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self._changed = threading.Condition()
        self._work = True  # something may be queued
        self._stopping = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Look for queued files."""
        with self._changed:
            self._work = True
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._run, name="aisle-batches-of-files", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def resume(self) -> None:
        """Go on with what an earlier server did not finish."""
        if self.place.folder.is_dir() and store_batches.active(self.place.store):
            self.wake()

    def stop(self) -> None:
        """Stop after the chunk in progress; what is not done stays queued."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(30)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._work or self._stopping):
                    if not self._changed.wait(_SWEEP_S):
                        break
                if self._stopping:
                    return
                self._work = False
            try:
                self._sweep()
                while (batch := self._next()) is not None:
                    self._do(batch)
            except StoppedError:
                return
            except StoreError as error:
                _log.warning("uploaded files wait for the store: %s", error)
                with self._changed:
                    self._work = True
                    self._changed.wait(5)

    def _sweep(self) -> None:
        sweep(self.place.folder, store_batches.ids(self.place.store))

    def _next(self) -> dict[str, Any] | None:
        """The earliest file whose folder is here; other servers have those of others."""
        for batch in store_batches.active(self.place.store):
            if (self.place.folder / batch["id"]).is_dir():
                return batch
        return None

    def _do(self, batch: dict[str, Any]) -> None:
        store, name = self.place.store, batch["id"]
        if not store_batches.update(store, name, *store_batches.ACTIVE, state="running"):
            return
        task = self._classify if batch["task"] == store_batches.CLASSIFY else self._review
        try:
            task(batch)
            store_batches.update(store, name, "running", state="done", error=None)
        except StoppedError:
            if self._stopping:
                raise
        except StoreError:
            raise
        except (AisleError, OSError) as error:
            message = self.place.batch_folder(batch).named(str(error))
            store_batches.update(store, name, "running", state="failed", error=message)
        except Exception as error:
            _log.exception("an uploaded file failed", extra={"fields": {"batch": name}})
            message = f"the server failed on it ({type(error).__name__}); its log says why"
            store_batches.update(store, name, "running", state="failed", error=message)

    def _progress(self, batch: dict[str, Any], done: int) -> None:
        """Store how many products are done.

        Raises:
            StoppedError: The task was cancelled or deleted, or the server stops.
        """
        if not store_batches.update(self.place.store, batch["id"], "running", done=done) or self._stopping:
            raise StoppedError

    def _classify(self, batch: dict[str, Any]) -> None:
        served, folder = self._model(batch), self.place.batch_folder(batch)
        catalog = folder.catalog(served.predictor, self.place.settings)
        done = folder.rows.count()
        self._progress(batch, done)
        for start in range(done, len(catalog), _CHUNK):
            rows = range(start, min(start + _CHUNK, len(catalog)))
            predictions = self._predict(served, self._products(catalog, rows, served, batch))
            titles = [_title(catalog[row]) for row in rows]
            folder.rows.add(rows[0], predictions, titles)
            self._progress(batch, rows[-1] + 1)
        store_batches.update(self.place.store, batch["id"], rows=len(catalog))

    def _model(self, batch: dict[str, Any]) -> ServedModel:
        """The file's model; if it is served no more, the live one, from the first product on."""
        state = self.place.registry.state
        served = state.models.get(batch["model"])
        if served is None or served.model_id != batch["model_id"]:
            served = state.get()
            self.place.batch_folder(batch).rows.clear()
            changes = {"model": served.name, "model_id": served.model_id, "done": 0}
            store_batches.update(self.place.store, batch["id"], **changes)
        return served

    def _products(
        self, catalog: Catalog, rows: Sequence[int], served: ServedModel, batch: dict[str, Any]
    ) -> list[RowProduct]:
        products = row_products(catalog, rows, batch["name"])
        if self.place.parser is None:
            return products
        return fetch_images(self.place.parser, catalog, rows, products, served.predictor.max_images)

    def _predict(self, served: ServedModel, products: list[RowProduct]) -> list[Prediction]:
        while True:
            try:
                future = self.place.batcher.submit(served.predict_rows, products, idle=True)
                break
            except BusyError:  # other jobs of low priority, or the server stops
                with self._changed:
                    if self._stopping or self._changed.wait_for(lambda: self._stopping, 0.5):
                        raise StoppedError from None
        found = future.result()
        return [
            one if isinstance(one, Prediction) else served.predict_rows([product.failed()])[0]
            for product, one in zip(products, found, strict=True)
        ]

    def _review(self, batch: dict[str, Any]) -> None:
        served, folder = self._model(batch), self.place.batch_folder(batch)
        catalog = folder.catalog(served.predictor, self.place.settings)
        done = batch["done"]
        while rows := folder.rows.rest(_CHUNK):
            predictions = folder.rows.predictions(rows)
            entries = [
                ReviewEntry(
                    person=batch["person"],
                    product_id=predictions[row].id[:200],
                    fields=dict(catalog[row].fields),
                    images=(),
                    prediction=predictions[row].to_dict(),
                    model=served.name,
                )
                for row in rows
            ]
            items = enqueue(self.place.store, entries, self.place.double_review_rate)
            folder.rows.queued(dict(zip(rows, items, strict=True)))
            done += len(rows)
            self._progress(batch, done)


def _title(product: Product) -> str:
    with suppress(KeyError):
        return strip_markup(product.fields["title"])
    return strip_markup(next(iter(product.fields.values()), ""))
