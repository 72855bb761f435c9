"""Products per second on CPU, from image files on disk to a written result file.

    M=marketplace/products.csv
    aisle train $M --recipe fast --set views.image=false --out words
    aisle train $M --recipe balanced --set views.meaning=false --set views.image=false --out titles
    aisle train $M --recipe balanced --out full    # --text-encoder, --image-encoder: local folders
    python benchmarks/throughput.py --split halves    # halves of the `test` rows: halves/a.csv, halves/b.csv
    aisle cascade words titles full halves/a.csv --image-root marketplace --max-loss 2 --out three
    python benchmarks/throughput.py full words three --labelled halves/b.csv

The marketplace's `test` rows, repeated until there are `--rows`. Every image is encoded anew, so that no
two files hold the same bytes, and dropped from the page cache before each measurement; no prediction and
no output of an encoder is cached. Processor seconds are of the whole process, threads included: on a busy
machine they, not the wall clock, tell what a core can do. First the ceilings: decoding alone, and the
encoders alone on arrays that are ready. Text-only listings go from a CSV file to shards, as `aisle
classify --out FOLDER --no-cache` does. Writes its section of RESULTS.md.
"""

import argparse
import csv
import dataclasses
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import aisle
from aisle.data import Catalog, Product
from aisle.data.chunks import ChunkReader
from aisle.inference.batches import batched
from aisle.inference.bulk import BulkJob, classify_to_folder
from aisle.inference.holdout import HeldOutRows, cost_of
from aisle.inference.label_targets import targets_in
from aisle.inference.prediction_files import write_predictions
from aisle.inference.prefetch import cores, prefetch
from aisle.models.onnx_runtime import GraphEncoder, OnnxGraph
from aisle.models.preprocessing import ImagePreprocessor
from results import SHARED, machine, table, write_section

WANTED = 232  # products a second: twenty million a day
_WARM_UP = 48  # products classified before those that are measured


class Spent(NamedTuple):
    """What some products took, in seconds."""

    rows: int
    cpu: float
    wall: float

    @property
    def per_core(self) -> float:
        return self.rows / self.cpu

    def line(self, name: str) -> str:
        rate, each = self.per_core, 1000 * self.cpu / self.rows
        return (
            f"| {name} | {self.rows:,} | {rate:,.0f} | {2 * rate:,.0f} | {each:.2f} ms "
            f"| {self.rows / self.wall:,.0f} |"
        )


def spent(rows: int, work: Callable[[], Any]) -> Spent:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Spent(rows, time.process_time() - cpu, time.perf_counter() - wall)


def unique_files(rows: int, folder: Path) -> Path:
    """`rows` rows whose images are all encoded anew: the CSV file."""
    source = SHARED / "data/marketplace/products.csv"
    with source.open(newline="", encoding="utf-8") as handle:
        test = [row for row in csv.DictReader(handle) if row["split"] == "test"]
    rng, out = np.random.default_rng(0), folder / "products.csv"
    with out.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, ["product_id", "title", "description", "images"])
        writer.writeheader()
        for i in range(rows):
            row, names = test[i % len(test)], []
            for k, name in enumerate(filter(None, row["images"].split("|"))):
                with Image.open(source.parent / name) as image:
                    file = io.BytesIO()
                    note = rng.bytes(16)  # a comment of its own: other bytes, the same pixels
                    image.convert("RGB").save(file, "JPEG", quality=90, comment=note)
                names.append(f"{i}-{k}.jpg")
                (folder / names[-1]).write_bytes(file.getvalue())
            text = {key: row[key] for key in ("title", "description")}
            writer.writerow({"product_id": i, **text, "images": "|".join(names)})
    return out


def cold(folder: Path) -> None:
    """Drop the files from the page cache."""
    for file in folder.iterdir():
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def decode_only(model: Any, catalog: Catalog) -> Spent:
    image_views = [
        (view, model.preprocessors[view.name])
        for view in model.inputs
        if isinstance(model.preprocessors[view.name], ImagePreprocessor)
    ]

    def read(batch: list[Product]) -> None:
        for view, preprocessor in image_views:
            preprocessor([value for value in view.values(batch) if value is not None])

    def work() -> None:
        for _ in prefetch(read, batched(catalog, model.batch), cores()):
            pass

    return spent(len(catalog), work)


def encoders_only(model: Any, catalog: Catalog) -> tuple[Spent, dict[str, float]]:
    """The encoders on arrays that are ready; and each view's milliseconds per product."""
    views = {view.name: view for view in model.inputs if view.name in model.reader.encoders}
    run = {name: GraphEncoder(OnnxGraph(model.reader.encoders[name].file)) for name in views}
    ready = []
    for batch in batched(catalog, model.batch):
        values = {name: [v for v in view.values(batch) if v is not None] for name, view in views.items()}
        ready.append(
            {name: model.preprocessors[name](found).arrays for name, found in values.items() if found}
        )
    each = dict.fromkeys(views, 0.0)

    def encode(batch: dict[str, Any]) -> None:
        for name, arrays in batch.items():
            start = time.thread_time()
            run[name](arrays)
            each[name] += time.thread_time() - start

    def work() -> None:
        for _ in prefetch(encode, ready, cores()):
            pass

    found = spent(len(catalog), work)
    return found, {name: 1000 * seconds / len(catalog) for name, seconds in each.items()}


def end_to_end(model: Any, file: Path, out: Path) -> Spent:
    """From the files to a written file, reading the catalog included."""
    catalog = aisle.read(file)
    list(model.predict_stream(list(catalog)[:_WARM_UP]))
    cold(file.parent)
    rows = len(catalog)
    return spent(rows, lambda: write_predictions(model.predict_stream(aisle.read(file)), out))


def texts(model: Any, rows: int, folder: Path, described: bool) -> Spent:
    """Listings without images from a CSV file to shards: the marketplace's own, again and again."""
    folder.mkdir()
    fields = ["title", "description"] if described else ["title"]
    with (SHARED / "data/marketplace/products.csv").open(newline="", encoding="utf-8") as handle:
        listings = [[row[name] for name in fields] for row in csv.DictReader(handle)]
    file = folder / "rows.csv"
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["product_id", *fields])
        writer.writerows([i, *listings[i % len(listings)]] for i in range(rows))
    cold(folder)
    list(model.predict_stream([Product("", {"title": "warm up"})]))
    return spent(
        rows, lambda: classify_to_folder(BulkJob(model, ChunkReader([file]), folder / "out", cache_size=0))
    )


def without_neighbors(model: Any) -> Any:
    """The same model without out-of-distribution detection and k-NN calibration."""
    return model.with_policy(dataclasses.replace(model.policy, ood=None, knn_calibration=None))


def split_test_rows(folder: Path) -> None:
    """Write every other `test` row to `a.csv`, to choose a cascade's thresholds on, the others to `b.csv`."""
    with (SHARED / "data/marketplace/products.csv").open(newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row.pop("split") == "test"]
    folder.mkdir(exist_ok=True)
    for name, half in (("a", rows[::2]), ("b", rows[1::2])):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(half)


def accuracy(full: Any, cascades: dict[str, Any], labelled: Path) -> str:
    """The accuracy that cascades lose on labelled rows."""
    catalog = aisle.read(labelled, image_root=SHARED / "data/marketplace")
    held = HeldOutRows(catalog, targets_in(full.taxonomy, catalog), catalog.groups())
    before = held.right(full.score(catalog))
    parts = []
    for name, cascade in cascades.items():
        after = held.right(cascade.score(catalog))
        cost = str(cost_of(before, after)).removesuffix(f" on {len(held):,} held-out rows")
        parts.append(f"{name} of {after.mean():.1%} (difference {cost})")
    return (
        f"On {len(held):,} `test` rows without influence on thresholds the full model has an accuracy of "
        f"{before.mean():.1%}, {'; '.join(parts)}."
    )


def stages(name: str, cascade: Any, spent: Spent) -> str:
    """Products per second of a cascade on two cores, and the share of each stage."""
    shares = ", ".join(
        f"`{one['name']}` {one['share']:.0%} at {one['milliseconds']:.1f} ms" for one in cascade.stages
    )
    rate = f"{2 * spent.per_core:,.0f} by processor seconds, {spent.rows / spent.wall:,.0f} by the clock"
    return f"{name}: {rate}; its stages, on held-out rows: {shares}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("full", nargs="?", help="the full model")
    parser.add_argument("fast", nargs="?", help="the text-only model")
    parser.add_argument("cascades", nargs="*", help="cascades that end with the full model")
    parser.add_argument(
        "--split", type=Path, metavar="FOLDER", help="write halves of the `test` rows, and end"
    )
    parser.add_argument("--labelled", type=Path, help="rows that no threshold was chosen on")
    parser.add_argument("--rows", type=int, default=1063)
    parser.add_argument("--texts", type=int, default=20_000, help="number of text-only rows")
    given = parser.parse_args()
    if given.split:
        split_test_rows(given.split)
        return
    full, fast = aisle.load(given.full), aisle.load(given.fast)
    cascades = {f"cascade `{Path(one).name}`": aisle.load(one) for one in given.cascades}
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "files"
        folder.mkdir()
        file, out = unique_files(given.rows, folder), Path(home) / "out.jsonl"
        catalog = aisle.read(file)
        cold(folder)
        found = {"ceiling: decoding alone": decode_only(full, catalog)}
        found["ceiling: encoders alone"], each = encoders_only(full, catalog)
        found["full model, end to end"] = end_to_end(full, file, out)
        for name, cascade in cascades.items():
            found[f"{name}, end to end"] = end_to_end(cascade, file, out)
        for described, what in ((True, "title and description"), (False, "title only")):
            for model, how in ((fast, ""), (without_neighbors(fast), ", without neighbors")):
                place = Path(home) / f"{what}{how}"
                found[f"text-only model, {what}{how}"] = texts(model, given.texts, place, described)
        for name, one in found.items():
            print(one.line(name), flush=True)
    ceiling = min(list(found.values())[:2], key=lambda one: one.per_core)
    share = found["full model, end to end"].per_core / ceiling.per_core
    placed = "; ".join(
        stages(name, cascade, found[f"{name}, end to end"]) for name, cascade in cascades.items()
    )
    parts = ", ".join(f"`{name}` {ms:.1f} ms" for name, ms in each.items())
    columns = ("", "products", "per core-second", "two cores", "per product", "per second, by the clock")
    lines = [
        "## Throughput on CPU",
        "",
        f"`python benchmarks/throughput.py --rows {given.rows}`; {machine()}; linear models, encoders in "
        f"onnxruntime; load average {before:.1f} before, {os.getloadavg()[0]:.1f} after. Caches off, every "
        "image other bytes, cold files. Two cores: twice the products per core-second.",
        "",
        *table(columns, [one.line(name) for name, one in found.items()]),
        "",
        f"Encoding takes per product: {parts}. The full model end to end reaches {share:.0%} of the lower "
        f"ceiling. Target: {WANTED} products per second on two cores. {placed}. "
        f"{accuracy(full, cascades, given.labelled)}",
    ]
    write_section("throughput", "\n".join(lines))


if __name__ == "__main__":
    main()
