"""Recurrent text encoders, trained from scratch."""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from aisle.models.encoders.pooling import masked_mean
from aisle.models.preprocessing import TokenPreprocessor
from aisle.models.registry import Encoded, Encoder


class RecurrentEncoder(Encoder):
    """A bidirectional recurrent network over byte-pair tokens, trained from scratch.

    Args:
        preprocessor: the learned vocabulary.
        kind: `lstm`, `gru` or `rnn`.
        dim: D, half of it in each direction.
        layers: number of stacked layers.
        dropout: on the embeddings, between layers and on the output.

    Raises:
        ValueError: an unknown kind, an odd `dim`, or no layer.
    """

    preprocessor_class = TokenPreprocessor
    modality = "text"
    kinds: ClassVar = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}

    def __init__(
        self,
        preprocessor: TokenPreprocessor,
        kind: str = "lstm",
        dim: int = 256,
        layers: int = 1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if kind not in self.kinds:
            raise ValueError(f"kind is one of {', '.join(self.kinds)}, not {kind!r}")
        if dim % 2 or dim < 2 or layers < 1:
            raise ValueError(f"dim {dim} must be even, half of it each way, and layers {layers} at least 1")
        self.kind, self.dim, self.layers, self.dropout = kind, dim, layers, dropout
        self.table = nn.Embedding(preprocessor.size, dim)
        nn.init.normal_(self.table.weight, std=0.1)
        between = dropout if layers > 1 else 0.0
        self.body = self.kinds[kind](
            dim, dim // 2, layers, batch_first=True, dropout=between, bidirectional=True
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, ids: Tensor, mask: Tensor) -> Encoded:
        """Encode ids (B, T) int64 and mask (B, T) bool; tokens are (B, T, D)."""
        x = self.drop(self.table(ids))  # (B, T, D)
        length = mask.sum(1).clamp(min=1).cpu()  # packing needs at least one token
        packed = pack_padded_sequence(x, length, batch_first=True, enforce_sorted=False)
        tokens: Tensor = pad_packed_sequence(
            self.body(packed)[0], batch_first=True, total_length=ids.shape[1]
        )[0]
        tokens = self.drop(tokens)
        return Encoded(masked_mean(tokens, mask), tokens, mask, mask.any(1))
