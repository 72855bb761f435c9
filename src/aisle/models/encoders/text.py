"""Text read by any pretrained `transformers` model."""

from typing import Any

from torch import Tensor, nn

from aisle.errors import did_you_mean
from aisle.models.encoders.chunks import at_once, by_length
from aisle.models.encoders.pooling import POOLINGS
from aisle.models.preprocessing import TokenPreprocessor
from aisle.models.pretrained import build_model, half_of, load_model, pooling_of
from aisle.models.registry import Encoded, Encoder

_AT_ONCE = 16  # texts: no slower on a processor than more, and closer in length


class TransformerTextEncoder(Encoder):
    """Any `transformers` text encoder by hub name or folder (MiniLM, CamemBERT, FlauBERT, …).

    name: where its weights and tokenizer are; config: the configuration as a dict instead, for a
    network whose weights are loaded afterwards. pooling: `mean` over tokens, the first one (`cls`), `max`,
    `lasttoken`, `mean_sqrt_len` or `weightedmean`, as in sentence-transformers; `auto` is what its settings
    of sentence-transformers say, the mean where it has none. Of a model of texts and pictures
    (CLIP) the half that reads texts is taken, of an encoder with a decoder (T5) the encoder.
    """

    cacheable = True
    preprocessor_class = TokenPreprocessor
    modality = "text"

    def __init__(
        self,
        preprocessor: TokenPreprocessor,
        name: str | None = None,
        pooling: str = "auto",
        config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if pooling not in ("auto", *POOLINGS):
            near = did_you_mean(pooling, POOLINGS)
            raise ValueError(f"pooling {pooling!r} is none of auto, {', '.join(POOLINGS)}.{near}")
        self.name, self.pooling = name, pooling
        self.body, self.config = _from_config(config) if config else _from_name(name, pooling)
        self.config.setdefault("pooling", "mean")
        self.dim = int(self.body.config.hidden_size)  # whatever the family calls it
        most = getattr(self.body.config, "max_position_embeddings", None) or preprocessor.max_length
        most -= _unused_positions(getattr(self.body, "embeddings", None))
        if preprocessor.max_length > most:
            raise ValueError(
                f"max_length {preprocessor.max_length} is more than the {most} positions of {name}"
            )

    def forward(self, ids: Tensor, mask: Tensor) -> Encoded:
        """ids (B, T), mask (B, T) -> tokens (B, T, D)."""
        step = at_once(ids, _AT_ONCE)
        tokens = by_length(self._tokens, ids, mask, step) if step < len(ids) else self._tokens(ids, mask)
        pool = POOLINGS[self.config["pooling"] if self.pooling == "auto" else self.pooling]
        return Encoded(pool(tokens, mask), tokens, mask, mask.any(1))

    def _tokens(self, ids: Tensor, mask: Tensor) -> Tensor:
        visible = mask | ~mask.any(1, keepdim=True)  # a row without tokens must not divide by zero
        return self.body(input_ids=ids, attention_mask=visible.long()).last_hidden_state


def _unused_positions(embeddings: nn.Module | None) -> int:
    """RoBERTa's kind counts positions from behind its padding token's; a plain table of words (FlauBERT, XLM)
    has a padding token too, and says nothing about positions."""
    offset = getattr(embeddings, "padding_idx", None)
    return 0 if offset is None or isinstance(embeddings, nn.Embedding) else offset + 1


def _from_name(name: str | None, pooling: str) -> tuple[Any, dict[str, Any]]:
    if name is None:
        raise ValueError("needs a `name`: a folder or hub name of a transformers text model")
    own = pooling_of(name) if pooling == "auto" else pooling
    if own not in POOLINGS:
        raise ValueError(f"{name} pools by {own!r}, which is none of {', '.join(POOLINGS)}; name a `pooling`")
    model = load_model(name)
    return half_of(model, "text_model"), {**model.config.to_dict(), "pooling": own}


def _from_config(config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return half_of(build_model(config), "text_model"), config
