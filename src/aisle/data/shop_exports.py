"""Reads shop exports as their platform writes them: chooses the dialect, makes products of rows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aisle.data.catalog_format import CatalogFormat
from aisle.data.category_names import read_category_names
from aisle.data.dialects import Dialect, detect_dialect, load_dialect
from aisle.data.dialects.detection import fits, shipped_dialects
from aisle.data.dialects.products import ExportProducts
from aisle.data.records import Records
from aisle.data.sheet_images import read_sheet_images
from aisle.taxonomy import Taxonomy

NO_DIALECT = "none"  # the format of a file that is read as any other table


def choose_dialect(
    form: "str | Path | Dialect | None", previous: CatalogFormat | None, names: Iterable[str]
) -> Dialect | None:
    """The dialect of a file.

    Args:
        form: The dialect that the user names; `none` for no dialect.
        previous: The format of an earlier catalog of the same shop, whose own dialect is tried first.
        names: The columns of the file.

    Raises:
        CatalogError: The user names no dialect.
    """
    names = list(names)
    if form is not None:
        return None if form == NO_DIALECT else load_dialect(form)
    if previous is not None and previous.dialect is not None:
        if previous.dialect == NO_DIALECT:
            return None
        known = previous.dialect
        if isinstance(known, Dialect) and fits(known, names):
            return known
    return detect_dialect(names)


def format_to_keep(form: "str | Path | Dialect | None", dialect: Dialect | None) -> str | Dialect | None:
    """The dialect of a run's catalog, as saved in the run.

    Args:
        form: The dialect that the user named; `none` for no dialect.
        dialect: The dialect that the catalog was read in.

    Returns:
        The name of a dialect that was detected; the rules of one that the user named, without those of
        detection if it comes with Aisle; `none` where the user wanted no dialect; None where none was found.
    """
    if dialect is None:
        return NO_DIALECT if form == NO_DIALECT else None
    if dialect not in shipped_dialects():
        return dialect
    return dialect.name if form is None else dialect.model_copy(update={"detect": None})


def open_export(
    dialect: Dialect,
    records: Records,
    folder: Path | None,
    category_file: "str | Path | None" = None,
    file: Path | None = None,
    previous: CatalogFormat | None = None,
) -> ExportProducts:
    """The products of a shop export.

    Args:
        dialect: How it is written.
        records: Its rows.
        folder: The folder of the file; a file of category names is looked for there.
        category_file: The file of category names. Default: found in the folder.
        file: The export, if it is one file; a sheet of a workbook may hold the category names
            or more images.
        previous: The format of an earlier catalog, which knows the category names if there is no such file.

    Raises:
        CatalogError: The file of category names cannot be read.
    """
    rules, names = dialect.category.names, None
    if rules is not None:
        path = None if category_file is None else Path(category_file)
        names = read_category_names(rules, path or folder, None if path else file)
        names = names or (previous and dict(previous.category_codes)) or None
    sheet = dialect.images.sheet
    images = None if sheet is None else read_sheet_images(sheet, file)
    return ExportProducts(dialect, records, names, images)


def export_roles(
    export: ExportProducts,
    products: Records,
    user_columns: Mapping[str, Any],
    previous: CatalogFormat | None,
    tree: Taxonomy | None = None,
) -> dict[str, Any]:
    """The roles of a shop export's columns: the user's, an earlier catalog's, and the dialect's.

    Args:
        export: The export.
        products: Its products, or a sample of them.
        user_columns: The roles that the user states.
        previous: The format of an earlier catalog.
        tree: The official category tree.
    """
    earlier = previous or CatalogFormat()
    category_column = earlier.columns.get("category")
    roles = export.roles(
        products, category_column if isinstance(category_column, str) else None, numbers=tree is not None
    )
    stated = {key: value for key, value in earlier.given.items() if _has_columns(value, products.names)}
    stated |= user_columns
    if {"category", "levels"} & stated.keys():
        is_read = stated.get("category") in export.category_columns
        for key in ("category", *(() if is_read else ("delimiter", "separator"))):
            roles.pop(key, None)
    used = {name for value in stated.values() for name in ([value] if isinstance(value, str) else value)}
    ignored = [*user_columns.get("ignored", ()), *(name for name in roles["ignored"] if name not in used)]
    kept = {
        key: value
        for key, value in roles.items()
        if key not in stated and not (isinstance(value, str) and value in used)
    }
    return {**kept, **user_columns, "ignored": tuple(ignored)}


def _has_columns(value: Any, names: list[str]) -> bool:
    return all(not name or name in names for name in ([value] if isinstance(value, str) else value))
