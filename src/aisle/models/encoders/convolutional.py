"""A convolutional text encoder, trained from scratch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aisle.models.preprocessing import TokenPreprocessor
from aisle.models.registry import Encoded, Encoder


class TextCNNEncoder(Encoder):
    """Convolutions of several widths over byte-pair tokens, and their maxima, trained from scratch.

    Source: Kim, arXiv 1408.5882.

    Args:
        preprocessor: the learned vocabulary.
        dim: D, shared equally by the widths.
        widths: tokens that a convolution sees.
        dropout: on the embeddings and on the output.

    Raises:
        ValueError: no width, a width below 1, or a `dim` that is not a multiple of their number.
    """

    preprocessor_class = TokenPreprocessor
    modality = "text"

    def __init__(
        self,
        preprocessor: TokenPreprocessor,
        dim: int = 300,
        widths: list[int] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.dim, self.widths, self.dropout = dim, [3, 4, 5] if widths is None else list(widths), dropout
        if not self.widths or min(self.widths) < 1 or dim < 1 or dim % len(self.widths):
            raise ValueError(
                f"dim {dim} must be a multiple of the number of widths {self.widths}, all above 0"
            )
        self.table = nn.Embedding(preprocessor.size, dim)
        nn.init.normal_(self.table.weight, std=0.1)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(dim, dim // len(self.widths), width) for width in self.widths
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, ids: Tensor, mask: Tensor) -> Encoded:
        """Encode ids (B, T) int64 and mask (B, T) bool; tokens are (B, T, D)."""
        real = mask.unsqueeze(2)
        # Padding is zero inside a row as at its ends, so that the longest text of a batch changes nothing.
        x = (self.drop(self.table(ids)) * real).transpose(1, 2)  # (B, D, T)
        maps = [
            convolution(F.pad(x, ((width - 1) // 2, width // 2)))
            for width, convolution in zip(self.widths, self.convolutions, strict=True)
        ]
        tokens = torch.cat(maps, 1).relu().transpose(1, 2) * real
        return Encoded(self.drop(tokens.amax(1)), tokens, mask, mask.any(1))
