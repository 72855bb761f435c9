"""Export of pretrained encoders to ONNX graphs, which are cached by the content of the encoder's files."""

import hashlib
import json
import shutil
import uuid
from pathlib import Path
from typing import Any, Literal

from aisle.errors import MissingExtraError
from aisle.models.features import default_folder
from aisle.models.linear.encoders import ABOUT, GRAPH
from aisle.models.pretrained import missing_model
from aisle.progress import Progress

Kind = Literal["text", "image"]
_GRAPH_VERSION = "2"  # part of the cache key
_FILES = ("config.json", "preprocessor_config.json", "modules.json", "1_Pooling/config.json")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def encoder_folder(name: str) -> Path:
    """The folder of a pretrained model: a local one, or that of the hub's snapshot.

    Args:
        name: a local folder, or a name on the hub.

    Raises:
        MissingModelError: it is not on this machine and cannot be downloaded.
    """
    folder = Path(name).expanduser()
    files = "config.json and model.safetensors"
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise missing_model(name, files, FileNotFoundError(f"no config.json in {folder}"))
        return folder
    try:
        from huggingface_hub import snapshot_download

        patterns = ["*.json", "*.txt", "1_Pooling/*", "model.safetensors", "*.model"]
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # huggingface_hub raises many kinds
        raise missing_model(name, files, error) from error


def exported_encoder(name: str, kind: Kind, size: int, progress: Progress) -> Path:
    """The folder with an encoder's ONNX graph in the cache; it is exported where it is not there.

    Args:
        name: a folder or hub name of a transformers model.
        kind: the modality that it reads.
        size: width and height of an image in pixels; ignored for text.
        progress: shows a message before an export.

    Raises:
        MissingModelError: the model is not on this machine and cannot be downloaded.
        MissingExtraError: it was never exported on this machine, and torch is not installed.
    """
    folder = encoder_folder(name)
    out = default_folder().parent / "encoders" / _cache_key(folder, kind, size)
    if not (out / ABOUT).is_file():
        progress.say(f"exporting {name} for onnxruntime (once)")
        _export(folder, name, kind, size, out)
    return out


def _cache_key(folder: Path, kind: Kind, size: int) -> str:
    digest = hashlib.sha256(f"{_GRAPH_VERSION} {kind} {size if kind == 'image' else ''}".encode())
    for name in (*_FILES, *_WEIGHTS):
        file = folder / name
        if file.is_file():
            with file.open("rb") as handle:
                digest.update(name.encode() + hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:24]


def _export(folder: Path, name: str, kind: Kind, size: int, out: Path) -> None:
    try:
        from aisle.inference.onnx.graphs import frozen_graph
        from aisle.models.encoders import TransformerImageEncoder, TransformerTextEncoder
    except ImportError as error:
        raise MissingExtraError(
            f"encoder {name!r} was not exported on this machine yet, which takes torch once: "
            "pip install 'aisle[torch]', or use recipe 'fast'"
        ) from error
    from aisle.models.preprocessing import ImagePreprocessor, TokenPreprocessor

    preprocessor: Any
    if kind == "text":
        preprocessor = TokenPreprocessor(str(folder), max_length=16)
        encoder = TransformerTextEncoder(preprocessor, str(folder))
    else:
        preprocessor = ImagePreprocessor(size, 2)  # two, so that the graph does not fix the number
        encoder = TransformerImageEncoder(preprocessor, str(folder))
    partial = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        partial.mkdir(parents=True)
        frozen_graph(encoder.eval(), preprocessor, f"{kind} encoder {name}", partial / GRAPH)
        about = {"name": name, "kind": kind, "dim": encoder.dim}
        (partial / ABOUT).write_text(json.dumps(about, ensure_ascii=False))
        if not out.exists():
            partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
