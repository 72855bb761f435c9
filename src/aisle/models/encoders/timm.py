"""Image encoders from `timm` (extra `timm`), for families that transformers lacks, such as SE-ResNeXt and
VGG.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aisle.errors import MissingModelError, extra, first_line
from aisle.models.encoders.images import IMAGENET_MEAN, IMAGENET_STD, encode_images
from aisle.models.preprocessing import ImagePreprocessor
from aisle.models.registry import Encoded, Encoder


class TimmEncoder(Encoder):
    """Any `timm` model by its name, or a folder of one (SE-ResNeXt, VGG, EfficientNet, …); extra `timm`.

    Pixels are normalised with the model's own mean and deviation.

    Args:
        preprocessor: sets the image size S.
        name: a name for `timm.create_model`, or a local folder.
        pretrained: whether to load its weights.
        config: the architecture of a network whose weights are loaded later, in place of `name`.

    Raises:
        ValueError: neither `name` nor `config`.
        MissingModelError: the model is unknown, or its weights cannot be read.
    """

    cacheable = True
    preprocessor_class = ImagePreprocessor
    modality = "image"
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        preprocessor: ImagePreprocessor,
        name: str | None = None,
        pretrained: bool = True,
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.name, self.pretrained = name, pretrained
        self.body, self.config = _from_config(config) if config else _from_name(name, pretrained)
        for key, default in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            value = torch.tensor(self.config.get(key) or default)
            self.register_buffer(key, value.view(3, 1, 1) * 255, persistent=False)
        self.body.eval()
        with torch.no_grad():
            blank = torch.zeros(1, 3, preprocessor.size, preprocessor.size, dtype=torch.uint8)
            self.dim = self._patches(blank).shape[-1]

    def _patches(self, pixels: Tensor) -> Tensor:
        x = (pixels.float() - self.mean) / self.std  # (n, 3, S, S)
        features = self.body.forward_features(x.contiguous(memory_format=torch.channels_last))
        if features.ndim == 3:  # a transformer's tokens
            return features
        if features.shape[1] != self.body.num_features:  # channels last, as Swin's
            return features.flatten(1, 2)
        return features.flatten(2).transpose(1, 2)  # (n, T, D)

    def forward(self, pixels: Tensor, shown: Tensor) -> Encoded:
        """Encode pixels (B, P, 3, S, S) uint8 and shown (B, P) bool; tokens are (B, P*T, D)."""
        return encode_images(self._patches, pixels, shown)


def _from_name(name: str | None, pretrained: bool) -> tuple[Any, dict[str, Any]]:
    if name is None:
        raise ValueError("needs a `name`: a timm model's, or a folder that holds one")
    timm = extra("timm", "timm", "the encoder TimmEncoder")
    folder = Path(name)
    arguments: dict[str, Any] = {}
    if folder.is_dir():
        try:
            arguments = json.loads((folder / "config.json").read_text()).get("model_args") or {}
        except (OSError, ValueError) as error:
            raise MissingModelError(f"timm model {name!r}: cannot read its config.json: {error}") from error
    try:
        body = timm.create_model(
            f"local-dir:{folder}" if folder.is_dir() else name, pretrained=pretrained, num_classes=0
        )
    except Exception as error:  # the registry, the hub and a damaged file raise different ones
        raise MissingModelError(
            f"timm model {name!r} cannot be had ({first_line(error)}). Name a local folder, or set "
            "pretrained = false to begin untrained"
        ) from error
    config = body.pretrained_cfg
    normalisation = {key: list(config[key]) for key in ("mean", "std") if config.get(key)}
    architecture = config.get("architecture") or name
    return body, {"architecture": architecture, "arguments": arguments, **normalisation}


def _from_config(config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    timm = extra("timm", "timm", "the encoder TimmEncoder")
    body = timm.create_model(config["architecture"], pretrained=False, num_classes=0, **config["arguments"])
    return body, config
