"""Sources of a catalog: the files, tables or rows that one is read from, as record batches."""

import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from aisle.data.addresses import is_address, to_address
from aisle.data.batch_source import BatchSource
from aisle.data.batches import VECTOR
from aisle.data.data_frames import frame_batches
from aisle.data.files import SourceFile, TableFile, find_images
from aisle.data.json_tables import rows_to_batches
from aisle.data.paths import is_path, is_remote, store_errors, to_path
from aisle.data.pipes import PipeCopies, is_read_once
from aisle.data.problems import Problems
from aisle.data.product import Product
from aisle.data.readers import find_tables, reader_of
from aisle.data.readers.base import ReadOptions, TableReader
from aisle.data.readers.dataset_folders import add_split
from aisle.data.records import Records, SpillBuffer
from aisle.errors import AisleError, CatalogError, SourceTypeError
from aisle.progress import Progress
from aisle.taxonomy import Taxonomy

_READ_ERRORS = (
    *(OSError, EOFError, UnicodeError),
    *(zlib.error, lzma.LZMAError, pa.ArrowException),
)
_PREFIX = "product."  # starts the columns that hold a Product's parts, so that no field is taken for one


class SupportsArrow(Protocol):
    """A table in memory that exports Arrow: a data frame of pandas, polars or another library."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


Row = Product | Mapping[str, Any]
Source = str | Path | Row | Iterable[str | Path | Row] | pa.Table | SupportsArrow | BatchSource


class SourcePart(NamedTuple):
    """One file, folder or table of a source.

    Attributes:
        path: The file or folder; None for rows in memory.
        batches: Reads the record batches; called with the number of the first record.
        estimate_rows: The approximate number of records; None if it is not known.
    """

    path: Path | None
    batches: Callable[[int], Iterator[pa.RecordBatch]]
    estimate_rows: Callable[[], int | None] = lambda: None


class OpenSource:
    """A source whose pipes have been copied to files. `open_source` makes one."""

    def __init__(self, source: Source, options: ReadOptions, folder: Path | None, pipes: PipeCopies) -> None:
        self.source = source
        self.options = options
        self.folder = folder
        self._pipes = pipes

    def load(self, problems: Problems, progress: Progress) -> tuple[Records, tuple[SourceFile, ...]]:
        """Parse every record; returns the records and the files they come from."""
        buffer, files, first = SpillBuffer(), [], 1
        for part in open_parts(self.source, problems, self.options):
            start = first
            with progress("reading", part.estimate_rows(), "rows") as advance, name_file_in_errors(part.path):
                for batch in part.batches(first):
                    buffer.add(batch)
                    first += batch.num_rows
                    advance(batch.num_rows)
            if part.path is not None:
                files.append(SourceFile(self._pipes.original(part.path), start, first - 1))
        return buffer.records(), tuple(files)

    def columns(self, records: Records) -> dict[str, Any]:
        """The column roles that the source itself knows."""
        if isinstance(self.source, BatchSource):
            return self.source.columns
        if isinstance(self.source, Sequence) and self.source and isinstance(self.source[0], Product):
            return _product_columns(records)
        return {}

    def taxonomy(self) -> Taxonomy | None:
        """The category tree that comes with the source, known after `load`."""
        return self.source.taxonomy() if isinstance(self.source, BatchSource) else None

    @property
    def has_files(self) -> bool:
        """Whether the source is files, not rows in memory."""
        first = self.source[0] if isinstance(self.source, list | tuple) and self.source else self.source
        return is_path(first)

    @property
    def file(self) -> Path | None:
        """The source, if it is one file of this machine."""
        files = [Path(self.source)] if isinstance(self.source, str | Path) else []
        return files[0] if files and not is_remote(files[0]) and files[0].is_file() else None

    @property
    def home(self) -> Path | None:
        """The folder of the source; None for rows in memory and pipes."""
        return None if self.folder is None or is_remote(self.folder) else resolve_root(None, self.folder)

    def image_root(self, root: str | Path | None) -> Path:
        """The folder that image paths are relative to: `root`, else the folder of the source."""
        return resolve_root(root, self.folder)


@contextmanager
def open_source(source: Source, options: ReadOptions) -> Iterator[OpenSource]:
    """Open a source; errors of files and stores become one-line `CatalogError`s that name it.

    Raises:
        CatalogError: The source cannot be read.
    """
    pipes = PipeCopies()
    source = _listed(source)
    try:
        folder = source_folder(source)
        source = pipes.replace_pipes(source, options.max_expanded)
        yield OpenSource(source, options, folder, pipes)
    except AisleError as error:
        error.args = tuple(pipes.restore_names(arg) if isinstance(arg, str) else arg for arg in error.args)
        raise
    except (*_READ_ERRORS, *store_errors()) as error:
        name = _describe(source)
        raise CatalogError(pipes.restore_names(f"{name}: cannot be read: {_reason(error)}")) from error
    finally:
        pipes.close()


def _listed(source: Source) -> Source:
    """One row, or a stream of rows, as a list; other sources as they are."""
    if isinstance(source, Product | Mapping):
        return [source]
    if isinstance(source, Iterator) and not hasattr(source, "__arrow_c_stream__"):
        return list(source)
    return source


@contextmanager
def name_file_in_errors(path: Path | None) -> Iterator[None]:
    """Name the file of a folder that cannot be read."""
    try:
        yield
    except (*_READ_ERRORS, *store_errors()) as error:
        if path is None:
            raise
        raise CatalogError(f"{path}: cannot be read: {_reason(error)}") from error


def source_folder(source: Source) -> Path | None:
    """The file or folder of the first part of a source; None for rows in memory, pipes and addresses."""
    if isinstance(source, BatchSource):
        return source.home
    if isinstance(source, Sequence) and not isinstance(source, str) and source:
        source = source[0]
    return to_path(source) if is_path(source) and not is_read_once(source) else None


def resolve_root(root: str | Path | None, source: Path | None) -> Path:
    """The folder that image paths are relative to: `root`, else the folder of `source`."""
    if root is not None:
        return to_path(root)
    if source is None:
        return Path()
    return source if source.is_dir() else source.parent


def open_parts(source: Source, problems: Problems, options: ReadOptions) -> Iterator[SourcePart]:
    """The files or tables of a source, in order.

    Raises:
        CatalogError: There is no such file, its format is unknown, or the source has a wrong type.
    """
    if hasattr(source, "__arrow_c_stream__"):
        yield SourcePart(None, lambda first: frame_batches(source, problems))
    elif is_path(source):
        yield from _open_path(to_path(source), problems, options)
    elif isinstance(source, Sequence) and source and all(is_path(s) for s in source):
        for path in source:
            yield from open_parts(path, problems, options)
    elif isinstance(source, BatchSource):
        yield SourcePart(None, lambda first: source.batches(problems), lambda: source.total)
    elif isinstance(source, Sequence) and not isinstance(source, bytes | bytearray):
        yield SourcePart(None, lambda first: rows_to_batches(_to_records(source), problems, first))
    else:
        kind = type(source).__name__
        advice = "; call .collect() first" if hasattr(source, "collect") else ""
        raise SourceTypeError(
            f"a catalog is read from files, tables, data frames or rows, not from {kind}{advice}"
        )


def _open_path(path: Path, problems: Problems, options: ReadOptions) -> Iterator[SourcePart]:
    _refuse_unpaired(path)
    tables = [table._replace(max_expanded=options.max_expanded) for table in find_tables(path)]
    for table in tables:
        reader = reader_of(table)
        yield SourcePart(
            table.path,
            partial(_read_table, reader, table, problems, options),
            partial(reader.estimate_rows, table),
        )
    if not tables:
        rows = list(_class_folders(path))
        yield SourcePart(path, lambda first: rows_to_batches(rows, problems, first))


def _read_table(
    reader: TableReader, table: TableFile, problems: Problems, options: ReadOptions, first: int
) -> Iterator[pa.RecordBatch]:
    """The record batches of a table, with its split where its folder or name states one."""
    for batch in reader.read(table, problems, first, options):
        yield add_split(batch, table.split)


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _describe(source: Source) -> str:
    if isinstance(source, BatchSource):
        return source.name
    if is_address(source):
        return str(to_address(source))
    return str(source) if is_path(source) else f"the given {type(source).__name__}"


def _refuse_unpaired(source: Path) -> None:
    """Refuse `texts/<class>.csv` with `images/<class>/1.jpg`: nothing says which image belongs to which text.

    Raises:
        CatalogError: The folder has this layout.
    """
    texts, images = source / "texts", source / "images"
    if not (texts.is_dir() and images.is_dir()):
        return
    classes = {path.stem for path in texts.glob("*.csv")} & {p.name for p in images.iterdir() if p.is_dir()}
    if classes:
        raise CatalogError(
            f"{source}: texts/ and images/ each hold {min(classes)!r}, but nothing says which image belongs "
            "to which text; pairing them by position makes false pairs. Write a table with one image per "
            "row, or read one of the two folders"
        )


def _class_folders(folder: Path) -> Iterator[dict[str, str]]:
    """Rows of a folder of images: `shoes/boots/1.jpg` is a product of category shoes > boots."""
    images = find_images(folder)
    if not images:
        raise CatalogError(
            f"{folder}: holds no table (CSV, TSV, JSONL, Parquet) and no images in class folders"
        )
    for path in images:
        name = path.relative_to(folder)
        category = json.dumps(list(name.parts[:-1]), ensure_ascii=False) if len(name.parts) > 1 else ""
        yield {"id": str(name), "image": json.dumps([str(name)], ensure_ascii=False), "category": category}


def _to_records(source: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for item in source:
        if isinstance(item, Product):
            yield _product_to_record(item)
        elif isinstance(item, Mapping):
            yield item
        else:
            kind = type(item).__name__
            raise SourceTypeError(f"a row is a mapping or a Product, not {kind}: {str(item)[:80]!r}")


def _product_to_record(product: Product) -> dict[str, Any]:
    """The record that reads back as this product."""
    record: dict[str, Any] = {f"{_PREFIX}id": product.id, **product.fields}
    if product.categories:
        paths = [list(path) for path in product.categories]
        record[f"{_PREFIX}categories"] = json.dumps(paths, ensure_ascii=False)
    for i, ref in enumerate(product.images):
        if ref.path is not None:
            record[f"{_PREFIX}image {i} path"] = json.dumps([str(ref.path.absolute())])
        else:
            record[f"{_PREFIX}image {i} bytes"] = ref.data
    return record | {name: np.asarray(vector) for name, vector in product.vectors.items()}


def _product_columns(records: Records) -> dict[str, Any]:
    """The column roles of records that `_product_to_record` made."""
    product_columns = [name for name in records.types if name.startswith(_PREFIX)]
    vectors = tuple(name for name, kind in records.types.items() if kind == VECTOR)
    fields = tuple(name for name in records.types if name not in product_columns and name not in vectors)
    return {
        "id": f"{_PREFIX}id",
        "category": f"{_PREFIX}categories" if f"{_PREFIX}categories" in product_columns else "",
        "images": tuple(sorted((n for n in product_columns if " " in n), key=lambda n: int(n.split(" ")[1]))),
        "fields": tuple(name for name in fields if name not in ("title", "description")),
        "vectors": vectors,
        "delimiter": "",
        **{name: name if name in fields else "" for name in ("title", "description")},
        **dict.fromkeys(("split", "weight", "date", "group"), ""),
    }
