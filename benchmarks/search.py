"""Does the index find, and how fast?

    python benchmarks/search.py speed VECTORS       # a file of `aisle embed`: recall, rate, build, memory
    python benchmarks/search.py retrieval fashion   # text and image across, on `test`; or marketplace
    python benchmarks/search.py duplicates          # `luma`'s variants, and altered listings of `marketplace`

`retrieval` trains `huse`: --text and --image name local folders of its encoders where no hub is reached,
--run a folder that keeps what was trained. Writes into RESULTS.md.
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
from aisle.data import Catalog, ImageRef, Product
from aisle.data.images import ImageError, decode
from aisle.data.vectors import VectorFile
from aisle.workflow import part
from results import SHARED, machine, write_section
from spaces import retrieval, unit_rows

ROWS, DIM, K, N_QUERIES = 200_000, 256, 10, 1_000


# -- speed ----------------------------------------------------------------------------------------


def tiled(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ROWS unit vectors, each a real one with noise, and N_QUERIES queries made in the same way."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> np.ndarray:
        out = vectors[rng.integers(0, len(vectors), count)]
        noise = rng.standard_normal(out.shape, np.float32) * (0.5 / DIM**0.5)
        out = out + noise
        return (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float32)

    return drawn(ROWS), drawn(N_QUERIES)


def measure(folder: Path) -> dict[str, float]:
    """Build an index of `vectors.npy`, ask it `queries.npy`; in this process alone, for its memory."""
    import pyarrow as pa

    from aisle.search.filters import FilterColumn
    from aisle.search.manifest import Manifest
    from aisle.search.rows import schema
    from aisle.search.store import create

    columns = {
        "id": FilterColumn("id", "exact"),
        "category": FilterColumn("category_key", "category"),
    }
    columns |= {"bucket": FilterColumn("f2", "number")}
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
    from aisle.search.filters import parse
    from aisle.search.store import IndexStore

    def anonymous() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(x.split()[1]) for x in lines if x.startswith("RssAnon")) / 1024

    def resident() -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(x.split()[1]) for x in lines if x.startswith("VmRSS")) / 1024

    queries = np.load(folder / "queries.npy")
    truth = {name: np.load(folder / f"{name}.npy") for name in ("all", "few")}
    before, resident_before = anonymous(), resident()
    store = IndexStore.open(folder / "index")
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
        similarity = np.concatenate([np.argsort(-(q @ vectors.T), 1)[:, :K] for q in np.split(queries, 20)])
        np.save(folder / "all.npy", similarity)
        np.save(folder / "few.npy", few[np.argsort(-(queries @ vectors[few].T), 1)[:, :K]])
        del vectors
        found: dict[str, float] = {}
        for step in ("--build", "--ask"):
            command = [sys.executable, __file__, "inside", str(folder), step]
            env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            run = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
            found |= json.loads(run.stdout)
    size = ROWS * DIM * 4 / 2**20
    lines = [
        "## An index of 200,000 vectors",
        "",
        f"`benchmarks/search.py speed`: {count:,} real embeddings (width {width}) tiled with noise to "
        f"{ROWS:,} × {DIM}; {N_QUERIES:,} queries, one a call, one thread, k = {K}; recall "
        f"compared with exact search. The filter keeps 1 % of the rows. {machine()}.",
        "",
        "| | recall@10 | queries/s | queries/CPU-s |",
        "|---|---|---|---|",
        *(
            f"| {name} | {found[f'{key} recall']:.4f} | {found[f'{key} rate']:,.0f} "
            f"| {found[f'{key} cpu']:,.0f} |"
            for name, key in (("all rows", "all"), ("under a 1 % filter", "few"))
        ),
        "",
        f"Built in {found['build']:.1f} CPU-seconds. Memory during queries: {found['anonymous']:.0f} MiB "
        f"private, {found['resident']:.0f} MiB with mapped pages of the file, "
        f"{found['resident'] / size:.2f} × the vectors ({size:.0f} MiB).",
    ]
    write_section("search speed", "\n".join(lines))


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
        except ImageError:
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
        "## Duplicate products",
        "",
        f"`benchmarks/search.py duplicates`: pairs within the groups found. `luma`: {len(luma):,} products, "
        f"{len(variants):,} pairs of variants. `marketplace`: {len(market):,} `test` listings and an altered "
        f"copy of {len(copies):,}: words dropped, swapped, added or mistyped, descriptions cut, images "
        "cropped by up to a tenth a side, resized and re-encoded; pairs with a copy are evaluated. "
        f"{machine()}.",
        "",
        "| | by | precision | recall | CPU-s |",
        "|---|---|---|---|---|",
    ]
    for by in ("text", "image", "either"):
        start = time.process_time()
        found = pairs_of(find(luma, by))
        lines.append(_judged("`luma`", by, found, variants, time.process_time() - start))
    for by in ("text", "image", "either"):
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
    parser.add_argument("place", nargs="?")
    parser.add_argument("--text", help="folder of the text encoder")
    parser.add_argument("--image", help="folder of the image encoder")
    parser.add_argument("--run", type=Path, help="folder to train into, or one that was trained into")
    parser.add_argument("--set", action="append", default=[], help="a change to the recipe")
    args, rest = parser.parse_known_args()
    if args.what == "inside":
        print(json.dumps(measure(Path(args.place)) if "--build" in rest else ask(Path(args.place))))
    elif args.what == "speed":
        speed(Path(args.place))
    elif args.what == "duplicates":
        duplicates()
    else:
        retrieval(args.place, args.text, args.image, args.run, args.set)


if __name__ == "__main__":
    main()
