"""A saved model's folder, whatever answers in it: whole or refused. No torch here.

`aisle.json` lists every file with its size and SHA-256 and is itself sealed by a hash of all it says, so a
truncated or edited file is noticed.
"""

import contextlib
import glob
import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from aisle.errors import BundleError

try:
    import fcntl
except ImportError:  # Windows: two writers of one bundle are not told apart there
    fcntl = None

MANIFEST = "aisle.json"
Made = TypeVar("Made")


def write_folder(folder: Path, write: Callable[[Path], Made], also: tuple[type[Exception], ...] = ()) -> Made:
    """Have a bundle written beside and rename it into place: a killed writer leaves the old one or the new.

    also: what else than OSError the writing raises where the disk refuses.

    Raises:
        BundleError: the folder exists and is no bundle, or cannot be written.
    """
    recover(folder)
    if folder.exists() and not (folder / MANIFEST).exists() and any(folder.iterdir()):
        raise BundleError(f"{folder} exists and holds something else; name a new folder")
    beside = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        beside.mkdir(parents=True)
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # a file system without locks
                stack.enter_context(_held(beside))
            made = write(beside)
            old = beside.with_suffix(".old")
            if folder.exists():
                folder.rename(old)
            try:
                beside.rename(folder)  # killed just before, `recover` does this
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, *also) as error:
        why = getattr(error, "strerror", None) or error
        raise BundleError(f"{folder} cannot be written: {why}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return made


def recover(folder: Path) -> None:
    """Finish, or clear away, what a writer of this bundle that was killed has left.

    Killed between its two renames it leaves no folder, but the new bundle, whole, and the old one. A writer
    still at work is waited for, or left alone.
    """
    for beside in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
        try:
            with _held(beside, wait=not folder.exists()):
                if not folder.exists() and _is_whole(beside):
                    beside.rename(folder)
                else:
                    shutil.rmtree(beside, ignore_errors=True)
        except OSError:  # its writer is at work or has just finished, or this place may only be read
            continue
    for old in folder.parent.glob(f".{glob.escape(folder.name)}.*.old"):
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                old.rename(folder)


def _is_whole(folder: Path) -> bool:
    try:
        return bool(checked_manifest(folder, 0, sys.maxsize))
    except BundleError:
        return False


@contextlib.contextmanager
def _held(folder: Path, wait: bool = True) -> Iterator[None]:
    """Hold a writer's folder: the lock ends with its process, however that ends.

    Raises:
        OSError: another process holds it (without `wait`), or the folder is gone.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def find(folder: Path) -> Path:
    """The bundle that is meant: this folder, or the one inside a run's.

    Raises:
        BundleError: the folder is not there, or a run that has not finished.
    """
    inside = folder / "model"
    for place in (folder, inside):
        recover(place)
    if not (folder / MANIFEST).exists() and (inside / MANIFEST).exists():
        return inside
    if not folder.exists():
        raise BundleError(f"there is no folder {folder}")
    if (folder / "recipe.toml").exists() and not (folder / MANIFEST).exists():
        raise BundleError(f"the run in {folder} has not finished; continue it with --resume")
    return folder


def runtime_of(folder: Path) -> str:
    """What answers in this folder: `onnx`, `cascade`; `torch` where it does not say, or is no bundle."""
    try:
        return json.loads((folder / MANIFEST).read_text()).get("runtime", "torch")
    except (OSError, ValueError, AttributeError):
        return "torch"


def checked_manifest(folder: Path, oldest: int, newest: int) -> dict[str, Any]:
    """What the manifest says, every file being as it says. oldest, newest: formats that are read.

    Raises:
        BundleError: a file is missing, truncated or edited, or the format is another.
    """
    file = folder / MANIFEST
    if not file.is_file():
        raise BundleError(f"{folder} is not a saved model: it has no {MANIFEST}")
    try:
        manifest = json.loads(file.read_text())
        found, files, sealed = manifest["format_version"], manifest["files"], manifest.pop("seal")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{file} is damaged: {error}") from error
    if not isinstance(found, int) or found < oldest:
        raise BundleError(f"{folder} has format {found}; this Aisle reads {oldest} to {newest}")
    if found > newest:
        raise BundleError(f"{folder} has format {found}; this Aisle reads up to {newest}: upgrade Aisle")
    if seal(manifest) != sealed:
        raise BundleError(f"{file} was edited: its content does not match its seal")
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{folder} is incomplete: {name} is missing; copy the folder again")
        if path.stat().st_size != expected["bytes"]:
            raise BundleError(
                f"{path} is truncated or edited: {path.stat().st_size:,} bytes, not {expected['bytes']:,}"
            )
        if _describe(path) != expected:
            raise BundleError(f"{path} was edited or damaged: its content does not match its checksum")
    return manifest


def _describe(file: Path) -> dict[str, Any]:
    with file.open("rb") as handle:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(handle, "sha256").hexdigest()}


def described(folder: Path) -> dict[str, Any]:
    """Size and hash of every file, by its path in the folder."""
    return {str(f.relative_to(folder)): _describe(f) for f in sorted(folder.rglob("*")) if f.is_file()}


def seal(data: dict[str, Any]) -> str:
    """Twelve hex digits that change when anything said does."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def write_json(file: Path, data: Any) -> None:
    """UTF-8, indented."""
    file.write_text(json.dumps(data, ensure_ascii=False, indent=1))
