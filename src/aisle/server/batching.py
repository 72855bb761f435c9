"""Requests of many callers answered together, in one thread.

A network scores eight products in little more time than one, so what arrives within milliseconds is scored
at once. Large requests are cut, so that a small one never waits behind all of a large one. Who would wait
too long is told so at once, instead of being kept.
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
from aisle.server.latency_model import Load, Pace
from aisle.server.problems import BusyError

Ask = Callable[[Sequence[Product]], Sequence[Any]]  # B products -> B answers, in order
_SLICE = 0.25  # seconds that a batch should not take longer than: a small request waits for all of it
_IDLE = 1_000  # products that are answered where nothing else waits
_log = logging.getLogger("aisle.server")


@dataclass(eq=False)
class _Job:
    """One caller's products, and the answers so far. turn: what it has in the next batch, at most."""

    ask: Ask
    products: Sequence[Product]
    size: int
    future: "Future[list[Any]]" = field(default_factory=Future)
    answers: list[Any] = field(default_factory=list)
    arrived: float = field(default_factory=time.monotonic)
    begun: int = 0  # products that are answered, or just being answered
    left: Load = field(init=False)
    turn: Load = field(init=False)

    def __post_init__(self) -> None:
        self.left = Load.of(self.products)
        self.turn = self._next()

    def _next(self) -> Load:
        return Load.of(self.products[self.begun : self.begun + self.size])

    def begin(self, count: int) -> Sequence[Product]:
        """The next `count` products: they wait no more."""
        part = self.products[self.begun : self.begun + count]
        self.begun += len(part)
        self.left = self.left.plus(Load.of(part), -1)
        self.turn = self._next()
        return part


class FailedAnswerError(Exception):
    """Stands in the place of an answer to a product on which the model failed."""


class Batcher:
    """A queue of products and the thread that answers them.

    patience: seconds that a caller may have to wait for others; who would wait longer is refused. size:
    products answered at once, fewer where they would take longer than a quarter of a second. wait: seconds
    that the first of a batch waits for company. observe: told the size of each batch and the seconds it took.
    """

    def __init__(
        self,
        patience: float = 3.0,
        size: int = 64,
        wait: float = 0.002,
        observe: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self.patience, self.size, self.wait, self.observe = patience, size, wait, observe
        self._jobs: deque[_Job] = deque()
        self._idle: deque[_Job] = deque()  # answered where nothing else waits
        self._all = self._turn = Load()  # of `_jobs`: everything, and what the next turn of each has
        self._under_way, self._began = Load(), 0.0
        self._closed = False
        self._pace = Pace(size)
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="aisle-batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Products of callers not answered yet."""
        return self._all.products + self._under_way.products

    @property
    def alive(self) -> bool:
        """Whether there is someone to answer."""
        return self._thread.is_alive() and not self._closed

    def expected(self, products: int = 1) -> float:
        """Seconds that a request of so many products would wait for others, its own time not counted."""
        under_way = 0.0
        if self._under_way.products:
            # One that takes longer than expected is expected to take that much longer still.
            elapsed = time.monotonic() - self._began
            under_way = abs(self._pace.seconds(self._under_way) - elapsed)
        turns = math.ceil(products / self.size)
        ahead = min(self._pace.seconds(self._turn) * turns, self._pace.seconds(self._all))
        return under_way + ahead

    def submit(
        self,
        ask: Ask,
        products: Sequence[Product],
        *,
        patience: float | None = None,
        idle: bool = False,
    ) -> "Future[list[Any]]":
        """The answers to these products, in order; one on which `ask` fails is a `FailedAnswerError`.

        patience: seconds to wait for others, where not those of all callers. idle: answer only while no
        caller waits; of these no more than 1,000 are kept, or one request.

        Raises:
            BusyError: it would have to wait longer.
        """
        job = _Job(ask, products, self.size)
        if not products:
            job.future.set_result([])
            return job.future
        with self._changed:
            if not self.alive:
                raise BusyError(5)
            if idle:
                kept = sum(other.left.products for other in self._idle)
                if kept and kept + len(products) > _IDLE:
                    raise BusyError(1)
                self._idle.append(job)
            else:
                wait, most = self.expected(len(products)), self.patience if patience is None else patience
                if wait > most:
                    raise BusyError(max(1, math.ceil(wait - most)))
                self._jobs.append(job)
                self._count(job)
            self._changed.notify()
        return job.future

    def close(self, seconds: float = 30) -> None:
        """Answer what is waiting and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def _count(self, job: _Job, sign: int = 1) -> None:
        self._all = self._all.plus(job.left, sign)
        self._turn = self._turn.plus(job.turn, sign)

    def _run(self) -> None:
        while parts := self._take():
            load = self._under_way
            _answer(parts)
            took = max(time.monotonic() - self._began, 1e-6)
            with self._changed:
                self._under_way = Load()
                self._pace.saw(load, took)
            self.observe(load.products, took)

    def _take(self) -> list[tuple[_Job, Sequence[Product]]]:
        """The next batch: parts of jobs that ask the same; empty once closed and nothing waits."""
        with self._changed:
            while True:
                while not (self._jobs or self._idle or self._closed):
                    self._changed.wait()
                self._wait_for_company()
                queue = self._jobs or self._idle
                if not queue:
                    return []
                if parts := self._parts(queue):  # none, where all that was looked at have hung up
                    break
            self._under_way = Load.of([product for _, part in parts for product in part])
            self._began = time.monotonic()
            return parts

    def _wait_for_company(self) -> None:
        while self._jobs and self._all.products < self.size and not self._closed:
            left = self._jobs[0].arrived + self.wait - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                return

    def _parts(self, queue: deque[_Job]) -> list[tuple[_Job, Sequence[Product]]]:
        """As many of the first's kind as fit into a batch, a part of each. What is left of a large job
        stands behind those who came meanwhile."""
        ask, counted = queue[0].ask, queue is self._jobs
        parts, others, unfinished = [], deque(), []
        batch, product, picture = self._pace.costs()
        room, seconds = self.size, _SLICE - batch
        while queue and room > 0 and (seconds > 0 or not parts):
            job = queue.popleft()
            if job.ask != ask:
                others.append(job)
                continue
            if counted:
                self._count(job, -1)
            if job.future.cancelled():
                continue
            cost = product + picture * job.turn.pictures / job.turn.products
            fits = seconds / cost if cost > 0 else room
            part = job.begin(max(1, int(min(room, fits))))
            parts.append((job, part))
            room, seconds = room - len(part), seconds - cost * len(part)
            if job.left.products:
                unfinished.append(job)
                if counted:
                    self._count(job)
        queue.extendleft(reversed(others))
        queue.extend(unfinished)
        return parts


def _answer(parts: list[tuple[_Job, Sequence[Product]]]) -> None:
    products = [product for _, part in parts for product in part]
    answers = _each(parts[0][0].ask, products)
    start = 0
    for job, part in parts:
        job.answers += answers[start : start + len(part)]
        start += len(part)
        if not job.left.products:
            try:
                job.future.set_result(job.answers)
            except InvalidStateError:
                _log.debug("an answer came too late")


def _each(ask: Ask, products: Sequence[Product]) -> list[Any]:
    """All at once; where that fails one by one, so that a product only ever spoils its own answer."""
    try:
        answers = list(ask(products))
        if len(answers) != len(products):
            raise RuntimeError(f"{len(answers)} answers to {len(products)} products")
        return answers
    except Exception as error:
        _log.exception("a batch of %d failed", len(products))
        if len(products) == 1:
            return [FailedAnswerError(f"{type(error).__name__}")]
        return [answer for product in products for answer in _each(ask, [product])]
