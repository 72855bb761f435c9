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
_VERSION = "2"  # of the graph that is made
_FILES = ("config.json", "preprocessor_config.json", "modules.json", "1_Pooling/config.json")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def encoder_folder(name: str) -> Path:
    """Find the folder of a pretrained model.

    Args:
        name: a local folder, or a name on the model hub.

    Returns:
        The local folder, or that of the hub's snapshot.

    Raises:
        MissingModelError: it is not here and cannot be fetched.
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
    except Exception as error:  # huggingface_hub raises its own, requests' and ValueErrors
        raise missing_model(name, files, error) from error


def exported_encoder(name: str, kind: Kind, size: int, progress: Progress) -> Path:
    """Find an encoder's ONNX graph in the cache; export it where it is not there.

    Args:
        name: a folder or hub name of a transformers model.
        kind: the modality that it reads.
        size: pixels a side of an image; ignored for text.
        progress: shows a message before an export.

    Returns:
        The folder with the graph.

    Raises:
        MissingModelError: the model is not here.
        MissingExtraError: it was never exported here, and torch is not installed.
    """
    folder = encoder_folder(name)
    home = default_folder().parent / "encoders" / _key(folder, kind, size)
    if not (home / ABOUT).is_file():
        progress.say(f"exporting {name} for onnxruntime (once)")
        _export(folder, name, kind, size, home)
    return home


def _key(folder: Path, kind: Kind, size: int) -> str:
    digest = hashlib.sha256(f"{_VERSION} {kind} {size if kind == 'image' else ''}".encode())
    for name in (*_FILES, *_WEIGHTS):
        file = folder / name
        if file.is_file():
            with file.open("rb") as handle:
                digest.update(name.encode() + hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:24]


def _export(folder: Path, name: str, kind: Kind, size: int, home: Path) -> None:
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
        preprocessor = ImagePreprocessor(size, 2)  # so that the number of images is not fixed in the graph
        encoder = TransformerImageEncoder(preprocessor, str(folder))
    beside = home.with_name(f".{home.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        beside.mkdir(parents=True)
        frozen_graph(encoder.eval(), preprocessor, f"{kind} encoder {name}", beside / GRAPH)
        about = {"name": name, "kind": kind, "dim": encoder.dim}
        (beside / ABOUT).write_text(json.dumps(about, ensure_ascii=False))
        if not home.exists():
            beside.rename(home)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
