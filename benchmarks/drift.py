"""Does drift stay silent where nothing changed, and speak where something did? `python benchmarks/drift.py`

A model learns from `train`; the rows of `test` are cut in two by chance, again and again. Both halves as they
are: any alarm is false. Then a share of the second half is changed in one way, and it is written down
whether an alarm was raised, and whether the aspect that was meant is among those named. A section each set.
"""

import argparse
import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import aisle
from aisle.catalog import Catalog, Product
from aisle.evaluation.drift import Profile, compared, profile
from aisle.inference.predictor import Predictor
from aisle.metrics import clopper_pearson
from aisle.workflow import part
from results import SHARED, machine, write_section

SETS = {"marketplace": "marketplace/products.csv", "fashion": "fashion/products.parquet"}
STRANGERS = "text/instacart.parquet"  # groceries belong nowhere in either tree
# `fast` on text alone, cut down: what drift asks of a model is its answers, not good ones.
CHANGES = (
    "views.image=false", "views.text.axes=512", "views.title.axes=384", "stages.0.epochs=2",
    "stages.0.steps=120", "stages.0.batch=128",
)  # fmt: skip
HALVES, PLANTED = 100, 6
SHARES = (0.1, 0.3)
GERMAN = "Der Artikel ist neu und wird nur mit der Post versandt, sehr gut für die ganze Familie: {}"
Change = Callable[[list[Product], np.ndarray, np.random.Generator], list[Product]]


class Plant(NamedTuple):
    """A change of some of the products, and the aspects of which one should be named."""

    change: Change
    meant: tuple[str, ...]


def each(change: Callable[[dict[str, str]], dict[str, str]]) -> Change:
    """Other fields for the products picked."""

    def made(products: list[Product], picked: np.ndarray, _: np.random.Generator) -> list[Product]:
        return [
            dataclasses.replace(p, fields={k: v for k, v in change(dict(p.fields)).items() if v}) if at else p
            for p, at in zip(products, picked, strict=True)
        ]

    return made


def plants(strangers: list[Product], descriptions: bool) -> dict[str, Plant]:
    longest = "description" if descriptions else "title"

    def templated(fields: dict[str, str]) -> dict[str, str]:
        return fields | {"title": f"OFFICIAL OUTLET {fields.get('title', '')} certified seller warranty"}

    def german(fields: dict[str, str]) -> dict[str, str]:
        return fields | {longest: GERMAN.format(fields.get(longest, ""))}

    def cut(fields: dict[str, str]) -> dict[str, str]:
        return fields | {longest: " ".join(fields.get(longest, "").split()[:2])}

    def others(products: list[Product], picked: np.ndarray, rng: np.random.Generator) -> list[Product]:
        drawn = iter(rng.choice(len(strangers), int(picked.sum()), replace=False).tolist())
        return [strangers[next(drawn)] if at else p for p, at in zip(products, picked, strict=True)]

    def one_branch(products: list[Product], picked: np.ndarray, rng: np.random.Generator) -> list[Product]:
        tops = Counter(p.categories[0][0] for p in products if p.categories)
        top = sorted(tops, key=lambda t: (-tops[t], t))[1]  # the second most common one
        own = [p for p in products if p.categories and p.categories[0][0] == top]
        return [own[rng.integers(len(own))] if at else p for p, at in zip(products, picked, strict=True)]

    found = {
        "from one branch": Plant(one_branch, ("branches", "classes")),
        "products of another shop": Plant(others, ("unknown", "embedding", "vocabulary")),
        "titles by a template": Plant(each(templated), ("vocabulary",)),
        "another language": Plant(each(german), ("languages",)),
        "texts cut short": Plant(each(cut), ("length",)),
    }
    if descriptions:
        lost = each(lambda fields: fields | {"description": ""})
        found["descriptions missing"] = Plant(lost, ("length", "vocabulary"))
    else:
        lost = each(lambda fields: fields | {"title": ""})
        found["titles missing"] = Plant(lost, ("view title",))
    return found


def halves(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    order = rng.permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def silence(whole: Profile) -> list[str]:
    """Every aspect that was called changed between random halves, with how often, and how often any was."""
    rng = np.random.default_rng(0)
    named: Counter[str] = Counter()
    alarms = 0
    for _ in range(HALVES):
        before, now = halves(len(whole), rng)
        changed = [a.key for a in compared(whole.take(before), whole.take(now)) if a.changed]
        named.update(changed)
        alarms += bool(changed)
    found = clopper_pearson(alarms, HALVES)
    told = ", ".join(f"{name} {count}" for name, count in named.most_common()) or "none"
    return [
        f"Random halves of {len(whole):,} `test` rows: a false alarm in {alarms} of {HALVES} comparisons, "
        f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%}); by aspect: {told}.",
    ]


def speech(model: Predictor, rows: Catalog, whole: Profile, strangers: list[Product]) -> list[str]:
    """How often each planted change is noticed, by the share of rows it touches."""
    texts = Counter(name for p in rows for name in p.fields)
    found = plants(strangers, texts["description"] > len(rows) / 2)
    lines = [
        f"| changed in the second half | {' | '.join(f'{s:.0%} of rows' for s in SHARES)} | meant |",
        "|" + "---|" * (len(SHARES) + 2),
    ]
    for name, plant in found.items():
        cells = []
        for share in SHARES:
            alarms = right = 0
            for seed in range(PLANTED):
                rng = np.random.default_rng(seed)
                before, now = halves(len(rows), rng)
                picked = np.zeros(len(now), bool)
                picked[rng.choice(len(now), round(share * len(now)), replace=False)] = True
                changed = aisle.read(plant.change(list(rows.take(now)), picked, rng))
                aspects = compared(whole.take(before), profile(model, changed))
                keys = {a.key for a in aspects if a.changed}
                alarms += bool(keys)
                right += bool(keys & set(plant.meant))
            cells.append(f"{alarms / PLANTED:.0%} / {right / PLANTED:.0%}")
        lines.append(f"| {name} | {' | '.join(cells)} | {', '.join(plant.meant)} |")
        print(lines[-1], flush=True)
    return lines


def measured(name: str, strangers: list[Product]) -> None:
    shop = aisle.read(SHARED / "data" / SETS[name])
    model = aisle.train(shop, "fast", changes=CHANGES)
    rows = part(shop, "test")
    whole = profile(model, rows)
    told = silence(whole)
    print(told[0], flush=True)
    lines = [
        f"## Drift: silence and speech, `{name}`",
        "",
        f"`python benchmarks/drift.py {name}`; `fast` on text alone, cut down, trained on `train`. "
        f"{machine()}.",
        "",
        *told,
        "",
        f"Planted: a share of one half's rows changed in one way, {PLANTED} times each. Any alarm raised, "
        "how often an aspect that was meant was named.",
        "",
        *speech(model, rows, whole, strangers),
    ]
    write_section(f"drift {name}", "\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    strangers = list(part(aisle.read(SHARED / "data" / STRANGERS), "test").take(np.arange(2_000)))
    for name in parser.parse_args().sets:
        measured(name, strangers)


if __name__ == "__main__":
    main()
