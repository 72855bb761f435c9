"""What an index says of itself (`index.json`), who may write it, and how it comes to be whole or not."""

import contextlib
import glob
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aisle.errors import SearchError
from aisle.search.filters import FilterColumn

try:
    import fcntl
except ImportError:  # Windows: two writers of one index are not told apart there
    fcntl = None

FORMAT_VERSION = 1
MANIFEST = "index.json"
_LOCK = ".lock"


@dataclass(frozen=True)
class SegmentRef:
    """A segment in a version: its name, how many of its rows count, and the file that says which do not."""

    name: str
    rows: int
    tombstones: str = ""


@dataclass(frozen=True)
class IndexVersion:
    """One state of the rows: its number, how many there are, when it was made, what holds them."""

    number: int
    rows: int
    made: str
    parts: tuple[SegmentRef, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """model_id, model: whose vectors these are, and where that model lies. views: what it reads, name ->
    modality; text_field: where it looks for words. columns: what can be filtered by. versions: oldest
    first."""

    model_id: str
    model: str
    views: dict[str, str]
    dim: int
    columns: dict[str, FilterColumn]
    text_field: str = "title"
    versions: tuple[IndexVersion, ...] = ()


def read_manifest(folder: Path) -> Manifest:
    """Raises:
    SearchError: there is no index, or one that this Aisle cannot read.
    """
    file = folder / MANIFEST
    recover(folder)
    try:
        data = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        what = "is no index: it has no index.json" if folder.is_dir() else "is not there"
        raise SearchError(f"{folder} {what}. Make one: aisle index RUN FILE --out {folder}") from None
    except (OSError, ValueError) as error:
        raise SearchError(f"{file} cannot be read: {error}") from error
    try:
        if data.pop("format_version") > FORMAT_VERSION:
            raise SearchError(f"{folder} was made by a newer Aisle: upgrade, or index again")
        columns = {name: FilterColumn(**column) for name, column in data.pop("columns").items()}
        versions = tuple(
            IndexVersion(**{**told, "parts": tuple(SegmentRef(**part) for part in told["parts"])})
            for told in data.pop("versions")
        )
        return Manifest(columns=columns, versions=versions, **data)
    except (KeyError, TypeError, AttributeError) as error:
        raise SearchError(f"{file} is damaged ({error}): index again") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Beside, on disk, then renamed: this is what commits a version."""
    columns = {name: column._asdict() for name, column in manifest.columns.items()}
    data: Mapping[str, Any] = {"format_version": FORMAT_VERSION, **asdict(manifest), "columns": columns}
    beside = folder / f".{MANIFEST}.{uuid.uuid4().hex[:8]}.part"
    try:
        with beside.open("w", encoding="utf-8") as handle:
            json.dump(data, handle, ensure_ascii=False, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(folder / MANIFEST)
        _sync(folder)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the only writer of an index; the lock ends with its process, however that ends.

    Raises:
        SearchError: another process is writing, or the folder may not be written.
    """
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise SearchError(f"{folder} cannot be written: {error.strerror}") from error
    try:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise SearchError(f"another process is writing to {folder}: wait for it to end") from None
        yield
    except OSError as error:
        raise SearchError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        os.close(handle)


def check_vacant(folder: Path, replace: bool) -> None:
    """Whether an index may be made here.

    Raises:
        SearchError: there is something already (unless it is an index and `replace`).
    """
    recover(folder)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        if not (folder / MANIFEST).exists():
            raise SearchError(f"{folder} exists and is no index: name another place")
        if not replace:
            raise SearchError(f"{folder} exists: add to it (--add), or make it anew (--replace)")


@contextlib.contextmanager
def new_folder(folder: Path, replace: bool) -> Iterator[Path]:
    """A folder beside to build in, renamed into place at the end; killed before, nothing of it is seen.

    Raises:
        SearchError: there is something already (unless it is an index and `replace`), or the disk refuses.
    """
    check_vacant(folder, replace)
    beside = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        beside.mkdir(parents=True)
        with writing(beside):
            yield beside
            old = beside.with_suffix(".old")
            if folder.exists():
                folder.rename(old)
            beside.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
            _sync(folder.parent)
    except OSError as error:
        raise SearchError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def recover(folder: Path) -> None:
    """Put back what a builder killed between its two renames has moved away, and clear what it left."""
    name = glob.escape(folder.name)
    for old in folder.parent.glob(f".{name}.*.old"):
        with contextlib.suppress(OSError):
            shutil.rmtree(old) if folder.exists() else old.rename(folder)
    for left in folder.parent.glob(f".{name}.*.part"):
        with contextlib.suppress(SearchError), writing(left):  # a builder at work holds its lock
            shutil.rmtree(left, ignore_errors=True)


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):  # a file system whose folders cannot be synced
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
