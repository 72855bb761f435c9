"""Folders of Hugging Face `datasets`: those of `save_to_disk`, and those of the Hub.

On the Hub, names of files state splits: `data/train-00000-of-00001.parquet`.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as _compute

from aisle.data.files import TableFile
from aisle.data.split_names import parse_split
from aisle.errors import CatalogError

pc: Any = _compute  # its functions are made at run time, unknown to type checkers
_SHARD = re.compile(r"(.+?)[-_.]\d{2,5}[-_]of[-_]\d{2,5}(?:-[0-9a-f]+)?")


def saved_tables(folder: Path) -> list[TableFile] | None:
    """The tables of a folder that `save_to_disk` wrote.

    Args:
        folder: The folder.

    Returns:
        The tables in order, each with its split where there are several; None for any other folder.

    Raises:
        CatalogError: A file that the folder names is missing.
    """
    if (folder / "dataset_dict.json").is_file():
        names = _load(folder / "dataset_dict.json").get("splits") or []
        parts = [(str(name), folder / str(name)) for name in names]
    elif (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        parts = [("", folder)]
    else:
        return None
    tables: list[TableFile] = []
    for split, part in parts:
        for entry in _load(part / "state.json").get("_data_files") or []:
            path = part / str(entry.get("filename"))
            if not path.is_file():
                raise CatalogError(f"{folder}: {path.relative_to(folder)} is missing; the folder names it")
            tables.append(TableFile(path, split=split if len(parts) > 1 else None))
    return tables


def with_splits(tables: Sequence[TableFile], folder: Path) -> list[TableFile]:
    """The tables of a folder with the splits that their names state, if each states one and they differ.

    A name states a split as on the Hub: `train-00000-of-00002.parquet`, `test.csv`, `validation/0.parquet`.

    Args:
        tables: The tables.
        folder: The folder that they lie in, at any depth.
    """
    splits = [_split_of(table, folder) for table in tables]
    if None in splits or len({parse_split(split or "") for split in splits}) < 2:
        return list(tables)
    return [table._replace(split=split) for table, split in zip(tables, splits, strict=True)]


def _split_of(table: TableFile, folder: Path) -> str | None:
    """The split in the name of a file or of its folder."""
    stem = table.path.name.split(".")[0]
    shard = _SHARD.fullmatch(stem)
    parents = table.path.relative_to(folder).parts[:-1]
    names = [shard[1] if shard else stem, *reversed(parents)]
    return next((name for name in names if parse_split(name)), None)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CatalogError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    return content if isinstance(content, dict) else {}


def add_split(batch: pa.RecordBatch, split: str | None) -> pa.RecordBatch:
    """The batch with a column `split`, unless it has one."""
    if split is None or "split" in batch.schema.names:
        return batch
    column = pa.array([split], pa.string()).take(pa.array([0] * batch.num_rows, pa.int8()))
    return pa.record_batch([*batch.columns, column], names=[*batch.schema.names, "split"])


def named_labels(table: pa.Table) -> pa.Table:
    """The table with class names instead of class numbers, if `datasets` metadata has them.

    Args:
        table: A table whose schema may hold the metadata of `datasets`.

    Returns:
        The table; a number that has no class, such as -1, is null, or left out of a list.
    """
    for name, names in _class_names(table.schema).items():
        i = table.schema.get_field_index(name)
        if i < 0:
            continue
        column, kind = table.column(i), table.schema.field(i).type
        classes = pa.array(names, pa.string())
        if pa.types.is_integer(kind):
            table = table.set_column(i, name, _names_at(column.combine_chunks(), classes))
        elif isinstance(kind, pa.ListType | pa.LargeListType) and pa.types.is_integer(kind.value_type):
            lists = [
                [names[k] for k in cell if k is not None and 0 <= k < len(names)] for cell in _cells(column)
            ]
            table = table.set_column(i, name, pa.array(lists, pa.list_(pa.string())))
    return table


def _cells(column: pa.ChunkedArray) -> list[list[int | None]]:
    return [cell or [] for cell in column.to_pylist()]


def _names_at(numbers: pa.Array | pa.ChunkedArray, classes: pa.Array) -> pa.Array:
    """The class name of each number; null for -1, which means no label."""
    if isinstance(numbers, pa.ChunkedArray):
        numbers = pa.concat_arrays(numbers.chunks) if numbers.num_chunks else pa.array([], numbers.type)
    known = pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, len(classes)))
    return classes.take(pc.if_else(known, numbers, None))


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of the classes of each column of labels."""
    try:
        noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = noted.get("info", {}).get("features", {})
        kinds = {name: kind.get("feature", kind) for name, kind in features.items() if isinstance(kind, dict)}
        return {
            name: [str(label) for label in kind["names"]]
            for name, kind in kinds.items()
            if isinstance(kind, dict)
            and kind.get("_type") == "ClassLabel"
            and isinstance(kind.get("names"), list)
        }
    except (ValueError, AttributeError):
        return {}
