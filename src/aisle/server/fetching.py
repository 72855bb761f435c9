"""Pictures that a request names by address: fetched side by side, in bounded time and space.

One after the other, a thousand addresses that never answer would keep a request, and a thread that others
need, for hours.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from aisle.data.fetch import FetchError, PrivateAddressError, fetch
from aisle.data.fetch import FetchLimits as FetchLimits
from aisle.server.problems import BusyError
from aisle.server.settings import Limits, Urls


class Fetches:
    """One request's fetches. Each address is fetched once, from when it is first said or asked for."""

    def __init__(self, pool: ThreadPoolExecutor, limits: Limits, urls: Urls) -> None:
        self._pool, self._seconds, self._picture = pool, urls.seconds, limits.picture
        self._until = time.monotonic() + urls.seconds_in_all
        self._room = limits.body
        self._lock = threading.Lock()
        self._begun: dict[str, Future[bytes]] = {}

    def begin(self, url: str) -> "Future[bytes]":
        """Fetch it soon."""
        if url not in self._begun:
            self._begun[url] = self._pool.submit(self._fetch, url)
        return self._begun[url]

    def get(self, url: str) -> bytes:
        """What stands at this address.

        Raises:
            FetchError: it cannot be had, or not in what is left to this request.
        """
        try:
            return self.begin(url).result(max(0.0, self._until - time.monotonic()))
        except TimeoutError:
            raise FetchError("the pictures of this request took too long") from None

    def _fetch(self, url: str) -> bytes:
        left = self._until - time.monotonic()
        if left <= 0:
            raise FetchError("the pictures of this request took too long")
        if self._room <= 0:
            raise FetchError("the pictures of this request are too large together")
        try:
            data = fetch(url, FetchLimits(self._picture, min(self._seconds, left))).data
        except PrivateAddressError:  # what a name inside resolves to is nobody's business
            raise FetchError("not an address on the internet") from None
        with self._lock:
            self._room -= len(data)
        return data


class Fetching:
    """Lends `Fetches` to some requests at a time: a thread waits for each, and others need threads, too."""

    def __init__(self, limits: Limits, urls: Urls) -> None:
        self.limits, self.urls = limits, urls
        self._free = threading.BoundedSemaphore(urls.requests)

    @contextmanager
    def of(self, addresses: Iterable[str]) -> Iterator[Fetches]:
        """The fetches of one request, begun with these.

        Raises:
            BusyError: as many requests as may are fetching.
        """
        if not self._free.acquire(blocking=False):
            raise BusyError(2)
        pool = ThreadPoolExecutor(self.urls.at_once, "aisle-fetch")
        try:
            fetches = Fetches(pool, self.limits, self.urls)
            for address in addresses:
                fetches.begin(address)
            yield fetches
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._free.release()
