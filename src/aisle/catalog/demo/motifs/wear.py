"""Things to put on and carry: clothes, shoes, bags, accessories."""

from aisle.catalog.demo.pen import BRASS, CREAM, INK, STEEL, WHITE, Colour, Look, Pen, Point, tint

# -- shoes ------------------------------------------------------------------------------------


def trainer(pen: Pen, look: Look) -> None:
    """Seen from the side, toe to the right: thick pale sole, laces, a stripe."""
    upper: list[Point] = [(-0.88, -0.3), (-0.7, -0.48), (-0.5, -0.3), (-0.25, -0.42), (-0.05, -0.5)]
    upper += [(0.2, -0.1), (0.6, 0.02), (0.9, 0.2), (0.88, 0.42), (0.0, 0.45), (-0.88, 0.42), (-0.92, 0.0)]
    pen.blob(upper, look.main)
    pen.blob([(0.52, 0.05), (0.9, 0.2), (0.9, 0.4), (0.55, 0.42)], tint(look.main, 0.35), edge=0)
    pen.curve([(-0.6, 0.3), (-0.2, 0.18), (0.1, 0.28)], look.vary(0.09, 0.14), look.accent)
    pen.box((-0.95, 0.34, 0.96, look.vary(0.54, 0.62)), WHITE, 0.12)
    for i in range(4):
        x, y = 0.02 + 0.12 * i, -0.32 + 0.1 * i
        pen.line([(x - 0.16, y + 0.1), (x + 0.02, y)], 0.05, WHITE)


def boot(pen: Pen, look: Look) -> None:
    """A tall shaft, a dark sole with a heel block."""
    top = look.vary(-0.95, -0.75)
    upper: list[Point] = [(-0.5, top), (0.1, top), (0.12, -0.1), (0.3, 0.12), (0.68, 0.22)]
    pen.poly([*upper, (0.84, 0.42), (0.84, 0.58), (-0.56, 0.58), (-0.5, 0.1)], look.main)
    pen.box((-0.54, top - 0.04, 0.14, top + 0.12), tint(look.main, 0.25), 0.05)
    pen.box((-0.6, 0.56, 0.9, 0.7), tint(look.main, -0.65), 0.06)
    pen.box((-0.6, 0.6, -0.2, 0.86), tint(look.main, -0.65), 0.03)
    if look.rng.random() < 0.5:
        for i in range(4):
            y = top + 0.3 + 0.2 * i
            pen.line([(-0.02, y), (0.12, y - 0.05)], 0.05, CREAM)
    else:
        pen.line([(-0.2, top + 0.12), (-0.2, 0.3)], 0.04, BRASS)


def pump(pen: Pen, look: Look) -> None:
    """A court shoe on a thin high heel."""
    back = look.vary(-0.55, -0.4)
    pen.poly([(-0.84, back + 0.3), (-0.56, 0.05), (-0.66, 0.82), (-0.74, 0.82)], tint(look.main, -0.25))
    lower: list[Point] = [(0.92, 0.72), (0.5, 0.8), (0.1, 0.74), (-0.25, 0.45), (-0.55, 0.12), (-0.86, 0.05)]
    pen.blob([(-0.86, back), (-0.68, back + 0.1), (-0.3, 0.25), (0.25, 0.42), (0.7, 0.44), *lower], look.main)
    pen.blob(
        [(-0.8, back + 0.06), (-0.66, back + 0.16), (-0.3, 0.3), (-0.05, 0.42), (-0.4, 0.2)], CREAM, 0.01
    )
    pen.oval(0.42, 0.5, 0.09, 0.06, look.accent)


def sandals(pen: Pen, look: Look) -> None:
    """A pair from above with V-shaped straps."""
    for side in (-1, 1):
        x = 0.46 * side
        sole: list[Point] = [(x, -0.85), (x + 0.34, -0.5), (x + 0.3, 0.0), (x + 0.24, 0.5), (x, 0.85)]
        pen.blob([*sole, (x - 0.24, 0.5), (x - 0.3, 0.0), (x - 0.34, -0.5)], CREAM)
        pen.blob([(x, -0.72), (x + 0.22, -0.4), (x + 0.14, 0.5), (x - 0.14, 0.5), (x - 0.22, -0.4)], BRASS, 0)
        width = look.vary(0.1, 0.15)
        pen.curve([(x - 0.3, 0.12), (x - 0.16, -0.2), (x, -0.46)], width, look.main)
        pen.curve([(x + 0.3, 0.12), (x + 0.16, -0.2), (x, -0.46)], width, look.main)
        pen.oval(x, -0.46, 0.08, 0.08, look.accent)


def slippers(pen: Pen, look: Look) -> None:
    """A pair of fluffy mules from above."""
    for side in (-1, 1):
        x = 0.45 * side
        pen.box((x - 0.34, -0.85, x + 0.34, 0.85), tint(look.main, -0.3), 0.33)
        pen.box((x - 0.26, -0.2, x + 0.26, 0.76), CREAM, 0.25, edge=0)
        pen.box((x - 0.38, -0.88, x + 0.38, 0.05), look.main, 0.36)
        for i in range(5):
            pen.oval(x - 0.32 + 0.16 * i, 0.04, 0.11, 0.11, WHITE, edge=0)


# -- clothes ----------------------------------------------------------------------------------


def _torso(pen: Pen, fill: Colour, sleeve: list[Point], hem: float) -> None:
    """A garment's body; `sleeve` gives the right sleeve from shoulder to armpit, the left mirrors it."""
    right = [(0.26, -0.74), *sleeve, (0.48, hem)]
    left = [(-x, y) for x, y in reversed(right)]
    pen.poly([*right, *left], fill)


def tshirt(pen: Pen, look: Look) -> None:
    """Short sleeves, round neck, a print on the chest."""
    hem = look.vary(0.7, 0.85)
    _torso(pen, look.main, [(0.52, -0.66), (0.95, -0.22), (0.68, 0.04), (0.48, -0.16)], hem)
    pen.oval(0, -0.74, 0.25, 0.13, tint(look.main, -0.35))
    match look.rng.randrange(4):
        case 0:
            pen.oval(0, 0.12, 0.24, 0.24, look.accent, edge=0)
        case 1:
            pen.box((-0.47, 0.0, 0.47, 0.2), look.accent, edge=0)
        case 2:
            pen.poly([(0, -0.15), (0.26, 0.3), (-0.26, 0.3)], look.accent, edge=0)


def shirt(pen: Pen, look: Look) -> None:
    """Long sleeves, collar, a row of buttons."""
    sleeve: list[Point] = [(0.5, -0.66), (0.72, -0.4), (0.93, 0.6), (0.68, 0.66), (0.48, -0.1)]
    _torso(pen, look.main, sleeve, 0.85)
    if look.rng.random() < 0.5:
        for x in (-0.34, -0.17, 0.17, 0.34):
            pen.line([(x, -0.5), (x, 0.82)], 0.03, tint(look.main, 0.45))
    pen.poly([(-0.09, -0.7), (0.09, -0.7), (0.09, 0.84), (-0.09, 0.84)], tint(look.main, 0.2), 0.015)
    for y in (-0.4, -0.12, 0.16, 0.44, 0.7):
        pen.oval(0, y, 0.045, 0.045, WHITE, 0.012)
    pen.poly([(-0.3, -0.82), (0.0, -0.62), (-0.2, -0.42), (-0.38, -0.66)], tint(look.main, 0.4))
    pen.poly([(0.3, -0.82), (0.0, -0.62), (0.2, -0.42), (0.38, -0.66)], tint(look.main, 0.4))
    for x in (-0.81, 0.81):
        pen.box((x - 0.14, 0.54, x + 0.14, 0.68), tint(look.main, 0.4), 0.02)


def jumper(pen: Pen, look: Look) -> None:
    """A knit: roll neck, patterned band, ribbed cuffs and hem."""
    sleeve: list[Point] = [(0.56, -0.62), (0.78, -0.3), (0.96, 0.55), (0.64, 0.62), (0.5, 0.0)]
    _torso(pen, look.main, sleeve, 0.72)
    pen.box((-0.24, -0.92, 0.24, -0.62), tint(look.main, -0.15), 0.1)
    for y in (look.vary(-0.42, -0.36), look.vary(-0.1, -0.04)):
        pen.box((-0.47, y, 0.47, y + 0.08), look.accent, edge=0)
    for i in range(7):
        x = -0.42 + 0.14 * i
        pen.poly([(x - 0.06, -0.12), (x, -0.28), (x + 0.06, -0.12)], WHITE, edge=0)
    pen.box((-0.5, 0.68, 0.5, 0.86), tint(look.main, -0.25), 0.04)
    for x in (-0.8, 0.8):
        pen.box((x - 0.19, 0.5, x + 0.19, 0.68), tint(look.main, -0.25), 0.04)


def dress(pen: Pen, look: Look) -> None:
    """Straps, a belt, a wide skirt."""
    flare = look.vary(0.6, 0.85)
    for x in (-0.2, 0.2):
        pen.line([(x, -0.92), (x * 1.1, -0.6)], 0.07, tint(look.main, -0.2))
    pen.poly([(-0.3, -0.64), (0, -0.52), (0.3, -0.64), (0.24, -0.08), (-0.24, -0.08)], look.main)
    pen.poly([(-0.24, -0.08), (0.24, -0.08), (flare, 0.86), (0, 0.94), (-flare, 0.86)], look.main)
    for share in (-0.5, 0.0, 0.5):
        pen.line([(share * 0.3, 0.06), (share * flare * 1.1, 0.82)], 0.03, tint(look.main, -0.22))
    pen.box((-0.27, -0.14, 0.27, 0.0), look.accent, 0.02)


def _legs(pen: Pen, look: Look, hem: float, spread: float) -> None:
    outer, inner = 0.46 + spread, 0.08 + spread * 0.5
    waist: list[Point] = [(-0.44, -0.86), (0.44, -0.86)]
    right: list[Point] = [(outer, hem), (inner, hem)]
    left: list[Point] = [(-inner, hem), (-outer, hem)]
    pen.poly([*waist, *right, (0, -0.28), *left], look.main)
    pen.box((-0.46, -0.9, 0.46, -0.74), tint(look.main, -0.25), 0.02)
    pen.line([(0, -0.74), (0, -0.32)], 0.03, tint(look.main, -0.35))


def jeans(pen: Pen, look: Look) -> None:
    """Two long legs, seams, pockets, a button."""
    _legs(pen, look, 0.92, look.vary(-0.06, 0.1))
    for x in (-1, 1):
        pen.curve([(x * 0.18, -0.74), (x * 0.26, -0.55), (x * 0.44, -0.52)], 0.03, BRASS)
        pen.line([(x * 0.28, -0.4), (x * 0.3, 0.84)], 0.025, tint(look.main, 0.35))
    pen.oval(0, -0.82, 0.05, 0.05, BRASS, 0.01)


def shorts(pen: Pen, look: Look) -> None:
    """Short wide legs with a drawstring."""
    _legs(pen, look, look.vary(0.1, 0.3), 0.16)
    pen.curve([(0, -0.8), (-0.12, -0.6), (-0.1, -0.46)], 0.04, WHITE)
    pen.curve([(0, -0.8), (0.1, -0.62), (0.13, -0.44)], 0.04, WHITE)
    for x in (-0.5, 0.5):
        pen.line([(x, -0.4), (x * 1.12, 0.1)], 0.06, look.accent)


def cap(pen: Pen, look: Look) -> None:
    """A dome with a peak to the right."""
    pen.blob([(0.3, 0.2), (0.7, 0.14), (0.98, 0.36), (0.7, 0.42), (0.3, 0.36)], tint(look.main, -0.25))
    dome: list[Point] = [(-0.74, 0.32), (-0.72, -0.1), (-0.45, -0.5), (0.0, -0.6), (0.36, -0.36), (0.5, 0.1)]
    pen.blob([*dome, (0.46, 0.32), (-0.1, 0.4)], look.main)
    pen.curve([(-0.02, -0.58), (-0.2, -0.2), (-0.22, 0.34)], 0.03, tint(look.main, -0.3))
    pen.oval(-0.02, -0.6, 0.07, 0.05, look.accent)
    pen.oval(0.2, -0.08, 0.15, 0.15, look.accent, edge=0)


def sunhat(pen: Pen, look: Look) -> None:
    """A wide straw brim, a crown, a ribbon."""
    straw = tint(BRASS, look.vary(0.2, 0.5))
    pen.oval(0, 0.25, 0.96, 0.32, straw)
    pen.oval(0, 0.2, 0.7, 0.2, tint(straw, -0.12), edge=0)
    pen.blob(
        [(-0.5, 0.2), (-0.42, -0.35), (-0.1, -0.5), (0.3, -0.46), (0.46, -0.25), (0.5, 0.2), (0, 0.3)], straw
    )
    pen.blob([(-0.5, 0.16), (-0.48, -0.04), (0, 0.06), (0.48, -0.04), (0.5, 0.16), (0, 0.28)], look.main)


# -- carried ----------------------------------------------------------------------------------


def handbag(pen: Pen, look: Look) -> None:
    """A wide bag with one arched handle, a flap and a clasp."""
    pen.curve(
        [(-0.42, -0.15), (-0.36, -0.7), (0, look.vary(-0.95, -0.8)), (0.36, -0.7), (0.42, -0.15)],
        0.1,
        look.accent,
    )
    wide = look.vary(0.78, 0.9)
    pen.poly([(-0.62, -0.25), (0.62, -0.25), (wide, 0.72), (-wide, 0.72)], look.main)
    pen.blob(
        [(-0.64, -0.26), (0.64, -0.26), (0.66, 0.05), (0.2, 0.28), (-0.2, 0.28), (-0.66, 0.05)],
        tint(look.main, 0.18),
    )
    pen.box((-0.12, 0.12, 0.12, 0.36), BRASS, 0.05)


def backpack(pen: Pen, look: Look) -> None:
    """Tall and rounded: a loop, a front pocket, side pockets, straps."""
    pen.ring(0, -0.82, 0.16, 0.14, 0.07, tint(look.main, -0.4))
    for x in (-0.64, 0.64):
        pen.box((x - 0.16, 0.1, x + 0.16, 0.76), tint(look.main, -0.3), 0.12)
    pen.box((-0.6, -0.8, 0.6, 0.88), look.main, look.vary(0.28, 0.42))
    pen.curve([(-0.46, -0.3), (0, -0.44), (0.46, -0.3)], 0.045, tint(look.main, -0.45))
    pen.box((-0.42, 0.12, 0.42, 0.74), look.accent, 0.12)
    pen.line([(-0.34, 0.26), (0.34, 0.26)], 0.04, tint(look.accent, -0.4))
    for x in (-0.3, 0.3):
        pen.line([(x, -0.56), (x, -0.02)], 0.08, tint(look.main, -0.4))


def suitcase(pen: Pen, look: Look) -> None:
    """An upright shell on wheels with a telescopic handle."""
    for x in (-0.22, 0.22):
        pen.line([(x, -0.95), (x, -0.5)], 0.06, STEEL)
    pen.line([(-0.24, -0.95), (0.24, -0.95)], 0.1, INK)
    for x in (-0.4, 0.4):
        pen.oval(x, 0.88, 0.11, 0.1, INK)
    pen.box((-0.58, -0.6, 0.58, 0.82), look.main, 0.14)
    for i in range(4):
        x = -0.36 + 0.24 * i
        pen.line([(x, -0.44), (x, 0.66)], 0.05, tint(look.main, look.rng.choice([-0.25, 0.25])))
    pen.box((-0.16, -0.1, 0.16, 0.02), tint(look.main, -0.5), 0.04)


def tote(pen: Pen, look: Look) -> None:
    """A flat cloth bag with two long handles and a print."""
    cloth = tint(look.main, 0.55)
    for shift in (0.0, 0.07):
        pen.curve(
            [(-0.34 + shift, -0.2), (-0.3, -0.75), (0, -0.92), (0.3, -0.75), (0.34 - shift, -0.2)],
            0.07,
            tint(cloth, -0.2),
        )
    pen.poly([(-0.62, -0.3), (0.62, -0.3), (0.68, 0.86), (-0.68, 0.86)], cloth)
    pen.line([(-0.6, -0.18), (0.6, -0.18)], 0.025, tint(cloth, -0.25))
    match look.rng.randrange(3):
        case 0:
            pen.oval(0, 0.32, 0.3, 0.3, look.accent, edge=0)
        case 1:
            for i in range(3):
                pen.line([(-0.36, 0.14 + 0.2 * i), (0.36, 0.14 + 0.2 * i)], 0.08, look.accent)
        case _:
            pen.blob(
                [(0, 0.66), (-0.36, 0.25), (-0.2, 0.04), (0, 0.18), (0.2, 0.04), (0.36, 0.25)], look.accent, 0
            )


def watch(pen: Pen, look: Look) -> None:
    """A strap, a round face, hands, a crown."""
    pen.box((-0.27, -0.96, 0.27, 0.96), look.main, 0.1)
    for i in range(3):
        pen.oval(0, 0.6 + 0.12 * i, 0.035, 0.035, tint(look.main, -0.5), 0)
    pen.box((0.44, -0.08, 0.6, 0.08), STEEL, 0.03)
    rim = look.rng.choice([STEEL, BRASS, INK])
    pen.oval(0, 0, 0.52, 0.52, rim)
    pen.oval(0, 0, 0.42, 0.42, WHITE, 0.01)
    for x, y in ((0, -0.34), (0.34, 0), (0, 0.34), (-0.34, 0)):
        pen.oval(x, y, 0.035, 0.035, INK, 0)
    pen.line([(0, 0), (look.vary(-0.2, 0.2), -0.26)], 0.045, INK)
    pen.line([(0, 0), (0.2, look.vary(-0.1, 0.15))], 0.06, INK)


def sunglasses(pen: Pen, look: Look) -> None:
    """Two dark lenses, a bridge, temples."""
    glass = tint(look.accent, -0.6)
    for side in (-1, 1):
        pen.line(
            [(side * 0.84, -0.16), (side * 0.96, -0.42), (side * 0.8, -0.5)], 0.08, tint(look.main, -0.2)
        )
        tall = look.vary(0.3, 0.36)
        pen.box(
            (side * 0.47 - 0.42, -0.26, side * 0.47 + 0.42, -0.26 + 2 * tall), look.main, look.vary(0.2, 0.34)
        )
        pen.box((side * 0.47 - 0.33, -0.19, side * 0.47 + 0.33, -0.33 + 2 * tall), glass, 0.22, 0.01)
        pen.line([(side * 0.47 - 0.18, 0.12), (side * 0.47 + 0.02, -0.1)], 0.05, tint(glass, 0.4))
    pen.curve([(-0.12, -0.08), (0, -0.16), (0.12, -0.08)], 0.09, look.main)


def umbrella(pen: Pen, look: Look) -> None:
    """Open, with coloured panels and a crook."""
    pen.line([(0, -0.95), (0, 0.7)], 0.06, INK)
    pen.curve([(0, 0.66), (0.04, 0.88), (0.2, 0.92), (0.28, 0.74)], 0.08, look.accent)
    edge: list[Point] = [
        (0.95, 0.1),
        (0.62, -0.02),
        (0.32, 0.1),
        (0, -0.02),
        (-0.32, 0.1),
        (-0.62, -0.02),
        (-0.95, 0.1),
    ]
    pen.poly([(-0.8, -0.32), (-0.45, -0.7), (0, -0.84), (0.45, -0.7), (0.8, -0.32), *edge], look.main)
    pen.poly(
        [(0, -0.84), (0.3, -0.3), (0.32, 0.1), (0, -0.02), (-0.32, 0.1), (-0.3, -0.3)], look.accent, 0.015
    )
