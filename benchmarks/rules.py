"""What thousands of rules cost of the throughput of recipe `fast`.

    python benchmarks/rules.py [--rules 0,100,1000,10000] [--rounds 5]

Trains `fast` on the marketplace catalog (or on a sample shop, without it), writes rules from the words of its
own listings (a third each: two words of a title; another field and a word; a pattern with two words), and
predicts the same listings without rules and with each number of them, in turn within each round. The figure
is the processor seconds with rules over those without in the same round: the median, and the extremes.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path
from statistics import median

import aisle
from aisle.data import Catalog
from aisle.data.demo import make_shop
from aisle.inference.base_predictor import BasePredictor
from aisle.rules import Ruleset
from aisle.rules.text import fold, words
from results import SHARED, machine, table, write_section

PRODUCTS = 3_000  # predicted in each round


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rules", default="100,1000,10000")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        name, catalog = shop(Path(folder))
    model = aisle.train(catalog, "fast")
    products = list(catalog)[:PRODUCTS]
    numbers = [int(number) for number in arguments.rules.split(",")]
    ruled = {number: with_rules(model, catalog, number) for number in numbers}
    shares: dict[int, list[float]] = {number: [] for number in numbers}
    acted: dict[int, int] = {}
    speeds: list[float] = []
    predict(model, products)
    for number, other in ruled.items():
        acted[number] = sum(bool(one.rule) for one in predict(other, products))
    for _ in range(arguments.rounds):
        base = seconds(model, products)
        speeds.append(len(products) / base)
        for number, other in ruled.items():
            shares[number].append(seconds(other, products) / base)
    lines = [
        f"| {number:,} | {acted[number] / len(products):.0%} | {median(found) - 1:+.1%} | "
        f"{min(found) - 1:+.1%} to {max(found) - 1:+.1%} |"
        for number, found in shares.items()
    ]
    text = [
        "## Rules",
        "",
        f"Processor time of `fast` on {len(products):,} products of {name}, with rules over without, in the "
        f"same round; {arguments.rounds} rounds. Without rules: {median(speeds):,.0f} products a second of "
        f"one core. "
        f"{machine()}",
        "",
        *table(("rules", "products they act on", "more processor time (median)", "all rounds"), lines),
    ]
    print("\n".join(text))
    write_section("rules", "\n".join(text))


def shop(folder: Path) -> tuple[str, Catalog]:
    """The name and the products of a shop."""
    marketplace = SHARED / "data" / "marketplace"
    if marketplace.is_dir():
        return "the marketplace catalog", aisle.read(marketplace / "products.csv")
    made = make_shop(folder / "shop", 4_000)
    return "a sample shop", aisle.read(made.products)


def with_rules(model: BasePredictor, catalog: Catalog, number: int) -> BasePredictor:
    """The model with so many rules of the listings' own words."""
    chosen = random.Random(number)
    fields = [name for name in catalog.fields if name not in ("title", "description")]
    products, nodes = list(catalog), model.taxonomy.nodes
    found: list[str] = []
    while len(found) < number:
        product = chosen.choice(products)
        title = words(fold(product.fields.get("title", "")))
        given = [name for name in fields if name in product.fields]
        if len(title) < 2:
            continue
        first, second = chosen.sample(title, 2)
        kind = len(found) % 3
        if kind == 0 or (kind == 1 and not given):
            conditions = [
                f"{{ title = {{ contains = '{first}' }} }}",
                f"{{ title = {{ contains = '{second}' }} }}",
            ]
        elif kind == 1:
            field = chosen.choice(given)
            value = product.fields[field][:60].replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
            conditions = [f'{{ "{field}" = {{ equals = "{value}" }}, title = {{ contains = "{first}" }} }}']
        else:
            conditions = [f"{{ title = {{ regex = '\\b{first}\\W+(\\w+\\W+)?{second}\\b' }} }}"]
        action = chosen.choice(("force", "deny", "restrict", "review"))
        node = chosen.choice(nodes)
        found.append(
            f'[[rule]]\nid = "r{len(found)}"\naction = "{action}"\ncategory = {node.id!r}\n'
            f"when = [{', '.join(conditions)}]\n"
        )
    return model.with_rules(Ruleset.parse("".join(found)))


def predict(model: BasePredictor, products: list[aisle.Product]) -> list[aisle.Prediction]:
    """All predictions."""
    return list(model.predict_stream(products))


def seconds(model: BasePredictor, products: list[aisle.Product]) -> float:
    """Processor seconds of predicting all products."""
    started = time.process_time()
    predict(model, products)
    return time.process_time() - started


if __name__ == "__main__":
    main()
