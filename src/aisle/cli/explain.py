"""`aisle explain`: explains the prediction for a product."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.atomic_files import wrap_write_errors
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, Device, LabelledCatalogOptions, Quiet, Run, TrustCode
from aisle.errors import AisleError, CatalogError, did_you_mean

if TYPE_CHECKING:
    from aisle.data import Catalog, Product

MAX_PRODUCTS = 50  # on one page


@command("explain", "Explain the prediction for a product.", section="Evaluation")
def explain(
    run: Run,
    options: LabelledCatalogOptions,
    product: Annotated[
        list[str],
        typer.Option(
            "--product",
            help="The id of a product in --source, or a product as JSON: "
            '\'{"title": "…", "image": "photo.jpg"}\'. Repeatable.',
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--source", help="The catalog of the products; its labelled rows are used as neighbors."
        ),
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Explain this category (path or id) instead of the most probable one.")
    ] = None,
    method: Annotated[
        str, typer.Option(help="occlusion, or shapley (slower; divides the effect between redundant words).")
    ] = "occlusion",
    out: Annotated[
        Path, typer.Option(help="Folder for explain.html, explain.json and one image per product.")
    ] = Path("explain"),
    trust_code: TrustCode = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Show the words and image regions that changed a prediction, each view's share, and similar products."""
    from aisle import workflow
    from aisle.evaluation import explained
    from aisle.evaluation.similarity import similar_products
    from aisle.inference.explain import explain as explain_products
    from aisle.inference.known_columns import check_products

    if method not in ("occlusion", "shapley"):
        suggestion = did_you_mean(method, ["occlusion", "shapley"])
        raise AisleError(f"--method {method}: use occlusion or shapley.{suggestion}")
    if len(product) > MAX_PRODUCTS:
        raise AisleError(f"{len(product)} products: a page has at most {MAX_PRODUCTS}")
    model = workflow.load(run, trust_code=trust_code, device=device)
    node = None if category is None else model.taxonomy.index(_category(category))
    catalog = None if source is None else options.read(source, like=model)
    chosen = [
        _written(text, model) if text.lstrip().startswith("{") else _find(text, catalog) for text in product
    ]
    check_products(model, chosen)
    explanations = explain_products(model, chosen, node, method)  # type: ignore[arg-type]
    similar = similar_products(model, chosen, catalog)
    with wrap_write_errors(out):
        page = explained.write(explanations, chosen, similar, out)
    if as_json:
        console.print_json([explanation.to_dict() for explanation in explanations])
        return
    for explanation in explanations:
        _print(explanation)
    console.print_paths(report=page)


def _category(text: str) -> str | tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(">"))
    return parts if len(parts) > 1 else text.strip()


def _find(product_id: str, catalog: "Catalog | None") -> "Product":
    if catalog is None:
        raise CatalogError(
            f"--product {product_id}: an id needs the catalog it is in: add --source FILE, or write the "
            "product "
            'as JSON: --product \'{"title": "…"}\''
        )
    ids = []
    for product in catalog:
        if product.id == product_id:
            return product
        ids.append(product.id)
    raise CatalogError(
        f"no product has id {product_id!r} ({len(ids):,} rows).{did_you_mean(product_id, ids[:5000])}"
    )


def _written(text: str, model: Any) -> "Product":
    """A product from JSON: fields are text, `image` or `images` are files. Columns have the roles that
    they had in the training catalog."""
    import json

    from aisle.data import ImageRef, Product
    from aisle.data.catalog_format import CatalogFormat

    try:
        data: Any = json.loads(text)
    except ValueError as error:
        raise CatalogError(f"--product is not JSON: {error}") from error
    images = data.pop("images", None) or data.pop("image", None) or []
    images = [images] if isinstance(images, str) else images
    if not isinstance(images, list) or not all(isinstance(i, str) for i in images):
        raise CatalogError("--product: images must be file names")
    name = str(data.pop("id", "product"))
    fields = {str(key): str(value) for key, value in data.items() if value not in (None, "")}
    roles = (model.catalog_format or CatalogFormat()).roles(fields, {}).given
    own_columns = {roles[part]: part for part in ("title", "description") if roles.get(part)}
    fields = {own_columns.get(key, key): value for key, value in fields.items()}
    return Product(name, fields, tuple(ImageRef(path=Path(i)) for i in images))


def _print(explanation: Any) -> None:
    from aisle.evaluation.explained import contributions
    from aisle.evaluation.numbers import percent
    from aisle.taxonomy import format_path

    words = sorted(explanation.words, key=lambda w: -abs(w.weight))[:6]
    views = ", ".join(f"{view} {value:+.1f}" for view, value in contributions(explanation))
    console.out.print(
        f"{explanation.id}  {format_path(explanation.path)}  confidence {percent(explanation.confidence)}",
        markup=False,
    )
    if explanation.seen:
        console.out.print(
            "  seen     the model was trained on this product, so its confidence is too high",
            markup=False,
        )
    if words:
        weights = ", ".join(f"{w.word} {w.weight:+.1f}" for w in words)
        console.out.print(f"  words    {weights}", markup=False)
    console.out.print(f"  views    {views}", markup=False)
    if explanation.nearest:
        neighbors = "; ".join(f"{format_path(n.path)} ({n.similarity:.2f})" for n in explanation.nearest)
        console.out.print(f"  like     {neighbors}", markup=False)
