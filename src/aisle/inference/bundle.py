"""Writes and reads the files that every saved model has. No torch here.

A bundle is a folder of safetensors and JSON, never pickle; it is whole or refused (design rule 5). Each kind
of model adds files of its own: `network_bundle`, `linear.bundle`, `onnx.bundle`. Loading downloads nothing.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError

from aisle.data import Product
from aisle.data.catalog_format import FILE, CatalogFormat
from aisle.errors import AisleError, BundleError, MissingExtraError, first_line
from aisle.guarantee import Policy
from aisle.inference.card import model_card, renewed
from aisle.inference.folder import (
    MANIFEST,
    checked_manifest,
    describe_file,
    describe_files,
    find,
    seal,
    write_folder,
    write_json,
)
from aisle.inference.knn_index import KnnIndex
from aisle.inference.zero_shot import ZeroShot
from aisle.models.views import View
from aisle.rules import Ruleset

FORMAT_VERSIONS = {"torch": 1, "linear": 1, "onnx": 1, "ensemble": 2, "cascade": 2, "migrated": 1}
_LIBRARIES = (
    "numpy", "scipy", "scikit-learn", "tokenizers", "onnxruntime", "onnx", "torch", "transformers", "pillow",
)  # fmt: skip
RULES = "rules.json"
Model = TypeVar("Model", bound=Any)


def write_bundle(model: Any, folder: Path) -> str:
    """Write a model as a bundle to a temporary folder, which is then renamed.

    Args:
        model: `model.write_files(folder)` writes what only its kind has.
        folder: a new folder, or a bundle, which is replaced.

    Returns:
        The model's id: a hash of what decides its predictions, not of what was measured of them.

    Raises:
        BundleError: the folder exists and is no bundle, or cannot be written.
    """
    return write_folder(folder, lambda part: _write(model, part), (SafetensorError,))


def _write(model: Any, folder: Path) -> str:
    own_id = model.write_files(folder)
    (folder / "policy.json").write_text(model.policy.to_json())
    if model.members_folder is None:
        seen = np.sort(np.asarray(model.seen_keys, dtype=np.uint64))
        (folder / "seen.bin").write_bytes(seen.astype("<u8").tobytes())
        (folder / "taxonomy.json").write_text(model.taxonomy.to_json())
        for part in (model.knn_index, getattr(model, "zero_shot", None)):
            if part is not None:
                part.save(folder)
        model_id = own_id or seal(describe_files(folder))
        if model.catalog_format is not None:
            model.catalog_format.save(folder)
        card = folder / "README.md"  # there already in an exported model
        text = renewed(card.read_text(), model.policy, model_id, model.rules) if card.exists() else None
        card.write_text(text or model_card(model, model_id))
    else:  # the members' ids are in the model's own file
        files = describe_files(folder, model.members_folder)
        model_id = seal({name: file for name, file in files.items() if "/" not in name})
    write_json(folder / "results.json", dict(model.results))
    if model.rules is not None:
        (folder / RULES).write_text(model.rules.to_json(), "utf-8")
    manifest = {
        "format_version": FORMAT_VERSIONS[model.runtime],
        "runtime": model.runtime,
        "model_id": model_id,
        "aisle": version("aisle"),
        "versions": _versions(),
        "files": describe_files(folder, model.members_folder),
    }
    write_json(folder / MANIFEST, {**manifest, "seal": seal(manifest)})
    return model_id


def _versions() -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # an extra
            continue
    return versions


def read_bundle(
    folder: Path,
    runtime: str,
    read: Callable[[Path, dict[str, Any]], Model],
    passed: tuple[type[Exception], ...] = (),
) -> Model:
    """Read a checked bundle.

    Args:
        folder: a bundle, or a run's folder that holds one.
        runtime: the kind of model that it must be.
        read: called with the bundle's folder and its manifest.
        passed: exceptions that are raised as they are.

    Raises:
        BundleError: it is missing, truncated, edited, malformed or of another format.
        MissingExtraError: a library that it needs is not installed.
    """
    folder = find(folder)
    manifest = checked_manifest(folder, FORMAT_VERSIONS[runtime])
    try:
        model = read(folder, manifest)
        model.predict([_probe(model.inputs)])  # a malformed value may be noticed only when it is used
        return model
    except (BundleError, MissingExtraError, *passed):
        raise
    except AisleError as error:
        raise BundleError(f"{folder} is damaged: {error}") from error
    except Exception as error:  # whatever a malformed but sealed file makes its reader raise
        raise BundleError(f"{folder} is damaged: {first_line(error)}") from error


def _probe(views: Iterable[View]) -> Product:
    """A product that has every text view."""
    names = {field for view in views if view.modality == "text" for field in view.fields}
    return Product("probe", dict.fromkeys(sorted(names), "red running shoes"))


def read_policy(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The arguments that every model takes: `policy`, `results`, `model_id`, `rules`."""
    results = json.loads((folder / "results.json").read_text())
    if not isinstance(results, dict):
        raise BundleError(f"{folder} is damaged: results.json holds no table")
    policy = Policy.from_json((folder / "policy.json").read_text())
    rules = None
    if RULES in manifest["files"]:
        rules = Ruleset.from_json((folder / RULES).read_text("utf-8"), f"{folder / RULES}")
    return {"policy": policy, "results": results, "model_id": manifest["model_id"], "rules": rules}


def set_rules(folder: Path, rules: Ruleset | None) -> None:
    """Store rules in a bundle, or in that of a run and in its export; None removes them.

    The model keeps its id, and its other files are copied as they are.

    Args:
        folder: A bundle or a run.
        rules: They must fit the model: see `BasePredictor.with_rules`.

    Raises:
        BundleError: The bundle is damaged, or cannot be written.
    """
    bundle_folder = find(folder)
    homes = [bundle_folder]
    exported = folder / "onnx"
    if (exported / MANIFEST).exists() and exported != bundle_folder:
        homes.append(exported)
    for bundle in homes:
        manifest = checked_manifest(bundle, None)
        write_folder(bundle, partial(_write_rules, bundle, manifest, rules))


def _write_rules(bundle_folder: Path, manifest: dict[str, Any], rules: Ruleset | None, folder: Path) -> None:
    shutil.copytree(bundle_folder, folder, dirs_exist_ok=True)
    files = {name: file for name, file in manifest["files"].items() if name != RULES}
    (folder / RULES).unlink(missing_ok=True)
    if rules is not None:
        (folder / RULES).write_text(rules.to_json(), "utf-8")
        files[RULES] = describe_file(folder / RULES)
    card = folder / "README.md"
    if card.exists():
        policy = read_policy(bundle_folder, manifest)["policy"]
        card.write_text(renewed(card.read_text(), policy, manifest["model_id"], rules))
        files[card.name] = describe_file(card)
    changed = {**{key: value for key, value in manifest.items() if key != "seal"}, "files": files}
    write_json(folder / MANIFEST, {**changed, "seal": seal(changed)})


def read_learned(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `read_policy` and of a trained model: `seen_keys`, `knn_index`, `zero_shot`,
    `catalog_format`."""
    return {
        **read_policy(folder, manifest),
        "seen_keys": np.frombuffer((folder / "seen.bin").read_bytes(), dtype="<u8").astype(np.uint64),
        "knn_index": KnnIndex.load(folder) if (folder / "neighbors.json").exists() else None,
        "zero_shot": ZeroShot.load(folder),
        "catalog_format": CatalogFormat.load(folder) if FILE in manifest["files"] else None,
    }


def open_members(folder: Path, ids: Sequence[str], open_member: Callable[[Path], Model]) -> list[Model]:
    """The models of a combination, each a bundle in a folder named by its number.

    Raises:
        BundleError: one of them has another id than the combination was made of.
    """
    members = []
    for i, expected in enumerate(ids):
        members.append(open_member(folder / str(i)))
        if members[-1].model_id != expected:
            raise BundleError(f"{folder / str(i)} is another model than its combination was made of")
    return members
