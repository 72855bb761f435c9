"""Product images of the sample shop: a template with random pose, background and light."""

import io
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from aisle.data.demo.drawing import NAMED, Colour, Pose, draw, tint

OVERSAMPLE = 3
"""Shapes are drawn this many times larger than the image and averaged down: smooth edges."""

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
    (222, 230, 234),
    (214, 224, 212),
    (240, 222, 214),
    (226, 218, 234),
    (206, 196, 182),
    (250, 236, 208),
    (120, 130, 140),
    (88, 104, 108),
)


def draw_photo(drawing: str, main: Colour, rng: random.Random) -> Image.Image:
    """One image of a product in its colour: RGB, 96 to 160 pixels per side."""
    width, height = _frame(rng)
    main = _jitter(main, rng)
    accent = _jitter(_apart(main, list(COLOURS.values()), rng), rng)
    backdrop = _apart(main, list(BACKDROPS), rng)
    large = (width * OVERSAMPLE, height * OVERSAMPLE)
    scene = Image.new("RGB", large, backdrop)
    _background(ImageDraw.Draw(scene), large, backdrop, rng)
    # RGBX, not RGBA: the fourth band is the mask, averaged without premultiplying, twice as fast.
    item = Image.new("RGBX", large, (*tint(main, -0.2), 0))
    draw(ImageDraw.Draw(item), drawing, _pose(large, rng), main, accent, rng)
    return _compose(scene.reduce(OVERSAMPLE), item.reduce(OVERSAMPLE), rng)


def encode(image: Image.Image, rng: random.Random) -> tuple[bytes, str]:
    """The file's bytes and extension: mostly JPEG of varying quality, some WebP and PNG."""
    kind = rng.choices(["JPEG", "WEBP", "PNG"], weights=(80, 15, 5))[0]
    file = io.BytesIO()
    if kind == "PNG":
        image.save(file, kind, compress_level=4)
    else:
        image.save(file, kind, quality=rng.randint(55, 92), **({"method": 1} if kind == "WEBP" else {}))
    return file.getvalue(), {"JPEG": ".jpg", "WEBP": ".webp", "PNG": ".png"}[kind]


def corrupt(data: bytes, kind: str, name: str) -> bytes:
    """A broken file that no decoder can read: `truncated`, `empty` or `text`."""
    if kind == "truncated":
        return data[: len(data) // 3]
    if kind == "empty":
        return b""
    return f"<!DOCTYPE html><html><body><h1>404 Not Found</h1><p>/{name}</p></body></html>\n".encode()


def _frame(rng: random.Random) -> tuple[int, int]:
    long = rng.randrange(112, 161, 8)
    short = max(96, round(long * rng.choice([1, 1, 1, 0.75, 0.85])))
    return (long, short) if rng.random() < 0.5 else (short, long)


def _jitter(colour: Colour, rng: random.Random) -> Colour:
    r, g, b = (min(250, max(20, c + rng.randint(-14, 14))) for c in colour)
    return (r, g, b)


def _apart(colour: Colour, choices: list[Colour], rng: random.Random) -> Colour:
    """One of `choices` that differs clearly from `colour`."""
    return rng.choice([c for c in choices if sum(abs(a - b) for a, b in zip(c, colour, strict=True)) > 120])


def _pose(size: tuple[int, int], rng: random.Random) -> Pose:
    scale = min(size) / 2 * rng.uniform(0.5, 0.92)
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


def _background(
    canvas: ImageDraw.ImageDraw, size: tuple[int, int], colour: Colour, rng: random.Random
) -> None:
    """A plain background, a floor, a wooden table or stripes, and sometimes another object at an edge."""
    width, height = size
    match rng.choices(["bare", "floor", "planks", "stripes"], weights=(5, 3, 2, 2))[0]:
        case "floor":
            floor = rng.choice([tint(colour, -0.18), tint(NAMED["wood"], 0.45), tint(colour, 0.4)])
            canvas.rectangle((0, height * rng.uniform(0.55, 0.8), width, height), fill=floor)
        case "planks":
            wood, step = tint(NAMED["wood"], rng.uniform(0.3, 0.62)), height / rng.randint(4, 7)
            for i in range(8):
                plank = tint(wood, rng.uniform(-0.06, 0.08))
                canvas.rectangle((0, i * step, width, (i + 1) * step), fill=plank, outline=tint(wood, -0.2))
        case "stripes":
            step = width / rng.randint(6, 11)
            for i in range(0, 12, 2):
                canvas.rectangle((i * step, 0, (i + 1) * step, height), fill=tint(colour, -0.07))
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        x = rng.choice([rng.uniform(-0.05, 0.14), rng.uniform(0.86, 1.05)]) * width
        y, half = rng.uniform(0, height), min(size) * rng.uniform(0.07, 0.16)
        shape = rng.choice([canvas.ellipse, canvas.rectangle])
        shape((x - half, y - half, x + half, y + half), fill=tint(rng.choice(list(COLOURS.values())), 0.25))


def _compose(scene: Image.Image, item: Image.Image, rng: random.Random) -> Image.Image:
    """The item on its background, with a soft shadow and one light over both."""
    *bands, alpha = item.split()
    depth = rng.uniform(3, 7)
    shadow = Image.new("L", alpha.size)
    shadow.paste(alpha, (round(rng.uniform(-depth, depth)), round(rng.uniform(2, depth + 1))))
    fade = rng.choice([0.22, 0.3, 0.38, 0.46])
    shadow = shadow.filter(ImageFilter.BoxBlur(depth * 0.8)).point([round(v * fade) for v in range(256)])
    scene.paste((40, 38, 48), mask=shadow)
    scene.paste(Image.merge("RGB", bands), mask=alpha)
    return _light(scene, rng)


def _light(image: Image.Image, rng: random.Random) -> Image.Image:
    """A gradient of light, exposure, a colour cast, and grain for some."""
    pixels = np.asarray(image, dtype=np.float32)  # (H, W, 3)
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
