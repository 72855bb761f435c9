"""The listings of the sample shop: category, text, label and split."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

from aisle.data.demo.categories import LANGUAGES, Category, categories, shares
from aisle.data.demo.images import COLOURS
from aisle.data.demo.texts import Facts, write
from aisle.data.text import normalize

PICTURED_SHARE = 0.125
"""Share of products that only their image can classify; at least one in ten is wanted."""
MISLABELLED_SHARE = 0.02
RELISTED_SHARE = 0.03
TEST_SHARE = 0.3
COMMON = 24
"""Categories of less weight have no relistings and no wrong labels, so that they stay rare."""


@dataclass(frozen=True)
class Listing:
    """One row of the shop.

    Attributes:
        item: The item; a relisting has the same item, images and split.
        category: The true category.
        label: The category the seller chose.
        image_only: The text fits every `needs_image` category of the department equally.
    """

    id: str
    item: int
    category: Category
    label: str
    language: str
    colour: str
    title: str
    description: str
    brand: str
    price: float
    image_only: bool
    split: str = ""


def stock(products: int, rng: random.Random) -> list[Listing]:
    """The labelled rows of the shop, in random order, with their split."""
    found: list[Listing] = []
    used: set[str] = set()
    needs_image = [category.needs_image for category in categories()]
    quotas = iter(_even(round(products * PICTURED_SHARE), sum(needs_image)))
    for category, count in zip(categories(), shares(products), strict=True):
        again = min(count - 1, int(count * RELISTED_SHARE + rng.random())) if category.weight >= COMMON else 0
        vague = min(next(quotas), count - again) if category.needs_image else 0
        fresh = [_listing(len(found) + i, category, i < vague, used, rng) for i in range(count - again)]
        found += fresh
        found += [_relist(listing, rng) for listing in rng.sample(fresh, again)]
    found = _mislabel(_split(found, rng), rng)
    return _numbered(found, "A", rng)


def arrivals(count: int, rng: random.Random) -> list[Listing]:
    """`count` new rows from the same sellers, to be classified."""
    vague = round(count * PICTURED_SHARE)
    needs_image = [category for category in categories() if category.needs_image]
    weights = [category.weight for category in categories()]
    drawn = [
        rng.choice(needs_image) if i < vague else rng.choices(categories(), weights)[0] for i in range(count)
    ]
    used: set[str] = set()
    return _numbered(
        [_listing(i, category, i < vague, used, rng) for i, category in enumerate(drawn)], "B", rng
    )


def _even(total: int, parts: int) -> list[int]:
    """`total` divided as evenly as possible, so that vague words favour no category."""
    return [total // parts + (i < total % parts) for i in range(parts)]


def _listing(item: int, category: Category, vague: bool, used: set[str], rng: random.Random) -> Listing:
    """One item's listing. Its text is not in `used`, so that equal texts are always relistings and never
    in two splits."""
    language = rng.choices(LANGUAGES, weights=(45, 25, 17, 13))[0]
    colour = rng.choice(list(COLOURS))
    low, high = category.price
    price = round(low * (high / low) ** rng.random(), 2)
    if rng.random() < 0.6:
        price = float(max(1, round(price)))
    while True:
        facts = _facts(category, vague, language, colour, rng)
        title, description = write(facts, rng)
        words = normalize(f"{title}\0{description}")
        if words not in used:
            used.add(words)
            break
    return Listing(
        "",
        item,
        category,
        category.path,
        language,
        colour,
        title,
        description,
        facts.brand,
        price,
        image_only=vague,
    )


def _facts(category: Category, vague: bool, language: str, colour: str, rng: random.Random) -> Facts:
    department = category.department
    names = department.vague if vague else category.names
    # Other products in a vague listing are from other departments: its own would be a hint.
    elsewhere = [s for s in categories() if (s.department is not department if vague else s is not category)]
    return Facts(
        language,
        rng.choice(names[language]),
        tuple(rng.choice(kind.split("~")) for kind in department.details[language]),
        rng.choice(department.brands if rng.random() < 0.88 else rng.choice(categories()).department.brands),
        colour,
        tuple(rng.choice(s.names[language]) for s in rng.sample(elsewhere, 2)),
    )


def _relist(listing: Listing, rng: random.Random) -> Listing:
    """The same item listed again: the same images, a lower price, the title sometimes changed."""
    title = rng.choice([listing.title, listing.title, listing.title.lower(), f"{listing.title} !!!"])
    return replace(listing, title=title, price=round(listing.price * rng.choice([1, 0.9, 0.8]), 2))


def _split(listings: list[Listing], rng: random.Random) -> list[Listing]:
    """Split per category and kind of text. A single item is a train row; rows of an item stay together."""
    strata: dict[tuple[str, bool], set[int]] = defaultdict(set)
    for listing in listings:
        strata[listing.category.path, listing.image_only].add(listing.item)
    test: set[int] = set()
    for items in strata.values():
        count = min(len(items) - 1, int(len(items) * TEST_SHARE + rng.random()))
        test.update(rng.sample(sorted(items), count))
    return [replace(row, split="test" if row.item in test else "train") for row in listings]


def _mislabel(listings: list[Listing], rng: random.Random) -> list[Listing]:
    """Give some rows a wrong label, mostly of a sibling category."""
    rows = Counter(row.item for row in listings)
    common = [category for category in categories() if category.weight >= COMMON]
    chosen = [
        i
        for i, row in enumerate(listings)
        if row.category in common and not row.image_only and rows[row.item] == 1
    ]
    wrong = set(rng.sample(chosen, min(len(chosen), round(len(listings) * MISLABELLED_SHARE))))
    return [
        replace(row, label=_wrong(row.category, common, rng)) if i in wrong else row
        for i, row in enumerate(listings)
    ]


def _wrong(category: Category, common: list[Category], rng: random.Random) -> str:
    others = [other for other in common if other is not category]
    near = [other for other in others if other.department is category.department]
    return rng.choice(near if near and rng.random() < 0.7 else others).path


def _numbered(listings: list[Listing], letter: str, rng: random.Random) -> list[Listing]:
    """Shuffle, then assign ids, so that ids carry no information."""
    rng.shuffle(listings)
    return [replace(row, id=f"{letter}{10_001 + i}") for i, row in enumerate(listings)]
