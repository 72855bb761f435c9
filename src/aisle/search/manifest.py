"""The manifest of an index (`index.json`), the lock of its writer, and the recovery after a killed writer."""

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

from aisle.atomic_files import atomic_text
from aisle.errors import SearchError
from aisle.search.filters import FilterColumn

try:
    import fcntl
except ImportError:  # Windows: an index is not locked there
    fcntl = None

FORMAT_VERSION = 1
MANIFEST = "index.json"
_LOCK = ".lock"


@dataclass(frozen=True)
class SegmentRef:
    """A segment of a version.

    Attributes:
        name: Name of its files, without the ending.
        rows: Number of its live rows.
        tombstones: File with the positions of its deleted rows; empty if there are none.
    """

    name: str
    rows: int
    tombstones: str = ""


@dataclass(frozen=True)
class IndexVersion:
    """One state of the rows of an index.

    Attributes:
        number: From 1, one more for each write.
        rows: Number of live rows.
        made: Time of the write, ISO 8601 in UTC.
        parts: Its segments.
    """

    number: int
    rows: int
    made: str
    parts: tuple[SegmentRef, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """The content of `index.json`.

    Attributes:
        model_id: Id of the model that computed the vectors.
        model: Path of that model.
        views: Modality of each of the model's views, by name.
        dim: Width of a vector.
        columns: Fields to filter by.
        text_field: Field that holds the words of a query.
        versions: Versions that can be opened, oldest first.
    """

    model_id: str
    model: str
    views: dict[str, str]
    dim: int
    columns: dict[str, FilterColumn]
    text_field: str = "title"
    versions: tuple[IndexVersion, ...] = ()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an index.

    Args:
        folder: Folder of the index.

    Raises:
        SearchError: There is no index, or this version of Aisle cannot read it.
    """
    file = folder / MANIFEST
    recover(folder)
    try:
        data = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        problem = "is no index: it has no index.json" if folder.is_dir() else "is not there"
        raise SearchError(f"{folder} {problem}. Make one: aisle index RUN FILE --out {folder}") from None
    except (OSError, ValueError) as error:
        raise SearchError(f"{file} cannot be read: {error}") from error
    try:
        if data.pop("format_version") > FORMAT_VERSION:
            raise SearchError(f"{folder} was made by a newer Aisle: upgrade, or index again")
        columns = {name: FilterColumn(**column) for name, column in data.pop("columns").items()}
        versions = tuple(
            IndexVersion(**{**version, "parts": tuple(SegmentRef(**part) for part in version["parts"])})
            for version in data.pop("versions")
        )
        return Manifest(columns=columns, versions=versions, **data)
    except (KeyError, TypeError, AttributeError) as error:
        raise SearchError(f"{file} is damaged ({error}): index again") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of an index, which commits a version."""
    columns = {name: column._asdict() for name, column in manifest.columns.items()}
    data: Mapping[str, Any] = {"format_version": FORMAT_VERSION, **asdict(manifest), "columns": columns}
    with atomic_text(folder / MANIFEST) as handle:
        json.dump(data, handle, ensure_ascii=False, indent=1)
    _sync(folder)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Lock an index for writing; the lock is released when its process ends.

    Args:
        folder: Folder of the index.

    Raises:
        SearchError: Another process is writing, or the folder is not writable.
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
    """Check that an index can be created in a folder.

    Args:
        folder: Folder of the new index.
        replace: Allow an index that is already there.

    Raises:
        SearchError: The folder holds something else, or an index without `replace`.
    """
    recover(folder)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        if not (folder / MANIFEST).exists():
            raise SearchError(f"{folder} exists and is no index: choose another folder")
        if not replace:
            raise SearchError(f"{folder} exists: add to it (--add), or replace it (--replace)")


@contextlib.contextmanager
def new_folder(folder: Path, replace: bool) -> Iterator[Path]:
    """Build a folder under a temporary name and rename it at the end.

    Args:
        folder: Final name of the folder.
        replace: Allow an index that is already there.

    Yields:
        The temporary folder.

    Raises:
        SearchError: The folder holds something else, or an index without `replace`; or a write failed.
    """
    check_vacant(folder, replace)
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        temporary.mkdir(parents=True)
        with writing(temporary):
            yield temporary
            old = temporary.with_suffix(".old")
            if folder.exists():
                folder.rename(old)
            temporary.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
            _sync(folder.parent)
    except OSError as error:
        raise SearchError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def recover(folder: Path) -> None:
    """Restore the folder that a killed writer moved away, and remove its temporary folders."""
    name = glob.escape(folder.name)
    for old in folder.parent.glob(f".{name}.*.old"):
        with contextlib.suppress(OSError):
            shutil.rmtree(old) if folder.exists() else old.rename(folder)
    for partial in folder.parent.glob(f".{name}.*.part"):
        with contextlib.suppress(SearchError), writing(partial):  # a running writer holds its lock
            shutil.rmtree(partial, ignore_errors=True)


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):  # a file system whose folders cannot be synced
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
