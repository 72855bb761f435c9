"""A model in a folder: safetensors and JSON, never pickle; whole or refused (design rule 5).

How a folder is written and checked: `aisle.inference.folder`. `model_id` is a hash of what decides the
answers, not of what was measured of them. Nothing is fetched while loading.
"""

import dataclasses
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from aisle.data.catalog_format import FILE, CatalogFormat
from aisle.errors import AisleError, BundleError, RecipeError, first_line
from aisle.guarantee import Policy
from aisle.inference.card import model_card
from aisle.inference.folder import (
    MANIFEST,
    checked_manifest,
    described,
    find,
    recover,
    seal,
    write_folder,
    write_json,
)
from aisle.inference.knn_index import Memory
from aisle.inference.predictor import Predictor
from aisle.inference.zero_shot import Growth
from aisle.models.config import ModelSpec, validated
from aisle.models.registry import Context, OutsideCodeError
from aisle.models.spec import build, build_body, encoder_class
from aisle.taxonomy import Taxonomy

FORMAT_VERSION = 1


def save(predictor: Predictor, folder: Path) -> Predictor:
    """Write a bundle beside and rename it into place: a killed writer leaves the old one or the new one.

    Raises:
        BundleError: the folder exists and is no bundle, or cannot be written.
    """
    return write_folder(folder, lambda beside: _write(predictor, beside), (SafetensorError,))


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
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}
    save_file(tensors, str(folder / "weights.safetensors"))
    seen = np.sort(np.asarray(predictor.seen_keys, dtype=np.uint64))
    (folder / "seen.bin").write_bytes(seen.astype("<u8").tobytes())
    write_json(folder / "network.json", network)
    (folder / "taxonomy.json").write_text(predictor.taxonomy.to_json())
    (folder / "policy.json").write_text(predictor.policy.to_json())
    if predictor.memory is not None:
        predictor.memory.save(folder)
    if predictor.growth is not None:
        predictor.growth.save(folder)
    model_id = seal(described(folder))
    write_json(folder / "results.json", dict(predictor.results))
    if predictor.catalog_format is not None:
        predictor.catalog_format.save(folder)
    (folder / "README.md").write_text(model_card(predictor, model_id))
    files = described(folder)
    versions = {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy", "pillow")}
    manifest = {
        "format_version": FORMAT_VERSION,
        "model_id": model_id,
        "aisle": version("aisle"),
        "versions": versions,
        "files": files,
    }
    write_json(folder / MANIFEST, {**manifest, "seal": seal(manifest)})
    return dataclasses.replace(predictor, model_id=model_id)


def load(folder: Path, trust_code: bool = False) -> Predictor:
    """Read a bundle.

    Raises:
        BundleError: it is missing, truncated, edited, or from a newer version.
        RecipeError: it names code from outside Aisle and `trust_code` is False.
    """
    recover(folder)
    manifest = checked_manifest(folder, FORMAT_VERSION, FORMAT_VERSION)
    try:
        return _read(folder, manifest, trust_code)
    except OutsideCodeError:
        raise
    except RecipeError as error:
        raise BundleError(f"{folder} is damaged: {error}") from error
    except AisleError:
        raise
    except Exception as error:  # whatever a malformed but sealed file makes its reader raise
        raise BundleError(f"{folder}: cannot be read: {first_line(error)}") from error


def load_run(folder: Path, trust_code: bool = False) -> Predictor:
    """Read a bundle, or the one inside a run's folder.

    Raises:
        BundleError, RecipeError: as `load`; also a folder that is not there, a run that has not finished.
    """
    return load(find(folder), trust_code)


def _read(folder: Path, manifest: dict[str, Any], trust_code: bool) -> Predictor:
    network = json.loads((folder / "network.json").read_text())
    tensors = load_file(str(folder / "weights.safetensors"))
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
    with torch.device("meta"):  # before memory is taken for what network.json asks for
        _check_shapes(*build_body(spec, preparers, network["configs"], trust_code), tensors)
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
        growth=Growth.load(folder),
        catalog_format=CatalogFormat.load(folder) if FILE in manifest["files"] else None,
    )


def _check_shapes(
    encoders: Mapping[str, nn.Module], fusion: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Whether the network is no larger than its weights.

    Raises:
        BundleError: a weight is missing or smaller.
    """
    declared = {f"fusion.{key}": value.shape for key, value in fusion.state_dict().items()}
    for name, encoder in encoders.items():
        declared |= {f"encoders.{name}.{key}": value.shape for key, value in encoder.state_dict().items()}
        declared[f"absent.{name}"] = torch.Size([encoder.dim])  # type: ignore[list-item]
    for name, shape in declared.items():
        kept = tensors[name].shape if name in tensors else None
        if kept is None or kept.numel() < shape.numel():  # a kernel has as many landmarks as were kept
            found = "missing" if kept is None else f"of shape {tuple(kept)}"
            raise BundleError(f"weight {name} is {found}, but network.json asks for {tuple(shape)}")
    head = {size for name, tensor in tensors.items() if name.startswith("head.") for size in tensor.shape}
    if head and fusion.dim not in head:
        raise BundleError(f"no weight of the head is {fusion.dim} wide, which network.json asks for")
