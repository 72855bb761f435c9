"""Checks that a catalog has columns that a model reads. No torch here."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from aisle.data import Catalog, Columns, Product
from aisle.data.catalog_format import CatalogFormat
from aisle.errors import CatalogError
from aisle.models.views import View

if TYPE_CHECKING:
    from aisle.data.chunks import Chunks

_SHOWN = 30  # columns that a message names


class ModelInputs(Protocol):
    """Protocol of models that read views of products."""

    @property
    def inputs(self) -> tuple[View, ...]:
        """The views that it reads."""
        ...

    @property
    def catalog_format(self) -> CatalogFormat | None:
        """How the catalog it was trained on is written."""
        ...


def check_columns(model: ModelInputs, catalog: Catalog) -> list[str]:
    """Whether any row has any view that the model reads.

    Returns:
        The names of the views that no column of the catalog feeds.

    Raises:
        CatalogError: no row has any; it names the columns that are there and those of the training catalog.
    """
    lacking = _lacking(model, catalog)
    views = {view.name: view for view in model.inputs}.values()
    used = [view for view in views if view.name not in lacking]
    named = [view for view in views if view.fields != ("*",)] or used  # attributes alone say too little
    if all(view.name in lacking for view in named) or (len(catalog) and not _any_row(used, catalog)):
        raise _nothing_known(model, catalog.names)
    return lacking


def check_products(model: ModelInputs, products: Sequence[Product]) -> None:
    """Whether each product has any view that the model reads.

    Raises:
        CatalogError: one has none; it names its fields.
    """
    for product in products:
        if all(view.value(product) is None for view in model.inputs):
            raise _nothing_known(model, product.fields, f"product {product.id!r} has nothing")


def check_chunks(model: ModelInputs, chunks: "Chunks") -> list[str]:
    """As `check_columns`, of a source of any length: it is read up to the first row that has a view."""
    rows, names = 0, list[str]()
    for chunk in chunks:
        catalog = chunk.catalog()
        rows, names = rows + len(catalog), catalog.names
        try:
            return check_columns(model, catalog)
        except CatalogError:
            continue
    if rows or _lacking_columns(model, chunks.columns) == {view.name for view in model.inputs}:
        raise _nothing_known(model, names or CatalogFormat(columns=chunks.columns.to_dict()).named)
    return []


def _lacking(model: ModelInputs, catalog: Catalog) -> list[str]:
    lacking = _lacking_columns(model, catalog.columns)
    attached = {
        v.name for v in model.inputs if v.modality == "vector" and v.fields[0] in catalog.vector_files
    }
    return sorted(lacking - attached)


def _lacking_columns(model: ModelInputs, columns: Columns) -> set[str]:
    return {view.name for view in model.inputs} - {v.name for v in model.inputs if _feeds(columns, v)}


def _feeds(columns: Columns, view: View) -> bool:
    if view.modality == "image":
        return bool(columns.images or columns.image_template)
    if view.modality == "vector":
        return view.fields[0] in columns.vectors
    if view.fields == ("*",):
        return any(name not in view.others for name in columns.text)
    return any(name in columns.text for name in view.fields)


def _any_row(views: Sequence[View], catalog: Catalog) -> bool:
    return any(view.value(product) is not None for product in catalog for view in views)


def _nothing_known(
    model: ModelInputs, names: Iterable[str], subject: str = "no row has anything"
) -> CatalogError:
    names = list(names)
    listed = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    views = ", ".join(dict.fromkeys(view.name for view in model.inputs))
    message = f"{subject} that the model reads ({views}). The columns are: {listed or '(none)'}"
    written = model.catalog_format
    if written is not None and written.columns:
        trained = [f"{column} ({role})" for role, column in _trained(written)]
        message += f". The model was trained on: {', '.join(trained)}"
    return CatalogError(f"{message}. Name the column that holds the title: -c title=COLUMN")


def _trained(written: CatalogFormat) -> list[tuple[str, str]]:
    """Pairs of role and column that the training catalog used."""
    view_columns: list[tuple[str, str]] = []
    for role in ("title", "description", "images", "image_template", "fields"):
        value = written.columns.get(role) or ()
        columns = [value] if isinstance(value, str) else list(value)
        view_columns += [
            (role.removesuffix("s") if role != "images" else "image", column) for column in columns
        ]
    return view_columns[:_SHOWN]
