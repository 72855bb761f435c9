"""A little shop of words and colours that a network learns in a moment, and recipes for it."""

import io

import numpy as np
from PIL import Image

from aisle.data import ImageRef, Product, read

PLACES = {
    ("Clothing", "Shoes", "Boots"): ("boot leather", (200, 40, 40)),
    ("Clothing", "Shoes", "Sandals"): ("sandal strap", (40, 200, 40)),
    ("Clothing", "Shirts"): ("shirt cotton", (40, 40, 200)),
    ("Home", "Lamps"): ("lamp bulb", (200, 200, 40)),
    ("Garden",): ("plant pot", (40, 200, 200)),
}
COLOURS = ["red", "blue", "green", "black", "white", "old", "new", "small", "large", "fine"]


def picture(colour, rng):
    noise = rng.integers(-30, 30, 3)
    out = io.BytesIO()
    Image.new("RGB", (40, 40), tuple(int(c) for c in np.clip(colour + noise, 0, 255))).save(out, "PNG")
    return ImageRef(data=out.getvalue())


def products(count=60, seed=0, images=True, vectors=False, text=True):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        path = list(PLACES)[i % len(PLACES)]
        words, colour = PLACES[path]
        title = f"{' '.join(rng.choice(COLOURS, 3))} {rng.choice(words.split())} {i}"
        refs = (picture(np.array(colour), rng),) if images else ()
        given = {"clip": rng.normal(list(PLACES).index(path), 0.3, 6).astype(np.float32)} if vectors else {}
        made.append(Product(f"p{i}", {"title": title} if text else {}, refs, given, (path,)))
    return made


def catalog(count=60, **more):
    return read(products(count, **more))


def recipe(**changes):
    """Words and pictures, joined linearly, for two epochs."""
    return {
        "views": {
            "title": {"encoder": {"type": "TfidfEncoder", "dim": 16, "min_df": 1}},
            "image": {"encoder": {"type": "ConvEncoder", "size": 32, "dim": 16}},
        },
        "fusion": {"type": "LinearFusion", "dim": 16},
        "head": {"type": "TreeHead"},
        "stages": [{"epochs": 2, "batch_size": 16, "lr": 0.01}],
        "split": {"validation": 0.1, "calibration": 0.1, "threshold": 0.1},
    } | changes
