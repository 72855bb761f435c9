"""A text encoder that sums learned feature vectors with TF-IDF weights."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aisle.models.preprocessing import TfidfPreprocessor
from aisle.models.registry import Encoded, Encoder, pooled_only


class TfidfEncoder(Encoder):
    """A TF-IDF weighted bag of words, word pairs and character n-grams, with one learned vector per feature.

    Args:
        preprocessor: the learned vocabulary.
        dim: D.
        dropout: the share of features dropped in training.
    """

    preprocessor_class = TfidfPreprocessor
    modality = "text"

    def __init__(self, preprocessor: TfidfPreprocessor, dim: int = 256, dropout: float = 0.0) -> None:
        super().__init__()
        self.dim, self.dropout = dim, dropout
        self.table = nn.EmbeddingBag(max(preprocessor.size, 1), dim, mode="sum", include_last_offset=False)
        nn.init.normal_(self.table.weight, std=dim**-0.5)

    @torch.no_grad()
    def resize(self, features: int) -> None:
        """Extend the table to a vocabulary of `features`; new features get zero vectors."""
        old = self.table.weight
        if features > len(old):
            self.table = nn.EmbeddingBag(features, self.dim, mode="sum", include_last_offset=False)
            self.table.weight.zero_()
            self.table.weight[: len(old)] = old

    def forward(self, ids: Tensor, weights: Tensor, offsets: Tensor) -> Encoded:
        """Encode ids (F,), weights (F,) and offsets (B,); the pooled vector (B, D) is the only token."""
        weights = F.dropout(weights, self.dropout, self.training)
        return pooled_only(self.table(ids, offsets, weights))  # (B, D)
