"""Reads precomputed vectors from HDF5, NumPy or Parquet files, matched by product id."""

import hashlib
import json
from collections.abc import Container, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from aisle.errors import CatalogError, extra

FORMATS = (".npz", ".npy", ".h5", ".hdf5", ".parquet", ".pq")
_IDS = {"id", "ids", "key", "keys", "pid", "productid", "productids", "sku", "index", "names"}
_SLICE = 16_384  # rows read at once


class VectorFile:
    """n vectors (D,) float32 by product id.

    Args:
        path: The file.

    Raises:
        CatalogError: The file cannot be read, or it does not hold one id per vector.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        ids, self.values = _read(self.path)
        if self.values.ndim != 2 or len(ids) != len(self.values):
            raise CatalogError(
                f"{self.path}: {len(ids):,} ids for vectors of shape {self.values.shape}; there is one an id"
            )
        self._row = {name: row for row, name in enumerate(ids)}

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, product: str) -> bool:
        return product in self._row

    def get(self, product: str) -> np.ndarray | None:
        """(D,) vector of a product; None if the file has none, or one with NaN or infinity."""
        row = self._row.get(product)
        if row is None:
            return None
        vector = np.asarray(self.values[row], dtype=np.float32)
        return vector if np.isfinite(vector).all() else None

    @cached_property
    def fingerprint(self) -> str:
        """A hash of ids and vectors."""
        digest = hashlib.blake2b(json.dumps(list(self._row)).encode(), digest_size=16)
        for start in range(0, len(self.values), _SLICE):
            digest.update(np.ascontiguousarray(self.values[start : start + _SLICE]).tobytes())
        return digest.hexdigest()


def open_vectors(files: Mapping[str, str | Path] | None) -> dict[str, VectorFile]:
    """Open files of vectors, by name.

    Raises:
        CatalogError: As `VectorFile`.
    """
    return {name: VectorFile(path) for name, path in (files or {}).items()}


def check_vector_files(files: Mapping[str, VectorFile], columns: Container[str], ids: str | None) -> None:
    """Check that each file's name is free and that rows have ids to match vectors by.

    Raises:
        CatalogError: A name is a column's already, or there is no column of ids.
    """
    for name, file in files.items():
        if name in columns:
            raise CatalogError(f"vectors {name!r} ({file.path}): {name!r} is a column already; rename them")
        if ids is None:
            raise CatalogError(f"vectors {name!r} ({file.path}) are matched by id, and no column holds ids")


def _read(path: Path) -> tuple[list[str], np.ndarray]:
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise CatalogError(f"{path}: vectors are read from {', '.join(FORMATS)}")
    if not path.is_file():
        raise CatalogError(f"{path}: no such file of vectors")
    try:
        if kind == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return _find_arrays({name: file[name] for name in file.files}, path)
        if kind == ".npy":
            return _read_ids(path), np.load(path, mmap_mode="r", allow_pickle=False)
        return _hdf5(path) if kind in (".h5", ".hdf5") else _parquet(path)
    except (OSError, ValueError, KeyError) as error:
        raise CatalogError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error


def _read_ids(path: Path) -> list[str]:
    """The ids of a `.npy` file, one per line in a text file next to it."""
    id_file = path.with_suffix(".ids.txt")
    if not id_file.is_file():
        raise CatalogError(
            f"{path}: which rows are which products? Write their ids, one a line, to {id_file.name}"
        )
    return id_file.read_text("utf-8").splitlines()


def _find_arrays(arrays: Mapping[str, Any], path: Path) -> tuple[list[str], np.ndarray]:
    """The ids and the matrix among named arrays: by name, else the only ones of their shape."""
    flat = [name for name, a in arrays.items() if a.ndim == 1]
    ids = next(
        (name for name in flat if name.lower().replace("_", "") in _IDS), flat[0] if len(flat) == 1 else None
    )
    matrices = [name for name, a in arrays.items() if a.ndim == 2 and a.dtype.kind in "fiu"]
    if ids is None or len(matrices) != 1:
        raise CatalogError(
            f"{path}: needs one list of ids (called ids) and one table of numbers; it holds "
            + ", ".join(f"{name} {a.shape}" for name, a in arrays.items())
        )
    return _to_text(arrays[ids][:]), arrays[matrices[0]]


def _to_text(values: Iterable[Any]) -> list[str]:
    return [
        v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in np.asarray(values).tolist()
    ]


def _hdf5(path: Path) -> tuple[list[str], np.ndarray]:
    h5py = extra("h5py", "hdf5", f"{path.name}")
    with h5py.File(path, "r") as file:
        datasets: dict[str, Any] = {}
        file.visititems(
            lambda name, item: datasets.__setitem__(name, item) if hasattr(item, "shape") else None
        )
        by_name = {name.rpartition("/")[2]: item for name, item in datasets.items()}
        ids, table = _find_arrays(by_name, path)
        values = np.empty(table.shape, np.float32)
        for start in range(0, len(values), _SLICE):  # row by row is far slower
            values[start : start + _SLICE] = table[start : start + _SLICE]
        return ids, values


def _parquet(path: Path) -> tuple[list[str], np.ndarray]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    lists = [f.name for f in table.schema if pa.types.is_nested(f.type) and not pa.types.is_struct(f.type)]
    names = [f.name for f in table.schema if f.name not in lists]
    ids = next(
        (n for n in names if n.lower().replace("_", "") in _IDS), names[0] if len(names) == 1 else None
    )
    if ids is None or len(lists) != 1:
        raise CatalogError(
            f"{path}: needs a column of ids and one of number lists; it has {', '.join(table.column_names)}"
        )
    valid = table.filter(table.column(lists[0]).is_valid())
    column = valid.column(lists[0]).combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    width = len(flat) // max(len(column), 1)
    if len(column) * width != len(flat) or any(len(item) != width for item in column):
        raise CatalogError(f"{path}: column {lists[0]!r} holds lists of different lengths")
    return _to_text(valid.column(ids).to_pylist()), flat.reshape(-1, width)
