"""Does the index find, and how fast?

    python benchmarks/search.py speed VECTORS      # a file of `aisle embed`: recall, rate, build, memory
    python benchmarks/search.py retrieval RUN      # text and picture across, on `test` of `fashion`
    python benchmarks/search.py duplicates         # `luma`'s variants, and altered listings of `marketplace`

RUN is a trained `huse` (`aisle train …/fashion/products.parquet --recipe huse`). Writes into RESULTS.md.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import aisle
from aisle.catalog import Catalog, ImageRef, Product
from aisle.catalog.pictures import PictureError, decode
from aisle.catalog.vectors import VectorFile
from aisle.metrics import paired_bootstrap
from aisle.metrics.retrieval import (
    average_precision,
    modality_gap,
    precision_at,
    recall_at,
    reciprocal_rank,
    semantic_similarity,
    shared_path,
)
from aisle.workflow import part
from results import SHARED, machine, write_section

ROWS, DIM, K, ASKED = 200_000, 256, 10, 1_000
SETS = {"fashion": "fashion/products.parquet", "marketplace": "marketplace/products.csv"}


# -- speed ----------------------------------------------------------------------------------------


def tiled(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ROWS unit vectors, each a real one with noise, and ASKED queries made alike."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> np.ndarray:
        out = vectors[rng.integers(0, len(vectors), count)]
        noise = rng.standard_normal(out.shape, np.float32) * (0.5 / DIM**0.5)
        out = out + noise
        return (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float32)

    return drawn(ROWS), drawn(ASKED)


def measure(folder: Path) -> dict[str, float]:
    """Build an index of `vectors.npy`, ask it `queries.npy`; in this process alone, for its memory."""
    import pyarrow as pa

    from aisle.search.manifest import Manifest
    from aisle.search.rows import schema
    from aisle.search.store import create
    from aisle.search.where import Column

    columns = {"id": Column("id", "exact"), "category": Column("category_key", "places")}
    columns |= {"bucket": Column("f2", "number")}
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    layout = schema(columns, DIM)

    def tables():
        for start in range(0, ROWS, 10_000):
            rows = range(start, start + 10_000)
            given: dict[str, Any] = {
                "id": [f"p{i}" for i in rows],
                "vector": pa.FixedSizeListArray.from_arrays(
                    pa.array(np.array(vectors[start : start + 10_000]).ravel()), DIM
                ),
                "f2": [float(i * 7919 % 100) for i in rows],
            }
            arrays = [
                given[f.name]
                if f.name == "vector"
                else pa.array(given.get(f.name, [None] * len(rows)), f.type)
                for f in layout
            ]
            yield pa.table(arrays, schema=layout)

    index = folder / "index"
    index.mkdir()
    start = time.process_time()
    create(index, Manifest("m", "", {}, DIM, columns), tables())
    return {"build": time.process_time() - start}


def ask(folder: Path) -> dict[str, float]:
    from aisle.search.store import Store
    from aisle.search.where import parse

    def anonymous() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(x.split()[1]) for x in lines if x.startswith("RssAnon")) / 1024

    def resident() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(x.split()[1]) for x in lines if x.startswith("VmRSS")) / 1024

    queries = np.load(folder / "queries.npy")
    truth = {name: np.load(folder / f"{name}.npy") for name in ("all", "few")}
    before, resident_before = anonymous(), resident()
    store = Store.open(folder / "index")
    where = parse("bucket = 7", store.manifest.columns)
    found: dict[str, float] = {}
    for name, condition in (("all", None), ("few", where)):
        store.nearest(queries[0], K, condition)
        answers = []
        start, cpu = time.perf_counter(), time.process_time()
        for query in queries:
            answers.append(store.nearest(query, K, condition))
        found[f"{name} rate"] = len(queries) / (time.perf_counter() - start)
        found[f"{name} cpu"] = len(queries) / (time.process_time() - cpu)
        ids = [[int(store.rows([one.row])[one.row].id[1:]) for one in hits] for hits in answers]
        hits = [len(set(a) & set(b.tolist())) for a, b in zip(ids, truth[name], strict=True)]
        found[f"{name} recall"] = sum(hits) / truth[name].size
    found["anonymous"], found["resident"] = anonymous() - before, resident() - resident_before
    return found


def speed(source: Path) -> None:
    values = np.asarray(VectorFile(source).values, np.float32)
    values = values[values.any(1)]
    count, width = values.shape
    real = unit_rows(values)
    if width > DIM:  # along their principal axes
        real = unit_rows(real @ np.linalg.eigh(real.T @ real)[1][:, -DIM:])
    assert real.shape[1] == DIM, f"{source}: {width} numbers a vector; at least {DIM} are needed"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        vectors, queries = tiled(real)
        np.save(folder / "vectors.npy", vectors)
        np.save(folder / "queries.npy", queries)
        few = np.flatnonzero(np.arange(ROWS) * 7919 % 100 == 7)
        likeness = np.concatenate([np.argsort(-(q @ vectors.T), 1)[:, :K] for q in np.split(queries, 20)])
        np.save(folder / "all.npy", likeness)
        np.save(folder / "few.npy", few[np.argsort(-(queries @ vectors[few].T), 1)[:, :K]])
        del vectors
        found: dict[str, float] = {}
        for step in ("--build", "--ask"):
            command = [sys.executable, __file__, "inside", str(folder), step]
            env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            told = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
            found |= json.loads(told.stdout)
    size = ROWS * DIM * 4 / 2**20
    lines = [
        "## An index of 200,000 vectors",
        "",
        f"`benchmarks/search.py speed`: {count:,} real embeddings (width {width}) tiled with noise to "
        f"{ROWS:,} × {DIM}; {ASKED:,} queries, one a call, one thread, k = {K}; recall against comparing all "
        f"vectors. The filter keeps 1 % of the rows. {machine()}.",
        "",
        "| | recall@10 | queries/s | queries/CPU-s |",
        "|---|---|---|---|",
        *(
            f"| {name} | {found[f'{key} recall']:.4f} | {found[f'{key} rate']:,.0f} "
            f"| {found[f'{key} cpu']:,.0f} |"
            for name, key in (("all rows", "all"), ("under a 1 % filter", "few"))
        ),
        "",
        f"Built in {found['build']:.1f} CPU-seconds. Memory while asked: {found['anonymous']:.0f} MiB of its "
        f"own, {found['resident']:.0f} MiB with mapped pages of the file, {found['resident'] / size:.2f} × "
        f"the vectors ({size:.0f} MiB).",
    ]
    write_section("search speed", "\n".join(lines))


# -- retrieval ------------------------------------------------------------------------------------


def sides(model: Any, catalog: Catalog) -> dict[str, np.ndarray]:
    """Frozen vectors and those in the space, of the text and of the picture alone."""
    import torch

    parts: dict[str, list[np.ndarray]] = {
        name: [] for name in ("text", "image", "frozen text", "frozen image")
    }
    image = next(n for n in model.views if n == "image")
    texts = [n for n in model.views if n != image]
    reader = model._reader
    with torch.inference_mode():
        for start in range(0, len(catalog), 512):
            inputs = reader(list(catalog[start : start + 512]))
            encoded = {n: model.model.encode(n, a).pooled.numpy() for n, a in inputs.arrays.items()}
            views = model.model(inputs.arrays, inputs.present).joint.views
            parts["text"].append(sum(views[n] for n in texts).numpy())
            parts["image"].append(views[image].numpy())
            parts["frozen text"].append(np.concatenate([encoded[n] for n in texts], 1))
            parts["frozen image"].append(encoded[image])
    return {name: unit_rows(np.concatenate(some)) for name, some in parts.items()}


def unit_rows(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-9)


def ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)


def cca(x: np.ndarray, y: np.ndarray, penalty: float, dims: int) -> tuple[np.ndarray, np.ndarray]:
    """Regularised canonical correlation (Hardoon, Szedmak & Shawe-Taylor 2004): a map a side."""

    def whiten(m: np.ndarray) -> np.ndarray:
        values, axes = np.linalg.eigh(m.T @ m / len(m) + penalty * np.eye(m.shape[1]))
        return axes / np.sqrt(values)

    wx, wy = whiten(x), whiten(y)
    u, s, v = np.linalg.svd(wx.T @ (x.T @ y / len(x)) @ wy, full_matrices=False)
    return wx @ u[:, :dims] * s[:dims], wy @ v[:dims].T * s[:dims]


def rivals(fit: dict[str, np.ndarray], held: np.ndarray, same: np.ndarray) -> dict[str, Any]:
    """Ridge and CCA maps from text to pictures between the frozen vectors; penalties chosen on held-out rows
    of `train`, by the measure that is reported."""
    x, y = fit["frozen text"], fit["frozen image"]
    mx, my = x.mean(0), y.mean(0)
    rest = np.setdiff1d(np.arange(len(x)), held)
    best: dict[str, tuple[float, Any]] = {"ridge": (-1, None), "CCA": (-1, None)}
    for penalty in (0.1, 1.0, 10.0, 100.0, 1000.0):
        w = ridge(x[rest] - mx, y[rest] - my, penalty)
        score = relevance(unit_rows((x[held] - mx) @ w), unit_rows(y[held] - my), same).mean()
        best["ridge"] = max(best["ridge"], (score, penalty), key=lambda b: b[0])
    for penalty in (1e-5, 1e-4, 1e-3):
        for dims in (32, 64, 128, 256):
            a, b = cca(x[rest] - mx, y[rest] - my, penalty, dims)
            score = relevance(unit_rows((x[held] - mx) @ a), unit_rows((y[held] - my) @ b), same).mean()
            best["CCA"] = max(best["CCA"], (score, (penalty, dims)), key=lambda b: b[0])
    w = ridge(x - mx, y - my, best["ridge"][1])
    a, b = cca(x - mx, y - my, *best["CCA"][1])
    return {
        "ridge": lambda t, i: (unit_rows((t - mx) @ w), unit_rows(i - my)),
        "CCA": lambda t, i: (unit_rows((t - mx) @ a), unit_rows((i - my) @ b)),
    }


def relevance(asked: np.ndarray, gallery: np.ndarray, same: np.ndarray, k: int = K) -> np.ndarray:
    """(Q,) share of the first k that are relevant, the query's own product aside."""
    likeness = asked @ gallery.T
    np.fill_diagonal(likeness, -np.inf)
    order = np.argpartition(-likeness, k, 1)[:, :k]
    return np.take_along_axis(same, order, 1).mean(1)


def leaf_and_colour(catalog: Catalog) -> np.ndarray:
    node = catalog.targets().node
    colour = np.array([p.fields.get("colour", "").casefold() for p in catalog])
    return (node[:, None] == node) & (colour[:, None] == colour) & (colour != "")[:, None]


def retrieval(run: Path, data: str) -> None:
    from aisle.model.features import FeatureStore
    from aisle.model.names import name_vectors

    whole = aisle.read(SHARED / "data" / SETS[data])
    model = aisle.load(run).with_store(FeatureStore())
    train, test = part(whole, "train"), part(whole, "test")
    test = test.take(test.pictured() & (test.targets().node >= 0))
    train = train.take(train.pictured() & (train.targets().node >= 0))
    there = sides(model, test)
    node, tree = test.targets().node, whole.taxonomy
    classes = name_vectors(tree)
    same_leaf = node[:, None] == node
    lines = [
        f"## Finding across text and picture: `{data}`",
        "",
        f"`benchmarks/search.py retrieval`: {len(test):,} `test` products with a picture, `huse` trained on "
        "`train`. Recall and MRR: of the same product's other side. mAP: of the same leaf; hierarchical "
        "precision@10: the share of the path in common; likeness: mean cosine of the hits' category names "
        f"with the query's. {machine()}.",
        "",
        "| | recall@1 | @5 | @10 | MRR | mAP | hierarchical p@10 | likeness@10 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one, other in (("text", "image"), ("image", "text"), ("image", "image"), ("text", "text")):
        likeness = there[one] @ there[other].T
        own = one != other
        if not own:
            np.fill_diagonal(likeness, -np.inf)
        order = np.argsort(-likeness, 1)
        hit = order == np.arange(len(test))[:, None]
        relevant = np.take_along_axis(same_leaf, order, 1) & ~hit
        mean = float(np.nanmean(average_precision(relevant)))
        top = order[:, :K]
        path = precision_at(shared_path(tree.ancestors, node, node[top]), K).mean()
        near = semantic_similarity(classes, node, node[top]).mean()
        cells = [f"{recall_at(hit, k).mean():.3f}" if own else "–" for k in (1, 5, 10)]
        cells += [
            f"{reciprocal_rank(hit).mean():.3f}" if own else "–",
            f"{mean:.3f}",
            f"{path:.3f}",
            f"{near:.3f}",
        ]
        lines.append(f"| {one} → {other} | " + " | ".join(cells) + " |")
    lines += ["", f"Cross-modal gap: {modality_gap(there['text'], there['image']):.3f}."]
    if data == "fashion":
        fit = sides(model, train)
        held = np.arange(len(train))[::5]
        maps = rivals(fit, held, leaf_and_colour(train.take(held)))
        same = leaf_and_colour(test)
        asked = same.sum(1) > 1
        found = {"huse": relevance(there["text"], there["image"], same)[asked]}
        for name, made in maps.items():
            found[name] = relevance(*made(there["frozen text"], there["frozen image"]), same)[asked]
        lines += [
            "",
            f"Text → image relevance: share of the first {K} pictures of the same leaf and colour, over the "
            f"{asked.sum():,} products that have such others. Ridge and CCA map between the frozen vectors.",
            "",
            f"| | relevance@{K} | huse above it |",
            "|---|---|---|",
        ]
        for name, values in found.items():
            gain = paired_bootstrap(found["huse"], values)
            told = "" if name == "huse" else f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
            lines.append(f"| {name} | {values.mean():.4f} | {told} |")
    print("\n".join(lines))
    write_section(f"search retrieval {data}", "\n".join(lines))


# -- duplicates -----------------------------------------------------------------------------------


def retitled(title: str, rng: np.random.Generator) -> str:
    """One or two edits: a word dropped, two swapped, one added, a letter lost, all in capitals."""
    words = title.split()
    for edit in rng.choice(5, rng.integers(1, 3), replace=False):
        i = int(rng.integers(max(len(words) - 1, 1)))
        if edit == 0 and len(words) > 2:
            del words[i]
        elif edit == 1 and len(words) > 1:
            words[i], words[i + 1] = words[i + 1], words[i]
        elif edit == 2:
            words.append(str(rng.choice(["new", "!!!", "bargain", "used once"])))
        elif edit == 3:
            words = [word.upper() for word in words]
        elif words and len(words[i]) > 3:
            j = int(rng.integers(1, len(words[i]) - 1))
            words[i] = words[i][:j] + words[i][j + 1 :]
    return " ".join(words)


def recut(ref: ImageRef, rng: np.random.Generator) -> ImageRef:
    """Up to a tenth cut off each side, at half to full size, JPEG of quality 35 to 80."""
    image = decode(ref)
    width, height = image.size
    left, top, right, bottom = rng.uniform(0, 0.1, 4)
    image = image.crop(
        (int(width * left), int(height * top), int(width * (1 - right)), int(height * (1 - bottom)))
    )
    scale = rng.uniform(0.5, 1)
    image = image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=int(rng.integers(35, 80)))
    return ImageRef(data=out.getvalue())


def altered(catalog: Catalog) -> tuple[Catalog, dict[int, int]]:
    """The rows and, after them, an altered listing of every third; {its position: the original's}."""
    rng = np.random.default_rng(0)
    made, origin = list(catalog), {}
    for i in range(0, len(catalog), 3):
        product = made[i]
        fields = dict(product.fields)
        if "title" in fields:
            fields["title"] = retitled(fields["title"], rng)
        if "description" in fields:
            words = fields["description"].split()
            fields["description"] = " ".join(words[: max(1, int(len(words) * rng.uniform(0.7, 1)))])
        try:
            images = tuple(recut(ref, rng) for ref in product.images[:1])
        except PictureError:
            images = ()
        origin[len(made)] = i
        made.append(Product(f"copy of {product.id}", fields, images))
    return aisle.read(made), origin


def pairs_of(groups: list[Any]) -> set[tuple[int, int]]:
    return {(a, b) for group in groups for k, a in enumerate(group.rows) for b in group.rows[k + 1 :]}


def duplicates() -> None:
    from aisle.search.duplicates import find

    luma = aisle.read(SHARED / "data" / "luma" / "products.csv")
    family = [luma.raw(i)["group_id"] for i in range(len(luma))]
    n = range(len(luma))
    variants = {(i, j) for i in n for j in n if i < j and family[i] == family[j]}
    market = part(aisle.read(SHARED / "data" / "marketplace" / "products.csv"), "test")
    listed, origin = altered(market)
    copies = {(i, j) for j, i in origin.items()}
    same = market.groups()
    lines = [
        "## The same product listed twice",
        "",
        f"`benchmarks/search.py duplicates`: pairs within the groups found. `luma`: {len(luma):,} products, "
        f"{len(variants):,} pairs of variants. `marketplace`: {len(market):,} `test` listings and an altered "
        f"copy of {len(copies):,}: words dropped, swapped, added or mistyped, descriptions cut, pictures "
        "cropped by up to a tenth a side, resized and re-encoded; pairs with a copy are judged. "
        f"{machine()}.",
        "",
        "| | by | precision | recall | CPU-s |",
        "|---|---|---|---|---|",
    ]
    for by in ("text", "picture", "either"):
        start = time.process_time()
        found = pairs_of(find(luma, by))
        lines.append(_judged("`luma`", by, found, variants, time.process_time() - start))
    for by in ("text", "picture", "either"):
        start = time.process_time()
        found = pairs_of(find(listed, by))
        spent = time.process_time() - start
        # Listings that were the same before they were altered are neither right nor wrong.
        judged = {
            (a, b)
            for a, b in found
            if b in origin and ((a, b) in copies or same[origin.get(a, a)] != same[origin[b]])
        }
        lines.append(_judged("`marketplace`, altered", by, judged, copies, spent))
    print("\n".join(lines))
    write_section("search duplicates", "\n".join(lines))


def _judged(
    name: str, by: str, found: set[tuple[int, int]], truth: set[tuple[int, int]], spent: float
) -> str:
    right = len(found & truth)
    precision, recall = right / max(len(found), 1), right / len(truth)
    return f"| {name} | {by} | {precision:.3f} | {recall:.3f} | {spent:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "retrieval", "duplicates", "inside"])
    parser.add_argument("place", type=Path, nargs="?")
    args, rest = parser.parse_known_args()
    if args.what == "inside":
        print(json.dumps(measure(args.place) if "--build" in rest else ask(args.place)))
    elif args.what == "speed":
        speed(args.place)
    elif args.what == "duplicates":
        duplicates()
    else:
        retrieval(args.place, "fashion")


if __name__ == "__main__":
    main()
