"""Rakuten France multimodal classification: 27 type codes, French titles, one image per product.

Reads both distributions: the TSV files of the SIGIR workshop (`X_train.tsv`, …) and the CSV files of the
challenge site (`X_train_update.csv`, …). The id of a category is its type code, which submissions need.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from aisle.data.batch_source import BatchSource
from aisle.data.benchmark_datasets.submission import write_lines
from aisle.data.catalog import Catalog
from aisle.data.files import TableFile
from aisle.data.problems import Problems
from aisle.data.readers import CsvReader
from aisle.data.readers.base import ReadOptions
from aisle.data.reading import read
from aisle.errors import CatalogError
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Node, Taxonomy

PHASES = ("train", "test", "phase1", "phase2")
_FILES = {
    "train": r"x_train.*",
    "test": r"x_test(?!.*phase).*",
    "phase1": r"x_test.*phase1.*",
    "phase2": r"x_test.*phase2.*",
}
_IMAGE_FOLDERS = {
    "train": ("images/image_train", "image_train", "images/image_training", "image_training", "images"),
    "test": ("images/image_test", "image_test", "images"),
}
_IDS = ("integer_id", "image_id", "product_id")


class _PhaseFiles(NamedTuple):
    """The files of one phase: products, labels (train), names of the type codes."""

    products: Path
    labels: Path | None
    names: Path | None


def rakuten(folder: str | Path, phase: str = "train", *, progress: Progress = SILENT) -> Catalog:
    """Read one phase.

    The catalog has the fields `title` (or `designation`) and `description`, and the image
    `image_{imageid}_product_{productid}.jpg`. With `catalog_english_taxonomy.tsv` the labels have two levels,
    without it one.

    Args:
        folder: The folder of the files.
        phase: `train`, `test` (challenge site), `phase1` or `phase2` (SIGIR workshop).
        progress: Reports progress.

    Raises:
        CatalogError: There is no such phase, a file is missing, or the labels belong to other products.
    """
    if phase not in PHASES:
        raise CatalogError(f"rakuten has no phase {phase!r}; it has {', '.join(PHASES)}")
    home = Path(folder)
    files = _find(home, phase)
    codes = _codes(files.labels) if files.labels else {}
    header = _header(files.products)
    columns: dict[str, Any] = {
        "id": header["id"],
        "title": header["title"],
        "description": header["description"],
        "category": "prdtypecode",
        "ignored": tuple(header[name] for name in ("image", "product")),
        "delimiter": "",
        **dict.fromkeys(("split", "weight", "date", "group"), ""),
        "images": (),
        "fields": (),
    }
    images = next(
        (p for p in _IMAGE_FOLDERS["train" if phase == "train" else "test"] if (home / p).is_dir()), None
    )
    if images is not None:
        columns["image_template"] = (
            f"{images}/image_{{{header['image']}}}_product_{{{header['product']}}}.jpg"
        )
    stream = BatchSource(
        f"rakuten {phase}",
        lambda problems: _rows(files, header["id"], codes, problems),
        lambda: _tree(set(codes.values()), files.names),
        columns,
        home,
    )
    return read(stream, progress=progress)


def _find(home: Path, phase: str) -> _PhaseFiles:
    there = sorted(p for p in home.iterdir() if p.suffix.lower() in (".tsv", ".csv")) if home.is_dir() else []

    def first(pattern: str) -> Path | None:
        return next((p for p in there if re.fullmatch(pattern, p.stem, re.IGNORECASE)), None)

    products = first(_FILES[phase])
    if products is None:
        example = {"train": "X_train.tsv or X_train_update.csv", "test": "X_test_update.csv"}
        wanted = example.get(phase, f"x_test_task1_{phase}.tsv")
        raise CatalogError(f"{home}: no {wanted}; name the folder of the data set")
    labels = first(r"y_train.*") if phase == "train" else None
    if phase == "train" and labels is None:
        raise CatalogError(f"{home}: no Y_train.tsv or Y_train_….csv next to {products.name}")
    return _PhaseFiles(products, labels, first(r"catalog_english_taxonomy.*"))


def _batches(path: Path, problems: Problems | None = None) -> Iterator[pa.RecordBatch]:
    return CsvReader().read(TableFile(path), problems or Problems(), 1, ReadOptions())


def _header(path: Path) -> dict[str, str]:
    """The columns of the products' file by role, in any order and spelling."""
    batch = next(_batches(path))
    simple = {re.sub(r"\W|_", "", name).lower(): name for name in batch.schema.names}
    wanted = {
        "id": ("integerid", "column1", "unnamed0", "index", "id"),
        "title": ("title", "designation"),
        "description": ("description",),
        "image": ("imageid",),
        "product": ("productid",),
    }
    found = {part: next((simple[n] for n in names if n in simple), None) for part, names in wanted.items()}
    for part, name in found.items():
        if name is None:
            raise CatalogError(f"{path}: no column for the {part}; it has {', '.join(batch.schema.names)}")
    return {part: str(name) for part, name in found.items()}


def _codes(path: Path) -> dict[str, str]:
    """Row id -> type code."""
    found: dict[str, str] = {}
    for batch in _batches(path):
        names = {re.sub(r"\W|_", "", name).lower(): name for name in batch.schema.names}
        own = next(
            (names[n] for n in ("integerid", "column1", "unnamed0", "index", "id") if n in names), None
        )
        if own is None or "prdtypecode" not in names:
            raise CatalogError(f"{path}: needs an id and prdtypecode; it has {', '.join(names.values())}")
        ids, codes = (batch.column(batch.schema.get_field_index(n)) for n in (own, names["prdtypecode"]))
        found.update(
            (i, c.strip())
            for i, c in zip(ids.to_pylist(), codes.to_pylist(), strict=True)
            if i and c and c.strip()
        )
    return found


def _rows(
    files: _PhaseFiles, own: str, codes: Mapping[str, str], problems: Problems
) -> Iterator[pa.RecordBatch]:
    matched = rows = 0
    for batch in _batches(files.products, problems):
        ids = batch.column(batch.schema.get_field_index(own)).to_pylist()
        labels = [codes.get(i or "") for i in ids]
        matched, rows = matched + sum(label is not None for label in labels), rows + len(ids)
        yield batch.append_column("prdtypecode", pa.array(labels, pa.string()))
    if codes and rows and not matched:
        assert files.labels is not None
        raise CatalogError(
            f"{files.labels}: not one of its ids is in {files.products.name}; these are other products"
        )


def _tree(codes: set[str], names: Path | None) -> Taxonomy | None:
    """The type codes under their top categories, where the names are known; None without a label."""
    if not codes:
        return None
    paths = _paths(names) if names else {}
    full = {code: paths.get(code, (code,)) for code in codes}
    twice = [path for path in full.values() if list(full.values()).count(path) > 1]
    full = {code: (*p[:-1], f"{p[-1]} ({code})") if p in twice else p for code, p in full.items()}
    tops = sorted({path[:1] for path in full.values() if len(path) > 1})
    ends = [Node(code, path, True) for code, path in sorted(full.items(), key=lambda item: item[1])]
    taken = set(full.values())
    return Taxonomy([*(Node(f"top {top[0]}", top, False) for top in tops if top not in taken), *ends])


def _paths(file: Path) -> dict[str, tuple[str, ...]]:
    """Code -> (top category, lower name)."""
    found: dict[str, tuple[str, ...]] = {}
    for batch in _batches(file):
        names = {name.lower(): k for k, name in enumerate(batch.schema.names)}
        code = next(
            (k for name, k in names.items() if "code" in name or "id" in re.split(r"\W|_", name)), None
        )
        top = next((k for name, k in names.items() if "top" in name), None)
        if code is None or top is None:
            raise CatalogError(f"{file}: needs a code and a top level category; it has {', '.join(names)}")
        lower = [k for k in names.values() if k not in (code, top)]
        for row in batch.to_pylist():
            cells = [str(value or "").strip() for value in row.values()]
            path = tuple(cells[k] for k in (top, *lower) if cells[k])
            if cells[code] and path:
                found[cells[code]] = path
    return found


def write_submission(catalog: Catalog, predictions: Iterable[Any], file: Path) -> int:
    """Write the ids and `Prdtypecode` as TSV (SIGIR workshop), or index and `prdtypecode` as CSV
    (challenge site).

    Args:
        catalog: The rows.
        predictions: One per row, in order.
        file: The output file.

    Raises:
        CatalogError: As `aisle.data.benchmark_datasets.write_submission`.
    """
    known = {name.lower(): name for name in catalog.names}
    ids = [known[name] for name in _IDS if name in known]
    own = catalog.columns.id or ""

    def code(prediction: Any) -> str:
        if not prediction.best_id.isdigit():
            raise CatalogError(
                f"category {prediction.best_id!r} is not one of this data set: train the model on "
                f"rakuten:FOLDER"
            )
        return prediction.best_id

    if len(ids) == len(_IDS):
        return write_lines(
            catalog,
            predictions,
            file,
            lambda record, prediction: (
                "\t".join([*(str(record[n] or "") for n in ids), code(prediction)]) + "\n"
            ),
            "\t".join([*ids, "Prdtypecode"]) + "\n",
        )
    return write_lines(
        catalog,
        predictions,
        file,
        lambda record, prediction: f"{record[own]},{code(prediction)}\n",
        ",prdtypecode\n",
    )
