"""Fetches the images that a request names by URL: in parallel, within a total time and size."""

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from aisle.data.fetch import FetchError, FetchLimits, PrivateAddressError, fetch
from aisle.server.errors import BusyError
from aisle.server.settings import ImageFetchSettings, RequestLimits


class RequestFetcher:
    """The fetches of one request; each URL is fetched once."""

    def __init__(self, pool: ThreadPoolExecutor, limits: RequestLimits, settings: ImageFetchSettings) -> None:
        self._pool, self._timeout, self._max_bytes = pool, settings.timeout_s, limits.max_image_bytes
        self._networks = settings.networks
        self._deadline = time.monotonic() + settings.total_timeout_s
        self._bytes_left = limits.max_body_bytes
        self._lock = threading.Lock()
        self._futures: dict[str, Future[bytes]] = {}

    def start(self, url: str) -> "Future[bytes]":
        """Start fetching a URL."""
        if url not in self._futures:
            self._futures[url] = self._pool.submit(self._fetch, url)
        return self._futures[url]

    def get(self, url: str) -> bytes:
        """The bytes at a URL.

        Raises:
            FetchError: It cannot be fetched, or the request's time or size is used up.
        """
        try:
            return self.start(url).result(max(0.0, self._deadline - time.monotonic()))
        except TimeoutError:
            raise FetchError("the images of this request took too long") from None

    def _fetch(self, url: str) -> bytes:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise FetchError("the images of this request took too long")
        if self._bytes_left <= 0:
            raise FetchError("the images of this request are too large together")
        try:
            limits = FetchLimits(self._max_bytes, min(self._timeout, left), networks=self._networks)
            data = fetch(url, limits).data
        except PrivateAddressError:  # the message would reveal the address of an internal host
            raise FetchError("not an address on the internet") from None
        with self._lock:
            self._bytes_left -= len(data)
        return data


class ImageFetcher:
    """Gives a `RequestFetcher` to at most `settings.max_requests` requests at a time."""

    def __init__(self, limits: RequestLimits, settings: ImageFetchSettings) -> None:
        self.limits, self.settings = limits, settings
        self._slots = threading.BoundedSemaphore(settings.max_requests)

    @contextmanager
    def fetching(self, urls: Iterable[str]) -> Iterator[RequestFetcher]:
        """The fetcher of one request, with these URLs started.

        Raises:
            BusyError: Too many requests are fetching.
        """
        if not self._slots.acquire(blocking=False):
            raise BusyError(2)
        pool = ThreadPoolExecutor(self.settings.max_parallel, "aisle-fetch")
        try:
            fetcher = RequestFetcher(pool, self.limits, self.settings)
            for url in urls:
                fetcher.start(url)
            yield fetcher
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._slots.release()
