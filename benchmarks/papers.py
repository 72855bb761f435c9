"""Fusions of the published systems (docs/papers.md) over the same frozen encoders, on real products.

    python benchmarks/papers.py fashion --text FOLDER --image FOLDER --keep FOLDER
    python benchmarks/papers.py marketplace --text FOLDER --image FOLDER --keep FOLDER

Trained on `train`, evaluated on `test`, once. Each recipe is the shipped one with other encoders, frozen;
their outputs are computed once and cached. Control: the same model reads each product with the image of
another one. Finished trainings are in `--keep`, so that a stopped run continues.
"""

import argparse
import hashlib
import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

import aisle
from aisle.cli.console import progress
from aisle.data import Catalog
from aisle.evaluation.compare import PeakMemory
from aisle.metrics import MatchedPredictions, Truth, at_level, f1_scores, paired_bootstrap
from aisle.training.fit import fit
from aisle.training.recipe import AnyRecipe, load_recipe
from aisle.training.recipe_toml import to_toml
from aisle.workflow import part
from results import SHARED, machine, table, write_section

SETS = {
    "fashion": ("fashion/products.parquet", "`fashion`, category words taken out of the titles", 96),
    "marketplace": ("marketplace/products.csv", "`marketplace`", 128),
}
# One stage in place of the published three: over frozen encoders only the fusion and the head learn.
STAGE = "{epochs=%d, batch_size=64, lr=5e-4, warmup=0.05}"
WIDTH = 192
SHIPPED = {
    "simple": [f"fusion.dim={2 * WIDTH}", f"fusion.hidden={2 * WIDTH}", f"stages=[{STAGE % 10}]"],
    "multilevel": [
        "views.title_flaubert=false",
        "views.description_flaubert=false",
        f"fusion.dim={2 * WIDTH}",
        f"stages=[{STAGE % 10}]",
    ],
    "attention": [f"fusion.dim={WIDTH}", "max_tokens=16", f"stages=[{STAGE % 6}]"],
    "huse": [],
    "cross-attention": [
        f"fusion.dim={WIDTH}",
        "fusion.layers=2",
        f"fusion.feedforward_dim={2 * WIDTH}",
        "max_tokens=16",
        f"stages=[{STAGE % 6}]",
    ],
}
CHANGED = {
    "simple, text only": ("simple", "views.image=false"),
    "simple, image only": ("simple", "views.text=false"),
    "huse, no norm before the classifier": ("huse", "head.norm=false"),
}


def recipes(data: str, text: str, image: str) -> dict[str, AnyRecipe]:
    """The recipes to compare, by name.

    Args:
        data: name of the data set.
        text: folder of the text encoder.
        image: folder of the image encoder.
    """
    read = f'{{type="TransformerTextEncoder", name="{text}", max_length=%d}}'
    see = f'{{type="TransformerImageEncoder", name="{image}", size={SETS[data][2]}}}'
    one_text = [
        f'views.text={{fields=["title", "description"], freeze=true, encoder={read % 48}}}',
        f"views.image={{freeze=true, encoder={see}}}",
    ]
    two_texts = [
        *(
            f'views.{field}_camembert={{fields=["{field}"], freeze=true, encoder={read % 32}}}'
            for field in ("title", "description")
        ),
        one_text[1],
    ]
    common = [
        'guarantee.method="none"',
        *(f"split.{name}=0" for name in ("validation", "calibration", "threshold")),
    ]
    found = {}
    for name, changes in SHIPPED.items():
        views = two_texts if name == "multilevel" else one_text
        if name == "huse":
            views = [*views, f'losses.2.label_encoder="{text}"']
        found[name] = load_recipe(name, [*changes, *views, *common])
    for name, (whole, change) in CHANGED.items():
        found[name] = load_recipe(found[whole], [change])
    return found


def rows(data: str) -> Catalog:
    """The catalog; titles of `fashion` without the words of category names, so that they do not tell all."""
    whole = aisle.read(SHARED / "data" / SETS[data][0])
    if data != "fashion":
        return whole
    names = {word for node in whole.taxonomy.nodes for word in words(node.name)}
    title = str(whole.columns.title)
    titles = [
        " ".join(word for word in str(text or "").split() if not names & set(words(word)))
        for text in whole.table.column(title).to_pylist()
    ]
    at = whole.table.schema.get_field_index(title)
    changed = whole.table.set_column(at, title, pa.array(titles))
    return aisle.read(changed, columns=whole.columns.to_dict())


def words(text: str) -> list[str]:
    """Lower-case words without a plural's s, and all of them as one (`T-Shirts`: `t`, `shirt`, `tshirt`)."""
    found = re.findall(r"[a-z]+", text.lower())
    return [*(word.rstrip("s") for word in found), "".join(found).rstrip("s")]


class Trained(NamedTuple):
    """What one training found.

    Attributes:
        answers: predicted nodes of the evaluated products.
        shuffled: the same where each product has the images of another one.
        seconds: of training.
        memory: peak, in MiB.
        parameters: of the model, with its frozen encoders.
    """

    answers: list[int]
    shuffled: list[int]
    seconds: float
    memory: float
    parameters: int


def trained(name: str, recipe: AnyRecipe, train: Catalog, test: Catalog, keep: Path) -> Trained:
    """Train and predict, or read what an earlier run found with this recipe and these rows."""
    key = "\0".join([to_toml(recipe), train.fingerprint, test.fingerprint])
    file = keep / f"{name.replace(' ', '-')}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"
    if file.exists():
        return Trained(**json.loads(file.read_text()))
    peak, start = PeakMemory(), time.perf_counter()
    model = fit(train, recipe, progress=progress(False))
    seconds = time.perf_counter() - start
    products = list(test)

    def answers(images_from: np.ndarray) -> list[int]:
        shown = [replace(p, images=products[k].images) for p, k in zip(products, images_from, strict=True)]
        best = model.score(shown).best()
        return [test.taxonomy.index(model.taxonomy.nodes[n].path) for n in best]

    own = answers(np.arange(len(products)))
    order = np.random.default_rng(0).permutation(len(products))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)  # nobody keeps an image
    result = Trained(own, answers(other), seconds, peak.mebibytes(), model.parameters)
    keep.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result._asdict()))
    return result


def gain(one: MatchedPredictions, other: MatchedPredictions, groups: np.ndarray) -> str:
    """Difference of accuracies with 95 % limits."""
    found = paired_bootstrap(one.right.astype(float), other.right.astype(float), groups=groups)
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=SETS)
    parser.add_argument("--text", required=True, help="folder or hub name of the text encoder")
    parser.add_argument("--image", required=True, help="folder or hub name of the image encoder")
    parser.add_argument("--rows", type=int, help="train on this many random rows (default: all)")
    parser.add_argument("--keep", type=Path, default=Path("papers"), help="folder of finished trainings")
    parser.add_argument("--only", nargs="*", help="recipes by name (default: all)")
    args = parser.parse_args()
    catalog = rows(args.data)
    train, test = part(catalog, "train"), part(catalog, "test")
    if args.rows and args.rows < len(train):
        train = train.select(np.sort(np.random.default_rng(0).choice(len(train), args.rows, replace=False)))
    found = {}
    for name, recipe in recipes(args.data, args.text, args.image).items():
        if args.only and name not in args.only:
            continue
        found[name] = trained(name, recipe, train, test, args.keep / args.data)
        right = np.array(found[name].answers) == test.targets().node
        print(f"{name}: {right.mean():.4f}, {found[name].seconds:.0f} s", file=sys.stderr, flush=True)
    truth, groups = Truth.of(catalog.taxonomy, test.targets()), test.groups()
    matched = {name: truth.match(np.array(one.answers)) for name, one in found.items()}
    first = next(iter(matched))
    levels = range(1, catalog.taxonomy.depth + 1)
    lines = []
    for name, one in found.items():
        own, shuffled = matched[name], truth.match(np.array(one.shuffled))
        numbers = [own.right.mean(), f1_scores(own.node, own.answer).macro]
        numbers += [at_level(own, level).right.mean() for level in levels]
        cells = [name, *(f"{x:.3f}" for x in numbers)]
        cells.append("" if name == first else gain(own, matched[first], groups))
        cells += [f"{shuffled.right.mean():.3f}", gain(own, shuffled, groups)]
        cells += [
            f"{one.parameters:,}",
            f"{one.seconds:,.0f}",
            f"{one.memory:,.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    names = ["recipe", "path accuracy", "macro-F1", *(f"level {level}" for level in levels)]
    names += [f"gain over `{first}`", "images shuffled", "lost by shuffling"]
    names += ["parameters", "train, s", "memory, MiB"]
    about = (
        f"`benchmarks/papers.py {args.data}`, aisle {aisle.__version__}; trained on {len(train):,} products, "
        f"{len(test):,} `test` products evaluated; {machine()}, next to other processes: trust ratios of "
        "times. Frozen MiniLM (title and description) and MobileNetV2; widths, depths and stages as in the "
        "script, all else as shipped. Level: accuracy over products whose label reaches it. Images shuffled: "
        "the same model, each product with the image of another one. Limits: paired bootstrap over products, "
        "near-duplicates together, 95 %. Parameters include the "
        "frozen encoders; seconds include their outputs, where no row above had computed them."
    )
    title = f"## Fusions of the published systems: {SETS[args.data][1]}"
    write_section(f"papers {args.data}", "\n".join([title, "", about, "", *table(names, lines)]))


if __name__ == "__main__":
    main()
