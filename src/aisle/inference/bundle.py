"""A model in a folder: safetensors and JSON, never pickle; whole or refused (design rule 5).

`aisle.json` lists every file with its size and SHA-256 and is itself sealed by a hash of all it says, so a
truncated or edited file is noticed. `model_id` is a hash of what decides the answers, not of what was
measured of them. Nothing is fetched while loading.
"""

import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from aisle.decision import Policy
from aisle.errors import AisleError, BundleError
from aisle.inference.card import model_card
from aisle.inference.memory import Memory
from aisle.inference.predictor import Predictor
from aisle.model.parts import Context
from aisle.model.spec import ModelSpec, build, encoder_class, validated
from aisle.taxonomy import Taxonomy

try:
    import fcntl
except ImportError:  # Windows: two writers of one bundle are not told apart there
    fcntl = None

FORMAT_VERSION = 1
MANIFEST = "aisle.json"


class Content(NamedTuple):
    """What changes between formats: `network` (network.json) and the weights' `tensors`."""

    network: dict[str, Any]
    tensors: dict[str, Tensor]


# What turns the content of an older format into the next one's: {from_version: function}.
UPGRADES: dict[int, Callable[[Content], Content]] = {}


def save(predictor: Predictor, folder: Path) -> Predictor:
    """Write a bundle beside and rename it into place: a killed writer leaves the old one or the new one.

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
            saved = _write(predictor, beside)
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
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise BundleError(f"{folder} cannot be written: {why}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return saved


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
        return bool(_checked_manifest(folder))
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


def _write(predictor: Predictor, folder: Path) -> Predictor:
    for name, preparer in predictor.preparers.items():
        preparer.save(folder / "views" / name)
    encoders = predictor.model.encoders
    configs = {name: e.config for name, e in encoders.items() if getattr(e, "config", None)}
    network = {
        "spec": predictor.spec.model_dump(mode="json", exclude_none=True),
        "configs": configs,
        "terminal_counts": np.asarray(predictor.context.counts).tolist(),
    }
    # Cloned: tied weights would share memory, which safetensors refuses.
    state = predictor.model.state_dict()
    tensors = {k: _halved(v.detach().cpu()).contiguous().clone() for k, v in state.items()}
    save_file(tensors, str(folder / "weights.safetensors"))
    seen = np.sort(np.asarray(predictor.seen_keys, dtype=np.uint64))
    (folder / "seen.bin").write_bytes(seen.astype("<u8").tobytes())
    _write_json(folder / "network.json", network)
    (folder / "taxonomy.json").write_text(predictor.taxonomy.to_json())
    (folder / "policy.json").write_text(predictor.policy.to_json())
    if predictor.memory is not None:
        predictor.memory.save(folder)
    model_id = _seal(_described(folder))
    _write_json(folder / "results.json", dict(predictor.results))
    (folder / "README.md").write_text(model_card(predictor, model_id))
    files = _described(folder)
    versions = {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy", "pillow")}
    manifest = {
        "format_version": FORMAT_VERSION,
        "model_id": model_id,
        "aisle": version("aisle"),
        "versions": versions,
        "files": files,
    }
    _write_json(folder / MANIFEST, {**manifest, "seal": _seal(manifest)})
    return dataclasses.replace(predictor, model_id=model_id)


def load(folder: Path, trust_code: bool = False) -> Predictor:
    """Read a bundle.

    Raises:
        BundleError: it is missing, truncated, edited, or from a newer version.
        RecipeError: it names code from outside Aisle and `trust_code` is False.
    """
    recover(folder)
    manifest = _checked_manifest(folder)
    try:
        return _read(folder, manifest, trust_code)
    except AisleError:
        raise
    except Exception as error:  # whatever a malformed but sealed file makes its reader raise
        raise BundleError(f"{folder}: cannot be read: {type(error).__name__}: {error}") from error


def load_run(folder: Path, trust_code: bool = False) -> Predictor:
    """Read a bundle, or the one inside a run's folder.

    Raises:
        BundleError, RecipeError: as `load`; also a folder that is not there, a run that has not finished.
    """
    inside = folder / "model"
    for place in (folder, inside):
        recover(place)
    if not (folder / MANIFEST).exists() and (inside / MANIFEST).exists():
        folder = inside
    elif not folder.exists():
        raise BundleError(f"there is no folder {folder}")
    elif (folder / "recipe.toml").exists() and not (folder / MANIFEST).exists():
        raise BundleError(f"the run in {folder} has not finished; continue it with --resume")
    return load(folder, trust_code)


def _read(folder: Path, manifest: dict[str, Any], trust_code: bool) -> Predictor:
    content = Content(
        json.loads((folder / "network.json").read_text()), load_file(str(folder / "weights.safetensors"))
    )
    for step in range(manifest["format_version"], FORMAT_VERSION):
        content = UPGRADES[step](content)
    network, tensors = content
    taxonomy = Taxonomy.from_json((folder / "taxonomy.json").read_text())
    spec = validated(ModelSpec, network["spec"], f"{folder}/network.json")
    preparers = {}
    for name, view in spec.views.items():
        prepare_class = encoder_class(view, trust_code).prepare_class
        preparers[name] = prepare_class.load(folder / "views" / name)
    counts = np.array(network["terminal_counts"], dtype=np.int64)
    vectors = tensors.get("head.class_vectors")
    class_vectors = vectors.numpy() if vectors is not None else np.zeros((len(taxonomy), 1), np.float32)
    context = Context(taxonomy, counts, class_vectors)
    model = build(spec, preparers, context, network["configs"], trust_code)
    model.load_state_dict(tensors)
    return Predictor(
        spec=spec,
        context=context,
        preparers=preparers,
        model=model.eval(),
        policy=Policy.from_json((folder / "policy.json").read_text()),
        model_id=manifest["model_id"],
        seen_keys=np.frombuffer((folder / "seen.bin").read_bytes(), dtype="<u8").astype(np.uint64),
        results=json.loads((folder / "results.json").read_text()),
        memory=Memory.load(folder) if (folder / "neighbours.json").exists() else None,
    )


def _checked_manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    if not file.is_file():
        raise BundleError(f"{folder} is not a saved model: it has no {MANIFEST}")
    try:
        manifest = json.loads(file.read_text())
        found, files, seal = manifest["format_version"], manifest["files"], manifest.pop("seal")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{file} is damaged: {error}") from error
    oldest = min(UPGRADES, default=FORMAT_VERSION)
    if not isinstance(found, int) or found < oldest:
        raise BundleError(f"{folder} has format {found}; this Aisle reads {oldest} to {FORMAT_VERSION}")
    if found > FORMAT_VERSION:
        raise BundleError(
            f"{folder} has format {found}; this Aisle reads up to {FORMAT_VERSION}: upgrade Aisle"
        )
    if _seal(manifest) != seal:
        raise BundleError(f"{file} was edited: its content does not match its seal")
    for name, described in files.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{folder} is incomplete: {name} is missing; copy the folder again")
        if path.stat().st_size != described["bytes"]:
            raise BundleError(
                f"{path} is truncated or edited: {path.stat().st_size:,} bytes, not {described['bytes']:,}"
            )
        if _describe(path) != described:
            raise BundleError(f"{path} was edited or damaged: its content does not match its checksum")
    return manifest


def _describe(file: Path) -> dict[str, Any]:
    with file.open("rb") as handle:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(handle, "sha256").hexdigest()}


def _halved(tensor: Tensor) -> Tensor:
    """In half precision where that loses nothing: folded tables were rounded to it (aisle.training.axes)."""
    if tensor.dtype != torch.float32 or tensor.numel() < 1_000_000:
        return tensor
    half = tensor.half()
    return half if torch.equal(half.float(), tensor) else tensor


def _described(folder: Path) -> dict[str, Any]:
    return {str(f.relative_to(folder)): _describe(f) for f in sorted(folder.rglob("*")) if f.is_file()}


def _seal(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def _write_json(file: Path, data: Any) -> None:
    file.write_text(json.dumps(data, ensure_ascii=False, indent=1))
