"""Dynamic batching: one thread scores the products of many requests together.

Products that arrive within milliseconds are scored at once. Large requests are split, so that a small one
never waits for all of a large one. A request that would wait too long is refused at once.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

from aisle.data import Product
from aisle.server.errors import BusyError
from aisle.server.latency_model import BatchLoad, LatencyModel

PredictFn = Callable[[Sequence[Product]], Sequence[Any]]  # B products -> B results, in order
_BATCH_SECONDS = 0.25  # that a batch should take at most: a small request waits for all of it
_MAX_IDLE = 1_000  # products of low-priority jobs in the queue
_log = logging.getLogger("aisle.server")


class FailedPredictionError(Exception):
    """The result of a product on which the model failed."""


@dataclass(eq=False)
class _Job:
    """The products of one request, at most `size` a batch, and the results so far."""

    predict: PredictFn
    products: Sequence[Product]
    size: int
    future: "Future[list[Any]]" = field(default_factory=Future)
    results: list[Any] = field(default_factory=list)
    arrived: float = 0.0  # on the batcher's clock
    started: int = 0  # products that are scored, or are being scored
    left: BatchLoad = field(init=False)  # of the products not started
    turn: BatchLoad = field(init=False)  # of those that the next batch takes at most

    def __post_init__(self) -> None:
        self.left = BatchLoad.of(self.products)
        self.turn = self._next_turn()

    def _next_turn(self) -> BatchLoad:
        return BatchLoad.of(self.products[self.started : self.started + self.size])

    def start(self, count: int) -> Sequence[Product]:
        """Take the next `count` products."""
        part = self.products[self.started : self.started + count]
        self.started += len(part)
        self.left = self.left.plus(BatchLoad.of(part), -1)
        self.turn = self._next_turn()
        return part


class Batcher:
    """A queue of products and the thread that scores them.

    Args:
        max_wait_s: Seconds that a request may wait for others; a longer one is refused.
        size: Products in a batch; fewer if they would take longer than a quarter of a second.
        batch_wait_s: Seconds that the first request of a batch waits for others.
        observe: Called with the size and the seconds of each batch.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        max_wait_s: float = 3.0,
        size: int = 64,
        batch_wait_s: float = 0.002,
        observe: Callable[[int, float], None] = lambda size, seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_wait_s, self.size, self.batch_wait_s, self.observe = max_wait_s, size, batch_wait_s, observe
        self._clock = clock
        self._jobs: deque[_Job] = deque()
        self._idle_jobs: deque[_Job] = deque()
        self._queued = self._next_turns = BatchLoad()  # of `_jobs`: everything, and the next turn of each
        self._running, self._began = BatchLoad(), 0.0
        self._closed = False
        self._latency = LatencyModel(size)
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="aisle-batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Products in the queue and in the batch being scored."""
        return self._queued.products + self._running.products

    @property
    def alive(self) -> bool:
        """Whether new products are scored."""
        return self._thread.is_alive() and not self._closed

    def expected_wait(self, products: int = 1) -> float:
        """Seconds that a request of `products` products would wait for others."""
        running = 0.0
        if self._running.products:
            # A batch that takes longer than predicted is expected to take that much longer still.
            elapsed = self._clock() - self._began
            running = abs(self._latency.seconds(self._running) - elapsed)
        turns = math.ceil(products / self.size)
        ahead = min(self._latency.seconds(self._next_turns) * turns, self._latency.seconds(self._queued))
        return running + ahead

    def submit(
        self,
        predict: PredictFn,
        products: Sequence[Product],
        *,
        max_wait_s: float | None = None,
        idle: bool = False,
    ) -> "Future[list[Any]]":
        """Queue products; the future gives one result each, in order, or a `FailedPredictionError`.

        Args:
            predict: The function that scores a batch.
            products: What it is called with.
            max_wait_s: Replaces the queue's limit.
            idle: Score only while nothing else waits. At most 1,000 such products, or one job, are queued.

        Raises:
            BusyError: The request would wait longer than allowed.
        """
        job = _Job(predict, products, self.size, arrived=self._clock())
        if not products:
            job.future.set_result([])
            return job.future
        with self._changed:
            if not self.alive:
                raise BusyError(5)
            if idle:
                queued = sum(other.left.products for other in self._idle_jobs)
                if queued and queued + len(products) > _MAX_IDLE:
                    raise BusyError(1)
                self._idle_jobs.append(job)
            else:
                limit = self.max_wait_s if max_wait_s is None else max_wait_s
                wait = self.expected_wait(len(products))
                if wait > limit:
                    raise BusyError(max(1, math.ceil(wait - limit)))
                self._jobs.append(job)
                self._count(job)
            self._changed.notify()
        return job.future

    def close(self, seconds: float = 30) -> None:
        """Score the queued products and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def _count(self, job: _Job, sign: int = 1) -> None:
        self._queued = self._queued.plus(job.left, sign)
        self._next_turns = self._next_turns.plus(job.turn, sign)

    def _run(self) -> None:
        while batch := self._next_batch():
            load = self._running
            _score(batch)
            seconds = max(self._clock() - self._began, 1e-6)
            with self._changed:
                self._running = BatchLoad()
                self._latency.update(load, seconds)
            self.observe(load.products, seconds)

    def _next_batch(self) -> list[tuple[_Job, Sequence[Product]]]:
        """Parts of jobs with one `predict`; empty once closed and nothing is queued."""
        with self._changed:
            while True:
                while not (self._jobs or self._idle_jobs or self._closed):
                    self._changed.wait()
                self._wait_for_more()
                queue = self._jobs or self._idle_jobs
                if not queue:
                    return []
                if batch := self._take_parts(queue):  # empty if all of them were cancelled
                    break
            self._running = BatchLoad.of([product for _, part in batch for product in part])
            self._began = self._clock()
            return batch

    def _wait_for_more(self) -> None:
        while self._jobs and self._queued.products < self.size and not self._closed:
            left = self._jobs[0].arrived + self.batch_wait_s - self._clock()
            if left <= 0 or not self._changed.wait(left):
                return

    def _take_parts(self, queue: deque[_Job]) -> list[tuple[_Job, Sequence[Product]]]:
        """As many jobs with the first one's `predict` as fit, a part of each; the rest goes to the end."""
        predict, counted = queue[0].predict, queue is self._jobs
        parts, others, unfinished = [], deque(), []
        per_batch, per_product, per_image = self._latency.costs()
        free, seconds = self.size, _BATCH_SECONDS - per_batch
        while queue and free > 0 and (seconds > 0 or not parts):
            job = queue.popleft()
            if job.predict != predict:
                others.append(job)
                continue
            if counted:
                self._count(job, -1)
            if job.future.cancelled():
                continue
            cost = per_product + per_image * job.turn.images / job.turn.products
            fits = seconds / cost if cost > 0 else free
            part = job.start(max(1, int(min(free, fits))))
            parts.append((job, part))
            free, seconds = free - len(part), seconds - cost * len(part)
            if job.left.products:
                unfinished.append(job)
                if counted:
                    self._count(job)
        queue.extendleft(reversed(others))
        queue.extend(unfinished)
        return parts


def _score(batch: list[tuple[_Job, Sequence[Product]]]) -> None:
    results = _predict(batch[0][0].predict, [product for _, part in batch for product in part])
    start = 0
    for job, part in batch:
        job.results += results[start : start + len(part)]
        start += len(part)
        if not job.left.products:
            try:
                job.future.set_result(job.results)
            except InvalidStateError:
                _log.debug("a request was cancelled before its result")


def _predict(predict: PredictFn, products: Sequence[Product]) -> list[Any]:
    """Score all at once; if that fails, one by one, so that a product only fails its own result."""
    try:
        results = list(predict(products))
        if len(results) != len(products):
            raise RuntimeError(f"{len(results)} results for {len(products)} products")
        return results
    except Exception as error:
        _log.exception("a batch of %d failed", len(products))
        if len(products) == 1:
            return [FailedPredictionError(type(error).__name__)]
        return [result for product in products for result in _predict(predict, [product])]
