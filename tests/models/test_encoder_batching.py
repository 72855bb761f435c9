"""Encoders read a few rows at once; what they say does not depend on which."""

import numpy as np
import pytest
import torch

from aisle.models.encoders import ConvEncoder, TransformerImageEncoder, TransformerTextEncoder
from aisle.models.preprocessing import ImagePreprocessor, TokenPreprocessor
from tests.models.pretrained import tiny_text, tiny_vision

WORDS = ["red", "blue", "running", "shoes", "lamp", "of", "oak", "for", "a", "small", "desk"]


def test_texts_of_all_lengths_are_read_as_each_alone(tmp_path):
    pick = np.random.default_rng(0)
    texts = [" ".join(pick.choice(WORDS, int(pick.integers(1, 30)))) for _ in range(70)]
    texts[3] = texts[40] = None  # an absent one is not masked into nothing
    name = str(tiny_text(tmp_path / "text", [text for text in texts if text]))
    tokens = TokenPreprocessor(name)
    encoder = TransformerTextEncoder(tokens, name).eval()

    def read(some):
        return encoder(**{k: torch.from_numpy(v) for k, v in tokens(some).arrays.items()})

    with torch.inference_mode():
        together = read(texts)
        for row, text in enumerate(texts):
            alone = read([text])
            torch.testing.assert_close(together.pooled[row], alone.pooled[0], rtol=1e-4, atol=1e-5)
            width = int(alone.mask.sum())
            torch.testing.assert_close(
                together.tokens[row, :width], alone.tokens[0, :width], rtol=1e-4, atol=1e-5
            )
            assert int(together.mask[row].sum()) == width
    learning = read(texts)  # with gradients: all at once
    torch.testing.assert_close(learning.pooled, together.pooled, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["own", "pretrained"])
def test_pictures_are_read_as_each_alone_and_empty_places_not_at_all(kind, tmp_path, monkeypatch):
    if kind == "own":
        encoder = ConvEncoder(ImagePreprocessor(32), dim=16)
    else:
        encoder = TransformerImageEncoder(ImagePreprocessor(32), str(tiny_vision(tmp_path / "vision", 32)))
    encoder.eval()
    pick = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (11, 3, 3, 32, 32), dtype=torch.uint8, generator=pick)
    shown = torch.arange(3) < torch.randint(0, 4, (11, 1), generator=pick)
    assert not shown.all()
    seen = []
    patches = encoder._patches
    monkeypatch.setattr(encoder, "_patches", lambda x: (seen.append(len(x)), patches(x))[1])
    with torch.inference_mode():
        together = encoder(pixels, shown)
        assert sum(seen) == int(shown.sum())
        for row in range(len(pixels)):
            alone = encoder(pixels[row : row + 1], shown[row : row + 1])
            torch.testing.assert_close(together.pooled[row], alone.pooled[0], rtol=1e-4, atol=1e-5)
        nothing = encoder(pixels[:2], torch.zeros(2, 3, dtype=torch.bool))
    assert not nothing.present.any()
    assert torch.isfinite(nothing.pooled).all()
    learning = encoder(pixels, shown)
    torch.testing.assert_close(learning.pooled, together.pooled, rtol=1e-4, atol=1e-5)
