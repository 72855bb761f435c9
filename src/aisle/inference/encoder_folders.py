"""Writes a network's pretrained encoders as Transformers folders, for other programs and other recipes."""

import json
from pathlib import Path
from typing import Any

from aisle.errors import AisleError
from aisle.inference.folder import check_vacant, write_json
from aisle.models.encoders import TransformerImageEncoder, TransformerTextEncoder

_PAD_TOKENS = ("[PAD]", "<pad>", "<|endoftext|>")


class EncoderExportError(AisleError):
    """A model has no encoder that can be written."""


def export_encoders(predictor: Any, folder: Path) -> dict[str, Path]:
    """Write the encoders of `transformers` models, as they are after training.

    A text encoder's folder is also one of sentence-transformers, with its pooling. Either can be the `name`
    of an encoder in a recipe.

    Args:
        predictor: a network.
        folder: a new folder; each view gets one below it.

    Returns:
        The folder of each view.

    Raises:
        EncoderExportError: the model is no network, or none of its encoders is a transformers model.
        BundleError: the folder is in use.
    """
    encoders = getattr(getattr(predictor, "model", None), "encoders", {})
    folders: dict[str, Path] = {}
    check_vacant(folder)
    for name, encoder in encoders.items():
        preprocessor: Any = predictor.preprocessors[name]
        if isinstance(encoder, TransformerTextEncoder):
            _write_text(encoder, preprocessor, folder / name)
        elif isinstance(encoder, TransformerImageEncoder):
            _write_image(encoder, preprocessor, folder / name)
        else:
            continue
        folders[name] = folder / name
    if not folders:
        kinds = "TransformerTextEncoder or TransformerImageEncoder"
        raise EncoderExportError(f"this model has no encoder of a transformers model ({kinds})")
    return folders


def _write_text(encoder: TransformerTextEncoder, preprocessor: Any, folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    encoder.body.save_pretrained(folder)
    tokenizer, length = preprocessor.tokenizer, preprocessor.max_length
    pad = next((token for token in _PAD_TOKENS if tokenizer.token_to_id(token) is not None), None)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=length, pad_token=pad)
    fast.save_pretrained(str(folder))
    pooling = encoder.config["pooling"] if encoder.pooling == "auto" else encoder.pooling
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    write_json(folder / "modules.json", modules)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": length, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    settings = {"word_embedding_dimension": encoder.dim, "pooling_mode": pooling}
    write_json(folder / "1_Pooling" / "config.json", settings)


def _write_image(encoder: TransformerImageEncoder, preprocessor: Any, folder: Path) -> None:
    encoder.body.save_pretrained(folder)
    side = {"height": preprocessor.size, "width": preprocessor.size}
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": preprocessor.size},
        "crop_size": side,
        "resample": 3,
        "image_mean": [round(float(value) / 255, 9) for value in encoder.mean.flatten()],
        "image_std": [round(float(value) / 255, 9) for value in encoder.std.flatten()],
        **dict.fromkeys(
            ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"), True
        ),
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=1))
