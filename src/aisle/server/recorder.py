"""Shadow answers: scored when there is room, written down beside what was answered, never waited for."""

import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from aisle.data import Product
from aisle.guarantee import Prediction
from aisle.server.batching import Batcher
from aisle.server.models import Slot
from aisle.server.problems import BusyError
from aisle.server.store import Store, StoreError
from aisle.server.store.database import now
from aisle.server.store.promotions import keep_shadows
from aisle.server.telemetry import Telemetry

_log = logging.getLogger("aisle.server")
_KEPT = 20_000  # rows that may wait for the disk


class Recorder:
    """Asks a shadow model what was just asked of the live one, and keeps both answers."""

    def __init__(self, store: Store, batcher: Batcher, telemetry: Telemetry) -> None:
        self.store, self.batcher, self.telemetry = store, batcher, telemetry
        self._rows: queue.Queue[dict[str, Any] | None] = queue.Queue(_KEPT)
        self._thread = threading.Thread(target=self._write, name="aisle-shadows", daemon=True)
        self._thread.start()

    def offer(self, shadow: Slot, pairs: Sequence[tuple[Product, Any]]) -> None:
        """Compare on these products, each with what was answered to it, if there is room."""
        answered = [(product, answer) for product, answer in pairs if isinstance(answer, Prediction)]
        try:
            future = self.batcher.submit(shadow.predict, [product for product, _ in answered], idle=True)
        except BusyError:
            self.telemetry.shadow_lost.inc(len(answered))
            return
        live = [answer for _, answer in answered]
        future.add_done_callback(lambda done: self._answered(shadow, live, done))

    def _answered(self, shadow: Slot, live: list[Prediction], done: "Future[list[Any]]") -> None:
        if done.cancelled():
            return
        for ours, theirs in zip(live, done.result(), strict=True):
            if not isinstance(theirs, Prediction):
                continue
            alike = theirs.best_id == ours.best_id
            self.telemetry.shadow.labels(shadow.name, str(alike).lower()).inc()
            row = {
                "at": now(),
                "product_id": ours.id,
                "model": shadow.name,
                "model_id": theirs.model_id,
                "best_id": theirs.best_id,
                "confidence": theirs.confidence[-1],
                "decision": theirs.decision,
                "live_model_id": ours.model_id,
                "live_best_id": ours.best_id,
                "live_decision": ours.decision,
            }
            try:
                self._rows.put_nowait(row)
            except queue.Full:
                self.telemetry.shadow_lost.inc()

    def _write(self) -> None:
        ended = False
        while not ended:
            rows = [self._rows.get()]
            while len(rows) < 1000 and not self._rows.empty():
                rows.append(self._rows.get())
            ended = None in rows
            told = [row for row in rows if row is not None]
            try:
                if told:
                    keep_shadows(self.store, told)
            except StoreError as error:
                self.telemetry.shadow_lost.inc(len(told))
                _log.warning("shadow answers were lost: %s", error)

    def close(self) -> None:
        """Write what is left; the batcher has to be closed before."""
        self._rows.put(None)
        self._thread.join(10)
