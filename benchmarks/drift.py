"""Does drift stay silent where nothing changed, and speak where something did? `python benchmarks/drift.py`

A model learns from `train`; the rows of `test` are cut in two by chance, again and again. Both halves as they
are: any alarm is false. Then a share of the second half is changed in one way, and it is written down
whether an alarm was raised, and whether it names the changed aspect. One section per data set.
"""

import argparse
import dataclasses
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import aisle
from aisle.data import Catalog, Product
from aisle.evaluation.drift import Profile, compare_profiles, profile
from aisle.inference.predictor import Predictor
from aisle.metrics import clopper_pearson
from aisle.models.features import FeatureStore
from aisle.workflow import part
from results import SHARED, machine, write_section

SETS = {"marketplace": "marketplace/products.csv", "fashion": "fashion/products.parquet"}
FOREIGN = "text/instacart.parquet"  # groceries belong nowhere in either tree
# `fast` on text only, with small vocabularies: drift needs predictions, not accurate ones.
CHANGES = (
    "views.image=false",
)  # fmt: skip
HALVES, PLANTED = 60, 4
SHARES = (0.1, 0.3)
GERMAN = "Der Artikel ist neu und wird nur mit der Post versandt, sehr gut für die ganze Familie: {}"
MetricChange = Callable[[list[Product], np.ndarray, np.random.Generator], list[Product]]


class Plant(NamedTuple):
    """A change of some of the products, and the aspects of which one should be named."""

    change: MetricChange
    expected: tuple[str, ...]


def each(change: Callable[[dict[str, str]], dict[str, str]]) -> MetricChange:
    """Other fields for the products picked."""

    def made(products: list[Product], picked: np.ndarray, _: np.random.Generator) -> list[Product]:
        return [
            dataclasses.replace(p, fields={k: v for k, v in change(dict(p.fields)).items() if v}) if at else p
            for p, at in zip(products, picked, strict=True)
        ]

    return made


def plants(foreign: list[Product], descriptions: bool) -> dict[str, Plant]:
    longest = "description" if descriptions else "title"

    def templated(fields: dict[str, str]) -> dict[str, str]:
        return fields | {"title": f"OFFICIAL OUTLET {fields.get('title', '')} certified seller warranty"}

    def german(fields: dict[str, str]) -> dict[str, str]:
        return fields | {longest: GERMAN.format(fields.get(longest, ""))}

    def cut(fields: dict[str, str]) -> dict[str, str]:
        return fields | {longest: " ".join(fields.get(longest, "").split()[:2])}

    def others(products: list[Product], picked: np.ndarray, rng: np.random.Generator) -> list[Product]:
        drawn = iter(rng.choice(len(foreign), int(picked.sum()), replace=False).tolist())
        return [foreign[next(drawn)] if at else p for p, at in zip(products, picked, strict=True)]

    def one_branch(products: list[Product], picked: np.ndarray, rng: np.random.Generator) -> list[Product]:
        tops = Counter(p.categories[0][0] for p in products if p.categories)
        top = sorted(tops, key=lambda t: (-tops[t], t))[1]  # the second most common one
        own = [p for p in products if p.categories and p.categories[0][0] == top]
        return [own[rng.integers(len(own))] if at else p for p, at in zip(products, picked, strict=True)]

    found = {
        "from one branch": Plant(one_branch, ("branches", "classes")),
        "products of another shop": Plant(others, ("unknown", "embedding", "vocabulary")),
        "titles by a template": Plant(each(templated), ("vocabulary", "words")),
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


class Cache:
    """What was found, by name, a line each in a file: an interrupted run goes on where it was."""

    def __init__(self, file: Path) -> None:
        self.file = file
        lines = file.read_text().splitlines() if file.exists() else []
        self.found: dict[str, list[str]] = dict(json.loads(line) for line in lines)

    def get(self, name: str, make: Callable[[], list[str]]) -> list[str]:
        """The aspects called changed in one comparison."""
        if name not in self.found:
            self.found[name] = make()
            with self.file.open("a") as handle:
                handle.write(json.dumps([name, self.found[name]]) + "\n")
        return self.found[name]


def changed(before: Profile, now: Profile) -> list[str]:
    return [a.key for a in compare_profiles(before, now) if a.changed]


def false_alarms(whole: Profile, cached: Cache) -> str:
    """Every aspect that was called changed between random halves, with how often, and how often any was."""
    named: Counter[str] = Counter()
    alarms = 0
    for seed in range(HALVES):
        before, now = halves(len(whole), np.random.default_rng(seed))
        keys = cached.get(f"halves {seed}", lambda a=before, b=now: changed(whole.select(a), whole.select(b)))
        named.update(keys)
        alarms += bool(keys)
    found = clopper_pearson(alarms, HALVES)
    by_aspect = ", ".join(f"{name} {count}" for name, count in named.most_common()) or "none"
    return (
        f"Random halves of {len(whole):,} `test` rows: a false alarm in {alarms} of {HALVES} comparisons, "
        f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%}); by aspect: {by_aspect}."
    )


def detection(
    model: Predictor, rows: Catalog, whole: Profile, foreign: list[Product], cached: Cache
) -> list[str]:
    """How often each planted change is noticed, by the share of rows it touches."""
    texts = Counter(name for p in rows for name in p.fields)

    def planted(plant: Plant, share: float, seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        before, now = halves(len(rows), rng)
        picked = np.zeros(len(now), bool)
        picked[rng.choice(len(now), round(share * len(now)), replace=False)] = True
        other = aisle.read(plant.change(list(rows.select(now)), picked, rng))
        return changed(whole.select(before), profile(model, other))

    lines = [
        f"| changed in one half | {' | '.join(f'{s:.0%} of its rows' for s in SHARES)} | expected |",
        "|" + "---|" * (len(SHARES) + 2),
    ]
    for name, plant in plants(foreign, texts["description"] > len(rows) / 2).items():
        cells = []
        for share in SHARES:
            keys = [
                set(cached.get(f"{name} {share} {seed}", lambda s=seed, q=share, p=plant: planted(p, q, s)))
                for seed in range(PLANTED)
            ]
            alarms, right = sum(map(bool, keys)), sum(bool(k & set(plant.expected)) for k in keys)
            cells.append(f"{alarms / PLANTED:.0%} / {right / PLANTED:.0%}")
        lines.append(f"| {name} | {' | '.join(cells)} | {', '.join(plant.expected)} |")
    return lines


def measured(name: str, foreign: list[Product], cache: Path, run: Path | None) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    shop = aisle.read(SHARED / "data" / SETS[name])
    if run is None and not (cache / name / "model").is_dir():
        aisle.train(shop, "fast", changes=CHANGES, out=cache / name)
    model = aisle.load(run or cache / name).with_store(FeatureStore())
    rows = part(shop, "test")
    whole, cached = profile(model, rows), Cache(cache / f"{name}.jsonl")
    lines = [
        f"## Drift: false alarms and detection, `{name}`",
        "",
        f"`python benchmarks/drift.py {name}`; recipe `{model.results.get('recipe', '?')}`"
        f"{'' if run else ', text only, with small vocabularies'}, trained on `train`. "
        f"{machine()}.",
        "",
        false_alarms(whole, cached),
        "",
    ]
    if foreign:
        lines += [
            f"Simulated drift: a share of one half's rows changed in one way, {PLANTED} times each. "
            "Any alarm / alarm that names the changed aspect.",
            "",
            *detection(model, rows, whole, foreign, cached),
        ]
    print("\n".join(lines))
    write_section(f"drift {name}", "\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "aisle-drift")
    parser.add_argument("--run", type=Path, help="a model of the set that was trained already")
    parser.add_argument("--false-alarms", action="store_true", help="only compare random halves")
    given = parser.parse_args()
    foreign: list[Product] = []
    if not given.false_alarms:
        foreign = list(aisle.read(SHARED / "data" / FOREIGN).select(np.arange(2_000)))
    for name in given.sets:
        measured(name, foreign, given.cache, given.run)


if __name__ == "__main__":
    main()
