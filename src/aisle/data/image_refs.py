"""Resolves the images that the cells of a record name; no image is opened."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from aisle.data.column_parsers import pc
from aisle.data.columns import Columns
from aisle.data.files import DOWNLOAD_LOG, IMAGE_ENDINGS
from aisle.data.image_names import image_names, structured
from aisle.data.paths import is_remote
from aisle.data.problems import Problems
from aisle.data.product import ImageRef
from aisle.data.records import Records
from aisle.regular_files import read_text

_SEPARATORS = ("|", ";", "\n", ",", " ~ ", " ", "~")
_NO_DOWNLOADS = "image URLs, of which none was downloaded: see `aisle images`"
_URL = re.compile(r"^(?:https?:)?//", re.IGNORECASE)


class ImageResolver:
    """Finds the images of a record.

    Args:
        columns: The column roles.
        root: The folder that paths are relative to.
        separator: Separates several images in one cell.
        files: Whether image files are looked for; else only encoded images in the records are images.
    """

    def __init__(
        self, columns: Columns, root: Path, separator: str | None = None, files: bool = True
    ) -> None:
        self.columns = columns
        self.root = root
        self.files = files
        self.separator = columns.image_separator or separator
        self._downloaded: dict[str, str] | None = None

    @property
    def source_columns(self) -> list[str]:
        """The columns that name or hold images."""
        template = re.findall(r"{([^{}]*)}", self.columns.image_template or "")
        return list(dict.fromkeys([*self.columns.images, *template]))

    def names(self, record: Mapping[str, Any]) -> list[str | bytes]:
        """Paths, URLs or encoded bytes as the record holds them."""
        return [name for _, name in self.names_by_column(record)]

    def names_by_column(self, record: Mapping[str, Any]) -> list[tuple[str, str | bytes]]:
        """(column, name or bytes) of each image of a record."""
        names: list[tuple[str, str | bytes]] = []
        for column in self.columns.images:
            value = record.get(column)
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, bytes):
                    names += [(column, item)] if item else []
                elif item:
                    names += [(column, name) for name in self._split_cell(str(item))]
        if self.columns.image_template is not None:
            cells = {k: "" if v is None else v for k, v in record.items()}
            name = re.sub(r"{([^{}]*)}", lambda m: str(cells.get(m[1], "")), self.columns.image_template)
            names.append(("image_template", name))
        return names

    def _split_cell(self, cell: str) -> list[str]:
        cell = cell.strip()
        items = structured(cell)
        if items is not None:
            return image_names(items)
        parts = cell.split(self.separator) if self.separator else [cell]
        return [part.strip() for part in parts if part.strip()]

    def refs(self, record: Mapping[str, Any]) -> tuple[ImageRef, ...]:
        """The images of a record, without URLs that were not downloaded."""
        return tuple(ref for _, ref in self.refs_by_column(record))

    def refs_by_column(self, record: Mapping[str, Any]) -> list[tuple[str, ImageRef]]:
        """(column, image) of each image of a record, without URLs that were not downloaded."""
        refs = []
        for column, name in self.names_by_column(record):
            if isinstance(name, bytes):
                refs.append((column, ImageRef(data=name)))
            else:
                path = self.path(name)
                if path is not None:
                    refs.append((column, ImageRef(path=path)))
        return refs

    def path(self, name: str) -> Path | None:
        """The path of an image; None for a URL that was not downloaded, or where no files are looked for."""
        if not self.files:
            return None
        if is_url(name):
            file = self.downloaded.get(name)
            return self.root / file if file else None
        return self.root / name

    @property
    def downloaded(self) -> dict[str, str]:
        """URL -> file of the images that `aisle images` downloaded to the image folder."""
        if self._downloaded is None:
            self._downloaded = {}
            if not self.files:
                return self._downloaded
            try:
                lines = read_text(self.root / DOWNLOAD_LOG).splitlines()
            except (OSError, UnicodeError):
                lines = []
            for line in lines:
                try:
                    item = json.loads(line)
                    if item.get("file"):
                        self._downloaded[item["url"]] = item["file"]
                except (ValueError, AttributeError, KeyError):
                    continue
        return self._downloaded

    def note_urls(self, records: Records, problems: Problems) -> None:
        """Report once per column that its image URLs are not used, because none was downloaded."""
        if self.downloaded or not self.files:
            return
        for column in self.columns.images:
            url = self._first_url(records, column)
            if url is not None:
                problems.note(column, _NO_DOWNLOADS, url)
        if is_url(self.columns.image_template or ""):
            problems.note(None, _NO_DOWNLOADS, "image_template")

    def _first_url(self, records: Records, column: str) -> str | None:
        for array in records.column(column):
            if not pa.types.is_string(array.type):
                continue
            for cell in array.filter(pc.match_substring(array, "//")).to_pylist():
                url = next(filter(is_url, self._split_cell(cell)), None)
                if url is not None:
                    return url
        return None

    def check(self, records: Records, problems: Problems) -> None:
        """Report each image that is missing; a URL only if others were downloaded (see `note_urls`)."""
        if not self.files:
            return
        if not self.columns.images and self.columns.image_template is None:
            return
        paths = [name for name in self.source_columns if "binary" not in str(records.types[name])]
        remote = is_remote(self.root)  # in a store, a lookup takes as long as reading the image
        for row, record in enumerate(records.rows(paths), 1):
            for column, name in self.names_by_column(record):
                if isinstance(name, bytes):
                    continue
                path = self.path(name)
                if path is None:
                    if self.downloaded:
                        problems.add(row, column, "an image URL that was not downloaded", name)
                elif not remote and not _is_file(path):
                    problems.add(row, column, "the image is not there", name)


def is_url(name: str) -> bool:
    """Whether an image is named by a URL."""
    return bool(_URL.match(name))


def _is_file(path: Path) -> bool:
    try:
        return os.path.isfile(path)
    except ValueError:  # a null character in the name
        return False


def guess_separator(cells: Iterable[str]) -> str | None:
    """The character that separates several images in a cell."""
    cells = [cell for cell in cells if cell and structured(cell) is None]
    for mark in _SEPARATORS:
        lists = [[p.strip() for p in cell.split(mark) if p.strip()] for cell in cells if mark in cell.strip()]
        if lists and sum(map(_are_images, lists)) > len(lists) / 2:
            return mark
    return None


def _are_images(names: list[str]) -> bool:
    """Whether all are image URLs or all are image files: `https://x.com/a~b.jpg` is one image."""
    if any(map(is_url, names)):
        return all(map(is_url, names))
    return all(Path(name.split("?")[0]).suffix.lower() in IMAGE_ENDINGS for name in names)
