"""Things for the house: kitchenware, lamps, furniture, decoration."""

from aisle.catalog.demo.pen import (
    BRASS,
    CREAM,
    GLOW,
    INK,
    LEAF,
    STEEL,
    WHITE,
    WOOD,
    Look,
    Pen,
    Point,
    tint,
)

# -- kitchen ----------------------------------------------------------------------------------


def mug(pen: Pen, look: Look) -> None:
    """A cylinder with one ear."""
    pen.ring(0.55, 0.08, 0.3, 0.32, look.vary(0.12, 0.17), tint(look.main, -0.12))
    pen.box((-0.62, -0.6, 0.5, 0.78), look.main, 0.16)
    pen.oval(-0.06, -0.6, 0.56, 0.16, tint(look.main, 0.35))
    pen.oval(-0.06, -0.58, 0.46, 0.11, (92, 64, 48), 0)
    if look.rng.random() < 0.5:
        pen.box((-0.6, 0.0, 0.48, 0.26), look.accent, edge=0)
    else:
        pen.oval(-0.06, 0.14, 0.22, 0.22, look.accent, 0)


def teapot(pen: Pen, look: Look) -> None:
    """A round belly, a spout, a handle, a lid with a knob."""
    pen.ring(-0.62, 0.06, 0.28, 0.32, 0.12, tint(look.main, -0.25))
    pen.poly(
        [(0.4, 0.35), (0.72, -0.1), (0.82, -0.36), (0.98, -0.32), (0.86, 0.1), (0.5, 0.6)],
        tint(look.main, -0.12),
    )
    pen.oval(0, 0.2, 0.64, look.vary(0.52, 0.62), look.main)
    pen.oval(0, -0.34, 0.32, 0.12, tint(look.main, 0.25))
    pen.oval(0, -0.54, 0.1, 0.1, look.accent)
    pen.curve([(-0.58, 0.24), (0, 0.42), (0.58, 0.24)], 0.09, look.accent)


def pan(pen: Pen, look: Look) -> None:
    """From above: a dark disc and a long handle."""
    pen.line([(0.3, 0.3), (0.92, 0.92)], 0.2, look.main)
    pen.oval(0.86, 0.86, 0.05, 0.05, WHITE, 0)
    pen.oval(-0.22, -0.22, 0.7, 0.7, STEEL)
    pen.oval(-0.22, -0.22, 0.6, 0.6, INK)
    pen.ring(-0.22, -0.22, 0.42, 0.42, 0.025, tint(INK, 0.2))


def bowl(pen: Pen, look: Look) -> None:
    """A wide half-round dish on a foot."""
    deep = look.vary(0.5, 0.66)
    pen.box((-0.26, deep - 0.12, 0.26, deep + 0.06), tint(look.main, -0.25), 0.04)
    pen.blob(
        [(-0.9, -0.2), (-0.72, 0.2), (-0.3, deep), (0.3, deep), (0.72, 0.2), (0.9, -0.2), (0, -0.1)],
        look.main,
    )
    pen.oval(0, -0.2, 0.9, 0.24, tint(look.main, 0.3))
    pen.oval(0, -0.18, 0.78, 0.17, tint(look.main, -0.25), 0)
    pen.curve([(-0.74, 0.16), (0, 0.34), (0.74, 0.16)], 0.07, look.accent)


def bottle(pen: Pen, look: Look) -> None:
    """Shoulders, a neck, a cap, a label."""
    wide = look.vary(0.3, 0.38)
    body: list[Point] = [
        (-0.14, -0.62),
        (0.14, -0.62),
        (0.16, -0.42),
        (wide, -0.2),
        (wide, 0.92),
        (-wide, 0.92),
        (-wide, -0.2),
    ]
    pen.poly([*body, (-0.16, -0.42)], look.main)
    pen.box((-0.18, -0.94, 0.18, -0.58), look.accent, 0.05)
    pen.box((-wide, 0.1, wide, 0.6), WHITE, edge=0.01)
    pen.oval(0, 0.35, 0.13, 0.13, look.accent, 0)
    pen.line([(-wide + 0.09, -0.1), (-wide + 0.09, 0.84)], 0.05, tint(look.main, 0.4))


def utensils(pen: Pen, look: Look) -> None:
    """A wooden spoon crossed with a whisk."""
    pen.line([(-0.66, 0.8), (0.36, -0.42)], 0.13, WOOD)
    pen.blob(
        [(0.24, -0.36), (0.3, -0.68), (0.56, -0.86), (0.72, -0.7), (0.6, -0.42), (0.4, -0.24)],
        tint(WOOD, 0.15),
    )
    pen.line([(0.66, 0.8), (-0.06, -0.06)], 0.14, look.main)
    for bulge in (0.32, 0.2, 0.08):
        pen.curve(
            [
                (-0.06, -0.06),
                (-0.34 - bulge, -0.3 + bulge),
                (-0.72, -0.82),
                (-0.34 + bulge, -0.42 - bulge),
                (-0.06, -0.06),
            ],
            0.04,
            tint(STEEL, -0.15),
        )


# -- lighting ---------------------------------------------------------------------------------


def table_lamp(pen: Pen, look: Look) -> None:
    """A wide shade on a rounded foot."""
    pen.blob([(-0.1, 0.0), (0.1, 0.0), (0.3, 0.36), (0.26, 0.7), (-0.26, 0.7), (-0.3, 0.36)], look.accent)
    pen.box((-0.36, 0.7, 0.36, 0.86), tint(look.accent, -0.3), 0.06)
    top = look.vary(0.3, 0.44)
    pen.poly([(-top, -0.82), (top, -0.82), (0.74, 0.06), (-0.74, 0.06)], look.main)
    pen.poly([(-top * 0.5, -0.8), (top * 0.5, -0.8), (0.34, 0.04), (-0.34, 0.04)], tint(look.main, 0.45), 0)
    pen.line([(-0.74, 0.04), (0.74, 0.04)], 0.05, tint(look.main, -0.25))


def pendant(pen: Pen, look: Look) -> None:
    """A dome on a cord, a bulb below it."""
    pen.line([(0, -1.3), (0, -0.2)], 0.045, INK)
    pen.oval(0, 0.52, 0.2, 0.2, GLOW, 0.012)
    pen.box((-0.12, -0.36, 0.12, -0.08), BRASS, 0.04)
    wide = look.vary(0.76, 0.92)
    pen.blob(
        [
            (-wide, 0.5),
            (-wide * 0.85, 0.16),
            (-0.3, -0.14),
            (0.3, -0.14),
            (wide * 0.85, 0.16),
            (wide, 0.5),
            (0, 0.42),
        ],
        look.main,
    )
    pen.curve([(-wide * 0.6, 0.3), (-0.4, 0.06), (-0.2, -0.02)], 0.07, tint(look.main, 0.45))


def floor_lamp(pen: Pen, look: Look) -> None:
    """A tall thin stem on three legs, a small shade."""
    for x in (-0.42, 0.0, 0.42):
        pen.line([(0, 0.3), (x, 0.94)], 0.07, WOOD)
    pen.line([(0, -0.5), (0, 0.34)], 0.06, INK)
    top = look.vary(0.2, 0.3)
    pen.poly([(-top, -0.96), (top, -0.96), (0.42, -0.42), (-0.42, -0.42)], look.main)
    pen.line([(-0.4, -0.45), (0.4, -0.45)], 0.05, GLOW)


def candle(pen: Pen, look: Look) -> None:
    """A pillar with a flame on a plate."""
    pen.oval(0, 0.78, 0.72, 0.14, tint(look.accent, 0.2))
    pen.box((-0.32, look.vary(-0.3, -0.1), 0.32, 0.8), look.main, 0.08)
    pen.line([(0, -0.42), (0, -0.2)], 0.04, INK)
    pen.blob([(0, -0.95), (0.17, -0.6), (0.0, -0.4), (-0.17, -0.6)], (246, 170, 70), 0)
    pen.blob([(0, -0.78), (0.08, -0.58), (0.0, -0.45), (-0.08, -0.58)], GLOW, 0)
    pen.blob(
        [(-0.3, -0.1), (-0.1, -0.04), (0.3, -0.1), (0.24, 0.14), (0.1, 0.0), (-0.12, 0.1)],
        tint(look.main, 0.3),
        0,
    )


# -- furniture --------------------------------------------------------------------------------


def chair(pen: Pen, look: Look) -> None:
    """From the front: a slatted back, a cushion, four legs."""
    wood = tint(WOOD, look.vary(-0.35, 0.2))
    for x in (-0.36, 0.36):
        pen.line([(x, 0.16), (x * 0.95, 0.74)], 0.09, tint(wood, -0.25))
    for x in (-0.46, 0.46):
        pen.line([(x, -0.9), (x, 0.2)], 0.11, wood)
        pen.line([(x, 0.2), (x * 1.12, 0.94)], 0.11, wood)
    for i in range(look.rng.choice([2, 3])):
        pen.box((-0.46, -0.84 + 0.28 * i, 0.46, -0.68 + 0.28 * i), wood, 0.03)
    pen.poly([(-0.5, 0.02), (0.5, 0.02), (0.62, 0.28), (-0.62, 0.28)], look.main)


def table(pen: Pen, look: Look) -> None:
    """A broad top on four legs, a runner across it."""
    wood = tint(WOOD, look.vary(-0.4, 0.3))
    for x in (-0.6, 0.6):
        pen.line([(x, -0.2), (x, 0.6)], 0.09, tint(wood, -0.35))
    for x in (-0.84, 0.84):
        pen.line([(x, 0.0), (x * 1.02, 0.86)], 0.13, tint(wood, -0.15))
    pen.poly([(-0.66, -0.4), (0.66, -0.4), (0.98, -0.02), (-0.98, -0.02)], wood)
    pen.poly([(-0.98, -0.02), (0.98, -0.02), (0.98, 0.1), (-0.98, 0.1)], tint(wood, -0.2))
    pen.poly([(-0.16, -0.39), (0.16, -0.39), (0.24, 0.24), (-0.24, 0.24)], look.main, 0.01)


def sofa(pen: Pen, look: Look) -> None:
    """A low back, two cushions, round arms, small feet."""
    for x in (-0.74, 0.74):
        pen.line([(x, 0.5), (x, 0.72)], 0.09, WOOD)
    pen.box((-0.84, -0.52, 0.84, 0.5), tint(look.main, -0.12), 0.16)
    for x in (-0.4, 0.4):
        pen.box((x - 0.37, -0.36, x + 0.37, 0.16), look.main, 0.12)
        pen.box((x - 0.4, 0.1, x + 0.4, 0.38), tint(look.main, 0.18), 0.1)
    for x in (-0.84, 0.84):
        pen.box((x - 0.15, -0.14, x + 0.15, 0.56), look.main, 0.13)
    if look.rng.random() < 0.7:
        pen.box((-0.62, -0.2, -0.3, 0.12), look.accent, 0.06)


def stool(pen: Pen, look: Look) -> None:
    """A round seat on three splayed legs."""
    for x in (-0.5, 0.06, 0.5):
        pen.line([(x * 0.5, -0.2), (x, 0.9)], 0.12, WOOD)
    pen.line([(-0.4, 0.46), (0.4, 0.46)], 0.06, tint(WOOD, -0.25))
    pen.oval(0, -0.2, 0.62, 0.2, tint(look.main, -0.25))
    pen.oval(0, -0.28, 0.62, 0.2, look.main)


# -- decoration -------------------------------------------------------------------------------


def clock(pen: Pen, look: Look) -> None:
    """A wall clock: rim, twelve marks, hands."""
    pen.oval(0, 0, 0.88, 0.88, look.main)
    pen.oval(0, 0, 0.72, 0.72, CREAM, 0.015)
    marks = ((0, -1), (0.5, -0.87), (0.87, -0.5), (1, 0), (0.87, 0.5), (0.5, 0.87))
    for x, y in marks:
        for side in (-1, 1):
            pen.line([(side * x * 0.54, side * y * 0.54), (side * x * 0.64, side * y * 0.64)], 0.05, INK)
    pen.line([(0, 0), (look.vary(-0.34, 0.34), -0.3)], 0.08, INK)
    pen.line([(0, 0), (look.vary(0.2, 0.44), look.vary(-0.3, 0.4))], 0.055, INK)
    pen.oval(0, 0, 0.07, 0.07, look.accent)


def vase(pen: Pen, look: Look) -> None:
    """A curved vessel with a few flowers."""
    for x, y in ((-0.4, -0.72), (0.04, -0.88), (0.44, -0.68)):
        pen.curve([(0, 0.0), (x * 0.5, -0.3), (x, y)], 0.04, LEAF)
        pen.oval(x, y, look.vary(0.13, 0.18), look.vary(0.13, 0.18), look.accent)
        pen.oval(x, y, 0.06, 0.06, GLOW, 0)
    left: list[Point] = [(-0.18, -0.2), (-0.12, 0.0), (-0.46, 0.4), (-0.3, 0.88)]
    pen.blob([*left, *[(-x, y) for x, y in reversed(left)]], look.main)
    pen.curve([(-0.42, 0.4), (0, 0.5), (0.42, 0.4)], 0.06, tint(look.main, 0.4))


def houseplant(pen: Pen, look: Look) -> None:
    """Broad leaves fanning out of a pot."""
    for x, y in ((-0.78, -0.3), (-0.5, -0.78), (0.0, -0.94), (0.5, -0.76), (0.8, -0.28)):
        green = tint(LEAF, look.vary(-0.3, 0.2))
        side: Point = (-y * 0.2, x * 0.2)
        middle: Point = (x * 0.6, 0.2 + (y - 0.2) * 0.6)
        pen.blob(
            [
                (0, 0.25),
                (middle[0] + side[0], middle[1] + side[1]),
                (x, y),
                (middle[0] - side[0], middle[1] - side[1]),
            ],
            green,
        )
        pen.line([(0, 0.25), (x * 0.9, y * 0.9)], 0.025, tint(green, -0.25))
    pen.poly([(-0.42, 0.28), (0.42, 0.28), (0.3, 0.92), (-0.3, 0.92)], look.main)
    pen.box((-0.48, 0.18, 0.48, 0.36), tint(look.main, 0.15), 0.04)
