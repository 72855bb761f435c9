"""A small transformer text encoder, trained from scratch: no download."""

import torch
from torch import Tensor, nn

from aisle.models.encoders.pooling import masked_mean
from aisle.models.preprocessing import TokenPreprocessor
from aisle.models.registry import Encoded, Encoder


class SubwordEncoder(Encoder):
    """A pre-norm transformer with learned positions over byte-pair tokens, trained from scratch.

    Args:
        preprocessor: the learned vocabulary.
        dim: D, a multiple of `heads`.
        layers: number of layers; 0 is a bag of tokens.
        heads: attention heads.
        dropout: on the embeddings and in the layers.
    """

    preprocessor_class = TokenPreprocessor
    modality = "text"

    def __init__(
        self,
        preprocessor: TokenPreprocessor,
        dim: int = 192,
        layers: int = 1,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.dim, self.layers, self.heads, self.dropout = dim, layers, heads, dropout
        self.table = nn.Embedding(preprocessor.size, dim)
        self.position = nn.Parameter(torch.randn(preprocessor.max_length, dim) * 0.02)
        nn.init.normal_(self.table.weight, std=0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, heads, 4 * dim, dropout, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, ids: Tensor, mask: Tensor) -> Encoded:
        """Encode ids (B, T) int64 and mask (B, T) bool; tokens are (B, T, D)."""
        x = self.drop(self.table(ids) + self.position[: ids.shape[1]])  # (B, T, D)
        # Attention over no token would divide by zero: a row without tokens attends to its padding.
        visible = mask | ~mask.any(1, keepdim=True)
        for block in self.blocks:
            x = block(x, src_key_padding_mask=~visible)
        x = self.norm(x)
        return Encoded(masked_mean(x, mask), x, mask, mask.any(1))
