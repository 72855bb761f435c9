"""Text and image in one space, compared with linear maps between the same frozen vectors.

`python benchmarks/search.py retrieval` calls it. Nothing is chosen on `test`: the penalties, widths and
weights of the linear maps are chosen on held-out rows of `train`, by the very measure that is reported.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import aisle
from aisle.cli.console import progress
from aisle.data import Catalog
from aisle.metrics import Interval, paired_bootstrap
from aisle.metrics.retrieval import (
    average_precision,
    modality_gap,
    precision_at,
    recall_at,
    reciprocal_rank,
    semantic_similarity,
    shared_path,
)
from aisle.models.features import FeatureStore
from aisle.models.label_embeddings import path_vectors
from aisle.workflow import part
from results import SHARED, machine, write_section

SETS = {"fashion": "fashion/products.parquet", "marketplace": "marketplace/products.csv"}
TEXT = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"  # the recipe's
K = 10
ALL_ROWS = (
    "split.validation=0",
    "split.calibration=0",
    "split.threshold=0",
)  # the maps too
Sides = dict[str, np.ndarray]
Map = Callable[[Sides], tuple[np.ndarray, np.ndarray]]  # unit rows of texts and of images in one space
Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (texts, images) -> (n,) of each product


class Queries(NamedTuple):
    """Products of which each has text and image: (n,) their node, (n, n) same leaf and colour."""

    node: np.ndarray
    same: np.ndarray


def unit_rows(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-9)


def retrieval(data: str, text: str | None, image: str | None, run: Path | None, given: list[str]) -> None:
    """Train `huse`, changed as given, or take it from `run`; ask it on `test`, write a section."""
    whole = aisle.read(SHARED / "data" / SETS[data])
    if run is not None and (run / "model").is_dir():
        model = aisle.load(run).with_store(FeatureStore())
    else:
        changes = [f"text_encoder={text}"] if text else []
        changes += [f"image_encoder={image}"] if image else []
        changes += ["views.image.images=2"]  # as `balanced` has it, which may have encoded them already
        changes += given
        model = aisle.train(whole, "huse", changes=[*ALL_ROWS, *changes], out=run, progress=progress(False))
    train, test = (both(part(whole, name)) for name in ("train", "test"))
    fit, test_sides, learned, queries = sides(model, train), sides(model, test), ask(train), ask(test)
    names = path_vectors(whole.taxonomy, text or TEXT)
    changed = f" ({', '.join(given)})" if given else ""
    lines = [
        f"## Cross-modal retrieval: `{data}`",
        "",
        f"`benchmarks/search.py retrieval {data}`: {len(test):,} `test` products with an image, `huse` "
        f"trained on `train`{changed}. Recall and MRR: of the same product's other view. mAP: of the same "
        f"leaf; hierarchical precision@{K}: the share of the path in common; similarity: mean cosine of the "
        f"hits' category names with the query's (MiniLM). {machine()}.",
        "",
        *table(test_sides, queries, whole.taxonomy.ancestors, names),
        "",
        f"Cross-modal gap: {modality_gap(test_sides['text'], test_sides['image']):.3f}.",
        *compare_with_linear_maps(data, fit, learned, test_sides, queries),
    ]
    print("\n".join(lines))
    write_section(f"search retrieval {data}", "\n".join(lines))


def both(catalog: Catalog) -> Catalog:
    """The products with an image and a known place."""
    return catalog.select(np.flatnonzero(catalog.has_image() & (catalog.targets().node >= 0)))


def ask(catalog: Catalog) -> Queries:
    node = catalog.targets().node
    colour = np.array([p.fields.get("colour", "").casefold() for p in catalog])
    same = (node[:, None] == node) & (colour[:, None] == colour) & (colour != "")[:, None]
    return Queries(node, same)


def sides(model: Any, catalog: Catalog) -> Sides:
    """Unit rows, frozen and in the space, of the text and of the image alone."""
    import torch

    found: dict[str, list[np.ndarray]] = {
        name: [] for name in ("text", "image", "frozen text", "frozen image")
    }
    texts = [name for name in model.views if name != "image"]
    with torch.inference_mode():
        for start in range(0, len(catalog), 512):
            inputs = model._reader(list(catalog[start : start + 512]))
            encoded = {n: model.model.encode(n, a).pooled.numpy() for n, a in inputs.arrays.items()}
            views = model.model(inputs.arrays, inputs.present).joint.views
            found["text"].append(np.sum([views[n].numpy() for n in texts], 0))
            found["image"].append(views["image"].numpy())
            found["frozen text"].append(np.concatenate([unit_rows(encoded[n]) for n in texts], 1))
            found["frozen image"].append(encoded["image"])
    return {name: unit_rows(np.concatenate(some)) for name, some in found.items()}


def table(test: Sides, queries: Queries, ancestors: np.ndarray, names: np.ndarray) -> list[str]:
    """Every direction's measures."""
    node, lines = queries.node, []
    for one, other in (("text", "image"), ("image", "text"), ("image", "image"), ("text", "text")):
        similarity = test[one] @ test[other].T
        across = one != other
        if not across:
            np.fill_diagonal(similarity, -np.inf)
        order = np.argsort(-similarity, 1)
        hit = order == np.arange(len(node))[:, None]
        relevant = (node[order] == node[:, None]) & ~hit
        top = order[:, :K]
        own = [recall_at(hit, k).mean() for k in (1, 5, 10)] + [reciprocal_rank(hit).mean()]
        alike = [
            float(np.nanmean(average_precision(relevant))),
            precision_at(shared_path(ancestors, node, node[top]), K).mean(),
            semantic_similarity(names, node, node[top]).mean(),
        ]
        cells = [f"{value:.3f}" if across else "–" for value in own] + [f"{value:.3f}" for value in alike]
        lines.append(f"| {one} → {other} | {' | '.join(cells)} |")
    head = ("recall@1", "@5", "@10", "MRR", "mAP", f"hierarchical p@{K}", f"similarity@{K}")
    return [f"| | {' | '.join(head)} |", "|" + "---|" * (len(head) + 1), *lines]


def compare_with_linear_maps(
    data: str, fit: Sides, learned: Queries, test: Sides, queries: Queries
) -> list[str]:
    """`huse` compared with maps between the same frozen vectors, each chosen for the measure."""
    measures: dict[str, tuple[Callable[[Queries], Measure], np.ndarray]] = {
        "image → text recall@1": (lambda _: own_first, np.ones(len(queries.node), bool))
    }
    about = "Recall@1: whether an image's nearest text is its own."
    if data == "fashion":
        measures[f"text → image relevance@{K}"] = (
            lambda some: lambda texts, images: relevance(texts, images, some.same),
            queries.same.sum(1) > 1,
        )
        about += f" Relevance: the share of the first {K} images of the same leaf and colour, the product's"
        about += " own aside, over products that have such others."
    lines = ["", f"{about} Maps between the frozen vectors are fitted on `train`.", ""]
    lines += ["| | products | huse | ridge | huse, gain | CCA | huse, gain |", "|" + "---|" * 7]
    for name, (measure, counted) in measures.items():
        maps = linear_maps(fit, learned, measure)
        own = measure(queries)(test["text"], test["image"])[counted].astype(float)
        cells = [f"{counted.sum():,}", f"{own.mean():.4f}"]
        for made in maps.values():
            other = measure(queries)(*made(test))[counted].astype(float)
            cells += [f"{other.mean():.4f}", shown(paired_bootstrap(own, other))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def shown(gain: Interval) -> str:
    return f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"


def own_first(texts: np.ndarray, images: np.ndarray) -> np.ndarray:
    """(n,) whether image i's nearest text is text i."""
    return (images @ texts.T).argmax(1) == np.arange(len(texts))


def relevance(texts: np.ndarray, images: np.ndarray, same: np.ndarray) -> np.ndarray:
    """(n,) share of the first K images that are relevant, the query's own product aside."""
    similarity = texts @ images.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argpartition(-similarity, K, 1)[:, :K]
    return np.take_along_axis(same, order, 1).mean(1)


def linear_maps(fit: Sides, learned: Queries, measure: Callable[[Queries], Measure]) -> dict[str, Map]:
    """The best ridge map (either way) and the best canonical correlations, chosen on held-out rows."""
    n = len(learned.node)
    held = np.arange(n)[::5]
    rest = np.setdiff1d(np.arange(n), held)
    some = {name: rows[rest] for name, rows in fit.items()}
    held_out = {name: rows[held] for name, rows in fit.items()}
    judge = measure(Queries(learned.node[held], learned.same[np.ix_(held, held)]))
    found = {}
    for name, maps in {"ridge": ridges, "CCA": canonical}.items():
        scores = [float(judge(*made(held_out)).mean()) for made in maps(some)]
        found[name] = list(maps(fit))[int(np.argmax(scores))]
    return found


def ridges(fit: Sides) -> Iterator[Map]:
    """Ridge regression from one side onto the other, both ways, by penalty."""
    mean = {side: fit[f"frozen {side}"].mean(0) for side in ("text", "image")}
    for penalty in (0.1, 1.0, 10.0, 100.0):
        for start, end in (("text", "image"), ("image", "text")):
            x, y = (fit[f"frozen {side}"] - mean[side] for side in (start, end))
            w = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
            yield partial(_moved, start, end, mean, w)


def _moved(start: str, end: str, mean: Sides, w: np.ndarray, test: Sides) -> tuple[np.ndarray, np.ndarray]:
    moved = unit_rows((test[f"frozen {start}"] - mean[start]) @ w)
    fixed = unit_rows(test[f"frozen {end}"] - mean[end])
    return (moved, fixed) if start == "text" else (fixed, moved)


def canonical(fit: Sides) -> Iterator[Map]:
    """Regularised canonical correlations (Hardoon, Szedmak & Shawe-Taylor 2004), by penalty (of each side's
    mean variance), how many directions, and the power of their correlation that weighs them."""
    x, y = fit["frozen text"], fit["frozen image"]
    mean = {"text": x.mean(0), "image": y.mean(0)}
    x, y = x - mean["text"], y - mean["image"]
    for penalty in (0.01, 0.1, 0.5, 2.0):
        wx, wy = whitened(x, penalty), whitened(y, penalty)
        u, s, v = np.linalg.svd(wx.T @ (x.T @ y / len(x)) @ wy, full_matrices=False)
        u, v = wx @ u, wy @ v.T
        for dims in (32, 64, 128, 256, 384):
            for power in (0.0, 0.5, 1.0):
                weight = s[:dims] ** power
                yield partial(_projected, mean, u[:, :dims] * weight, v[:, :dims] * weight)


def _projected(mean: Sides, u: np.ndarray, v: np.ndarray, test: Sides) -> tuple[np.ndarray, np.ndarray]:
    texts, images = test["frozen text"] - mean["text"], test["frozen image"] - mean["image"]
    return unit_rows(texts @ u), unit_rows(images @ v)


def whitened(m: np.ndarray, penalty: float) -> np.ndarray:
    values, axes = np.linalg.eigh(m.T @ m / len(m))
    return axes / np.sqrt(values.clip(0) + penalty * values.mean())
