"""Which products the sample shop has: what each is, what its seller says, and on which side of the split."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

from aisle.catalog.demo.pictures import COLOURS
from aisle.catalog.demo.shelves import LANGUAGES, Shelf, shares, shelves
from aisle.catalog.demo.words import Facts, write
from aisle.catalog.text import normal

PICTURED_SHARE = 0.125
"""Of all products, those that only their picture can place; one in ten is the promise."""
MISLABELLED_SHARE = 0.02
RELISTED_SHARE = 0.03
TEST_SHARE = 0.3
COMMON = 24
"""Shelves of less weight are left out of relisting and mislabelling, so that the tail stays a tail."""


@dataclass(frozen=True)
class Listing:
    """One row of the shop.

    item: the thing itself; a relisting shares it, and with it pictures and split side.
    label: the shelf the seller chose; `shelf` is where the item truly belongs.
    picture_only: its text fits every pictured shelf of the aisle equally.
    """

    id: str
    item: int
    shelf: Shelf
    label: str
    language: str
    colour: str
    title: str
    description: str
    brand: str
    price: float
    picture_only: bool
    split: str = ""


def stock(products: int, rng: random.Random) -> list[Listing]:
    """The shop's `products` rows in no order, labelled and split."""
    found: list[Listing] = []
    said: set[str] = set()
    pictured = [shelf.pictured for shelf in shelves()]
    quotas = iter(_even(round(products * PICTURED_SHARE), sum(pictured)))
    for shelf, count in zip(shelves(), shares(products), strict=True):
        again = min(count - 1, int(count * RELISTED_SHARE + rng.random())) if shelf.weight >= COMMON else 0
        vague = min(next(quotas), count - again) if shelf.pictured else 0
        fresh = [_listing(len(found) + i, shelf, i < vague, said, rng) for i in range(count - again)]
        found += fresh
        found += [_relist(listing, rng) for listing in rng.sample(fresh, again)]
    found = _mislabel(_split(found, rng), rng)
    return _numbered(found, "A", rng)


def arrivals(count: int, rng: random.Random) -> list[Listing]:
    """`count` new rows from the same sellers, to be classified."""
    vague = round(count * PICTURED_SHARE)
    pictured = [shelf for shelf in shelves() if shelf.pictured]
    weights = [shelf.weight for shelf in shelves()]
    drawn = [rng.choice(pictured) if i < vague else rng.choices(shelves(), weights)[0] for i in range(count)]
    said: set[str] = set()
    return _numbered([_listing(i, shelf, i < vague, said, rng) for i, shelf in enumerate(drawn)], "B", rng)


def _even(total: int, parts: int) -> list[int]:
    """`total` in `parts` as equal as can be, so that vague words favour no shelf."""
    return [total // parts + (i < total % parts) for i in range(parts)]


def _listing(item: int, shelf: Shelf, vague: bool, said: set[str], rng: random.Random) -> Listing:
    """One item's listing, in words that nobody used before: `said` holds those, so that equal words always
    mean a relisting, and a split by items never has one text on both sides."""
    language = rng.choices(LANGUAGES, weights=(45, 25, 17, 13))[0]
    colour = rng.choice(list(COLOURS))
    low, high = shelf.price
    price = round(low * (high / low) ** rng.random(), 2)
    if rng.random() < 0.6:
        price = float(max(1, round(price)))
    while True:
        facts = _facts(shelf, vague, language, colour, rng)
        title, description = write(facts, rng)
        words = normal(f"{title}\0{description}")
        if words not in said:
            said.add(words)
            break
    return Listing(
        "",
        item,
        shelf,
        shelf.path,
        language,
        colour,
        title,
        description,
        facts.brand,
        price,
        picture_only=vague,
    )


def _facts(shelf: Shelf, vague: bool, language: str, colour: str, rng: random.Random) -> Facts:
    aisle = shelf.aisle
    names = aisle.vague if vague else shelf.names
    # What else a vague listing mentions comes from other aisles: never its own shelf would be a hint.
    elsewhere = [s for s in shelves() if (s.aisle is not aisle if vague else s is not shelf)]
    return Facts(
        language,
        rng.choice(names[language]),
        tuple(rng.choice(kind.split("~")) for kind in aisle.details[language]),
        rng.choice(aisle.brands if rng.random() < 0.88 else rng.choice(shelves()).aisle.brands),
        colour,
        tuple(rng.choice(s.names[language]) for s in rng.sample(elsewhere, 2)),
    )


def _relist(listing: Listing, rng: random.Random) -> Listing:
    """The same item offered again: the same pictures, a lower price, the title sometimes touched up."""
    title = rng.choice([listing.title, listing.title, listing.title.lower(), f"{listing.title} !!!"])
    return replace(listing, title=title, price=round(listing.price * rng.choice([1, 0.9, 0.8]), 2))


def _split(listings: list[Listing], rng: random.Random) -> list[Listing]:
    """Test and train, drawn per shelf and kind of text. A lone item trains; an item's rows stay together."""
    strata: dict[tuple[str, bool], set[int]] = defaultdict(set)
    for listing in listings:
        strata[listing.shelf.path, listing.picture_only].add(listing.item)
    test: set[int] = set()
    for items in strata.values():
        count = min(len(items) - 1, int(len(items) * TEST_SHARE + rng.random()))
        test.update(rng.sample(sorted(items), count))
    return [replace(row, split="test" if row.item in test else "train") for row in listings]


def _mislabel(listings: list[Listing], rng: random.Random) -> list[Listing]:
    """Some sellers choose the wrong shelf, mostly a neighbouring one."""
    rows = Counter(row.item for row in listings)
    common = [shelf for shelf in shelves() if shelf.weight >= COMMON]
    chosen = [
        i
        for i, row in enumerate(listings)
        if row.shelf in common and not row.picture_only and rows[row.item] == 1
    ]
    wrong = set(rng.sample(chosen, min(len(chosen), round(len(listings) * MISLABELLED_SHARE))))
    return [
        replace(row, label=_wrong(row.shelf, common, rng)) if i in wrong else row
        for i, row in enumerate(listings)
    ]


def _wrong(shelf: Shelf, common: list[Shelf], rng: random.Random) -> str:
    others = [other for other in common if other is not shelf]
    near = [other for other in others if other.aisle is shelf.aisle]
    return rng.choice(near if near and rng.random() < 0.7 else others).path


def _numbered(listings: list[Listing], letter: str, rng: random.Random) -> list[Listing]:
    """Shuffled, then given ids, so that an id says nothing."""
    rng.shuffle(listings)
    return [replace(row, id=f"{letter}{10_001 + i}") for i, row in enumerate(listings)]
