"""Image encoders: a small convolutional network, and any pretrained `transformers` vision model.

Shapes: B products, P images of a product, S pixels per side, T patches of an image, D the width.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from aisle.models.encoders.batching import inference_batch_size
from aisle.models.encoders.pooling import attention_pool, masked_mean
from aisle.models.preprocessing import ImagePreprocessor
from aisle.models.pretrained import build_model, encoder_half, load_model
from aisle.models.registry import Encoded, Encoder

_CPU_BATCH_SIZE = 4  # images: their first feature maps stay in the processor's cache, 3x as fast as 64
MIN_SIZE = 32  # pixels; after four poolings 2 x 2 cells, the least for BatchNorm's statistics
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def encode_images(body: Callable[[Tensor], Tensor], pixels: Tensor, shown: Tensor) -> Encoded:
    """Encode all images of each product.

    Empty slots do not reach `body`: they would cost time, and count as black images in BatchNorm's
    statistics.

    Args:
        body: pixels (n, 3, S, S) uint8 to patches (n, T, D).
        pixels: (B, P, 3, S, S) uint8.
        shown: (B, P) bool, which slots hold an image.

    Returns:
        The patches of all images of a product, P*T tokens.
    """
    b, p = shown.shape
    x, real = pixels.flatten(0, 1), shown.flatten()
    # Shapes in an exported graph must not depend on the data.
    if torch.compiler.is_compiling() or real.all() or not real.any():
        patches = _in_batches(body, x)
    else:
        real_patches = _in_batches(body, x[real])
        patches = real_patches.new_zeros(len(x), *real_patches.shape[1:])
        patches = patches.index_put((real.nonzero()[:, 0],), real_patches)
    t = patches.shape[1]
    mask = shown.unsqueeze(-1).expand(b, p, t).reshape(b, p * t)
    tokens = patches.reshape(b, p * t, -1)  # (B, P*T, D)
    return Encoded(masked_mean(tokens, mask), tokens, mask, shown.any(1))


def _in_batches(body: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`body` of a few images at a time, because the first feature maps are large."""
    size = inference_batch_size(x, _CPU_BATCH_SIZE)
    return torch.cat([body(part) for part in x.split(size)]) if size < len(x) else body(x)


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


class ConvEncoder(Encoder):
    """A small convolutional network, trained from scratch: for drawings or studio images, no download.

    Tokens are the cells of the last feature map.

    Args:
        preprocessor: sets the image size S.
        dim: D, the channels of the last block.
        dropout: of channels of the last feature map.
    """

    preprocessor_class = ImagePreprocessor
    modality = "image"

    def __init__(self, preprocessor: ImagePreprocessor, dim: int = 128, dropout: float = 0.1) -> None:
        super().__init__()
        if preprocessor.size < MIN_SIZE or dim < 8:
            raise ValueError(
                f"size {preprocessor.size} must be at least {MIN_SIZE}, and dim {dim} at least 8"
            )
        self.dim, self.dropout = dim, dropout
        widths = [3, dim // 8, dim // 4, dim // 2, dim]
        self.body = nn.Sequential(*(_block(a, b) for a, b in pairwise(widths)))
        self.drop = nn.Dropout2d(dropout)

    def forward(self, pixels: Tensor, shown: Tensor) -> Encoded:
        """Encode pixels (B, P, 3, S, S) uint8 and shown (B, P) bool; tokens are (B, P*T, D)."""
        return encode_images(self._patches, pixels, shown)

    def _patches(self, pixels: Tensor) -> Tensor:
        x = pixels.float().div(127.5).sub(1)  # in [-1, 1]
        x = self.drop(self.body(x.contiguous(memory_format=torch.channels_last)))  # (n, D, s, s)
        return x.flatten(2).transpose(1, 2)  # (n, T, D)


class TransformerImageEncoder(Encoder):
    """Any `transformers` vision model by hub name or folder (MobileNetV2, ResNet, ConvNeXt, ViT, …).

    Of a text-image model (CLIP, SigLIP) the image half is used. Pixels are normalised as in its
    `preprocessor_config.json`, by default with the mean and deviation of ImageNet.

    Args:
        preprocessor: sets the image size S.
        name: hub name or folder of the weights.
        pooling: `mean` over the patches of all images of a product, or `attention`, a mean with learned
            weights that starts as the plain mean.
        config: the configuration of a network whose weights are loaded later, in place of `name`.

    Raises:
        ValueError: neither `name` nor `config`, or an unknown pooling.
        MissingModelError: the weights cannot be read.
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
        """Encode pixels (B, P, 3, S, S) uint8 and shown (B, P) bool; tokens are (B, P*T, D)."""
        encoded = encode_images(self._patches, pixels, shown)
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
    return encoder_half(model, "vision_model"), config


def _from_config(config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return encoder_half(build_model(config), "vision_model"), config
