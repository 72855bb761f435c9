"""ImagePreprocessor: what every image encoder shares, and a small network from scratch."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from aisle.models.encoders.chunks import at_once
from aisle.models.encoders.pooling import attention_pool, masked_mean
from aisle.models.preprocessing import ImagePreprocessor
from aisle.models.pretrained import build_model, half_of, load_model
from aisle.models.registry import Encoded, Encoder

_AT_ONCE = 4  # pictures: their first maps stay in a processor's cache, three times as fast as 64
SMALLEST = 32  # pixels; four halvings leave 2 x 2 cells, fewer would be too few for BatchNorm's statistics
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def encode_pictures(body: Callable[[Tensor], Tensor], pixels: Tensor, shown: Tensor) -> Encoded:
    """One `Encoded` a product, over the patches of all its pictures.

    body: (n, 3, S, S) uint8 -> patches (n, T, D). pixels (B, P, 3, S, S), shown (B, P). Empty places do not
    reach the body: it would read them in vain, and they would count as black pictures in BatchNorm's
    statistics.
    """
    b, p = shown.shape
    x, real = pixels.flatten(0, 1), shown.flatten()
    # A graph that is exported has no shapes that depend on what it is given.
    if torch.compiler.is_compiling() or real.all() or not real.any():
        patches = _in_turn(body, x)
    else:
        some = _in_turn(body, x[real])
        patches = some.new_zeros(len(x), *some.shape[1:]).index_put((real.nonzero()[:, 0],), some)
    t = patches.shape[1]
    mask = shown.unsqueeze(-1).expand(b, p, t).reshape(b, p * t)
    tokens = patches.reshape(b, p * t, -1)  # (B, P*T, D)
    return Encoded(masked_mean(tokens, mask), tokens, mask, shown.any(1))


def _in_turn(body: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A few at a time where no gradient holds on to them: a network's first maps are large."""
    step = at_once(x, _AT_ONCE)
    return torch.cat([body(part) for part in x.split(step)]) if step < len(x) else body(x)


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


class ConvEncoder(Encoder):
    """A small convolutional network, trained from nothing: for drawn or studio pictures, no download.

    preprocessor: gives the picture size. dim: D, also the width of the last block. dropout: of whole channels
    of the last map. Tokens are the cells of the last map.
    """

    preprocessor_class = ImagePreprocessor
    modality = "image"

    def __init__(self, preprocessor: ImagePreprocessor, dim: int = 128, dropout: float = 0.1) -> None:
        super().__init__()
        if preprocessor.size < SMALLEST or dim < 8:
            raise ValueError(
                f"size {preprocessor.size} must be at least {SMALLEST}, and dim {dim} at least 8"
            )
        self.dim, self.dropout = dim, dropout
        widths = [3, dim // 8, dim // 4, dim // 2, dim]
        self.body = nn.Sequential(*(_block(a, b) for a, b in pairwise(widths)))
        self.drop = nn.Dropout2d(dropout)

    def forward(self, pixels: Tensor, shown: Tensor) -> Encoded:
        """pixels (B, P, 3, S, S) uint8, shown (B, P) -> tokens (B, P*T, D)."""
        return encode_pictures(self._patches, pixels, shown)

    def _patches(self, pixels: Tensor) -> Tensor:
        x = pixels.float().div(127.5).sub(1)  # in [-1, 1]
        x = self.drop(self.body(x.contiguous(memory_format=torch.channels_last)))  # (n, D, s, s)
        return x.flatten(2).transpose(1, 2)  # (n, T, D)


class TransformerImageEncoder(Encoder):
    """Any `transformers` vision model by hub name or folder (MobileNetV2, ResNet, ConvNeXt, ViT, …).

    name: where its weights are; config: the configuration as a dict instead, for a network whose
    weights are loaded afterwards. pooling: `mean` over the patches of all a product's pictures, or
    `attention`: a learned weight a patch, which begins as the mean and learns with the encoder. Pixels are
    normalised with the folder's `preprocessor_config.json`, with ImageNet's mean and deviation where it has
    none. Of a model of texts and pictures (CLIP, SigLIP) the half that reads pictures is taken.
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
        pooling: str = "mean",
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "attention"):
            raise ValueError(f"pooling is 'mean' or 'attention', not {pooling!r}")
        self.name, self.pooling = name, pooling
        self.body, self.config = _from_config(config) if config else _from_name(name)
        mean, std = self.config.get("image_mean", IMAGENET_MEAN), self.config.get("image_std", IMAGENET_STD)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255, persistent=False)
        with torch.no_grad():
            blank = torch.zeros(1, 3, preprocessor.size, preprocessor.size, dtype=torch.uint8)
            self.dim = self._patches(blank).shape[-1]
        self.attend = nn.Linear(self.dim, 1, bias=False) if pooling == "attention" else None
        if self.attend is not None:
            nn.init.zeros_(self.attend.weight)

    def _patches(self, pixels: Tensor) -> Tensor:
        x = (pixels.float() - self.mean) / self.std  # (n, 3, S, S)
        hidden = self.body(pixel_values=x.contiguous(memory_format=torch.channels_last)).last_hidden_state
        return hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden  # (n, T, D)

    def forward(self, pixels: Tensor, shown: Tensor) -> Encoded:
        """pixels (B, P, 3, S, S) uint8, shown (B, P) -> tokens (B, P*T, D)."""
        encoded = encode_pictures(self._patches, pixels, shown)
        if self.attend is None:
            return encoded
        pooled = attention_pool(encoded.tokens, encoded.mask, self.attend(encoded.tokens))
        return encoded._replace(pooled=pooled)


def _from_name(name: str | None) -> tuple[Any, dict[str, Any]]:
    if name is None:
        raise ValueError("needs a `name`: a folder or hub name of a transformers vision model")
    from transformers import ImageProcessingMixin

    model = load_model(name)
    config = model.config.to_dict()
    try:
        processor, _ = ImageProcessingMixin.get_image_processor_dict(name)
    except (OSError, ValueError):
        processor = {}
    for key in ("image_mean", "image_std"):
        if processor.get(key):
            config[key] = processor[key]
    return half_of(model, "vision_model"), config


def _from_config(config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return half_of(build_model(config), "vision_model"), config
