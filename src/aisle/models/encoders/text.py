"""Text encoders: any pretrained `transformers` model."""

from typing import Any

from torch import Tensor, nn

from aisle.errors import did_you_mean
from aisle.models.encoders.batching import encode_by_length, inference_batch_size
from aisle.models.encoders.pooling import POOLINGS
from aisle.models.preprocessing import TokenPreprocessor
from aisle.models.pretrained import build_model, encoder_half, load_model, sentence_pooling
from aisle.models.registry import Encoded, Encoder

_CPU_BATCH_SIZE = 16  # texts: larger batches are no faster on a CPU, and need more padding


class TransformerTextEncoder(Encoder):
    """Any `transformers` text encoder by hub name or folder (MiniLM, CamemBERT, FlauBERT, …).

    Of a text-image model (CLIP) the text half is used, of an encoder-decoder (T5) the encoder.

    Args:
        preprocessor: its tokenizer.
        name: hub name or folder of the weights.
        pooling: `mean`, `cls` (the first token), `max`, `lasttoken`, `mean_sqrt_len` or `weightedmean`, as in
            sentence-transformers; `auto` takes it from the model's sentence-transformers settings, by default
            `mean`.
        config: the configuration of a network whose weights are loaded later, in place of `name`.

    Raises:
        ValueError: neither `name` nor `config`, an unknown pooling, or a `max_length` beyond its positions.
        MissingModelError: the weights cannot be read.
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
        positions = getattr(self.body.config, "max_position_embeddings", None) or preprocessor.max_length
        positions -= _unused_positions(getattr(self.body, "embeddings", None))
        if preprocessor.max_length > positions:
            raise ValueError(
                f"max_length {preprocessor.max_length} is more than the {positions} positions of {name}"
            )

    def forward(self, ids: Tensor, mask: Tensor) -> Encoded:
        """Encode ids (B, T) int64 and mask (B, T) bool; tokens are (B, T, D)."""
        size = inference_batch_size(ids, _CPU_BATCH_SIZE)
        if size < len(ids):
            tokens = encode_by_length(self._tokens, ids, mask, size)
        else:
            tokens = self._tokens(ids, mask)
        pool = POOLINGS[self.config["pooling"] if self.pooling == "auto" else self.pooling]
        return Encoded(pool(tokens, mask), tokens, mask, mask.any(1))

    def _tokens(self, ids: Tensor, mask: Tensor) -> Tensor:
        visible = mask | ~mask.any(1, keepdim=True)  # attention over no token would divide by zero
        return self.body(input_ids=ids, attention_mask=visible.long()).last_hidden_state


def _unused_positions(embeddings: nn.Module | None) -> int:
    """RoBERTa numbers positions from `padding_idx` + 1.

    A plain embedding table (FlauBERT, XLM) has a `padding_idx` too, which does not concern positions.
    """
    offset = getattr(embeddings, "padding_idx", None)
    return 0 if offset is None or isinstance(embeddings, nn.Embedding) else offset + 1


def _from_name(name: str | None, pooling: str) -> tuple[Any, dict[str, Any]]:
    if name is None:
        raise ValueError("needs a `name`: a folder or hub name of a transformers text model")
    own = sentence_pooling(name) if pooling == "auto" else pooling
    if own not in POOLINGS:
        raise ValueError(f"{name} pools by {own!r}, which is none of {', '.join(POOLINGS)}; name a `pooling`")
    model = load_model(name)
    return encoder_half(model, "text_model"), {**model.config.to_dict(), "pooling": own}


def _from_config(config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return encoder_half(build_model(config), "text_model"), config
