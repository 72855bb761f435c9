"""Requests of many callers answered together, in one thread.

A network scores eight products in little more time than one, so what arrives within milliseconds is scored
at once. Large requests are cut, so that a small one never waits behind all of a large one.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from aisle.catalog import Product
from aisle.server.problems import BusyError

Ask = Callable[[Sequence[Product]], Sequence[Any]]  # B products -> B answers, in order
_log = logging.getLogger("aisle.server")


@dataclass(eq=False)
class _Job:
    """One caller's products: which are answered, and the answers so far."""

    ask: Ask
    products: Sequence[Product]
    future: "Future[list[Any]]"
    answers: list[Any] = field(default_factory=list)
    arrived: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> int:
        return len(self.products) - len(self.answers)


class FailedAnswerError(Exception):
    """Stands in the place of an answer to a product on which the model failed."""


class Batcher:
    """A queue of products and the thread that answers them.

    limit: products that may wait. size: products answered at once. wait: seconds that the first of a
    batch waits for company. observe: told the size of each batch and the seconds it took.
    """

    def __init__(
        self,
        limit: int,
        size: int = 64,
        wait: float = 0.002,
        observe: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        self.limit, self.size, self.wait, self.observe = limit, size, wait, observe
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._closed = False
        self._pace = 1000.0  # products a second, as last seen
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="aisle-batches", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Products not answered yet."""
        return self._waiting

    @property
    def alive(self) -> bool:
        """Whether there is someone to answer."""
        return self._thread.is_alive() and not self._closed

    def submit(self, ask: Ask, products: Sequence[Product], spare: float = 0.0) -> "Future[list[Any]]":
        """The answers to these products, in order; one on which `ask` fails is a `FailedAnswerError`.

        spare: the share of the queue that must stay free, for work that can be left undone.

        Raises:
            BusyError: the queue is full.
        """
        with self._changed:
            if not self.alive:
                raise BusyError(5)
            full = self._waiting + len(products) > self.limit * (1 - spare)
            if full and (self._waiting or spare):  # what is larger than the queue goes through an empty one
                raise BusyError(max(1, round(self._waiting / self._pace)))
            job = _Job(ask, products, Future())
            if not products:
                job.future.set_result([])
                return job.future
            self._jobs.append(job)
            self._waiting += len(products)
            self._changed.notify()
        return job.future

    def close(self, seconds: float = 30) -> None:
        """Answer what is waiting and stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(seconds)

    def _run(self) -> None:
        while parts := self._take():
            began = time.monotonic()
            self._answer(parts)
            products = sum(len(part) for _, part in parts)
            took = max(time.monotonic() - began, 1e-6)
            self._pace += 0.2 * (products / took - self._pace)
            self.observe(products, took)

    def _take(self) -> list[tuple[_Job, Sequence[Product]]]:
        """The next batch: parts of jobs that ask the same; empty once closed and nothing waits."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            if not self._jobs:
                return []
            until = self._jobs[0].arrived + self.wait
            while self._waiting < self.size and not self._closed:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            ask, room = self._jobs[0].ask, self.size
            parts, others = [], deque()
            while self._jobs and room:
                job = self._jobs.popleft()
                if job.ask != ask:
                    others.append(job)
                    continue
                start = len(job.answers)
                part = job.products[start : start + room]
                room -= len(part)
                parts.append((job, part))
            self._jobs.extendleft(reversed(others))
            # What is left of a large job stands behind those who came meanwhile.
            self._jobs.extend(job for job, part in parts if job.left > len(part))
            return parts

    def _answer(self, parts: list[tuple[_Job, Sequence[Product]]]) -> None:
        parts = [(job, part) for job, part in parts if not self._abandoned(job)]
        products = [product for _, part in parts for product in part]
        answers = _each(parts[0][0].ask, products) if parts else []
        start = 0
        for job, part in parts:
            job.answers += answers[start : start + len(part)]
            start += len(part)
            if not job.left and not job.future.cancelled():
                try:
                    job.future.set_result(job.answers)
                except Exception:  # cancelled at this very moment
                    _log.debug("an answer came too late")
        with self._changed:
            self._waiting -= len(products)

    def _abandoned(self, job: _Job) -> bool:
        if not job.future.cancelled():
            return False
        with self._changed:
            self._waiting -= job.left
            if job in self._jobs:
                self._jobs.remove(job)
        return True


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
