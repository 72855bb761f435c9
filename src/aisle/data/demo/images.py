"""Product images of the sample shop: a template in varying colour, pose, background and light."""

import io
import math
import random
import tomllib
from functools import cache
from importlib import resources

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

Colour = tuple[int, int, int]
COLOURS: dict[str, Colour] = {
    "black": (58, 60, 68),
    "white": (238, 236, 230),
    "grey": (140, 145, 152),
    "blue": (70, 116, 176),
    "red": (196, 70, 66),
    "green": (86, 138, 96),
    "yellow": (228, 184, 76),
    "pink": (222, 140, 156),
    "brown": (136, 94, 66),
    "beige": (212, 190, 156),
    "purple": (132, 100, 160),
    "orange": (222, 132, 70),
    "turquoise": (70, 158, 160),
}
_PAINT: dict[str, Colour] = {
    "ink": (45, 47, 54),
    "white": (250, 249, 245),
    "steel": (176, 183, 190),
    "wood": (181, 132, 84),
    "brass": (201, 164, 92),
    "leaf": (98, 142, 92),
    "glow": (255, 226, 150),
}
_BACKGROUNDS: list[Colour] = [
    (244, 242, 238),
    (214, 224, 212),
    (240, 222, 214),
    (206, 196, 182),
    (120, 130, 140),
]
_ANGLES = np.linspace(0, 2 * np.pi, 45)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)  # (45, 2), closed
_OVERSAMPLE = 3  # drawn larger and averaged down: smooth edges


@cache
def image_templates() -> dict[str, list[list[str]]]:
    """The shapes of every template: kind, numbers and colour, as words."""
    text = resources.files("aisle.data.demo").joinpath("image_templates.toml").read_text(encoding="utf-8")
    return {name: [shape.split() for shape in line.split(";")] for name, line in tomllib.loads(text).items()}


def draw_image(template: str, colour: Colour, rng: random.Random) -> Image.Image:
    """One image of a product: RGB, 96 to 160 pixels per side.

    Args:
        template: Name in `image_templates.toml`.
        colour: Main colour of the product.
        rng: Varies colours, pose, background and light.
    """
    width, height = (_OVERSAMPLE * rng.randrange(96, 161, 8) for _ in range(2))
    main = _vary(colour, rng)
    accent, background = (
        _contrasting(main, list(COLOURS.values()), rng),
        _contrasting(main, _BACKGROUNDS, rng),
    )
    paint = _PAINT | {"main": main, "dark": _tint(main, -0.3), "light": _tint(main, 0.35), "accent": accent}
    image = Image.new("RGB", (width, height), background)
    canvas = ImageDraw.Draw(image)
    if rng.random() < 0.5:
        canvas.rectangle((0, height * rng.uniform(0.55, 0.8), width, height), fill=_tint(background, -0.18))
    size = min(width, height) / 2 * rng.uniform(0.5, 0.9)
    pose, centre = _pose(size, rng), [rng.uniform(size, side - size) for side in (width, height)]
    for kind, *numbers, name in image_templates()[template]:
        points, stroke = _outline(kind, [float(number) for number in numbers])
        pixels = ((points + rng.gauss(0, 0.02)) @ pose + centre).ravel().tolist()
        if stroke:
            canvas.line(pixels, fill=paint[name], width=max(1, round(stroke * size)), joint="curve")
        else:
            canvas.polygon(pixels, fill=paint[name], outline=_tint(paint[name], -0.3), width=_OVERSAMPLE)
    return ImageEnhance.Brightness(image.reduce(_OVERSAMPLE)).enhance(rng.uniform(0.8, 1.1))


def encode(image: Image.Image, rng: random.Random) -> tuple[bytes, str]:
    """The file's bytes and extension: mostly JPEG of varying quality, some WebP and PNG."""
    extension = rng.choices(["jpg", "webp", "png"], weights=(80, 15, 5))[0]
    file = io.BytesIO()
    image.save(file, {"jpg": "JPEG"}.get(extension, extension), quality=rng.randint(55, 92))
    return file.getvalue(), f".{extension}"


def corrupt(data: bytes, flaw: str, name: str) -> bytes:
    """A file that no decoder can read: `truncated`, `empty` or `text`."""
    page = f"<!DOCTYPE html><html><body><h1>404 Not Found</h1><p>/{name}</p></body></html>\n".encode()
    return {"truncated": data[: len(data) // 3], "empty": b"", "text": page}[flaw]


def _outline(kind: str, numbers: list[float]) -> tuple[np.ndarray, float]:
    """Points (P, 2) of a shape, and its stroke's width; 0 where the shape is filled."""
    if kind == "box":
        left, top, right, bottom = numbers
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)]), 0.0
    if kind in ("oval", "ring"):
        return _CIRCLE * numbers[2:4] + numbers[:2], sum(numbers[4:])
    stroke = numbers.pop(0) if kind == "line" else 0.0
    return np.reshape(numbers, (-1, 2)), stroke


def _pose(size: float, rng: random.Random) -> np.ndarray:
    """(2, 2) from template to pixel coordinates: tilted, stretched, sometimes mirrored."""
    tilt = rng.gauss(0, 0.14) if rng.random() < 0.8 else rng.uniform(-1.1, 1.1)
    across = size * rng.uniform(0.9, 1.1) * rng.choice([-1, 1])
    cos, sin = math.cos(tilt), math.sin(tilt)
    return np.array([[cos * across, sin * across], [-sin * size, cos * size]])


def _vary(colour: Colour, rng: random.Random) -> Colour:
    r, g, b = (min(250, max(20, channel + rng.randint(-14, 14))) for channel in colour)
    return (r, g, b)


def _tint(colour: Colour, amount: float) -> Colour:
    """The colour moved towards white (amount > 0) or black (amount < 0) by |amount| of the way."""
    goal = 255 if amount > 0 else 0
    r, g, b = (round(channel + (goal - channel) * abs(amount)) for channel in colour)
    return (r, g, b)


def _contrasting(colour: Colour, choices: list[Colour], rng: random.Random) -> Colour:
    """One of `choices` that differs clearly from `colour`."""
    return rng.choice([c for c in choices if sum(abs(a - b) for a, b in zip(c, colour, strict=True)) > 120])
