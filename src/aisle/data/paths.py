"""Where files lie: paths of this machine, and addresses of object stores and other file systems (`s3://…`)."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard, cast

from aisle.errors import AisleError, CatalogError, extra, first_line

_LOCAL = {"file", "local"}
_NEEDS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def to_path(place: str | Path) -> Path:
    """A path, or what stands for one in another file system: it opens, lists and joins as a path does.

    Raises:
        CatalogError: no known file system has such addresses.
        MissingExtraError: the package that speaks to it is not installed.
    """
    if not isinstance(place, str):
        return place
    kind, sign, rest = place.partition("://")
    if not sign or kind in _LOCAL:
        return Path(rest if sign else place)
    kind, text = kind.lower(), place
    upath, fsspec = extra("upath", "s3", text), extra("fsspec", "s3", text)
    if kind not in fsspec.available_protocols():
        raise CatalogError(f"{text}: no file system is called {kind!r}; s3://, gs://, az://, sftp:// … are")
    if kind in _NEEDS:
        extra(_NEEDS[kind], "s3", text)
    try:  # a listing kept from before would hide what another process has written since
        return cast(Path, upath.UPath(text, use_listings_cache=False))
    except ImportError as error:
        raise CatalogError(f"{text}: {first_line(error)}") from None
    except (ValueError, TypeError) as error:
        raise CatalogError(f"{text}: not an address of a file: {first_line(error)}") from error


def is_path(source: Any) -> TypeGuard[str | Path]:
    """Whether it names a file or folder, here or elsewhere."""
    return isinstance(source, str | Path) or hasattr(source, "storage_options")


def is_remote(path: Any) -> bool:
    """Whether it lies in another file system than this machine's."""
    return not isinstance(path, Path)


def expand_pattern(place: str | Path) -> list[Path]:
    """The file meant, or the several that a pattern (`s3://bucket/day/*.parquet`) means: shells expand local
    ones alone.

    Raises:
        CatalogError: no file is of that pattern; and as `located`.
    """
    path = to_path(place)
    if not is_remote(path) or not re.search(r"[*?\[]", str(path)):
        return [path]
    with wrap_store_errors(path):
        store: Any = path
        found = sorted(store.fs.glob(store.path))
        if not found:
            raise CatalogError(f"{path}: no file is of that pattern")
        return [to_path(store.fs.unstrip_protocol(name)) for name in found]


@contextmanager
def wrap_store_errors(path: object, kind: type[AisleError] = CatalogError) -> Iterator[None]:
    """Whatever a store's library raises becomes one line of ours.

    Raises:
        AisleError: the store cannot be reached, or it refuses.
    """
    try:
        yield
    except store_errors() as error:
        raise kind(f"{path}: {first_line(error)}") from error


def store_errors() -> tuple[type[Exception], ...]:
    """What the libraries of object stores raise that is no OSError, of those that are imported."""
    found: list[type[Exception]] = []
    for module, names in (
        ("botocore.exceptions", ("BotoCoreError", "ClientError")),
        ("aiohttp", ("ClientError",)),
    ):
        if module in sys.modules:
            found += [getattr(sys.modules[module], name) for name in names]
    return tuple(found)
