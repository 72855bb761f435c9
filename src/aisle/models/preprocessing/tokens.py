"""Text to token ids."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from aisle.errors import extra
from aisle.models.preprocessing.base import Prepared, hash_of, take_rows, write_settings
from aisle.models.pretrained import load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TokenPreprocessor:
    """Text to token ids with a `tokenizers` pipeline: a pretrained one, or byte-pair encoding learned by
    `fit`.

    Prepared arrays: `ids` (B, T) int64 and `mask` (B, T) bool; T is the length of the longest text in the
    batch.

    Args:
        name: folder or hub name of a pretrained tokenizer.
        vocab_size: size of the learned vocabulary.
        max_length: the most tokens kept of a text.
    """

    def __init__(self, name: str | None = None, vocab_size: int = 8000, max_length: int = 64) -> None:
        self.name, self.vocab_size, self.max_length = name, vocab_size, max_length
        self.tokenizer: Tokenizer | None = None
        if name is not None:
            self._use(load_tokenizer(name))

    def _use(self, tokenizer: "Tokenizer") -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_length)
        self.tokenizer = tokenizer

    @property
    def size(self) -> int:
        """Size of the vocabulary."""
        assert self.tokenizer is not None
        return self.tokenizer.get_vocab_size()

    def fit(self, values: Iterable[str | None]) -> None:
        """Learn a byte-pair encoding (Sennrich et al., arXiv 1508.07909), unless `name` is set."""
        if self.name is not None:
            return
        extra("tokenizers", "onnx", "a subword vocabulary")
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.BPEDecoder()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab_size, special_tokens=["[PAD]", "[UNK]"], show_progress=False
        )
        tokenizer.train_from_iterator((v for v in values if v), trainer)
        self._use(tokenizer)

    def __call__(self, values: Sequence[str | None]) -> Prepared:
        """Tokenize B texts; a missing one has no real token."""
        assert self.tokenizer is not None, "fit before use"
        texts = [value or "" for value in values]
        encodings = self.tokenizer.encode_batch(texts) if texts else []
        width = max((len(e.ids) for e in encodings), default=0) or 1
        ids = np.zeros((len(texts), width), dtype=np.int64)
        mask = np.zeros((len(texts), width), dtype=bool)
        for i, encoding in enumerate(encodings):
            ids[i, : len(encoding.ids)] = encoding.ids
            mask[i, : len(encoding.ids)] = values[i] is not None
        return Prepared({"ids": ids, "mask": mask}, np.asarray(mask.any(1)), {})

    def take(self, arrays: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of some rows."""
        return take_rows(arrays, rows)

    def save(self, folder: Path) -> None:
        """Write `preprocessor.json` and `tokenizer.json`."""
        assert self.tokenizer is not None, "fit before saving"
        write_settings(folder, {"name": None, "vocab_size": self.vocab_size, "max_length": self.max_length})
        self.tokenizer.save(str(folder / "tokenizer.json"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote: the tokenizer itself, whatever its `name` was."""
        self = cls(**json.loads((folder / "preprocessor.json").read_text()))
        self._use(load_tokenizer(str(folder)))
        return self

    @property
    def fingerprint(self) -> str:
        """A hash of the tokenizer and the length."""
        assert self.tokenizer is not None
        return hash_of("tokens", self.max_length, self.tokenizer.to_str())
