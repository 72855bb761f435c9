"""The folder of a saved model: written atomically, checked completely. No torch here.

`aisle.json` lists every file with its size and SHA-256, and carries a hash of itself, so a truncated or
edited file is detected.
"""

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from aisle.errors import BundleError, first_line

try:
    import fcntl
except ImportError:  # Windows has no such locks: two writers of one bundle are not kept apart
    fcntl = None

MANIFEST = "aisle.json"
_MANIFEST_BYTES = 64 << 20
_MODEL_ID = re.compile("[0-9a-f]{12}|unsaved")  # an exported model may have been made of one never saved
_SUBFOLDERS = ("views", "graphs", "encoders", "members", "stages")  # read by a loader
Result = TypeVar("Result")


def write_folder(
    folder: Path, write: Callable[[Path], Result], also: tuple[type[Exception], ...] = ()
) -> Result:
    """Write a bundle into a temporary folder and rename it: a killed writer leaves the old one or the new.

    Args:
        folder: a new folder, or a bundle, which is replaced.
        write: called with the temporary folder.
        also: exceptions, besides OSError, of a disk that cannot be written.

    Returns:
        The result of `write`.

    Raises:
        BundleError: the folder exists and is no bundle, or cannot be written.
    """
    recover(folder)
    check_vacant(folder)
    part = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        part.mkdir(parents=True)
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # a file system without locks
                stack.enter_context(lock_folder(part))
            result = write(part)
            old = part.with_suffix(".old")
            if folder.exists():
                folder.rename(old)
            try:
                part.rename(folder)  # killed just before, `recover` does this
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, *also) as error:
        reason = getattr(error, "strerror", None) or error
        raise BundleError(f"{folder} cannot be written: {reason}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return result


def check_vacant(folder: Path) -> None:
    """Check that a bundle may be written to this path: it does not exist, or is a bundle.

    Raises:
        BundleError: it is a file, or a folder that holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise BundleError(f"{folder} is a file; name a folder")
    if folder.exists() and not (folder / MANIFEST).exists() and any(folder.iterdir()):
        raise BundleError(f"{folder} exists and holds something else; name a new folder")


def recover(folder: Path) -> None:
    """Finish or remove the temporary folders of a killed writer.

    A writer that was killed between its two renames has left the new bundle, whole, and the old one, both
    hidden. A writer that still runs is waited for where there is no bundle, else left alone.
    """
    for part in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
        try:
            with lock_folder(part, wait=not folder.exists()):
                if not folder.exists() and _is_whole(part):
                    part.rename(folder)
                else:
                    shutil.rmtree(part, ignore_errors=True)
        except OSError:  # its writer runs or has just finished, or the folder is read-only
            continue
    for old in folder.parent.glob(f".{glob.escape(folder.name)}.*.old"):
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                old.rename(folder)


def _is_whole(folder: Path) -> bool:
    try:
        return bool(checked_manifest(folder, None))
    except BundleError:
        return False


@contextlib.contextmanager
def lock_folder(folder: Path, wait: bool = True) -> Iterator[None]:
    """Lock a folder that one process writes. The lock ends with the process.

    Raises:
        BlockingIOError: another process holds it (without `wait`).
        OSError: the folder is gone, or its file system has no locks.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def find(folder: Path) -> Path:
    """The folder of the bundle: this one, or `model` inside a run's.

    Raises:
        BundleError: the folder is not there, or a run that has not finished.
    """
    inside = folder / "model"
    for bundle in (folder, inside):
        recover(bundle)
    if not (folder / MANIFEST).exists() and (inside / MANIFEST).exists():
        return inside
    if not folder.exists():
        raise BundleError(f"there is no folder {folder}")
    if (folder / "recipe.toml").exists() and not (folder / MANIFEST).exists():
        raise BundleError(f"the run in {folder} has not finished; continue it with --resume")
    return folder


def runtime_of(folder: Path) -> str:
    """The kind of model in a folder: `torch`, `linear`, `onnx`, `cascade`, `ensemble` or `migrated`; `torch`
    where the folder is no bundle."""
    try:
        runtime = read_manifest(folder).get("runtime", "torch")
    except (BundleError, AttributeError):
        return "torch"
    return runtime if isinstance(runtime, str) else "torch"


def checked_manifest(folder: Path, format_version: int | None) -> dict[str, Any]:
    """Read a bundle's manifest, and check that the folder holds exactly the files that it lists.

    Args:
        folder: the bundle.
        format_version: the format to accept; None for any.

    Raises:
        BundleError: the manifest is malformed; a file is missing, truncated, edited or not listed; or the
            format is another.
    """
    file = folder / MANIFEST
    if not file.exists():
        raise BundleError(f"{folder} is not a saved model: it has no {MANIFEST}")
    manifest = read_manifest(folder)
    try:
        version, files, sealed = manifest["format_version"], manifest["files"], manifest.pop("seal")
        own_seal = seal(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{file} is damaged: {first_line(error)}") from error
    if format_version is not None and (type(version) is not int or version != format_version):
        advice = ": upgrade Aisle" if isinstance(version, int) and version > format_version else ""
        known = f"this Aisle reads format {format_version}"
        raise BundleError(f"{folder} has format {version!s:.40}; {known}{advice}")
    if own_seal != sealed:
        raise BundleError(f"{file} was edited: its content does not match its seal")
    name = manifest.get("model_id")
    if not isinstance(files, dict) or not isinstance(name, str) or not _MODEL_ID.fullmatch(name):
        raise BundleError(f"{file} is damaged: it needs a table `files` and a `model_id` of 12 hex digits")
    for name, expected in files.items():
        try:
            _check_file(folder, name, expected)
        except (OSError, ValueError) as error:
            raise BundleError(f"{folder}: file {name!r:.80} cannot be read: {first_line(error)}") from error
    _refuse_unlisted(folder, files)
    return manifest


def read_manifest(folder: Path) -> Any:
    """The content of the manifest, unchecked. Only a regular file of usual size is opened.

    Raises:
        BundleError: it is no such file, or no JSON.
    """
    file = folder / MANIFEST
    try:
        if not file.is_file():
            raise BundleError(f"{file} is not a regular file")
        if file.stat().st_size > _MANIFEST_BYTES:
            raise BundleError(
                f"{file} is damaged: {file.stat().st_size:,} bytes are more than a manifest has"
            )
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file} is damaged: {first_line(error)}") from error


def _check_file(folder: Path, name: str, expected: Any) -> None:
    """Check that a listed file is in the folder and has the listed size and hash."""
    path = folder / name
    parts = PurePosixPath(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise BundleError(f"{folder / MANIFEST} is damaged: {name!r:.80} is no path inside the folder")
    if not isinstance(expected, dict) or not isinstance(expected.get("bytes"), int):
        raise BundleError(f"{folder / MANIFEST} is damaged: it lists no size of {name!r:.80}")
    if not path.exists():
        raise BundleError(f"{folder} is incomplete: {name} is missing; copy the folder again")
    if not path.is_file():
        raise BundleError(f"{path} is not a regular file; copy the folder again")
    if path.stat().st_size != expected["bytes"]:
        raise BundleError(
            f"{path} is truncated or edited: {path.stat().st_size:,} bytes, not {expected['bytes']:,}"
        )
    if describe_file(path) != expected:
        raise BundleError(f"{path} was edited or damaged: its content does not match its checksum")


def _refuse_unlisted(folder: Path, files: Mapping[str, Any]) -> None:
    """Check that the manifest lists every file that a loader could read: in the folder, or in one of its own
    subfolders. A saved model in one of those is checked by its own manifest. Hidden files of the system and
    other folders, such as `report/`, are never read."""
    directories = [(folder, [], [f.name for f in folder.iterdir() if not f.is_dir() and f.name[0] != "."])]
    for name in _SUBFOLDERS:
        directories += [(Path(path), inside, names) for path, inside, names in os.walk(folder / name)]
    models: list[Path] = []
    for directory, _, names in directories:
        if any(directory.is_relative_to(model) for model in models):
            continue
        if directory != folder and (directory / MANIFEST).relative_to(folder).as_posix() in files:
            models.append(directory)
            continue
        for name in names:
            path = (directory / name).relative_to(folder).as_posix()
            if path not in files and path != MANIFEST:
                raise BundleError(f"{folder} holds {path}, which {MANIFEST} does not list: remove it")


def describe_file(file: Path) -> dict[str, Any]:
    """Size and hash of a file."""
    with file.open("rb") as handle:
        if not file.stat().st_size:  # such as /proc: reading it may never end
            return {"bytes": 0, "sha256": hashlib.sha256().hexdigest()}
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(handle, "sha256").hexdigest()}


def describe_files(folder: Path, members_folder: str | None = None) -> dict[str, Any]:
    """Size and hash of every file, by its path in the folder.

    Args:
        folder: The folder.
        members_folder: A subfolder of whole models. Only their manifests are listed, which list the rest.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = {file.relative_to(folder).as_posix(): file for file in files}
    if members_folder is not None:
        own_files = re.compile(
            rf"(?!{re.escape(members_folder)}/).*|[^/]+/[^/]+/{re.escape(MANIFEST)}", re.DOTALL
        )
        names = {name: file for name, file in names.items() if own_files.fullmatch(name)}
    return {name: describe_file(file) for name, file in names.items()}


def seal(data: dict[str, Any]) -> str:
    """A hash of JSON data: 12 hex digits."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def write_json(file: Path, data: Any) -> None:
    """Write JSON as indented UTF-8."""
    file.write_text(json.dumps(data, ensure_ascii=False, indent=1))
