"""The server's folder of uploaded files: one folder for each, with the file and the rows of its products."""

import re
import secrets
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from aisle.data import Catalog, read
from aisle.data.check import summarize_columns
from aisle.errors import AisleError
from aisle.inference.known_columns import check_columns
from aisle.server.batches.rows import RowTable
from aisle.server.errors import ApiError
from aisle.server.product_parsing import clean
from aisle.server.settings import BatchSettings

_ENDINGS = re.compile(r"(?:\.[A-Za-z0-9]{1,8}){0,2}$")
_OPTION = "Name the column that holds the title: -c title=COLUMN"  # of the command line
_PROBLEMS = 20  # that a summary lists
_NEW, _NEW_S = ".new-", 3600.0  # the name's beginning of an upload in progress; seconds that it may take


class BatchFolder:
    """The folder of one uploaded file.

    Args:
        path: The folder.
        name: The name of the file, as it was uploaded.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.source = path / f"source{endings(name)}"
        self.rows = RowTable(path / "rows.db")

    @classmethod
    def new(cls, root: Path, name: str) -> "BatchFolder":
        """A new, empty one, for a file that is not stored yet.

        Raises:
            ApiError: It cannot be made.
        """
        path = root / f"{_NEW}{secrets.token_hex(8)}"
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise no_space(error) from error
        return cls(path, name)

    @property
    def id(self) -> str:
        """The file's id."""
        return self.path.name.removeprefix(_NEW)

    def keep(self) -> "BatchFolder":
        """The same folder once its file is stored."""
        return BatchFolder(self.path.rename(self.path.with_name(self.id)), self.name)

    def catalog(self, model: Any, settings: BatchSettings) -> Catalog:
        """The products of the file, read as `aisle check` reads it. No file beside it is opened.

        Args:
            model: The model that classifies them.
            settings: Limits.

        Raises:
            ApiError: It cannot be read, or has nothing that the model reads.
        """
        try:
            catalog = read(
                self.source,
                labels=False,
                like=model,
                max_expanded=settings.max_expanded_bytes,
                image_files=False,
                progress=False,
            )
            if len(catalog) > settings.max_rows:
                message = f"{len(catalog):,} products; a file may have {settings.max_rows:,}: split it"
                raise ApiError(413, "too_many_products", f"{self.name} has {message}")
            check_columns(model, catalog)
        except ApiError:
            raise
        except AisleError as error:
            raise ApiError(422, "bad_file", self.named(str(error))) from error
        if not len(catalog):
            raise ApiError(422, "bad_file", f"{self.name} has no product: only a header, or nothing at all")
        return catalog

    def named(self, message: str) -> str:
        """A message with the file's own name instead of the one that it has here."""
        text = message.replace(str(self.source), self.name).replace(self.source.name, self.name)
        text = text.replace(_OPTION, 'Call the column that holds the title "title"')
        return clean(text.replace(str(self.path), "")).strip()

    def summary(self, catalog: Catalog) -> dict[str, Any]:
        """What `aisle check` tells of the file: platform, columns with their roles, problems."""
        problems = catalog.problems
        return {
            "dialect": "" if catalog.dialect is None else catalog.dialect.title,
            "source_rows": len(catalog.source_rows),
            "columns": [
                {
                    "name": clean(column.name),
                    "role": {"fields": "field", "levels": "level"}.get(column.part, column.part),
                    "filled": column.filled,
                    "distinct": column.distinct,
                    "example": clean(column.common),
                }
                for column in summarize_columns(catalog)
            ],
            "problem_count": len(problems),
            "problems": [
                {**one._asdict(), "message": self.named(one.message), "value": clean(one.value[:200])}
                for one in problems[:_PROBLEMS]
            ],
        }

    def delete(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def endings(name: str) -> str:
    """The endings of a file's name, by which its format is known: `.csv`, `.xml.gz`."""
    found = _ENDINGS.search(name)
    return found[0].lower() if found else ""


def no_space(error: OSError) -> ApiError:
    """The error of a folder that cannot be written."""
    reason = error.strerror or "it cannot be written"
    return ApiError(503, "no_space", f"the server cannot keep files: {reason}", {"Retry-After": "60"})


def sweep(root: Path, known: Collection[str]) -> int:
    """Delete the folders of files that were deleted from the store.

    Returns:
        How many.
    """
    old = time.time() - _NEW_S
    unknown = [one for one in root.iterdir() if one.name not in known]
    left = [one for one in unknown if not one.name.startswith(_NEW) or one.stat().st_mtime < old]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left)
