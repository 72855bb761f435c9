"""A pen that draws smooth flat shapes in unit coordinates, whatever the size, tilt and place of the thing.

A motif draws in a square of [-1, 1] × [-1, 1], y pointing down; `Pose` says where that square lands in the
picture. Everything ends as polygons, so a rotated ellipse or a mirrored shoe costs nothing extra.
"""

import math
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

WHITE: Colour = (250, 249, 245)
CREAM: Colour = (241, 232, 214)
INK: Colour = (45, 47, 54)
STEEL: Colour = (176, 183, 190)
BRASS: Colour = (201, 164, 92)
WOOD: Colour = (181, 132, 84)
GLOW: Colour = (255, 226, 150)
LEAF: Colour = (98, 142, 92)


def tint(colour: Colour, amount: float) -> Colour:
    """`colour` moved towards white (amount > 0) or a deep shade (amount < 0) by |amount| of the way."""
    goal = (255, 255, 255) if amount > 0 else (22, 20, 30)
    part = abs(amount)
    r, g, b = (round(c + (t - c) * part) for c, t in zip(colour, goal, strict=True))
    return (r, g, b)


def legible(ground: Colour) -> Colour:
    """Cream on dark grounds, a deep shade of the ground on pale ones."""
    return CREAM if sum(ground) < 560 else tint(ground, -0.62)


class Look(NamedTuple):
    """What varies from one item to the next: its colours, and a generator for its proportions."""

    main: Colour
    accent: Colour
    rng: random.Random

    def vary(self, low: float, high: float) -> float:
        """A proportion of this very item, uniform in [low, high]."""
        return self.rng.uniform(low, high)


class Pose(NamedTuple):
    """Where the unit square lands: centre and half-width in pixels, tilt in radians, stretch, mirrored."""

    x: float
    y: float
    size: float
    tilt: float = 0.0
    stretch: float = 1.0
    mirrored: bool = False

    def matrix(self) -> np.ndarray:
        """(2, 2) from unit coordinates to pixels, before the shift to (x, y)."""
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        across = self.size * self.stretch * (-1 if self.mirrored else 1)
        return np.array([[cos * across, -sin * self.size], [sin * across, cos * self.size]])


class Pen:
    """Draws on one Pillow canvas under one pose; fills get a slightly darker edge unless `edge=0`."""

    def __init__(self, draw: ImageDraw.ImageDraw, pose: Pose, edge: float = 0.025) -> None:
        self.draw = draw
        self.pose = pose
        self.edge = edge
        self._matrix = pose.matrix().T
        self._shift = np.array([pose.x, pose.y])

    def poly(self, points: Sequence[Point] | np.ndarray, fill: Colour, edge: float | None = None) -> None:
        """A closed polygon through `points`, (P, 2)."""
        flat = (np.asarray(points) @ self._matrix + self._shift).ravel().tolist()
        self.draw.polygon(flat, fill=fill)
        width = round((self.edge if edge is None else edge) * self.pose.size)
        if width > 0:
            self.draw.line([*flat, *flat[:4]], fill=tint(fill, -0.3), width=width, joint="curve")

    def blob(self, points: Sequence[Point], fill: Colour, edge: float | None = None) -> None:
        """A closed smooth outline through `points`."""
        self.poly(_smooth(points, closed=True), fill, edge)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Colour, edge: float | None = None) -> None:
        """An ellipse around (x, y)."""
        self.poly(_CIRCLE * (rx, ry) + (x, y), fill, edge)

    def box(
        self,
        corners: tuple[float, float, float, float],
        fill: Colour,
        round: float = 0.0,
        edge: float | None = None,
    ) -> None:
        """A rectangle (left, top, right, bottom) with corners rounded by `round`."""
        left, top, right, bottom = corners
        radius = min(round, (right - left) / 2, (bottom - top) / 2)
        centres = np.array(
            [
                (right - radius, bottom - radius),
                (left + radius, bottom - radius),
                (left + radius, top + radius),
                (right - radius, top + radius),
            ]
        )
        self.poly(np.repeat(centres, 10, axis=0) + _CORNERS * radius, fill, edge)

    def line(self, points: Sequence[Point] | np.ndarray, width: float, fill: Colour) -> None:
        """An open stroke with round ends."""
        pixels = np.asarray(points) @ self._matrix + self._shift
        thick = max(1.0, width * self.pose.size)
        self.draw.line(pixels.ravel().tolist(), fill=fill, width=round(thick), joint="curve")
        for x, y in (pixels[0], pixels[-1]):
            half = thick / 2
            self.draw.ellipse((x - half, y - half, x + half, y + half), fill=fill)

    def curve(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A smooth open stroke through `points`."""
        self.line(_smooth(points, closed=False), width, fill)

    def ring(self, x: float, y: float, rx: float, ry: float, width: float, fill: Colour) -> None:
        """The outline of an ellipse."""
        self.line(np.vstack([_CIRCLE, _CIRCLE[:1]]) * (rx, ry) + (x, y), width, fill)


Motif = Callable[[Pen, Look], None]

_TURN = np.linspace(0, 2 * np.pi, 44, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
_QUARTER = np.linspace(0, np.pi / 2, 10)
_CORNERS = np.concatenate(
    [np.stack([np.cos(_QUARTER + k * np.pi / 2), np.sin(_QUARTER + k * np.pi / 2)], axis=1) for k in range(4)]
)
_STEP = np.linspace(0, 1, 9)[:-1, None]


def _smooth(points: Sequence[Point], closed: bool) -> np.ndarray:
    """Catmull-Rom through `points`: (P, 2) -> (about 8 P, 2)."""
    knots = np.asarray(points, dtype=float)
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
