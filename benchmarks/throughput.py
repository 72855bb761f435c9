"""How many products a core places a second, from image files on disk to a written result file.

    aisle train marketplace/products.csv --recipe fast --set views.image=false --out words
    aisle train marketplace/products.csv --recipe balanced --out full    # with the local encoders' folders
    aisle train marketplace/products.csv --recipe balanced --set views.meaning=false \\
        --set views.image=false --out titles
    aisle export words marketplace/products.csv --onnx --out words-onnx
    aisle export full marketplace/products.csv --onnx --out full-onnx    # the judge
    aisle export full marketplace/products.csv --onnx --int8 --max-loss 1.5 --out full-int8    # titles too
    aisle cascade words-onnx titles-int8 full-int8 marketplace/products.csv --out three
    aisle cascade words-onnx full-int8 marketplace/products.csv --out two
    python benchmarks/throughput.py full-int8 words-onnx three two --judge full-onnx

The marketplace's `test` rows, again and again until there are `--rows`. Every image is encoded anew, so
that no two files hold the same bytes, and dropped from the page cache before each measurement. No answer and
no output of an encoder is cached. Processor seconds are of the whole process, threads included; on a machine
that does other work they, not the wall clock, tell what a core can do. First the ceilings: decoding alone,
and the network alone on arrays that are ready. Listings of words alone go from a CSV file to shards, as
`aisle classify --out FOLDER --no-cache` does. Writes its section of RESULTS.md.
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
from aisle.models.preprocessing import ImagePreprocessor
from results import SHARED, machine, write_section

WANTED = 232  # products a second: twenty million a day
_WARM = 48  # products answered before those that are measured: a runtime's first calls make room for all


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
            said = {key: row[key] for key in ("title", "description")}
            writer.writerow({"product_id": i, **said, "images": "|".join(names)})
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
        one for one in model.onnx_views.values() if isinstance(one.preprocessor, ImagePreprocessor)
    ]

    def read(batch: list[Product]) -> None:
        for view in image_views:
            view.prepare(view.source.values(batch))

    def work() -> None:
        for _ in prefetch(read, batched(catalog, model.batch), cores()):
            pass

    return spent(len(catalog), work)


def network_only(model: Any, catalog: Catalog) -> tuple[Spent, dict[str, float]]:
    """Encoders, fusion and head, on arrays that are ready; and each view's milliseconds a product."""
    from aisle.inference.onnx.predictor import _joint_inputs

    ready = []
    for batch in batched(catalog, model.batch):
        ready.append({name: one.prepare(one.source.values(batch)) for name, one in model.onnx_views.items()})
    each = dict.fromkeys(model.onnx_views, 0.0)

    def answer(views: dict[str, Any]) -> None:
        b = len(next(iter(views.values()))[0].present)
        encoded = {}
        for name, (prepared, rows) in views.items():
            view, start = model.onnx_views[name], time.thread_time()
            encoded[name] = view.scatter(view.encode(prepared.arrays) if len(rows) else None, rows, b)
            each[name] += time.thread_time() - start
        model.joint(_joint_inputs(encoded, np.stack([p.present for p, _ in views.values()], 1)))

    def work() -> None:
        for _ in prefetch(answer, ready, cores()):
            pass

    found = spent(len(catalog), work)
    return found, {name: 1000 * seconds / len(catalog) for name, seconds in each.items()}


def end_to_end(model: Any, file: Path, out: Path) -> Spent:
    """From the files to a written file, reading the catalog included; the model has answered before."""
    catalog = aisle.read(file)
    list(model.predict_stream(list(catalog)[:_WARM]))
    cold(file.parent)
    rows = len(catalog)
    return spent(rows, lambda: write_predictions(model.predict_stream(aisle.read(file)), out))


def texts(model: Any, rows: int, folder: Path, described: bool) -> Spent:
    """Listings without images from a CSV file to shards: the marketplace's own, again and again."""
    folder.mkdir()
    said = ["title", "description"] if described else ["title"]
    with (SHARED / "data/marketplace/products.csv").open(newline="", encoding="utf-8") as handle:
        listings = [[row[name] for name in said] for row in csv.DictReader(handle)]
    file = folder / "rows.csv"
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["product_id", *said])
        writer.writerows([i, *listings[i % len(listings)]] for i in range(rows))
    cold(folder)
    list(model.predict_stream([Product("", {"title": "warm up"})]))
    return spent(
        rows, lambda: classify_to_folder(BulkJob(model, ChunkReader([file]), folder / "out", cache_size=0))
    )


def without_neighbors(model: Any) -> Any:
    """The same model, as if its promise had been fitted without them."""
    return model.with_policy(dataclasses.replace(model.policy, ood=None, knn_calibration=None))


def accuracy(full: Any, others: dict[str, Any]) -> str:
    """What the others cost on all `test` rows, each answered once."""
    catalog = aisle.read(SHARED / "data/marketplace/products.csv")
    catalog = catalog.select(np.flatnonzero(catalog.split == "test"))
    held = HeldOutRows(catalog, targets_in(full.taxonomy, catalog), catalog.groups())
    before = held.right(full.score(catalog))
    told = []
    for name, other in others.items():
        after = held.right(other.score(catalog))
        cost = str(cost_of(before, after)).removesuffix(f" on {len(held):,} held-out rows")
        told.append(f"`{name}` on {after.mean():.1%}: it costs {cost}")
    rows = f"On the {len(held):,} `test` rows the full model in float32 is right on {before.mean():.1%}"
    return f"{rows}; {'; '.join(told)} (95 % each way)."


def _stages(name: str, cascade: Any, spent: Spent) -> str:
    """What two cores' seconds place, and which stage how many."""
    stages = ", ".join(
        f"`{one['name']}` {one['share']:.0%} at {one['milliseconds']:.1f} ms" for one in cascade.stages
    )
    return f"{name} places {2 * spent.per_core:,.0f}; its stages, on held-out rows: {stages}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("full", help="the exported full model")
    parser.add_argument("fast", help="the cheap model, exported or not")
    parser.add_argument("cascades", nargs="+", help="cascades that end with the full model")
    parser.add_argument("--rows", type=int, default=1063)
    parser.add_argument("--texts", type=int, default=20_000, help="rows of text alone")
    parser.add_argument(
        "--judge", help="the full model in float32: answer all test rows with it, the int8 and the cascades"
    )
    parser.add_argument("--beside", default="", help="what else the machine did meanwhile")
    given = parser.parse_args()
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
        found["ceiling: full network alone"], each = network_only(full, catalog)
        found["full model, end to end"] = end_to_end(full, file, out)
        for name, cascade in cascades.items():
            found[f"{name}, end to end"] = end_to_end(cascade, file, out)
        for described, what in ((True, "title and description"), (False, "title alone")):
            for model, how in ((fast, ""), (without_neighbors(fast), ", neighbors not asked")):
                place = Path(home) / f"{what}{how}"
                found[f"cheap model, {what}{how}"] = texts(model, given.texts, place, described)
        for name, one in found.items():
            print(one.line(name), flush=True)
    judged = ""
    if given.judge:
        others = {Path(given.full).name: full}
        others |= {Path(one).name: made for one, made in zip(given.cascades, cascades.values(), strict=True)}
        judged = accuracy(aisle.load(given.judge), others)
    ceiling = min(list(found.values())[:2], key=lambda one: one.per_core)
    share = found["full model, end to end"].per_core / ceiling.per_core
    told = "; ".join(
        _stages(name, cascade, found[f"{name}, end to end"]) for name, cascade in cascades.items()
    )
    parts = ", ".join(f"`{name}` {ms:.1f} ms" for name, ms in each.items())
    precision, after = full.results["exported"]["precision"], os.getloadavg()[0]
    beside = f": {given.beside}" if given.beside else ""
    lines = [
        "## Throughput on CPU",
        "",
        f"`python benchmarks/throughput.py --rows {given.rows}`; {machine()}; onnxruntime, "
        f"{precision}; load average {before:.1f} before, {after:.1f} after{beside}. Caches off, each image "
        "other bytes, cold files. Two cores: twice what a core-second does.",
        "",
        "| | products | a core-second | two cores | a product | wall clock, a second |",
        "|---|---|---|---|---|---|",
        *(one.line(name) for name, one in found.items()),
        "",
        f"Of the full network's time a product: {parts}. "
        f"The full model end to end reaches {share:.0%} of the smaller ceiling. {WANTED} products a second "
        f"are wanted of two cores. {told}. {judged}",
    ]
    write_section("throughput", "\n".join(lines))


if __name__ == "__main__":
    main()
