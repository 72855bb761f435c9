"""Pretrained text encoders as functions of texts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aisle.mapping.similarity import Encoder
from aisle.models.features import FeatureStore
from aisle.models.linear.encoders import open_encoders
from aisle.models.preprocessing import TokenPreprocessor
from aisle.progress import SILENT, Progress
from aisle.training.encoder_export import encoder_folder, exported_encoder

_TOKENS = 64


def text_encoder(name: str, progress: Progress = SILENT) -> Encoder:
    """An encoder of names and paths, run by onnxruntime.

    Args:
        name: a folder or hub name of a transformers model.
        progress: shows how many texts are encoded.

    Raises:
        MissingModelError: the model is not on this machine and cannot be downloaded.
        MissingExtraError: onnxruntime is not installed.
    """
    graph: Path = exported_encoder(name, "text", 0, progress)
    preprocessor = TokenPreprocessor(str(encoder_folder(name)), max_length=_TOKENS)
    encoder = open_encoders({"text": graph}, {"text": preprocessor})["text"]
    store = FeatureStore()

    def encode(texts: Sequence[str]) -> np.ndarray:
        values = [text or None for text in texts]
        found, _, _ = encoder(values, store, "encoding categories", progress)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)

    return encode
