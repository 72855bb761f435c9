"""Runs the shadow model on live requests when there is capacity, and stores both predictions."""

import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from aisle.data import Product
from aisle.guarantee import Prediction
from aisle.server.batching import Batcher
from aisle.server.errors import BusyError
from aisle.server.model_registry import ServedModel
from aisle.server.store import ServerStore, StoreError
from aisle.server.store.database import now
from aisle.server.store.promotions import add_shadow_rows
from aisle.server.telemetry import Telemetry

_log = logging.getLogger("aisle.server")
_MAX_ROWS = 20_000  # rows that wait to be written


class ShadowRecorder:
    """Compares a shadow model with the live one in the background."""

    def __init__(self, store: ServerStore, batcher: Batcher, telemetry: Telemetry) -> None:
        self.store, self.batcher, self.telemetry = store, batcher, telemetry
        self._rows: queue.Queue[dict[str, Any] | None] = queue.Queue(_MAX_ROWS)
        self._thread = threading.Thread(target=self._write, name="aisle-shadows", daemon=True)
        self._thread.start()

    def offer(self, shadow: ServedModel, pairs: Sequence[tuple[Product, Any]]) -> None:
        """Run the shadow model on products with live predictions, if there is capacity."""
        pairs = [pair for pair in pairs if isinstance(pair[1], Prediction)]
        try:
            future = self.batcher.submit(shadow.predict, [product for product, _ in pairs], idle=True)
        except BusyError:
            self.telemetry.shadow_dropped.inc(len(pairs))
            return
        live = [prediction for _, prediction in pairs]
        future.add_done_callback(lambda finished: self._record(shadow, live, finished))

    def _record(self, shadow: ServedModel, live: list[Prediction], finished: "Future[list[Any]]") -> None:
        if finished.cancelled():
            return
        for live_prediction, shadow_prediction in zip(live, finished.result(), strict=True):
            if not isinstance(shadow_prediction, Prediction):
                continue
            agrees = shadow_prediction.best_id == live_prediction.best_id
            self.telemetry.shadow.labels(shadow.name, str(agrees).lower()).inc()
            row = {
                "at": now(),
                "product_id": live_prediction.id,
                "model": shadow.name,
                "model_id": shadow_prediction.model_id,
                "best_id": shadow_prediction.best_id,
                "confidence": shadow_prediction.confidence[-1],
                "decision": shadow_prediction.decision,
                "live_model_id": live_prediction.model_id,
                "live_best_id": live_prediction.best_id,
                "live_decision": live_prediction.decision,
            }
            try:
                self._rows.put_nowait(row)
            except queue.Full:
                self.telemetry.shadow_dropped.inc()

    def _write(self) -> None:
        closed = False
        while not closed:
            batch = [self._rows.get()]
            while len(batch) < 1000 and not self._rows.empty():
                batch.append(self._rows.get())
            closed = None in batch
            rows = [row for row in batch if row is not None]
            try:
                if rows:
                    add_shadow_rows(self.store, rows)
            except StoreError as error:
                self.telemetry.shadow_dropped.inc(len(rows))
                _log.warning("shadow predictions were lost: %s", error)

    def close(self) -> None:
        """Write the remaining rows; close the batcher first."""
        self._rows.put(None)
        self._thread.join(10)
