"""`aisle explain`: why does the model put this product there?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import catalog_flags as flags
from aisle.cli import console
from aisle.errors import AisleError, CatalogError, did_you_mean

if TYPE_CHECKING:
    from aisle.data import Catalog, Product

MOST = 50  # products on one page


def explain(
    run: Annotated[Path, typer.Argument(help="A run's folder, or the model in it.")],
    product: Annotated[
        list[str],
        typer.Option(
            "--product",
            help="The id of a product of --source, or a product written out as JSON: "
            '\'{"title": "…", "image": "photo.jpg"}\'. Repeatable.',
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--source", help="The catalogue that holds the products; its labelled rows are neighbours."
        ),
    ] = None,
    place: Annotated[
        str | None, typer.Option(help="Explain this category (path or id) rather than the most probable one.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="occlusion, or shapley (slower, shares among words that repeat each other).")
    ] = "occlusion",
    out: Annotated[
        Path, typer.Option(help="Folder for explain.html, explain.json and a picture each.")
    ] = Path("explain"),
    trust_code: console.TrustCode = False,
    device: console.Device = "auto",
    taxonomy: flags.TaxonomyFlag = None,
    column: flags.ColumnFlag = None,
    columns: flags.ColumnsFlag = None,
    image_root: flags.ImageRootFlag = None,
    max_expanded: flags.MaxExpandedFlag = None,
    delimiter: flags.DelimiterFlag = None,
    encoding: flags.EncodingFlag = None,
    date_format: flags.DateFormatFlag = None,
    quiet: console.Quiet = False,
    as_json: console.AsJson = False,
) -> None:
    """Show the words and picture regions that moved a decision, each view's share, and what is near."""
    from aisle import workflow
    from aisle.evaluation import explained
    from aisle.evaluation.similarity import alike
    from aisle.inference.explain import explain as ask
    from aisle.inference.known_columns import check_products

    if method not in ("occlusion", "shapley"):
        near = did_you_mean(method, ["occlusion", "shapley"])
        raise AisleError(f"--method {method}: it is occlusion or shapley.{near}")
    if len(product) > MOST:
        raise AisleError(f"{len(product)} products: a page shows at most {MOST}")
    model = workflow.load(run, trust_code=trust_code, device=device)
    node = None if place is None else model.taxonomy.index(_place(place))
    catalog = None
    if source is not None:
        catalog = flags.open_catalog(
            source,
            taxonomy=taxonomy,
            column=column,
            columns=columns,
            image_root=image_root,
            max_expanded=max_expanded,
            delimiter=delimiter,
            encoding=encoding,
            date_format=date_format,
            like=model,
        )
    chosen = [
        _written(text, model) if text.lstrip().startswith("{") else _find(text, catalog) for text in product
    ]
    check_products(model, chosen)
    found = ask(model, chosen, node, method)  # type: ignore[arg-type]
    beside = alike(model, chosen, catalog)
    try:
        page = explained.write(found, chosen, beside, out)
    except OSError as error:
        raise AisleError(f"{out} cannot be written: {error.strerror or error}") from error
    if as_json:
        console.print_json([one.to_dict() for one in found])
        return
    for one in found:
        _say(one)
    console.places(report=page)


def _place(text: str) -> str | tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(">"))
    return parts if len(parts) > 1 else text.strip()


def _find(wanted: str, catalog: "Catalog | None") -> "Product":
    if catalog is None:
        raise CatalogError(
            f"--product {wanted}: an id needs the catalogue that holds it: add --source FILE, or write the "
            'product as JSON: --product \'{"title": "…"}\''
        )
    ids = []
    for one in catalog:
        if one.id == wanted:
            return one
        ids.append(one.id)
    raise CatalogError(f"no product has id {wanted!r} ({len(ids):,} rows).{did_you_mean(wanted, ids[:5000])}")


def _written(text: str, model: Any) -> "Product":
    """A product written out: fields as text; `image` or `images` are files. Columns that the training catalog
    had mean here what they meant there."""
    import json

    from aisle.data import ImageRef, Product
    from aisle.data.catalog_format import CatalogFormat

    try:
        given: Any = json.loads(text)
    except ValueError as error:
        raise CatalogError(f"--product is no JSON: {error}") from error
    images = given.pop("images", None) or given.pop("image", None) or []
    images = [images] if isinstance(images, str) else images
    if not isinstance(images, list) or not all(isinstance(i, str) for i in images):
        raise CatalogError("--product: images are the names of files")
    name = str(given.pop("id", "product"))
    fields = {str(key): str(value) for key, value in given.items() if value not in (None, "")}
    roles = (model.catalog_format or CatalogFormat()).roles(fields, {}).given
    own = {roles[part]: part for part in ("title", "description") if roles.get(part)}
    fields = {own.get(key, key): value for key, value in fields.items()}
    return Product(name, fields, tuple(ImageRef(path=Path(i)) for i in images))


def _say(one: Any) -> None:
    from aisle.evaluation.explained import contributions
    from aisle.evaluation.numbers import percent
    from aisle.taxonomy import format_path

    words = sorted(one.words, key=lambda w: -abs(w.weight))[:6]
    views = ", ".join(f"{view} {value:+.1f}" for view, value in contributions(one))
    console.out.print(
        f"{one.id}  {format_path(one.path)}  confidence {percent(one.confidence)}", markup=False
    )
    if one.seen:
        console.out.print(
            "  seen     the model was trained on this product: its confidence says little about new ones",
            markup=False,
        )
    if words:
        told = ", ".join(f"{w.word} {w.weight:+.1f}" for w in words)
        console.out.print(f"  words    {told}", markup=False)
    console.out.print(f"  views    {views}", markup=False)
    if one.nearest:
        near = "; ".join(f"{format_path(n.path)} ({n.similarity:.2f})" for n in one.nearest)
        console.out.print(f"  like     {near}", markup=False)
