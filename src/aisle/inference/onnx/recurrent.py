"""ONNX recurrent operators instead of packed sequences, which ONNX lacks. Needs torch."""

import torch
from torch import Tensor, nn

from aisle.models.encoders import RecurrentEncoder
from aisle.models.encoders.pooling import masked_mean
from aisle.models.registry import Encoded

# The order of the gates' rows: ONNX's, as positions in torch's.
_GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}


def exportable(encoder: nn.Module) -> nn.Module:
    """The module to export for an encoder: the encoder itself, unless it packs sequences."""
    return OnnxRecurrentEncoder(encoder) if isinstance(encoder, RecurrentEncoder) else encoder


class OnnxRecurrentEncoder(nn.Module):
    """A `RecurrentEncoder` whose layers are ONNX operators, which get each row's length."""

    def __init__(self, encoder: RecurrentEncoder) -> None:
        super().__init__()
        self.table, self.kind, self.layers = encoder.table, encoder.kind, encoder.layers
        for layer in range(encoder.layers):
            for short, long in (("w", "weight_ih"), ("r", "weight_hh"), ("b", "bias")):
                self.register_buffer(f"{short}{layer}", self._both_ways(encoder.body, long, layer))

    def _both_ways(self, body: nn.Module, kind: str, layer: int) -> Tensor:
        """(2, gates * H, …) a layer's parameters there and back."""
        ways = []
        for direction in ("", "_reverse"):
            if kind == "bias":
                biases = [getattr(body, f"bias_{part}_l{layer}{direction}").detach() for part in ("ih", "hh")]
                ways.append(torch.cat([self._ordered(part) for part in biases]))
            else:
                ways.append(self._ordered(getattr(body, f"{kind}_l{layer}{direction}").detach()))
        return torch.stack(ways)

    def _ordered(self, rows: Tensor) -> Tensor:
        gates = rows.chunk(len(_GATES[self.kind]))
        return torch.cat([gates[i] for i in _GATES[self.kind]])

    def forward(self, ids: Tensor, mask: Tensor) -> Encoded:
        """As `RecurrentEncoder`."""
        x = self.table(ids).transpose(0, 1)  # (T, B, D)
        length = mask.sum(1).clamp(min=1).to(torch.int32)
        for layer in range(self.layers):
            w, r, b = (getattr(self, f"{name}{layer}") for name in "wrb")
            t, n, hidden = x.shape[0], x.shape[1], r.shape[2]
            attributes = {"direction": "bidirectional", "hidden_size": hidden}
            if self.kind == "gru":
                attributes["linear_before_reset"] = 1
            y = torch.onnx.ops.symbolic(
                self.kind.upper(),
                (x, w, r, b, length),
                attrs=attributes,
                dtype=x.dtype,
                shape=(t, 2, n, hidden),
            )  # (T, 2, B, H)
            x = y.permute(0, 2, 1, 3).flatten(2)
        tokens = x.transpose(0, 1)  # (B, T, D)
        return Encoded(masked_mean(tokens, mask), tokens, mask, mask.any(1))
