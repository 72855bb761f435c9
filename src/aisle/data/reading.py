"""From files to a `Catalog`: every record is kept, and whatever is wrong with one is noted."""

import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import zstandard

from aisle.data import column_parsers, feedback_export, variant_rows
from aisle.data.batch_source import BatchSource
from aisle.data.catalog import Catalog, CatalogData, SourceFile
from aisle.data.catalog_format import CatalogFormat, format_of
from aisle.data.column_profile import profiles
from aisle.data.column_roles import find
from aisle.data.columns import Columns, parse_columns
from aisle.data.dates import checked_format, looks_like_date
from aisle.data.files import TableFile, estimate_rows, find_pictures, find_tables
from aisle.data.image_refs import ImageResolver, guess_separator
from aisle.data.paths import is_path, store_errors, to_path
from aisle.data.pipes import Spooled, is_pipe
from aisle.data.problems import Problems
from aisle.data.product import Product
from aisle.data.records import Records, SpillBuffer
from aisle.data.tables import VECTOR, ReadOptions, arrow_batches, read_table, rows_to_batches
from aisle.data.vectors import VectorFile, open_vectors
from aisle.errors import AisleError, CatalogError
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Taxonomy, read_tree

_BROKEN = (
    OSError,
    EOFError,
    UnicodeError,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    pa.ArrowException,
)


class SupportsArrow(Protocol):
    """A table in memory that hands its columns on as Arrow: a data frame of pandas or polars."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


_LOOKED_AT = 1000  # rows whose labels are looked up to choose among columns
Source = str | Path | Sequence[Any] | pa.Table | SupportsArrow | BatchSource


def read(
    source: Source,
    *,
    taxonomy: str | Path | Taxonomy | None = None,
    columns: Mapping[str, Any] | Columns | str | Path | None = None,
    image_root: str | Path | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
    labels: bool = True,
    splits: bool = True,
    vectors: Mapping[str, str | Path] | None = None,
    strict: bool = False,
    like: Any = None,
    max_expanded: int | None = None,
    progress: Progress = SILENT,
) -> Catalog:
    """Read a catalogue: a CSV, TSV, JSONL or Parquet file (`.gz`, `.bz2`, `.xz`, `.zst`), a folder of them, a
    folder of pictures in class folders, several files, an Arrow table, a data frame (pandas, polars), or rows
    as mappings or `Product`s.
    `-` is standard input.

    taxonomy: an official tree or the file that holds one; without it the labels make the tree.
    columns: what the columns hold, where their names do not tell: a mapping, or a TOML file.
    image_root: the folder picture paths are relative to (default: where the file lies).
    delimiter, encoding: what parts the fields of a CSV file and how its bytes become text (default:
    found). date_format: how dates are written, as `%d/%m/%Y` (default: found). labels: whether categories
    matter; if not, they are not looked at, and no row has one. splits: whether the split column matters, as
    it does unless another split is made. vectors: by name, files of precomputed ones (HDF5, NumPy, Parquet),
    matched by product id. strict: stop at the first problem. like: a model, or a catalogue read before, whose
    columns, separators and encoding this source has too, as far as it has those columns. max_expanded: bytes
    that a packed file may unpack to (default: 100 times its size, and always 64 MiB).

    Raises:
        CatalogError: the source cannot be read at all, a named column is missing, the split column names
            splits that are not known, or, if strict, any record has a problem. Otherwise bad records are in
            the catalogue's `problems`.
        TaxonomyError: the official tree cannot be read.
    """
    stated, written = parse_columns(columns), format_of(like)
    if date_format is not None:
        stated["date_format"] = checked_format(date_format)
    given: dict[str, Any] = stated
    hints = ReadOptions(delimiter, encoding, written, {}, max_expanded)
    problems = Problems()
    tree, attached = _tree(taxonomy, problems), open_vectors(vectors)
    problems.strict = strict  # about the rows: an official tree's oddities are its owner's
    pipes = Spooled()
    try:
        home = home_of(source)
        source = pipes.plain(source, max_expanded)
        records, parts = _gather(source, problems, hints, progress)
        if isinstance(source, BatchSource):
            given, tree = source.columns | given, tree or source.taxonomy()
        if isinstance(source, Sequence) and source and isinstance(source[0], Product):
            given = _product_columns(records) | given
        root = column_parsers.resolve_root(image_root, home)
        join = feedback_join(records, given, root, written, tree, labels)
        if join is not None:
            records, given = records.mapped(join.batch), join.given
        pictures = understood(records, given, root, problems, written, tree, labels)
        chosen = pictures.columns
        if variant_rows.are_expected(chosen):
            records = _stored(variant_rows.completed(records.batches, chosen))
        read_labels = column_parsers.read_labels if labels else column_parsers.no_labels
        _check_vectors(records, chosen, attached)
        has_vector = column_parsers.with_vector(records, chosen.id, attached)
        found = _look(records, tree, problems, pictures, progress, read_labels, has_vector)
    except AisleError as error:
        error.args = tuple(pipes.named(arg) if isinstance(arg, str) else arg for arg in error.args)
        raise
    except (*_BROKEN, *store_errors()) as error:
        raise CatalogError(pipes.named(f"{_called(source)}: cannot be read: {_why(error)}")) from error
    finally:
        pipes.close()
    parts = tuple(part._replace(path=pipes.original(part.path)) for part in parts)
    said = CatalogFormat({**(written.given if written else {}), **stated}, {}, **(hints.detected or {}))
    catalog = Catalog(
        CatalogData(records, chosen, found, problems, pictures, parts, attached, user_format=said)
    )
    if labels and splits:
        catalog.check_split()
    return catalog


def _stored(batches: Iterator[pa.RecordBatch]) -> Records:
    spool = SpillBuffer()
    for batch in batches:
        spool.add(batch)
    return spool.records()


def feedback_join(
    records: Records,
    given: dict[str, Any],
    root: Path,
    written: CatalogFormat | None = None,
    tree: Taxonomy | None = None,
    labels: bool = False,
) -> feedback_export.FeedbackMerge | None:
    """How exported feedback among the records joins the rest; None where there is none."""
    find_columns = partial(_columns, written=written, tree=tree, labels=labels)
    return feedback_export.joined(records, given, root, find_columns)


def understood(
    records: Records,
    given: dict[str, Any],
    root: Path,
    problems: Problems,
    written: CatalogFormat | None = None,
    tree: Taxonomy | None = None,
    labels: bool = False,
) -> ImageResolver:
    """What the columns hold and how pictures are found, by what the user said, how such catalogs are written,
    and the records.

    labels: whether labels matter; if not, no column with a vague name is one: new products lack the column
    that is the label.
    """
    chosen = _columns(records, given, written, tree, labels)
    _ask_for_names(chosen, records.names, problems)
    cells = [cell for column in chosen.images for cell in _sample(records, column)]
    return ImageResolver(chosen, root, guess_separator(cells))


def _tree(taxonomy: str | Path | Taxonomy | None, problems: Problems) -> Taxonomy | None:
    if taxonomy is None or isinstance(taxonomy, Taxonomy):
        return taxonomy
    tree, odd = read_tree(taxonomy)
    for problem in odd:
        problems.add(None, "taxonomy", problem.what, problem.value)
    return tree


def _gather(
    source: Source, problems: Problems, hints: ReadOptions, progress: Progress
) -> tuple[Records, tuple[SourceFile, ...]]:
    """Store every record of the source."""
    spool, parts, first = SpillBuffer(), [], 1
    for table, batches in batches_of(source, problems, hints):
        start, total = first, estimate_rows(table) if isinstance(table, TableFile) else None
        if isinstance(source, BatchSource):
            total = source.total
        named = table.path if isinstance(table, TableFile) else table
        with progress("reading", total, "rows") as advance, blaming(named):
            for batch in batches(first):
                spool.add(batch)
                first += batch.num_rows
                advance(batch.num_rows)
        if table is not None:
            parts.append(SourceFile(named or Path(), start, first - 1))
    return spool.records(), tuple(parts)


@contextmanager
def blaming(path: Path | None) -> Iterator[None]:
    """Of a folder's files, name the one that cannot be read."""
    try:
        yield
    except (*_BROKEN, *store_errors()) as error:
        if path is None:
            raise
        raise CatalogError(f"{path}: cannot be read: {_why(error)}") from error


def _why(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


_Batches = Callable[[int], Iterator[pa.RecordBatch]]  # from the number of the first record


def batches_of(
    source: Source, problems: Problems, hints: ReadOptions
) -> Iterator[tuple[TableFile | Path | None, _Batches]]:
    """(file or folder, its batches) for each part of the source.

    Raises:
        CatalogError: there is no such file, its format is not known, or it is no source at all.
    """
    if hasattr(source, "__arrow_c_stream__"):
        yield None, lambda first: arrow_batches(pa.table(source), problems)
    elif is_path(source):
        path = to_path(source)
        _refuse_false_pairs(path)
        tables = [table._replace(max_expanded=hints.max_expanded) for table in find_tables(path)]
        for table in tables:
            yield table, lambda first, table=table: read_table(table, problems, first, hints)
        if not tables:
            rows = list(_class_folders(path))
            yield path, lambda first: rows_to_batches(rows, problems, first)
    elif isinstance(source, Sequence) and source and all(is_path(s) for s in source):
        for path in source:
            yield from batches_of(path, problems, hints)
    elif isinstance(source, BatchSource):
        yield None, lambda first: source.batches(problems)
    elif isinstance(source, Sequence):
        yield None, lambda first: rows_to_batches(_rows(source), problems, first)
    else:
        kind = type(source).__name__
        raise CatalogError(f"a catalogue is read from files, tables, data frames or rows, not from {kind}")


def _refuse_false_pairs(source: Path) -> None:
    """`images/<class>/1.jpg` beside `texts/<class>.csv`: nothing says which picture is of which text.

    Raises:
        CatalogError: the folder is laid out so.
    """
    texts, images = source / "texts", source / "images"
    if not (texts.is_dir() and images.is_dir()):
        return
    classes = {path.stem for path in texts.glob("*.csv")} & {p.name for p in images.iterdir() if p.is_dir()}
    if classes:
        raise CatalogError(
            f"{source}: texts/ and images/ each hold {min(classes)!r}, but nothing says which picture is of "
            "which text; pairing them by position makes false pairs. Write a table with a picture a row, or "
            "read one of the two folders"
        )


def _class_folders(folder: Path) -> Iterator[dict[str, str]]:
    """`shoes/boots/1.jpg` is a product of category shoes > boots."""
    pictures = find_pictures(folder)
    if not pictures:
        raise CatalogError(
            f"{folder}: holds no table (CSV, TSV, JSONL, Parquet) and no pictures in class folders"
        )
    for path in pictures:
        name = path.relative_to(folder)
        category = json.dumps(list(name.parts[:-1]), ensure_ascii=False) if len(name.parts) > 1 else ""
        yield {"id": str(name), "image": json.dumps([str(name)], ensure_ascii=False), "category": category}


def _rows(source: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for item in source:
        if isinstance(item, Product):
            yield _from_product(item)
        elif isinstance(item, Mapping):
            yield item
        else:
            raise CatalogError(
                f"a row is a mapping or a Product, not {type(item).__name__}: {str(item)[:80]!r}"
            )


_OWN = "product."  # starts the columns that hold a Product's parts, so that no field is taken for one


def _from_product(product: Product) -> dict[str, Any]:
    """The record that reads back as this product."""
    record: dict[str, Any] = {f"{_OWN}id": product.id, **product.fields}
    if product.categories:
        paths = [list(path) for path in product.categories]
        record[f"{_OWN}categories"] = json.dumps(paths, ensure_ascii=False)
    for place, ref in enumerate(product.images):
        if ref.path is not None:
            record[f"{_OWN}image {place} path"] = json.dumps([str(ref.path.absolute())])
        else:
            record[f"{_OWN}image {place} bytes"] = ref.data
    return record | {name: np.asarray(vector) for name, vector in product.vectors.items()}


def _product_columns(records: Records) -> dict[str, Any]:
    """What the columns of records made from products hold."""
    own = [name for name in records.types if name.startswith(_OWN)]
    vectors = tuple(name for name, kind in records.types.items() if kind == VECTOR)
    fields = tuple(name for name in records.types if name not in own and name not in vectors)
    return {
        "id": f"{_OWN}id",
        "category": f"{_OWN}categories" if f"{_OWN}categories" in own else "",
        "images": tuple(sorted((n for n in own if " " in n), key=lambda n: int(n.split(" ")[1]))),
        "fields": tuple(name for name in fields if name not in ("title", "description")),
        "vectors": vectors,
        "delimiter": "",
        **{name: name if name in fields else "" for name in ("title", "description")},
        **dict.fromkeys(("split", "weight", "date", "group"), ""),
    }


def _columns(
    records: Records,
    given: dict[str, Any],
    written: CatalogFormat | None,
    tree: Taxonomy | None,
    labels: bool,
) -> Columns:
    """The roles of the columns; what a name promises and the values do not keep stays a field."""
    names = [name for name, kind in records.types.items()]
    known = (written or CatalogFormat()).roles(names, given)
    given = {**known.given, **given}
    binary = [n for n in names if "binary" in str(records.types[n])]
    vectors = [n for n in names if records.types[n] == VECTOR]
    profile = profiles(records.column, len(records))
    labelled = None if tree is None else partial(_share_in_tree, records, tree, given)
    find_by = partial(
        find, names, binary=binary, vectors=vectors, profile=profile, labelled=labelled, kept=known.fields
    )
    found = find_by(given, vague=labels)
    for key, reads in (
        ("weight", lambda v: column_parsers.weight_of(v) >= 0),
        ("date", looks_like_date),
    ):
        column = getattr(found, key)
        if column is not None and key not in given and f"{key}_format" not in given:
            sample = [cell for cell in _sample(records, column) if cell.strip()]
            if sum(map(reads, sample)) < len(sample) / 2 or not sample:
                given = {**given, key: ""}
                found = find_by(given, vague=labels)
    return found


def _share_in_tree(
    records: Records, tree: Taxonomy, given: Mapping[str, Any], columns: tuple[str, ...]
) -> float:
    """The share of the first rows whose label the official tree knows."""
    chosen = Columns(category=columns[0]) if len(columns) == 1 else Columns(levels=columns)
    chosen = replace(chosen, delimiter=given.get("delimiter"), separator=given.get("separator"))
    first = Records([batch.slice(0, _LOOKED_AT) for batch in records.batches[:1]])
    first.types = records.types
    labels = column_parsers.read_labels(first, chosen, tree, Problems())
    return float((labels.mapping.node[labels.codes] >= 0).mean()) if len(first) else 0.0


def _ask_for_names(columns: Columns, names: list[str], problems: Problems) -> None:
    """A first line that holds numbers and no known name is likely a record: one is lost to the header."""
    known = (columns.id, columns.title, columns.description, *columns.label, *columns.images)
    indices = {str(number) for number in range(len(names))}
    if any(name is not None for name in known):
        return
    for name in names:
        if name not in indices and re.fullmatch(r"-?\d+([.,]\d+)?", name):
            what = "no column has a known name and the first line looks like a record; add a line of names"
            return problems.add(None, name, what, ", ".join(names))


def _check_vectors(records: Records, columns: Columns, attached: Mapping[str, VectorFile]) -> None:
    """Whether each file of vectors has a name of its own, and rows have the ids to find theirs by."""
    for name, file in attached.items():
        if name in records.types:
            raise CatalogError(
                f"vectors {name!r} ({file.path}): {name!r} is a column already; name it otherwise"
            )
        if columns.id is None:
            raise CatalogError(f"vectors {name!r} ({file.path}) are matched by id, and no column holds ids")


def _sample(records: Records, column: str, size: int = 1000) -> list[str]:
    for array in records.column(column):
        return [value for value in array.slice(0, size).to_pylist() if isinstance(value, str)]
    return []


def _look(
    records: Records,
    taxonomy: Taxonomy | None,
    problems: Problems,
    pictures: ImageResolver,
    progress: Progress,
    read_labels: Callable[..., column_parsers.Labels],
    has_vector: np.ndarray | None,
) -> column_parsers.Labels:
    """Look at every record once, a question at a time; what is wrong joins what reading found. Of a record
    that is broken as a whole nothing else is said."""
    columns = pictures.columns
    broken, since = problems.fatal_rows(), len(problems)
    with progress("checking", 6, "questions") as advance:
        column_parsers.check_ids(records, columns.id, problems)
        advance(1)
        column_parsers.check_empty(records, columns, problems, has_vector)
        advance(1)
        labels = read_labels(records, columns, taxonomy, problems)
        advance(1)
        pictures.check(records, problems)
        advance(1)
        column_parsers.read_weights(records, columns.weight, problems)
        advance(1)
        column_parsers.read_dates(records, columns.date, problems, columns.date_format)
        advance(1)
    problems.forget(broken, since)
    problems.sort()
    return labels


def home_of(source: Source) -> Path | None:
    """The folder or file that picture paths are near to, if there is one."""
    if isinstance(source, BatchSource):
        return source.home
    if isinstance(source, Sequence) and not isinstance(source, str) and source:
        source = source[0]
    return to_path(source) if is_path(source) and not is_pipe(source) else None


def _called(source: Source) -> str:
    if isinstance(source, BatchSource):
        return source.name
    return str(source) if is_path(source) else f"the given {type(source).__name__}"
