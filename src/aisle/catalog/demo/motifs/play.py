"""Electronics, music, books, sport and garden."""

from aisle.catalog.demo.pen import (
    BRASS,
    CREAM,
    GLOW,
    INK,
    LEAF,
    STEEL,
    WHITE,
    WOOD,
    Colour,
    Look,
    Pen,
    Point,
    legible,
    tint,
)

# -- electronics ------------------------------------------------------------------------------


def smartphone(pen: Pen, look: Look) -> None:
    """The screen side, with rows of icons."""
    pen.box((-0.48, -0.92, 0.48, 0.92), INK, 0.14)
    pen.box((-0.42, -0.84, 0.42, 0.84), tint(look.main, 0.25), 0.1, 0)
    for row in range(3):
        for column in range(3):
            x, y = -0.26 + 0.26 * column, -0.2 + 0.26 * row
            pen.box(
                (x - 0.08, y - 0.08, x + 0.08, y + 0.08), look.rng.choice([WHITE, look.accent, GLOW]), 0.03, 0
            )
    pen.box((-0.3, -0.66, 0.3, -0.44), WHITE, 0.05, 0)
    pen.oval(0, -0.78, 0.04, 0.04, INK, 0)


def phone_case(pen: Pen, look: Look) -> None:
    """The back of a cover: a hole for the lenses, a pattern."""
    pen.box((-0.52, -0.94, 0.52, 0.94), look.main, 0.18)
    pen.box((-0.42, -0.82, 0.02, -0.4), tint(look.main, -0.65), 0.1)
    for x, y in ((-0.3, -0.7), (-0.1, -0.52)):
        pen.oval(x, y, 0.075, 0.075, STEEL, 0.02)
    if look.rng.random() < 0.5:
        for i in range(5):
            pen.oval(look.vary(-0.34, 0.34), -0.2 + 0.23 * i, 0.11, 0.11, look.accent, 0)
    else:
        for i in range(4):
            pen.line([(-0.44, 0.1 + 0.2 * i), (0.44, -0.14 + 0.2 * i)], 0.08, look.accent)


def headphones(pen: Pen, look: Look) -> None:
    """A band over two cushioned cups."""
    pen.curve(
        [(-0.66, 0.3), (-0.68, -0.3), (-0.36, -0.78), (0, -0.88), (0.36, -0.78), (0.68, -0.3), (0.66, 0.3)],
        look.vary(0.12, 0.17),
        look.main,
    )
    for side in (-1, 1):
        pen.box((side * 0.52 - 0.14, 0.06, side * 0.52 + 0.14, 0.78), INK, 0.12)
        pen.box((side * 0.74 - 0.18, 0.02, side * 0.74 + 0.18, 0.82), look.main, 0.16)
        pen.line([(side * 0.8, 0.24), (side * 0.8, 0.58)], 0.06, look.accent)


def speaker(pen: Pen, look: Look) -> None:
    """An upright box with a small and a large cone."""
    pen.box((-0.56, -0.92, 0.56, 0.92), look.main, look.vary(0.05, 0.2))
    for y, radius in ((-0.48, 0.24), (0.32, 0.42)):
        pen.oval(0, y, radius, radius, INK)
        pen.oval(0, y, radius * 0.74, radius * 0.74, tint(INK, 0.22), 0)
        pen.oval(0, y, radius * 0.3, radius * 0.3, look.accent, 0)


def camera(pen: Pen, look: Look) -> None:
    """A body with a grip, a viewfinder hump and a big lens."""
    pen.box((-0.3, -0.66, 0.3, -0.3), tint(look.main, -0.3), 0.08)
    pen.box((-0.74, -0.56, -0.46, -0.36), BRASS, 0.04)
    pen.box((-0.92, -0.44, 0.92, 0.62), look.main, 0.14)
    pen.box((-0.92, -0.44, 0.92, -0.2), STEEL, 0.1, 0.01)
    pen.oval(0, 0.12, 0.44, 0.44, INK)
    pen.oval(0, 0.12, 0.3, 0.3, tint(look.accent, -0.4), 0.02)
    pen.oval(-0.1, 0.02, 0.09, 0.09, WHITE, 0)
    pen.oval(0.7, -0.32, 0.07, 0.07, GLOW, 0)


def laptop(pen: Pen, look: Look) -> None:
    """An open screen above its keys."""
    pen.box((-0.74, -0.74, 0.74, 0.28), INK, 0.06)
    pen.box((-0.67, -0.67, 0.67, 0.2), tint(look.main, 0.1), 0.02, 0)
    pen.blob([(-0.67, 0.2), (-0.4, -0.2), (-0.1, 0.0), (0.3, -0.4), (0.67, 0.2)], tint(look.accent, 0.2), 0)
    pen.poly([(-0.74, 0.28), (0.74, 0.28), (0.98, 0.66), (-0.98, 0.66)], STEEL)
    for i in range(3):
        y, half = 0.35 + 0.07 * i, 0.68 + 0.05 * i
        pen.line([(-half, y), (half, y)], 0.035, tint(STEEL, -0.45))
    pen.poly([(-0.2, 0.54), (0.2, 0.54), (0.22, 0.62), (-0.22, 0.62)], tint(STEEL, -0.2), 0)


def keyboard(pen: Pen, look: Look) -> None:
    """A low board with rows of keys."""
    pen.box((-0.98, -0.38, 0.98, 0.42), tint(look.main, -0.45), 0.08)
    for row in range(3):
        for column in range(9):
            x, y = -0.84 + 0.21 * column, -0.22 + 0.2 * row
            cap = look.accent if (row, column) in ((0, 0), (2, 8)) else tint(look.main, 0.45)
            pen.box((x - 0.085, y - 0.08, x + 0.085, y + 0.08), cap, 0.03, 0)
    pen.box((-0.5, 0.27, 0.5, 0.37), tint(look.main, 0.45), 0.03, 0)


# -- music ------------------------------------------------------------------------------------


def _neck(pen: Pen, bottom: float, wood: Colour) -> None:
    pen.box((-0.07, -0.8, 0.07, bottom), tint(INK, 0.12), 0, 0)
    for i in range(5):
        pen.line([(-0.06, -0.7 + 0.12 * i), (0.06, -0.7 + 0.12 * i)], 0.02, STEEL)
    pen.box((-0.12, -1.0, 0.12, -0.78), wood, 0.03)
    for side in (-1, 1):
        for y in (-0.95, -0.88, -0.81):
            pen.oval(side * 0.15, y, 0.03, 0.025, BRASS, 0)


def acoustic_guitar(pen: Pen, look: Look) -> None:
    """A figure of eight with a round sound hole."""
    wood = look.rng.choice([WOOD, (206, 150, 86), (222, 182, 120), tint(look.main, -0.1)])
    waist = look.vary(0.26, 0.32)
    right: list[Point] = [(0.3, -0.12), (waist, 0.16), (0.48, 0.5), (0.34, 0.88)]
    pen.blob([(0, -0.24), *right, (0, 0.96), *[(-x, y) for x, y in reversed(right)]], wood)
    _neck(pen, 0.1, tint(wood, -0.3))
    pen.oval(0, 0.22, 0.17, 0.17, CREAM, 0)
    pen.oval(0, 0.22, 0.14, 0.14, INK, 0)
    pen.box((-0.2, 0.62, 0.2, 0.7), tint(wood, -0.55), 0.02, 0)
    pen.line([(0, -0.8), (0, 0.66)], 0.02, WHITE)


def electric_guitar(pen: Pen, look: Look) -> None:
    """Two horns, pickups, knobs, a pick guard."""
    left: list[Point] = [
        (-0.12, 0.06),
        (-0.4, -0.24),
        (-0.46, 0.1),
        (-0.34, 0.34),
        (-0.46, 0.66),
        (-0.2, 0.94),
    ]
    pen.blob(
        [*left, (0.24, 0.94), (0.46, 0.62), (0.34, 0.34), (0.44, 0.0), (0.28, -0.1), (0.12, 0.08)], look.main
    )
    pen.blob([(0.08, 0.16), (0.34, 0.06), (0.26, 0.4), (0.36, 0.62), (0.14, 0.78), (0.06, 0.5)], WHITE, 0)
    _neck(pen, 0.2, tint(WOOD, 0.2))
    for y in (0.3, 0.46):
        pen.box((-0.14, y, 0.14, y + 0.09), INK, 0.02, 0)
    pen.box((-0.15, 0.66, 0.15, 0.74), STEEL, 0.02)
    for y in (0.6, 0.76):
        pen.oval(0.29, y, 0.045, 0.045, BRASS, 0.01)


def violin(pen: Pen, look: Look) -> None:
    """A slim waisted body with f-holes, and its bow."""
    wood = tint((168, 88, 44), look.vary(-0.25, 0.2))
    pen.line([(0.74, -0.92), (0.5, 0.94)], 0.035, tint(WOOD, -0.3))
    pen.line([(0.8, -0.9), (0.58, 0.92)], 0.018, WHITE)
    right: list[Point] = [(0.28, -0.14), (0.24, 0.1), (0.16, 0.28), (0.26, 0.46), (0.38, 0.68), (0.2, 0.94)]
    pen.blob([(0, -0.24), *right, *[(-x, y) for x, y in reversed(right)]], wood)
    _neck(pen, 0.36, tint(wood, -0.3))
    for side in (-1, 1):
        pen.curve(
            [(side * 0.12, 0.2), (side * 0.17, 0.36), (side * 0.15, 0.5), (side * 0.2, 0.58)], 0.03, INK
        )
    pen.poly([(-0.05, 0.56), (0.05, 0.56), (0.08, 0.86), (-0.08, 0.86)], INK, 0)


def drum(pen: Pen, look: Look) -> None:
    """A shell with zigzag cords and two sticks."""
    pen.box((-0.72, -0.2, 0.72, 0.66), look.main, 0.1)
    pen.oval(0, 0.66, 0.72, 0.18, look.main)
    cords: list[Point] = [(-0.7 + 0.28 * i, -0.12 if i % 2 else 0.66) for i in range(6)]
    pen.line(cords, 0.035, CREAM)
    pen.oval(0, -0.2, 0.78, 0.26, look.accent)
    pen.oval(0, -0.23, 0.7, 0.21, CREAM, 0.01)
    for side in (-1, 1):
        pen.line([(side * 0.86, -0.86), (side * 0.08, -0.28)], 0.06, WOOD)
        pen.oval(side * 0.08, -0.28, 0.07, 0.06, WOOD)


# -- books and media --------------------------------------------------------------------------


def _book(pen: Pen, look: Look) -> None:
    thick = look.vary(0.08, 0.16)
    pen.box(
        (-0.6 + thick, -0.86 + thick * 0.5, 0.6 + thick, 0.86 + thick * 0.5), tint(look.main, -0.45), 0.03
    )
    pen.box((-0.6 + thick, -0.82 + thick * 0.5, 0.57 + thick, 0.82 + thick * 0.5), CREAM, 0.02, 0)
    pen.box((-0.64, -0.9, 0.58, 0.84), look.main, 0.03)
    pen.box((-0.64, -0.9, -0.5, 0.84), tint(look.main, -0.25), 0.02, 0)


def novel(pen: Pen, look: Look) -> None:
    """A sober cover: a title in lines, a rule, a moon."""
    _book(pen, look)
    for i, half in enumerate((0.4, 0.3, 0.36)):
        pen.line(
            [(0.04 - half, -0.62 + 0.15 * i), (0.04 + half, -0.62 + 0.15 * i)], 0.075, legible(look.main)
        )
    pen.line([(-0.26, 0.6), (0.34, 0.6)], 0.05, look.accent)
    if look.rng.random() < 0.6:
        pen.oval(0.04, 0.2, 0.2, 0.2, look.accent, 0)


def cookbook(pen: Pen, look: Look) -> None:
    """A plate between fork and knife on the cover."""
    _book(pen, look)
    pen.line([(-0.22, -0.68), (0.3, -0.68)], 0.09, legible(look.main))
    pen.oval(0.04, 0.1, 0.3, 0.3, WHITE)
    pen.oval(0.04, 0.1, 0.17, 0.17, look.accent, 0)
    pen.line([(-0.38, -0.24), (-0.38, 0.52)], 0.06, legible(look.main))
    for x in (-0.45, -0.38, -0.31):
        pen.line([(x, -0.34), (x, -0.14)], 0.035, legible(look.main))
    pen.poly([(0.42, -0.34), (0.52, -0.2), (0.5, 0.1), (0.42, 0.1)], legible(look.main), 0)
    pen.line([(0.45, 0.08), (0.45, 0.52)], 0.06, legible(look.main))


def picture_book(pen: Pen, look: Look) -> None:
    """A bear's face and stars on the cover."""
    _book(pen, look)
    bear = (172, 120, 78)
    for x in (-0.2, 0.28):
        pen.oval(x, -0.14, 0.13, 0.13, bear)
    pen.oval(0.04, 0.14, 0.36, 0.34, bear)
    pen.oval(0.04, 0.25, 0.18, 0.14, CREAM, 0)
    for x in (-0.1, 0.18):
        pen.oval(x, 0.06, 0.045, 0.045, INK, 0)
    pen.oval(0.04, 0.2, 0.06, 0.045, INK, 0)
    for x in (-0.3, 0.04, 0.38):
        pen.poly(
            [
                (x, -0.76),
                (x + 0.05, -0.65),
                (x + 0.14, -0.64),
                (x + 0.07, -0.56),
                (x, -0.46),
                (x - 0.07, -0.56),
                (x - 0.14, -0.64),
                (x - 0.05, -0.65),
            ],
            GLOW,
            0,
        )


def record(pen: Pen, look: Look) -> None:
    """A black disc half out of its sleeve."""
    pen.oval(0.34, 0, 0.62, 0.62, INK)
    for radius in (0.52, 0.42, 0.32):
        pen.ring(0.34, 0, radius, radius, 0.018, tint(INK, 0.25))
    pen.oval(0.34, 0, 0.2, 0.2, look.accent, 0.01)
    pen.oval(0.34, 0, 0.04, 0.04, WHITE, 0)
    pen.box((-0.92, -0.68, 0.32, 0.68), look.main, 0.02)
    pen.oval(-0.3, 0.1, 0.34, 0.34, look.accent, 0)
    pen.line([(-0.76, -0.5), (0.1, -0.5)], 0.08, CREAM)


def board_game(pen: Pen, look: Look) -> None:
    """A checked board, two pawns and a die."""
    pen.box((-0.86, -0.8, 0.72, 0.78), tint(look.main, -0.35), 0.05)
    for row in range(4):
        for column in range(4):
            left, top = -0.76 + 0.345 * column, -0.7 + 0.345 * row
            fill = look.main if (row + column) % 2 else CREAM
            pen.box((left, top, left + 0.345, top + 0.345), fill, 0, 0)
    for x, y, fill in ((-0.4, 0.1, look.accent), (0.16, -0.3, INK)):
        pen.poly([(x, y - 0.1), (x + 0.17, y + 0.3), (x - 0.17, y + 0.3)], fill)
        pen.oval(x, y - 0.16, 0.12, 0.12, fill)
    pen.box((0.5, 0.48, 0.94, 0.92), WHITE, 0.08)
    for x, y in ((0.6, 0.58), (0.72, 0.7), (0.84, 0.82)):
        pen.oval(x, y, 0.045, 0.045, INK, 0)


# -- sport and garden -------------------------------------------------------------------------

_STAR = ((0, -1), (0.95, -0.31), (0.59, 0.81), (-0.59, 0.81), (-0.95, -0.31))


def football(pen: Pen, look: Look) -> None:
    """A white ball with dark pentagons."""
    patch = tint(look.main, -0.55)
    pen.oval(0, 0, 0.86, 0.86, WHITE)
    pen.poly([(0.3 * x, 0.3 * y) for x, y in _STAR], patch, 0)
    for x, y in _STAR:
        pen.line([(0.28 * x, 0.28 * y), (0.62 * x, 0.62 * y)], 0.04, patch)
        across, along = (-y * 0.24, x * 0.24), 0.6
        tip: Point = (0.85 * x, 0.85 * y)
        wings: list[Point] = [(along * x + k * across[0], along * y + k * across[1]) for k in (-0.8, 0.8)]
        pen.poly(
            [
                wings[0],
                wings[1],
                (tip[0] + across[0] * 0.9, tip[1] + across[1] * 0.9),
                (tip[0] - across[0] * 0.9, tip[1] - across[1] * 0.9),
            ],
            patch,
            0,
        )


def basketball(pen: Pen, look: Look) -> None:
    """An orange ball with curved seams."""
    ball = look.rng.choice([(222, 122, 58), (206, 104, 52), tint(look.main, 0.05)])
    pen.oval(0, 0, 0.86, 0.86, ball)
    pen.line([(0, -0.85), (0, 0.85)], 0.05, INK)
    pen.line([(-0.85, 0), (0.85, 0)], 0.05, INK)
    for side in (-1, 1):
        pen.curve([(side * 0.62, -0.6), (side * 0.36, 0), (side * 0.62, 0.6)], 0.05, INK)


def racket(pen: Pen, look: Look) -> None:
    """A strung head on a wrapped grip, and a ball."""
    pen.line([(0, 0.2), (0, 0.94)], 0.13, look.accent)
    pen.poly([(-0.3, 0.12), (0.3, 0.12), (0.06, 0.44), (-0.06, 0.44)], look.main)
    pen.oval(0, -0.34, 0.5, 0.6, WHITE, 0)
    for i in range(5):
        x, y = -0.32 + 0.16 * i, -0.72 + 0.19 * i
        pen.line([(x, -0.84 + abs(x)), (x, 0.16 - abs(x))], 0.02, STEEL)
        pen.line([(-0.4, y), (0.4, y)], 0.02, STEEL)
    pen.ring(0, -0.34, 0.5, 0.6, 0.1, look.main)
    pen.oval(0.6, 0.62, 0.18, 0.18, (208, 222, 82))


def skateboard(pen: Pen, look: Look) -> None:
    """A curved deck on four wheels, from the side."""
    for x in (-0.52, 0.52):
        pen.box((x - 0.1, 0.06, x + 0.1, 0.24), STEEL, 0.02)
        for shift in (-0.12, 0.12):
            pen.oval(x + shift, 0.32, 0.14, 0.14, look.accent)
    pen.curve(
        [(-0.96, -0.22), (-0.78, -0.04), (-0.5, 0.04), (0.5, 0.04), (0.78, -0.04), (0.96, -0.22)],
        0.14,
        look.main,
    )
    pen.curve(
        [(-0.92, -0.25), (-0.76, -0.1), (-0.5, -0.02), (0.5, -0.02), (0.76, -0.1), (0.92, -0.25)], 0.04, INK
    )


def bicycle(pen: Pen, look: Look) -> None:
    """Two wheels, a diamond frame, saddle and bars."""
    for x in (-0.58, 0.58):
        pen.ring(x, 0.36, 0.38, 0.38, 0.06, INK)
        for dx, dy in ((0.36, 0), (0.18, 0.31), (-0.18, 0.31)):
            pen.line([(x - dx, 0.36 - dy), (x + dx, 0.36 + dy)], 0.012, STEEL)
    frame: list[Point] = [(-0.58, 0.36), (-0.22, -0.24), (0.36, -0.26), (0.0, 0.36), (-0.58, 0.36)]
    pen.line(frame, 0.07, look.main)
    pen.line([(-0.28, -0.38), (0.0, 0.36)], 0.07, look.main)
    pen.line([(0.3, -0.48), (0.58, 0.36)], 0.07, look.main)
    pen.line([(-0.46, -0.4), (-0.14, -0.4)], 0.1, INK)
    pen.curve([(0.3, -0.48), (0.46, -0.54), (0.54, -0.42)], 0.07, INK)
    pen.oval(0, 0.36, 0.09, 0.09, look.accent)


def watering_can(pen: Pen, look: Look) -> None:
    """A can with a long spout, a rose and a hoop."""
    pen.ring(-0.5, 0.0, 0.36, 0.42, 0.09, tint(look.main, -0.25))
    pen.poly([(0.2, 0.36), (0.74, -0.34), (0.84, -0.26), (0.34, 0.62)], tint(look.main, -0.12))
    pen.poly([(0.62, -0.5), (0.98, -0.22), (0.9, -0.12), (0.58, -0.38)], look.accent)
    pen.poly([(-0.46, -0.24), (0.26, -0.24), (0.36, 0.74), (-0.56, 0.74)], look.main)
    pen.oval(-0.1, -0.24, 0.36, 0.1, tint(look.main, -0.35))
    pen.curve([(-0.4, -0.26), (-0.1, -0.6), (0.22, -0.26)], 0.07, tint(look.main, -0.25))


def spade(pen: Pen, look: Look) -> None:
    """A steel blade, a long shaft, a D-grip; a sprout beside it."""
    pen.line([(0, -0.7), (0, 0.2)], 0.11, WOOD)
    pen.ring(0, -0.8, 0.18, 0.12, 0.08, look.main)
    blade: list[Point] = [(-0.32, 0.1), (0.32, 0.1), (0.3, 0.62), (0.0, 0.94), (-0.3, 0.62)]
    pen.poly(blade, tint(STEEL, look.vary(-0.25, 0.2)))
    pen.line([(0, 0.16), (0, 0.6)], 0.04, tint(STEEL, -0.4))
    pen.curve([(0.62, 0.9), (0.62, 0.66), (0.6, 0.52)], 0.05, LEAF)
    pen.blob([(0.6, 0.56), (0.8, 0.36), (0.9, 0.42), (0.78, 0.56)], LEAF, 0)
