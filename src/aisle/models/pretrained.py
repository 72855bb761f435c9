"""Loads pretrained tokenizers, configurations and models from a folder or the Hugging Face hub.

torch is imported for models only.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.errors import MissingModelError, extra

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_RECIPE_WITHOUT_DOWNLOAD = "fast"
_POOLING_NAMES = {  # of earlier sentence-transformers versions
    "cls_token": "cls",
    "mean_tokens": "mean",
    "max_tokens": "max",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean_tokens": "weightedmean",
}


def load_tokenizer(name: str) -> "Tokenizer":
    """Load the `tokenizers` pipeline of a folder or hub name.

    Raises:
        MissingModelError: it is not on this machine and cannot be downloaded.
        MissingExtraError: tokenizers is not installed.
    """
    extra("tokenizers", "onnx", "a text encoder")
    from tokenizers import Tokenizer

    file = Path(name) / "tokenizer.json"
    if file.is_file():
        return Tokenizer.from_file(str(file))
    try:
        from transformers import AutoConfig, AutoTokenizer

        if AutoConfig.from_pretrained(name).model_type == "flaubert":
            return _flaubert(name)
        return AutoTokenizer.from_pretrained(name).backend_tokenizer
    except (OSError, ValueError, AttributeError) as error:
        raise missing_model(name, "tokenizer.json, config.json and model.safetensors", error) from error


def _flaubert(name: str) -> "Tokenizer":
    """FlauBERT's tokenizer in transformers is Python code, not a `tokenizers` pipeline."""
    from transformers.models.auto.tokenization_auto import get_tokenizer_config
    from transformers.utils.hub import cached_file

    from aisle.models.flaubert_tokenizer import moses_tokenizer

    vocabulary, merges = (Path(str(cached_file(name, file))) for file in ("vocab.json", "merges.txt"))
    return moses_tokenizer(vocabulary, merges, bool(get_tokenizer_config(name).get("do_lowercase")))


def load_model(name: str) -> Any:
    """Load a transformers model (safetensors only) in float32 and eval mode.

    Raises:
        MissingModelError: it is not on this machine and cannot be downloaded.
    """
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # also for --quiet
    try:
        return AutoModel.from_pretrained(name, dtype=torch.float32, use_safetensors=True).eval()
    except (OSError, ValueError) as error:
        raise missing_model(name, "config.json and model.safetensors", error) from error


def build_model(config: dict[str, Any]) -> Any:
    """A transformers model with random weights from a configuration kept in a bundle."""
    from transformers import AutoConfig, AutoModel

    return AutoModel.from_config(AutoConfig.for_model(**config)).eval()


def encoder_half(model: Any, half: str) -> Any:
    """The `text_model` or `vision_model` of a text-image model, the encoder of an encoder-decoder, else
    `model`.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        return model.get_encoder()
    return getattr(model, half, model) if hasattr(model.config, "vision_config") else model


def sentence_pooling(name: str) -> str:
    """The pooling of a sentence-transformers model.

    Args:
        name: folder or hub name.

    Returns:
        `mean`, `cls`, `lasttoken`, …; `mean` for other models.

    Raises:
        ValueError: it concatenates several, or its settings name none.
    """
    try:
        modules = _read_json(name, "modules.json")
        folders = {str(module["type"]).rpartition(".")[2]: str(module["path"]) for module in modules}
        folder = folders.get("Pooling")
    except (OSError, ValueError, TypeError, KeyError):  # most models have no such file
        folder = "1_Pooling"
    if folder is None:
        return "mean"
    try:
        settings = _read_json(name, f"{folder}/config.json")
    except (OSError, ValueError):
        return "mean"
    modes = settings.get("pooling_mode") if isinstance(settings, dict) else None
    if modes is None:
        modes = [key for key, on in dict(settings).items() if key.startswith("pooling_mode_") and on is True]
    modes = [modes] if isinstance(modes, str) else list(modes)
    short = [mode.removeprefix("pooling_mode_") for mode in modes]
    poolings = [_POOLING_NAMES.get(mode, mode) for mode in short]
    if len(poolings) != 1:
        reason = f"puts {' and '.join(poolings)} side by side" if poolings else "names no pooling"
        raise ValueError(f"{name}/{folder}/config.json {reason}; name one `pooling`")
    return poolings[0]


def _read_json(name: str, file: str) -> Any:
    from transformers.utils.hub import cached_file

    return json.loads(Path(str(cached_file(name, file))).read_text())


def missing_model(name: str, files: str, error: Exception) -> MissingModelError:
    """The error to raise where the files of a pretrained model cannot be read.

    Args:
        name: folder or hub name.
        files: the files that were needed.
        error: the first error.
    """
    if Path(name).exists() or name.startswith((".", "/", "~")):
        where = f"folder {Path(name).expanduser().resolve()}"
    else:
        cache = os.environ.get("HF_HOME", "~/.cache/huggingface")
        hub = "the hub (offline: HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else "the hub"
        where = f"folder ./{name}, the cache {cache} and {hub}"
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return MissingModelError(
        f"pretrained model {name!r}: cannot read {files}; looked in {where} ({first[:160]}). "
        f"Name a local folder, or use recipe {_RECIPE_WITHOUT_DOWNLOAD!r}, which needs no download."
    )
