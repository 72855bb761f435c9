"""Augmentation of texts and images in training, without torchvision, which has no CPU build."""

import math

import numpy as np
from PIL import Image, ImageEnhance, ImageStat

from aisle.models.options import Augment

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MIN_LOG_RATIO, _MAX_LOG_RATIO = math.log(3 / 4), math.log(4 / 3)  # of the sides of a crop


def augment_text(text: str, augment: Augment, rng: np.random.Generator, fields: int = 1) -> str:
    """A text with words dropped, swapped and misspelled; at least one word is left.

    Args:
        text: fields, separated by line breaks.
        augment: probabilities.
        rng: source of randomness.
        fields: number of fields; with more than one, all but the first may be dropped.
    """
    if fields > 1 and rng.random() < augment.field_dropout:
        text = text.partition("\n")[0] or text
    words = text.split()
    if not words:
        return text
    draw = rng.random((len(words), 3))
    kept = draw[:, 0] >= augment.word_dropout
    kept[rng.integers(len(words))] = True
    words = [_typo(w, rng) if d < augment.typos else w for w, d in zip(words, draw[:, 1], strict=True)]
    for i in np.flatnonzero(draw[:-1, 2] < augment.word_swap):
        words[i], words[i + 1] = words[i + 1], words[i]
    text = " ".join(word for word, keep in zip(words, kept, strict=True) if keep)
    if rng.random() < augment.case:
        return text.upper() if rng.random() < 0.5 else text.lower()
    return text


def _typo(word: str, rng: np.random.Generator) -> str:
    """A word with one letter changed, dropped or doubled; words of one letter stay."""
    if len(word) < 2:
        return word
    at = int(rng.integers(len(word)))
    middle = (_LETTERS[rng.integers(26)], "", 2 * word[at])[rng.integers(3)]
    return word[:at] + middle + word[at + 1 :]


def augment_image(image: Image.Image, size: int, augment: Augment, rng: np.random.Generator) -> Image.Image:
    """A random crop of an image, perhaps turned and mirrored, with changed colours.

    The crop is that of Inception (Szegedy et al., arXiv 1409.4842): a random share of the area and ratio of
    sides.

    Args:
        image: the image.
        size: width and height of the result, in pixels.
        augment: probabilities and ranges.
        rng: source of randomness.
    """
    width, height = image.size
    area = width * height * rng.uniform(augment.min_crop, 1)
    ratio = math.exp(rng.uniform(_MIN_LOG_RATIO, _MAX_LOG_RATIO))
    w, h = min(math.sqrt(area * ratio), width), min(math.sqrt(area / ratio), height)
    left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
    box = (left, top, left + w, top + h)
    image = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    if augment.rotation:
        angle = rng.uniform(-augment.rotation, augment.rotation)
        mean = tuple(round(value) for value in ImageStat.Stat(image).mean)
        image = image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=mean)
    if rng.random() < augment.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if augment.color_jitter:
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = enhance(image).enhance(1 + rng.uniform(-augment.color_jitter, augment.color_jitter))
    return image
