"""`aisle search`: finds products of an index by text, image or another product."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.atomic_files import check_parent_folder, wrap_write_errors
from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import AsJson, TrustCode
from aisle.errors import SearchError

if TYPE_CHECKING:
    from aisle.search import Hit, Index


@command("search", "Find products by text, image or another product.", section="Search")
def search(
    index: Annotated[
        Path, typer.Argument(metavar="INDEX", help="An index folder, written by `aisle index`.")
    ],
    text: Annotated[str | None, typer.Option(help="Query text.")] = None,
    image: Annotated[Path | None, typer.Option(help="Query image, alone or with --text.")] = None,
    product: Annotated[
        str | None, typer.Option(metavar="ID", help="Find products similar to this product of the index.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            help="Filter: \"category under 'Apparel' and price < 50\". Also =, !=, in, contains, is missing, "
            "or, not, parentheses."
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="Number of results.")] = 10,
    mode: Annotated[
        str, typer.Option(help="vectors: by embedding; words: by BM25; both: the mean of the two.")
    ] = "both",
    html: Annotated[
        Path | None, typer.Option(help="Write the results with images to this .html file.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="The model that built the index, if it was moved.")
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", help="Search an earlier version of the index.")
    ] = None,
    versions: Annotated[bool, typer.Option("--versions", help="List the versions of the index.")] = False,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
) -> None:
    """Find products by text, image, both, or another product."""
    from aisle import search as library

    opened = library.open(index, model, version, trust_code)
    if versions:
        _versions(opened, as_json)
        return
    if mode not in ("both", "vectors", "words"):
        raise SearchError(f"--mode {mode}: use vectors, words or both")
    if html is not None:
        check_parent_folder(html, SearchError)
    if product is not None and (text is not None or image is not None):
        raise SearchError("--product cannot be combined with --text or --image")
    if product is not None:
        hits = opened.more_like(product, k, where)
    else:
        hits = opened.search([_query(opened, text, image)], k, where, mode)[0]  # type: ignore[arg-type]
    parts = [text and f"“{text}”", image and image.name, product and f"like {product}"]
    query = " + ".join(part for part in parts if part)
    if html is not None:
        _page(opened, hits, query, where, image, html)
    if as_json:
        result: dict[str, Any] = {"query": query, "where": where, "model_id": opened.manifest.model_id}
        console.print_json(result | {"hits": [hit.to_dict() for hit in hits]})
        return
    _table(hits)
    console.print_paths(page=html)


def _query(opened: "Index", text: str | None, image: Path | None) -> Any:
    from aisle.search import query

    if text is not None and not text.strip():
        text = None
    if text is None and image is None:
        raise SearchError('name a query: --text "red running shoes", --image photo.jpg or --product ID')
    return query(text, image, opened)


def _table(hits: "list[Hit]") -> None:
    from rich.cells import cell_len, set_cell_size

    from aisle.search.page import order_of, title_of
    from aisle.taxonomy import format_path

    if not hits:
        console.out.print("no product matches")
        return
    mixed = order_of(hits) == "match"  # then the order follows neither of the two columns after it
    rows = [["", "match" if mixed else "", "like", "words", "id", "title", "category"]]
    for rank, hit in enumerate(hits, 1):
        like = "" if hit.similarity is None else f"{hit.similarity:.3f}"
        words = "" if hit.words is None else f"{hit.words:.1f}"
        match = f"{hit.score:.3f}" if mixed else ""
        rows.append([str(rank), match, like, words, hit.id, title_of(hit), format_path(hit.category)])
    widths = [max(cell_len(row[i]) for row in rows) for i in range(7)]
    if console.out.is_terminal:  # a pipe's lines are whole
        left = max(console.out.width - sum(widths[:4]) - 12, 30)
        for i, share in ((4, 0.2), (5, 0.45), (6, 0.35)):
            widths[i] = min(widths[i], int(left * share))
    for row in rows:
        cells = [cell.rjust(widths[i]) for i, cell in enumerate(row[:4]) if widths[i] or not i]
        cells += [set_cell_size(console.printable(row[i]), widths[i]) for i in (4, 5, 6)]
        console.out.print("  ".join(cells).rstrip(), markup=False, soft_wrap=True)


def _versions(opened: "Index", as_json: bool) -> None:
    versions = [{"version": v.number, "products": v.rows, "made": v.made} for v in opened.versions]
    if as_json:
        console.print_json(versions)
        return
    for version in versions:
        console.out.print(f"{version['version']:>6}  {version['products']:>10,} products  {version['made']}")


def _page(
    opened: "Index", hits: "list[Hit]", query: str, where: str | None, image: Path | None, out: Path
) -> None:
    from aisle.atomic_files import atomic_text
    from aisle.data import ImageRef
    from aisle.data.images import jpeg_data_uri, jpeg_thumbnail
    from aisle.search.page import SIDE, render

    query_image = jpeg_data_uri(jpeg_thumbnail(ImageRef(path=image), SIDE)) if image is not None else ""
    with wrap_write_errors(out), atomic_text(out) as handle:
        handle.write(render(query, where, hits, opened.count(where), opened.manifest.model_id, query_image))
