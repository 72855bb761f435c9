"""Writes the sample shop to a folder: two CSV files, the images, and the true labels."""

import csv
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from aisle.data.demo.images import COLOURS, corrupt, draw_image, encode
from aisle.data.demo.listings import Listing, arrivals, stock
from aisle.errors import CatalogError
from aisle.progress import SILENT, Advance, Progress

COLUMNS = ("id", "title", "description", "brand", "colour", "price", "category", "images", "split")
MIN_PRODUCTS = 120
"""Minimum size, so that every category has a product and large categories stay large."""
_PICTURELESS, _BROKEN, _SECOND_VIEW = 0.08, 0.01, 0.1
_FLAWS = ("truncated", "empty", "text", "absent")


class Shop(NamedTuple):
    """The files of a sample shop.

    Attributes:
        folder: Their folder.
        products: CSV with the columns `category` and `split` (train, test).
        incoming: CSV of new products without these columns, to classify.
        truth: JSON for tests and benchmarks, not for training: true `labels` by id, and the ids that are
            `image_only`, `mislabelled`, `duplicates` (lists of ids of one item), `broken` (id to flaw), and
            `languages` by id.
        image_only: Ids of products whose text fits two or more sibling categories equally.
    """

    folder: Path
    products: Path
    incoming: Path
    truth: Path
    image_only: frozenset[str]


def make_shop(
    folder: Path,
    products: int = 2000,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Shop:
    """Write a sample shop. The same `products` and `seed` give the same bytes.

    Args:
        folder: The output folder.
        products: Number of labelled rows, at least 120; a tenth as many unlabelled ones are added.
        seed: Random seed.
        progress: Reports progress.

    Raises:
        CatalogError: `products` is too small, or `folder` cannot be written.
    """
    if products < MIN_PRODUCTS:
        raise CatalogError(
            f"a sample shop of {products:,} products is too small: ask for {MIN_PRODUCTS} or more"
        )
    folder = Path(folder)
    rng = random.Random(f"aisle shop {seed}")
    labelled, incoming = stock(products, rng), arrivals(max(20, products // 10), rng)
    shop = Shop(
        folder,
        folder / "products.csv",
        folder / "incoming.csv",
        folder / "truth.json",
        frozenset(row.id for row in [*labelled, *incoming] if row.image_only),
    )
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        with progress("drawing the sample shop", len(labelled) + len(incoming)) as advance:
            images, broken = _write_images(folder, [*labelled, *incoming], seed, advance)
        _write_rows(shop.products, labelled, images, COLUMNS, rng)
        _write_rows(shop.incoming, incoming, images, COLUMNS[:6] + COLUMNS[7:8], rng)
        _write_truth(shop.truth, labelled, incoming, broken)
    except OSError as error:
        raise CatalogError(f"the sample shop cannot be written to {folder}: {error}") from error
    return shop


def _write_images(
    folder: Path, rows: list[Listing], seed: int, advance: Advance
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Draw every row's images; returns relative paths by id, and the flaw of each broken image by id."""
    kinds = _flaws(rows, random.Random(f"aisle flaws {seed}"))
    images: dict[str, list[str]] = {}
    for row in rows:
        # Seeded by the item, not the row: a relisting has the same images.
        rng = random.Random(f"aisle item {seed} {row.id[0]} {row.item}")
        images[row.id] = []
        views = 2 if rng.random() < _SECOND_VIEW else 1
        for view in range(0 if kinds.get(row.id) == "none" else views):
            picture = draw_image(row.category.drawing, COLOURS[row.colour], rng)
            data, ending = encode(picture, rng)
            flaw = kinds.get(row.id, "")
            name = f"images/{row.id}{'' if view == 0 else '_2'}{ending}"
            images[row.id].append(name)
            if flaw == "absent":
                (folder / name).unlink(missing_ok=True)
            else:
                (folder / name).write_bytes(corrupt(data, flaw, name) if flaw else data)
        advance(1)
    return images, {id: kind for id, kind in kinds.items() if kind != "none"}


def _flaws(rows: list[Listing], rng: random.Random) -> dict[str, str]:
    """id -> `none` (no image) or the flaw of its images; image-only rows have none."""
    chosen = [row.id for row in rows if not row.image_only]
    rng.shuffle(chosen)
    broken = max(len(_FLAWS), round(len(rows) * _BROKEN))
    missing = round(len(rows) * _PICTURELESS)
    flaws = {id: _FLAWS[i % len(_FLAWS)] for i, id in enumerate(chosen[:broken])}
    return flaws | dict.fromkeys(chosen[broken : broken + missing], "none")


def _write_rows(
    file: Path,
    rows: list[Listing],
    images: dict[str, list[str]],
    columns: tuple[str, ...],
    rng: random.Random,
) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            cells = {
                "id": row.id,
                "title": row.title,
                "description": row.description,
                "brand": row.brand if rng.random() < 0.65 else "",
                "colour": row.colour if rng.random() < 0.8 else "",
                "price": f"{row.price:.2f}",
                "category": row.label,
                "images": "|".join(images[row.id]),
                "split": row.split,
            }
            writer.writerow(cells)


def _write_truth(
    file: Path, labelled: list[Listing], incoming: list[Listing], broken: dict[str, str]
) -> None:
    rows = [*labelled, *incoming]
    by_item: dict[int, list[str]] = defaultdict(list)
    for row in labelled:
        by_item[row.item].append(row.id)
    truth = {
        "labels": {row.id: row.category.path for row in rows},
        "image_only": [row.id for row in rows if row.image_only],
        "mislabelled": [row.id for row in rows if row.label != row.category.path],
        "duplicates": [ids for ids in by_item.values() if len(ids) > 1],
        "broken": broken,
        "languages": {row.id: row.language for row in rows},
    }
    file.write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
