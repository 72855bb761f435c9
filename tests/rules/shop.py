"""A small shop whose model reads titles, and rules for it."""

from functools import cache
from pathlib import Path
from textwrap import dedent

import aisle
from aisle.inference.base_predictor import BasePredictor
from aisle.rules import Ruleset

ROWS = [
    ("running shoe", "Clothing > Shoes"),
    ("leather shoe", "Clothing > Shoes"),
    ("wool sock", "Clothing > Socks"),
    ("cotton sock", "Clothing > Socks"),
    ("oak table", "Home > Tables"),
    ("glass table", "Home > Tables"),
    ("desk lamp", "Home > Lamps"),
    ("floor lamp", "Home > Lamps"),
]


@cache
def model() -> BasePredictor:
    """A linear model trained on 80 products with title, brand, price and tags."""
    rows = [
        {
            "id": f"p{n}",
            "title": f"{colour} {title}",
            "brand": "Nike",
            "price": "10",
            "tags": "a",
            "category": category,
        }
        for n, (colour, (title, category)) in enumerate(
            (colour, row)
            for colour in ["red", "blue", "green", "black", "white", "pink", "grey", "brown", "gold", "teal"]
            for row in ROWS
        )
    ]
    return aisle.train(aisle.read(rows), "fast")


def rules(text: str, **lists: str) -> Ruleset:
    """The rules of a text; `lists` are the texts of its list files, `brands` that of `brands.txt`."""
    return Ruleset.parse(dedent(text), read_list=lambda name: lists[name.removesuffix(".txt")])


def written(folder: Path, text: str) -> Path:
    """A rules file in a folder."""
    file = folder / "rules.toml"
    file.write_text(dedent(text), "utf-8")
    return file
