"""Texts and pictures as they might also have been: what augments training rows. Torch-free; own code, since
torchvision has no CPU build to go with torch's."""

import math

import numpy as np
from PIL import Image, ImageEnhance

from aisle.models.options import Augment

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_NARROW, _WIDE = math.log(3 / 4), math.log(4 / 3)  # a crop's sides


def vary_text(text: str, augment: Augment, rng: np.random.Generator, fields: int = 1) -> str:
    """The text with words lost, exchanged and misspelled; at least one is left. fields: how many a line break
    may part; the first is never left out."""
    if fields > 1 and rng.random() < augment.field_dropout:
        text = text.partition("\n")[0] or text
    words = text.split()
    if not words:
        return text
    chance = rng.random((len(words), 3))
    kept = chance[:, 0] >= augment.word_dropout
    kept[rng.integers(len(words))] = True
    words = [_typo(w, rng) if c < augment.typos else w for w, c in zip(words, chance[:, 1], strict=True)]
    for i in np.flatnonzero(chance[:-1, 2] < augment.word_swap):
        words[i], words[i + 1] = words[i + 1], words[i]
    text = " ".join(word for word, stays in zip(words, kept, strict=True) if stays)
    if rng.random() < augment.case:
        return text.upper() if rng.random() < 0.5 else text.lower()
    return text


def _typo(word: str, rng: np.random.Generator) -> str:
    """One letter changed, lost or doubled; a word of one stays."""
    if len(word) < 2:
        return word
    at = int(rng.integers(len(word)))
    middle = (_LETTERS[rng.integers(26)], "", 2 * word[at])[rng.integers(3)]
    return word[:at] + middle + word[at + 1 :]


def vary_picture(picture: Image.Image, size: int, augment: Augment, rng: np.random.Generator) -> Image.Image:
    """A part of the picture as a square of `size`, perhaps mirrored, in other light.

    The crop is Inception's (Szegedy et al., arXiv 1409.4842): a share of the area and a ratio of the sides.
    """
    width, height = picture.size
    area = width * height * rng.uniform(augment.min_crop, 1)
    ratio = math.exp(rng.uniform(_NARROW, _WIDE))
    w, h = min(math.sqrt(area * ratio), width), min(math.sqrt(area / ratio), height)
    left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
    box = (left, top, left + w, top + h)
    picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    if rng.random() < augment.flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if augment.color_jitter:
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            picture = enhance(picture).enhance(1 + rng.uniform(-augment.color_jitter, augment.color_jitter))
    return picture
