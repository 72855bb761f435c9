"""Sellers' photographs: a motif in some pose, before some background, in some light, as some file format."""

import io
import random
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from aisle.catalog.demo.pen import BRASS, CREAM, INK, LEAF, WHITE, WOOD, Colour, Look, Motif, Pen, Pose, tint

OVERSAMPLE = 3
"""Shapes are drawn this many times larger than the picture and averaged down: smooth edges."""

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
BACKDROPS: tuple[Colour, ...] = (
    (244, 242, 238),
    (232, 226, 216),
    (222, 230, 234),
    (214, 224, 212),
    (240, 222, 214),
    (226, 218, 234),
    (196, 208, 216),
    (206, 196, 182),
    (250, 236, 208),
    (120, 130, 140),
    (88, 104, 108),
)


def draw_picture(
    motif: Motif, main: Colour, rng: random.Random, bystanders: Sequence[Motif] = ()
) -> Image.Image:
    """One photograph of one item in its colour: RGB, 96 to 160 pixels a side.

    Other things may stand about, smaller and towards an edge: `bystanders` to choose from.
    """
    width, height = _frame(rng)
    look = Look(_jitter(main, rng), _accent(main, rng), rng)
    backdrop = _backdrop(look.main, rng)
    large = (width * OVERSAMPLE, height * OVERSAMPLE)
    scene = Image.new("RGB", large, backdrop)
    rng.choices(_SCENES, weights=(4, 3, 3, 2, 2, 2))[0](ImageDraw.Draw(scene), large, backdrop, rng)
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        _prop(ImageDraw.Draw(scene), large, rng)
    # RGBX, not RGBA: the fourth band is the mask, averaged without premultiplying, twice as fast.
    thing = Image.new("RGBX", large, (*tint(look.main, -0.2), 0))
    if bystanders and rng.random() < 0.2:
        _bystander(ImageDraw.Draw(thing), large, rng.choice(bystanders), rng)
    motif(Pen(ImageDraw.Draw(thing), _pose(large, rng)), look)
    picture = _compose(scene.reduce(OVERSAMPLE), thing.reduce(OVERSAMPLE), rng)
    if rng.random() < 0.1:
        _stamp(picture, rng)
    return picture


def encode(picture: Image.Image, rng: random.Random) -> tuple[bytes, str]:
    """The file's bytes and its ending: mostly JPEG of varying quality, some WebP and PNG."""
    kind = rng.choices(["JPEG", "WEBP", "PNG"], weights=(80, 15, 5))[0]
    file = io.BytesIO()
    if kind == "PNG":
        picture.save(file, kind, compress_level=4)
    else:
        picture.save(file, kind, quality=rng.randint(55, 92), **({"method": 1} if kind == "WEBP" else {}))
    return file.getvalue(), {"JPEG": ".jpg", "WEBP": ".webp", "PNG": ".png"}[kind]


def spoil(data: bytes, kind: str, name: str) -> bytes:
    """A broken file that no decoder turns into a picture: `truncated`, `empty` or `text`."""
    if kind == "truncated":
        return data[: len(data) // 3]
    if kind == "empty":
        return b""
    return f"<!DOCTYPE html><html><body><h1>404 Not Found</h1><p>/{name}</p></body></html>\n".encode()


# -- colours and poses ------------------------------------------------------------------------


def _frame(rng: random.Random) -> tuple[int, int]:
    long = rng.randrange(112, 161, 8)
    short = max(96, round(long * rng.choice([1, 1, 1, 0.75, 0.85])))
    return (long, short) if rng.random() < 0.5 else (short, long)


def _jitter(colour: Colour, rng: random.Random) -> Colour:
    r, g, b = (min(250, max(20, c + rng.randint(-14, 14))) for c in colour)
    return (r, g, b)


def _accent(main: Colour, rng: random.Random) -> Colour:
    return _jitter(_apart(main, list(COLOURS.values()), rng), rng)


def _backdrop(main: Colour, rng: random.Random) -> Colour:
    return _apart(main, list(BACKDROPS), rng)


def _apart(colour: Colour, choices: list[Colour], rng: random.Random) -> Colour:
    """One of `choices` that does not swallow `colour`."""
    far = [c for c in choices if sum(abs(a - b) for a, b in zip(c, colour, strict=True)) > 120]
    return rng.choice(far)


def _pose(size: tuple[int, int], rng: random.Random) -> Pose:
    reach = min(size) / 2
    scale = reach * rng.uniform(0.5, 0.92)
    slack = (size[0] / 2 - scale) * 0.9, (size[1] / 2 - scale) * 0.9
    tilt = rng.gauss(0, 0.14) if rng.random() < 0.8 else rng.uniform(-1.1, 1.1)
    return Pose(
        size[0] / 2 + rng.uniform(-1, 1) * slack[0],
        size[1] / 2 + rng.uniform(-1, 1) * slack[1],
        scale,
        tilt,
        rng.uniform(0.9, 1.1),
        rng.random() < 0.5,
    )


# -- backgrounds ------------------------------------------------------------------------------

_Size = tuple[int, int]


def _studio(draw: ImageDraw.ImageDraw, size: _Size, colour: Colour, rng: random.Random) -> None:
    """A bare backdrop."""


def _room(draw: ImageDraw.ImageDraw, size: _Size, colour: Colour, rng: random.Random) -> None:
    """A wall and a floor."""
    horizon = size[1] * rng.uniform(0.55, 0.8)
    floor = rng.choice([tint(colour, -0.18), tint(WOOD, 0.45), tint(colour, 0.4)])
    draw.rectangle((0, horizon, *size), fill=floor)
    draw.line((0, horizon, size[0], horizon), fill=tint(floor, -0.12), width=3)


def _spot(draw: ImageDraw.ImageDraw, size: _Size, colour: Colour, rng: random.Random) -> None:
    """A large disc behind the item, as catalogues like it."""
    radius = min(size) * rng.uniform(0.36, 0.46)
    x, y = size[0] / 2, size[1] / 2
    draw.ellipse(
        (x - radius, y - radius, x + radius, y + radius), fill=tint(colour, rng.choice([-0.12, 0.45]))
    )


def _planks(draw: ImageDraw.ImageDraw, size: _Size, colour: Colour, rng: random.Random) -> None:
    """A wooden table from above."""
    wood, step = tint(WOOD, rng.uniform(0.3, 0.62)), size[1] / rng.randint(4, 7)
    for i in range(8):
        draw.rectangle((0, i * step, size[0], (i + 1) * step), fill=tint(wood, rng.uniform(-0.06, 0.08)))
        draw.line((0, i * step, size[0], i * step), fill=tint(wood, -0.2), width=2)


def _stripes(draw: ImageDraw.ImageDraw, size: _Size, colour: Colour, rng: random.Random) -> None:
    """Striped wallpaper."""
    step = size[0] / rng.randint(6, 11)
    for i in range(0, 12, 2):
        draw.rectangle((i * step, 0, (i + 1) * step, size[1]), fill=tint(colour, -0.07))


def _dots(draw: ImageDraw.ImageDraw, size: _Size, colour: Colour, rng: random.Random) -> None:
    """A dotted tablecloth."""
    step, radius = min(size) / rng.randint(5, 8), min(size) / 50
    for row in range(12):
        for column in range(12):
            x, y = (column + 0.5 * (row % 2)) * step, row * step
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tint(colour, -0.12))


_SCENES: tuple[Callable[[ImageDraw.ImageDraw, _Size, Colour, random.Random], None], ...] = (
    _studio,
    _room,
    _spot,
    _planks,
    _stripes,
    _dots,
)


def _prop(draw: ImageDraw.ImageDraw, size: _Size, rng: random.Random) -> None:
    """Something else that happens to lie about, near an edge and partly out of the picture."""
    x = rng.choice([rng.uniform(-0.05, 0.14), rng.uniform(0.86, 1.05)]) * size[0]
    y = rng.uniform(0, 1) * size[1]
    pen = Pen(draw, Pose(x, y, min(size) * rng.uniform(0.1, 0.2), rng.uniform(-3.1, 3.1)))
    match rng.randrange(5):
        case 0:
            for i in range(4):
                for side in (-1, 1):
                    pen.oval(side * 0.28, -0.7 + 0.45 * i, 0.3, 0.15, tint(LEAF, rng.uniform(-0.2, 0.3)))
            pen.line([(0, -0.9), (0, 1.0)], 0.08, tint(LEAF, -0.3))
        case 1:
            pen.box((-0.8, -0.6, 0.8, 0.6), tint(WOOD, 0.25), 0.05)
            pen.line([(0, -0.6), (0, 0.6)], 0.16, CREAM)
        case 2:
            pen.oval(0, 0, 0.55, 0.55, BRASS)
            pen.oval(0.5, 0.4, 0.4, 0.4, tint(BRASS, 0.2))
        case 3:
            pen.box((-0.9, -0.5, 0.9, 0.5), WHITE, 0.1)
            for i in range(3):
                pen.line([(-0.6, -0.25 + 0.25 * i), (0.5 - 0.3 * i, -0.25 + 0.25 * i)], 0.07, tint(INK, 0.5))
        case _:
            cloth = rng.choice(list(COLOURS.values()))
            pen.blob(
                [(-0.9, -0.6), (0.1, -0.9), (0.9, -0.3), (0.7, 0.8), (-0.2, 0.6), (-1.0, 0.7)],
                tint(cloth, 0.3),
            )


def _bystander(draw: ImageDraw.ImageDraw, size: _Size, motif: Motif, rng: random.Random) -> None:
    """Something of the seller's that got into the picture."""
    main = rng.choice(list(COLOURS.values()))
    x = rng.choice([rng.uniform(0.05, 0.25), rng.uniform(0.75, 0.95)]) * size[0]
    y = rng.choice([rng.uniform(0.05, 0.3), rng.uniform(0.7, 0.95)]) * size[1]
    pose = Pose(x, y, min(size) * rng.uniform(0.14, 0.24), rng.gauss(0, 0.3), 1.0, rng.random() < 0.5)
    motif(Pen(draw, pose), Look(main, _accent(main, rng), rng))


# -- light ------------------------------------------------------------------------------------


def _compose(scene: Image.Image, thing: Image.Image, rng: random.Random) -> Image.Image:
    """The item on its background with a soft shadow, then one light over both."""
    *bands, alpha = thing.split()
    depth = rng.uniform(3, 7)
    offset = round(rng.uniform(-depth, depth)), round(rng.uniform(2, depth + 1))
    shadow = Image.new("L", alpha.size)
    shadow.paste(alpha, offset)
    shadow = shadow.filter(ImageFilter.BoxBlur(depth * 0.8)).point(_FADE[rng.randrange(len(_FADE))])
    scene.paste((40, 38, 48), mask=shadow)
    scene.paste(Image.merge("RGB", bands), mask=alpha)
    return _lit(scene, rng)


_FADE = [[round(v * share) for v in range(256)] for share in (0.22, 0.3, 0.38, 0.46)]


def _lit(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A slope of light, exposure, a warm or cold cast, and for some the grain of a phone in the evening."""
    pixels = np.asarray(picture, dtype=np.float32)  # (H, W, 3)
    height, width = pixels.shape[:2]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None] * rng.uniform(-0.13, 0.05)
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * rng.uniform(-0.1, 0.1)
    warmth = rng.gauss(0, 0.035)
    cast = np.array([1 + warmth, 1, 1 - warmth], dtype=np.float32) * rng.uniform(0.84, 1.08)
    pixels = pixels * ((1 + down + across) * cast)
    if rng.random() < 0.25:
        grain = np.random.default_rng(rng.getrandbits(32)).standard_normal((height, width, 1), np.float32)
        pixels = pixels + grain * rng.uniform(3, 8)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _stamp(picture: Image.Image, rng: random.Random) -> None:
    """A seller's sticker, with Pillow's own font."""
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default()
    text = rng.choice(["NEW", "SALE", "-20%", "2 for 1", "TOP", "reserved", "1 EUR"])
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    wide, high = right - left + 8, bottom - top + 6
    x = rng.choice([3, picture.width - wide - 4])
    y = rng.choice([3, picture.height - high - 4])
    draw.rounded_rectangle(
        (x, y, x + wide, y + high), 3, fill=rng.choice([(206, 62, 58), (44, 92, 130), (60, 62, 70)])
    )
    draw.text((x + 4 - left, y + 3 - top), text, font=font, fill=(255, 255, 255))
