"""Downloads all images that a catalog names by URL: parallel, rate-limited, resumable.

The folder holds the images and `images.jsonl`, one line per URL. `read` finds them with this folder as
`image_root`. Running it again continues an interrupted run.
"""

import hashlib
import json
import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from urllib.parse import urlsplit

from aisle.data.catalog import Catalog
from aisle.data.fetch import FetchError, FetchLimits, fetch
from aisle.data.files import DOWNLOAD_LOG
from aisle.data.image_refs import is_url
from aisle.errors import CatalogError
from aisle.progress import SILENT, Progress

_ATTEMPTS = 3
_MAX_WAIT = 30.0  # seconds; if a server asks for more, there is no retry


class RateLimits(NamedTuple):
    """Limits on the load of servers.

    Attributes:
        workers: Parallel downloads.
        per_host: Parallel downloads from one host.
        pause: Seconds that a worker waits after each download.
    """

    workers: int = 16
    per_host: int = 4
    pause: float = 0.0


_DEFAULT_RATES = RateLimits()


class Downloaded(NamedTuple):
    """The result: numbers of URLs downloaded now and before, and the reason of each failed URL."""

    fetched: int
    present: int
    failed: dict[str, str]


def image_urls(catalog: Catalog) -> Iterator[str]:
    """The image URLs of a catalog, in row order, each once."""
    seen: set[str] = set()
    for i in range(len(catalog)):
        for name in catalog.image_names(i):
            if isinstance(name, str) and is_url(name) and name not in seen:
                seen.add(name)
                yield name


def download(
    urls: Iterable[str],
    folder: str | Path,
    *,
    limits: FetchLimits | None = None,
    rates: RateLimits = _DEFAULT_RATES,
    progress: Progress = SILENT,
) -> Downloaded:
    """Download the images that the folder does not have yet.

    Args:
        urls: The URLs.
        folder: The output folder.
        limits: Limits of each download.
        rates: Limits on the load of servers.
        progress: Reports progress.

    Raises:
        CatalogError: The folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = _downloaded(folder)
        unique_urls = list(dict.fromkeys(urls))
        todo = [url for url in unique_urls if url not in present]
        with (folder / DOWNLOAD_LOG).open("a", encoding="utf-8") as log:
            failed = _fetch_all(todo, folder, log, limits or FetchLimits(), rates, progress)
    except OSError as error:
        raise CatalogError(f"{folder}: images cannot be kept there: {error.strerror or error}") from error
    return Downloaded(len(todo) - len(failed), len(unique_urls) - len(todo), failed)


def _downloaded(folder: Path) -> set[str]:
    """URLs whose image is in the folder; an incomplete last line is skipped."""
    downloaded: set[str] = set()
    log = folder / DOWNLOAD_LOG
    if not log.exists():
        return downloaded
    text = log.read_text("utf-8", errors="replace")
    for line in text.splitlines():
        try:
            item: Any = json.loads(line)
            if item.get("file") and (folder / item["file"]).is_file():
                downloaded.add(item["url"])
        except (ValueError, AttributeError, KeyError, TypeError):
            continue
    if text and not text.endswith("\n"):
        with log.open("a", encoding="utf-8") as file:
            file.write("\n")
    return downloaded


def _fetch_all(
    urls: list[str], folder: Path, log: TextIO, limits: FetchLimits, rates: RateLimits, progress: Progress
) -> dict[str, str]:
    """Download in turns over the hosts, with at most `per_host` workers for each."""
    queues: defaultdict[str, deque[str]] = defaultdict(deque)
    for url in urls:
        queues[_host(url)].append(url)
    hosts, busy = deque(queues), defaultdict[str, int](int)
    running: dict[Future[str], str] = {}
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(rates.workers) as pool, progress("fetching", len(urls), "images") as advance:
        stop = threading.Event()
        try:
            while running or any(queues.values()):
                for _ in range(len(hosts)):
                    host = hosts[0]
                    hosts.rotate(-1)
                    while queues[host] and busy[host] < rates.per_host and len(running) < rates.workers:
                        url = queues[host].popleft()
                        busy[host] += 1
                        running[pool.submit(_download_one, url, folder, limits, rates.pause, stop)] = url
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    url = running.pop(future)
                    busy[_host(url)] -= 1
                    _log_result(url, future, log, failed)
                advance(len(finished))
        except BaseException:  # images downloaded before an interruption are logged
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def _log_result(url: str, future: "Future[str]", log: TextIO, failed: dict[str, str]) -> None:
    try:
        line = {"url": url, "file": future.result()}
    except FetchError as error:
        failed[url] = str(error)
        line = {"url": url, "error": str(error)}
    log.write(json.dumps(line, ensure_ascii=False) + "\n")
    log.flush()


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _download_one(url: str, folder: Path, limits: FetchLimits, pause: float, stop: threading.Event) -> str:
    """Download one image to the folder under a temporary name, then rename it; returns its name."""
    image = None
    for attempt in range(_ATTEMPTS):
        try:
            image = fetch(url, limits)
            break
        except FetchError as error:
            last = attempt == _ATTEMPTS - 1
            if error.wait is None or error.wait > _MAX_WAIT or last or stop.is_set():
                raise
            stop.wait(error.wait * 2**attempt)
    assert image is not None
    digest = hashlib.blake2b(url.encode("utf-8", "replace"), digest_size=16).hexdigest()
    name = f"{digest[:2]}/{digest}.{image.ending}"
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(f".{threading.get_ident()}.part")
    part.write_bytes(image.data)
    os.replace(part, path)
    if pause:
        time.sleep(pause)
    return name
