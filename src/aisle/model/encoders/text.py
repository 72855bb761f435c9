"""Text read by any pretrained `transformers` model."""

from typing import Any

from torch import Tensor

from aisle.model.encoders.pooling import masked_mean
from aisle.model.parts import Encoded, Encoder
from aisle.model.prepare import Tokens
from aisle.model.pretrained import load_model


class TransformerText(Encoder):
    """Any `transformers` text encoder by hub name or folder (MiniLM, CamemBERT, FlauBERT, …).

    name: where its weights and tokenizer are; config: the configuration as a dict instead, for a
    network whose weights are loaded afterwards. pooling: `mean` over tokens, or the `first` one.
    """

    costly = True
    prepare_class = Tokens
    modality = "text"

    def __init__(
        self,
        prepare: Tokens,
        name: str | None = None,
        pooling: str = "mean",
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "first"):
            raise ValueError(f"pooling is 'mean' or 'first', not {pooling!r}")
        self.name, self.pooling = name, pooling
        self.body = _from_config(config) if config else _from_name(name)
        self.config = self.body.config.to_dict()
        self.dim = int(self.body.config.hidden_size)  # whatever the family calls it
        most = getattr(self.body.config, "max_position_embeddings", None) or prepare.length
        offset = getattr(getattr(self.body, "embeddings", None), "padding_idx", None)  # RoBERTa's kind
        most -= 0 if offset is None else offset + 1
        if prepare.length > most:
            raise ValueError(f"length {prepare.length} is more than the {most} positions of {name}")

    def forward(self, ids: Tensor, mask: Tensor) -> Encoded:
        """ids (B, T), mask (B, T) -> tokens (B, T, D)."""
        visible = mask | ~mask.any(1, keepdim=True)  # a row without tokens must not divide by zero
        tokens = self.body(input_ids=ids, attention_mask=visible.long()).last_hidden_state  # (B, T, D)
        pooled = masked_mean(tokens, mask) if self.pooling == "mean" else tokens[:, 0]
        return Encoded(pooled, tokens, mask, mask.any(1))


def _from_name(name: str | None) -> Any:
    if name is None:
        raise ValueError("needs a `name`: a folder or hub name of a transformers text model")
    return load_model(name)


def _from_config(config: dict[str, Any]) -> Any:
    from transformers import AutoConfig, AutoModel

    return AutoModel.from_config(AutoConfig.for_model(**config))
