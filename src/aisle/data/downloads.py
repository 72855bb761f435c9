"""Downloads of all images that a catalog names by URL: parallel, rate-limited, resumable.

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

_TRIES = 3
_LONGEST_WAIT = 30.0  # seconds; a server that asks for more is left alone this time


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


_USUAL = RateLimits()


class Downloaded(NamedTuple):
    """The result: numbers of URLs downloaded now and before, and the reason of each failed URL."""

    fetched: int
    present: int
    failed: dict[str, str]


def addresses(catalog: Catalog) -> Iterator[str]:
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
    rates: RateLimits = _USUAL,
    progress: Progress = SILENT,
) -> Downloaded:
    """Download the images that the folder does not hold yet; failed ones are tried again.

    Raises:
        CatalogError: the folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = _present(folder)
        wanted = list(dict.fromkeys(urls))
        todo = [url for url in wanted if url not in present]
        with (folder / DOWNLOAD_LOG).open("a", encoding="utf-8") as log:
            failed = _fetch_all(todo, folder, log, limits or FetchLimits(), rates, progress)
    except OSError as error:
        raise CatalogError(f"{folder}: images cannot be kept there: {error.strerror or error}") from error
    return Downloaded(len(todo) - len(failed), len(wanted) - len(todo), failed)


def _present(folder: Path) -> set[str]:
    """URLs whose image is in the folder; an incomplete last line is skipped."""
    found: set[str] = set()
    log = folder / DOWNLOAD_LOG
    if not log.exists():
        return found
    text = log.read_text("utf-8", errors="replace")
    for line in text.splitlines():
        try:
            item: Any = json.loads(line)
            if item.get("file") and (folder / item["file"]).is_file():
                found.add(item["url"])
        except (ValueError, AttributeError, KeyError, TypeError):
            continue
    if text and not text.endswith("\n"):
        with log.open("a", encoding="utf-8") as file:
            file.write("\n")
    return found


def _fetch_all(
    urls: list[str], folder: Path, log: TextIO, limits: FetchLimits, manners: RateLimits, progress: Progress
) -> dict[str, str]:
    """Download in turns over the hosts, with at most `per_host` workers for each."""
    waiting: defaultdict[str, deque[str]] = defaultdict(deque)
    for url in urls:
        waiting[_host(url)].append(url)
    hosts, busy = deque(waiting), defaultdict[str, int](int)
    running: dict[Future[str], str] = {}
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(manners.workers) as pool, progress("fetching", len(urls), "images") as advance:
        stop = threading.Event()
        try:
            while running or any(waiting.values()):
                for _ in range(len(hosts)):
                    host = hosts[0]
                    hosts.rotate(-1)
                    while waiting[host] and busy[host] < manners.per_host and len(running) < manners.workers:
                        url = waiting[host].popleft()
                        busy[host] += 1
                        running[pool.submit(_keep, url, folder, limits, manners.pause, stop)] = url
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    url = running.pop(future)
                    busy[_host(url)] -= 1
                    _note(url, future, log, failed)
                advance(len(done))
        except BaseException:  # an interruption leaves what was fetched, logged
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def _note(url: str, future: "Future[str]", log: TextIO, failed: dict[str, str]) -> None:
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


def _keep(url: str, folder: Path, limits: FetchLimits, pause: float, stop: threading.Event) -> str:
    """Fetch one image into the folder, whole or not at all; its name there."""
    image = None
    for attempt in range(_TRIES):
        try:
            image = fetch(url, limits)
            break
        except FetchError as error:
            last = attempt == _TRIES - 1
            if error.wait is None or error.wait > _LONGEST_WAIT or last or stop.is_set():
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
