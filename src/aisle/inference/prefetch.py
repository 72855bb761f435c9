"""Runs work in threads ahead of its consumer and yields the results in order. No torch here."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prefetch(work: Callable[[Item], Made], items: Iterable[Item], threads: int) -> Iterator[Made]:
    """`work` of each item, in order, so many at a time; at most one more than that waits to be taken, so that
    a stream is never held whole. A single item is worked on here and now. threads: 0 for none."""
    stream = iter(items)
    pair = [item for _, item in zip(range(2), stream, strict=False)]
    if threads < 1 or len(pair) < 2:
        yield from map(work, chain(pair, stream))
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="aisle")
    waiting: deque[Future[Made]] = deque()
    try:
        for item in chain(pair, stream):
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
