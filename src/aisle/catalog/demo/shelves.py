"""The sample shop's tree: aisles and their shelves, with the words and the drawing that belong to each."""

import inspect
import tomllib
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from aisle.catalog.demo.motifs import home, play, wear
from aisle.catalog.demo.pen import Motif

LANGUAGES = ("en", "de", "fr", "es")
Words = dict[str, tuple[str, ...]]
"""Alternatives by language."""


class Aisle(NamedTuple):
    """A category of the second level and what is said about anything in it.

    `vague` words fit every shelf of the aisle equally; empty where no listing is that vague.
    `details` that exclude each other (sizes, say) are one entry, separated by ~.
    """

    path: str
    price: tuple[float, float]
    brands: tuple[str, ...]
    details: Words
    vague: Words


class Shelf(NamedTuple):
    """A place where products end: its label, its share of the products, its names and its drawing.

    `pictured`: some listings here use only the aisle's `vague` words.
    """

    path: str
    aisle: Aisle
    weight: int
    price: tuple[float, float]
    names: Words
    motif: Motif
    pictured: bool


@cache
def shelves() -> tuple[Shelf, ...]:
    """Every shelf, in the order of the tree file."""
    text = resources.files("aisle.catalog.demo").joinpath("shelves.toml").read_text(encoding="utf-8")
    motifs = {
        name: f for room in (wear, home, play) for name, f in inspect.getmembers(room, inspect.isfunction)
    }
    found = []
    for raw in tomllib.loads(text)["aisle"]:
        aisle = Aisle(
            raw["path"],
            tuple(raw["price"]),
            tuple(raw["brands"]),
            _words(raw["details"]),
            _words(raw.get("vague", {})),
        )
        found += [_shelf(aisle, entry, motifs[entry["motif"]]) for entry in raw["shelf"]]
    return tuple(found)


def _shelf(aisle: Aisle, entry: dict[str, Any], motif: Motif) -> Shelf:
    path = f"{aisle.path} > {entry['name']}" if "name" in entry else aisle.path
    names = _words({language: entry[language] for language in LANGUAGES})
    return Shelf(
        path,
        aisle,
        entry["weight"],
        tuple(entry.get("price", aisle.price)),
        names,
        motif,
        entry.get("pictured", False),
    )


def _words(raw: dict[str, str]) -> Words:
    return {language: tuple(text.split("|")) for language, text in raw.items()}


def shares(total: int) -> list[int]:
    """How many of `total` products stand on each shelf: by weight, largest remainders first, at least one."""
    weights = [shelf.weight for shelf in shelves()]
    exact = [total * weight / sum(weights) for weight in weights]
    counts = [max(1, int(share)) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
    short = total - sum(counts)
    for i in range(max(0, short)):
        counts[by_remainder[i % len(counts)]] += 1
    for _ in range(max(0, -short)):
        largest = max(range(len(counts)), key=lambda k: (counts[k], -k))
        counts[largest] -= 1
    return counts
