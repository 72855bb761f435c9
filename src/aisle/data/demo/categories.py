"""The sample shop's category tree, with the words and the image template of each category."""

import tomllib
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

LANGUAGES = ("en", "de", "fr", "es")
Words = dict[str, tuple[str, ...]]
"""Alternatives by language."""


class Department(NamedTuple):
    """A category of level 2, and the words for all of its products.

    `vague` words fit every category of the department equally; empty where no listing uses them. Mutually
    exclusive `details`, such as sizes, are one entry, separated by ~.
    """

    path: str
    price: tuple[float, float]
    brands: tuple[str, ...]
    details: Words
    vague: Words


class Category(NamedTuple):
    """A category with products: its path, share of the products, names and image template.

    `needs_image`: some listings use only the department's `vague` words.
    """

    path: str
    department: Department
    weight: int
    price: tuple[float, float]
    names: Words
    drawing: str
    needs_image: bool


@cache
def categories() -> tuple[Category, ...]:
    """Every category, in the order of `categories.toml`."""
    text = resources.files("aisle.data.demo").joinpath("categories.toml").read_text(encoding="utf-8")
    found = []
    for raw in tomllib.loads(text)["department"]:
        department = Department(
            raw["path"],
            tuple(raw["price"]),
            tuple(raw["brands"]),
            _words(raw["details"]),
            _words(raw.get("vague", {})),
        )
        found += [_category(department, entry) for entry in raw["categories"]]
    return tuple(found)


def _category(department: Department, entry: dict[str, Any]) -> Category:
    path = f"{department.path} > {entry['name']}" if "name" in entry else department.path
    names = _words({language: entry[language] for language in LANGUAGES})
    return Category(
        path,
        department,
        entry["weight"],
        tuple(entry.get("price", department.price)),
        names,
        entry["drawing"],
        entry.get("needs_image", False),
    )


def _words(raw: dict[str, str]) -> Words:
    return {language: tuple(text.split("|")) for language, text in raw.items()}


def shares(total: int) -> list[int]:
    """Number of products per category: by weight, largest remainders first, at least one."""
    weights = [category.weight for category in categories()]
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
