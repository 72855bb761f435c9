"""Finding pretrained weights: a local folder or a hub name, with an error that helps when offline.

Nothing here imports torch before it must: tokenizers and configurations are read without it.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.errors import MissingModelError, extra

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NEEDS_NONE = "fast"


def load_tokenizer(name: str) -> "Tokenizer":
    """The `tokenizers` pipeline of a folder or hub name.

    Raises:
        MissingModelError: it is not here and cannot be fetched.
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
    """Its own tokenizer is no `tokenizers` pipeline."""
    from transformers.models.auto.tokenization_auto import get_tokenizer_config
    from transformers.utils.hub import cached_file

    from aisle.models.flaubert_tokenizer import moses_tokenizer

    vocabulary, merges = (Path(str(cached_file(name, file))) for file in ("vocab.json", "merges.txt"))
    return moses_tokenizer(vocabulary, merges, bool(get_tokenizer_config(name).get("do_lowercase")))


def load_config(name: str) -> Any:
    """A transformers configuration.

    Raises:
        MissingModelError: it is not here and cannot be fetched.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise missing_model(name, "config.json", error) from error


def load_model(name: str) -> Any:
    """A transformers model with its weights (safetensors only), in float32 and eval mode.

    Raises:
        MissingModelError: it is not here and cannot be fetched.
    """
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # reading a file is not worth a bar, and --quiet means it
    try:
        return AutoModel.from_pretrained(name, dtype=torch.float32, use_safetensors=True).eval()
    except (OSError, ValueError) as error:
        raise missing_model(name, "config.json and model.safetensors", error) from error


def build_model(config: dict[str, Any]) -> Any:
    """A transformers model of a configuration kept in a bundle, its weights yet to be loaded."""
    from transformers import AutoConfig, AutoModel

    return AutoModel.from_config(AutoConfig.for_model(**config)).eval()


def half_of(model: Any, half: str) -> Any:
    """The `text_model` or `vision_model` of a model that is both; of one with a decoder the encoder."""
    if getattr(model.config, "is_encoder_decoder", False):
        return model.get_encoder()
    return getattr(model, half, model) if hasattr(model.config, "vision_config") else model


def pooling_of(name: str) -> str:
    """How a sentence-transformers model makes one vector of its tokens, as it calls that: `mean`, `cls`,
    `lasttoken`, …; the mean where it does not say.

    Raises:
        ValueError: it puts several side by side, or its settings name none.
    """
    try:
        modules = _settings_of(name, "modules.json")
        kinds = {str(one["type"]).rpartition(".")[2]: str(one["path"]) for one in modules}
        folder = kinds.get("Pooling")
    except (OSError, ValueError, TypeError, KeyError):  # most models have no such file
        folder = "1_Pooling"
    if folder is None:
        return "mean"
    try:
        settings = _settings_of(name, f"{folder}/config.json")
    except (OSError, ValueError):
        return "mean"
    said = settings.get("pooling_mode") if isinstance(settings, dict) else None
    if said is None:
        said = [key for key, on in dict(settings).items() if key.startswith("pooling_mode_") and on is True]
    several = [said] if isinstance(said, str) else list(said)
    found = [_SHORT.get(key, key) for key in (one.removeprefix("pooling_mode_") for one in several)]
    if len(found) != 1:
        what = f"puts {' and '.join(found)} side by side" if found else "names no pooling"
        raise ValueError(f"{name}/{folder}/config.json {what}; name one `pooling`")
    return found[0]


_SHORT = {
    "cls_token": "cls",
    "mean_tokens": "mean",
    "max_tokens": "max",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean_tokens": "weightedmean",
}


def _settings_of(name: str, file: str) -> Any:
    from transformers.utils.hub import cached_file

    return json.loads(Path(str(cached_file(name, file))).read_text())


def missing_model(name: str, files: str, error: Exception) -> MissingModelError:
    """What to raise where a pretrained model's files cannot be read."""
    if Path(name).exists() or name.startswith((".", "/", "~")):
        where = f"folder {Path(name).expanduser().resolve()}"
    else:
        home = os.environ.get("HF_HOME", "~/.cache/huggingface")
        hub = "the hub (offline: HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else "the hub"
        where = f"folder ./{name}, the cache {home} and {hub}"
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return MissingModelError(
        f"pretrained model {name!r}: cannot read {files}; looked in {where} ({first[:160]}). "
        f"Name a local folder, or use recipe {NEEDS_NONE!r}, which needs no download."
    )
