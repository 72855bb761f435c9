"""Draws a product from the shapes in `image_templates.toml`."""

import math
import random
import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
from PIL import ImageDraw

Colour = tuple[int, int, int]
NAMED: dict[str, Colour] = {
    "ink": (45, 47, 54),
    "white": (250, 249, 245),
    "steel": (176, 183, 190),
    "wood": (181, 132, 84),
    "brass": (201, 164, 92),
    "leaf": (98, 142, 92),
    "glow": (255, 226, 150),
}
_SHADES = {"main": 0.0, "dark": -0.3, "light": 0.35}
_TURN = np.linspace(0, 2 * np.pi, 44, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)  # (44, 2)
_STEP = np.linspace(0, 1, 9)[:-1, None]
_WOBBLE = 0.03  # each shape is moved and scaled by up to this share


class Shape(NamedTuple):
    """One shape: its kind, its numbers and the name of its colour."""

    kind: str
    numbers: tuple[float, ...]
    colour: str
    round: float = 0.0


class Pose(NamedTuple):
    """Position of the unit square: centre and half-width in pixels, tilt in radians, stretch, mirrored."""

    x: float
    y: float
    size: float
    tilt: float = 0.0
    stretch: float = 1.0
    mirrored: bool = False

    def apply(self, points: np.ndarray) -> list[float]:
        """Unit coordinates (P, 2) to flat pixel coordinates x, y, x, y, …"""
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        across = self.size * self.stretch * (-1 if self.mirrored else 1)
        matrix = np.array([[cos * across, sin * across], [-sin * self.size, cos * self.size]])
        return (points @ matrix + (self.x, self.y)).ravel().tolist()


@cache
def image_templates() -> dict[str, tuple[Shape, ...]]:
    """The shapes of every template, by its name."""
    text = resources.files("aisle.data.demo").joinpath("image_templates.toml").read_text(encoding="utf-8")
    return {name: tuple(map(_parse, line.split(";"))) for name, line in tomllib.loads(text).items()}


def _parse(text: str) -> Shape:
    kind, *words = text.split()
    at = next(i for i, word in enumerate(words) if word.isalpha())
    return Shape(kind, tuple(map(float, words[:at])), words[at], *map(float, words[at + 1 :]))


def tint(colour: Colour, amount: float) -> Colour:
    """`colour` moved towards white (amount > 0) or a deep shade (amount < 0) by |amount| of the way."""
    goal = (255, 255, 255) if amount > 0 else (22, 20, 30)
    r, g, b = (round(c + (t - c) * abs(amount)) for c, t in zip(colour, goal, strict=True))
    return (r, g, b)


def draw(
    canvas: ImageDraw.ImageDraw, name: str, pose: Pose, main: Colour, accent: Colour, rng: random.Random
) -> None:
    """Draw one product.

    Args:
        canvas: The canvas.
        name: The template's name in `image_templates.toml`.
        pose: Position of the template's unit square.
        main: The product's colour.
        accent: Its second colour.
        rng: Varies the shapes.
    """
    for shape in image_templates()[name]:
        shade = _SHADES.get(shape.colour)
        fill = accent if shape.colour == "accent" else NAMED.get(shape.colour) or tint(main, shade or 0.0)
        scale = 1 + rng.uniform(-_WOBBLE, _WOBBLE)
        move = np.array([rng.uniform(-_WOBBLE, _WOBBLE), rng.uniform(-_WOBBLE, _WOBBLE)])
        points, width = _outline(shape)
        pixels = pose.apply(points * scale + move)
        if width:
            canvas.line(pixels, fill=fill, width=max(1, round(width * pose.size)), joint="curve")
        else:
            canvas.polygon(pixels, fill=fill)
            canvas.line([*pixels, *pixels[:4]], fill=tint(fill, -0.3), width=max(1, round(0.02 * pose.size)))


def _outline(shape: Shape) -> tuple[np.ndarray, float]:
    """Points (P, 2) of a shape, and its stroke's width; 0 where the shape is filled."""
    numbers = shape.numbers
    match shape.kind:
        case "box":
            left, top, right, bottom = numbers
            return _rounded(left, top, right, bottom, shape.round), 0.0
        case "oval":
            return _CIRCLE * numbers[2:] + numbers[:2], 0.0
        case "ring":
            return np.vstack([_CIRCLE, _CIRCLE[:2]]) * numbers[2:4] + numbers[:2], numbers[4]
        case "poly":
            return np.reshape(numbers, (-1, 2)), 0.0
        case "blob":
            return _smooth(np.reshape(numbers, (-1, 2)), closed=True), 0.0
        case "line":
            return np.reshape(numbers[1:], (-1, 2)), numbers[0]
        case "curve":
            return _smooth(np.reshape(numbers[1:], (-1, 2)), closed=False), numbers[0]
    raise ValueError(f"no shape {shape.kind!r}")


def _rounded(left: float, top: float, right: float, bottom: float, radius: float) -> np.ndarray:
    """The outline of a rectangle with round corners, (44, 2)."""
    radius = min(radius, (right - left) / 2, (bottom - top) / 2)
    x = np.where(_CIRCLE[:, 0] >= 0, right - radius, left + radius)
    y = np.where(_CIRCLE[:, 1] >= 0, bottom - radius, top + radius)
    return _CIRCLE * radius + np.stack([x, y], axis=1)


def _smooth(knots: np.ndarray, closed: bool) -> np.ndarray:
    """Catmull-Rom spline through `knots`: (P, 2) -> (about 8 P, 2)."""
    if closed:
        before, start, end, after = (np.roll(knots, shift, axis=0) for shift in (1, 0, -1, -2))
    else:
        padded = np.vstack([knots[:1], knots, knots[-1:]])
        before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    b, s, e, a = (k[:, None, :] for k in (before, start, end, after))
    t = _STEP[None]
    spline = 0.5 * (2 * s + (e - b) * t + (2 * b - 5 * s + 4 * e - a) * t**2 + (3 * s - b - 3 * e + a) * t**3)
    smooth = spline.reshape(-1, 2)
    return smooth if closed else np.vstack([smooth, knots[-1:]])
