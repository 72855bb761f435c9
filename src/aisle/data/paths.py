"""Paths of local files, and of files in object stores and other file systems (`s3://…`)."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard, cast

from aisle.data.addresses import Address, is_address, to_address
from aisle.errors import AisleError, CatalogError, extra, first_line

_LOCAL = {"file", "local"}
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def to_path(location: str | Path) -> Path:
    """Convert text to a path; a path in another file system opens, lists and joins like a `Path`.

    Raises:
        CatalogError: The file system is unknown.
        MissingExtraError: The package for the file system is not installed.
    """
    if not isinstance(location, str):
        return location
    kind, sign, rest = location.partition("://")
    if not sign or kind in _LOCAL:
        return Path(rest if sign else location)
    kind, text = kind.lower(), location
    upath, fsspec = extra("upath", "s3", text), extra("fsspec", "s3", text)
    if kind not in fsspec.available_protocols():
        raise CatalogError(f"{text}: no file system is called {kind!r}; s3://, gs://, az://, sftp:// … are")
    if kind in _PACKAGES:
        extra(_PACKAGES[kind], "s3", text)
    try:  # without a cache, so that new files of other processes are listed
        return cast(Path, upath.UPath(text, use_listings_cache=False))
    except ImportError as error:
        raise CatalogError(f"{text}: {first_line(error)}") from None
    except (ValueError, TypeError) as error:
        raise CatalogError(f"{text}: not an address of a file: {first_line(error)}") from error


def is_path(source: Any) -> TypeGuard[str | Path]:
    """Whether a source is a path, local or remote."""
    return isinstance(source, str | Path | Address) or hasattr(source, "storage_options")


def is_remote(path: Any) -> bool:
    """Whether a path is in another file system than the local one."""
    return not isinstance(path, Path)


def expand_pattern(location: str | Path) -> list[Path]:
    """The files of a pattern in another file system, such as `s3://bucket/day/*.parquet`; others as they are.

    Raises:
        CatalogError: No file matches the pattern; and as `to_path`.
    """
    if is_address(location):
        return [cast(Path, to_address(location))]
    path = to_path(location)
    if not is_remote(path) or not re.search(r"[*?\[]", str(path)):
        return [path]
    with wrap_store_errors(path):
        store: Any = path
        files = sorted(store.fs.glob(store.path))
        if not files:
            raise CatalogError(f"{path}: no file is of that pattern")
        return [to_path(store.fs.unstrip_protocol(name)) for name in files]


@contextmanager
def wrap_store_errors(path: object, kind: type[AisleError] = CatalogError) -> Iterator[None]:
    """Convert exceptions of the library of an object store to one-line errors.

    Raises:
        AisleError: The store cannot be reached, or it refuses.
    """
    try:
        yield
    except store_errors() as error:
        raise kind(f"{path}: {first_line(error)}") from error


def store_errors() -> tuple[type[Exception], ...]:
    """Exceptions other than OSError that the imported libraries of object stores raise."""
    errors: list[type[Exception]] = []
    for module, names in (
        ("botocore.exceptions", ("BotoCoreError", "ClientError")),
        ("aiohttp", ("ClientError",)),
    ):
        if module in sys.modules:
            errors += [getattr(sys.modules[module], name) for name in names]
    return tuple(errors)
