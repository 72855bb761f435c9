"""The files of a network in its bundle: `network.json`, `weights.safetensors`, `views/NAME/`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from aisle.errors import BundleError
from aisle.inference.folder import write_json
from aisle.models.config import ModelSpec, validate
from aisle.models.model import Model
from aisle.models.preprocessing import Preprocessor
from aisle.models.registry import Context
from aisle.models.spec import build_encoders_and_fusion, build_network, encoder_class
from aisle.taxonomy import Taxonomy


class NetworkParts(NamedTuple):
    """Content of a network's files; `context` is the tree and the training products of each terminal."""

    spec: ModelSpec
    context: Context
    preprocessors: Mapping[str, Preprocessor]
    model: Model


def write_network(parts: NetworkParts, folder: Path) -> None:
    """Write the network's files into a folder."""
    for name, preprocessor in parts.preprocessors.items():
        preprocessor.save(folder / "views" / name)
    encoders = parts.model.encoders
    network = {
        "spec": parts.spec.model_dump(mode="json", exclude_none=True),
        "configs": {name: e.config for name, e in encoders.items() if getattr(e, "config", None)},
        "terminal_counts": np.asarray(parts.context.counts).tolist(),
    }
    # Cloned: tied weights would share memory, which safetensors refuses.
    state = parts.model.state_dict()
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}
    save_file(tensors, str(folder / "weights.safetensors"))
    write_json(folder / "network.json", network)


def read_network(folder: Path, trust_code: bool) -> NetworkParts:
    """Read what `write_network` wrote.

    Raises:
        BundleError: the network is larger than its weights.
        OutsideCodeError: it names code from outside Aisle and `trust_code` is False.
    """
    network: dict[str, Any] = json.loads((folder / "network.json").read_text())
    tensors = load_file(str(folder / "weights.safetensors"))
    taxonomy = Taxonomy.from_json((folder / "taxonomy.json").read_text())
    spec = validate(ModelSpec, network["spec"], f"{folder}/network.json")
    preprocessors = {}
    for name, view in spec.views.items():
        preprocessor_class = encoder_class(view, trust_code).preprocessor_class
        preprocessors[name] = preprocessor_class.load(folder / "views" / name)
    counts = np.array(network["terminal_counts"], dtype=np.int64)
    vectors = tensors.get("head.class_vectors")
    class_vectors = vectors.numpy() if vectors is not None else np.zeros((len(taxonomy), 1), np.float32)
    context = Context(taxonomy, counts, class_vectors)
    with torch.device("meta"):  # before memory is taken for what network.json asks for
        _check_shapes(
            *build_encoders_and_fusion(spec, preprocessors, network["configs"], trust_code), tensors
        )
    model = build_network(spec, preprocessors, context, network["configs"], trust_code)
    model.load_state_dict(tensors)
    return NetworkParts(spec, context, preprocessors, model.eval())


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
        declared[f"missing_token.{name}"] = torch.Size([encoder.dim])  # type: ignore[list-item]
    for name, shape in declared.items():
        kept = tensors[name].shape if name in tensors else None
        if kept is None or kept.numel() < shape.numel():  # a kernel has as many landmarks as were kept
            actual = "missing" if kept is None else f"of shape {tuple(kept)}"
            raise BundleError(f"weight {name} is {actual}, but network.json asks for {tuple(shape)}")
    head = {size for name, tensor in tensors.items() if name.startswith("head.") for size in tensor.shape}
    if head and fusion.dim not in head:
        raise BundleError(f"no weight of the head is {fusion.dim} wide, which network.json asks for")
