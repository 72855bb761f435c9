"""The flags of every command that reads a catalogue, so that they are spelled alike everywhere.

@app.command()
def check(source: Source, taxonomy: TaxonomyFlag = None, column: ColumnFlag = None, …) -> None:
    catalog = open_catalog(source, taxonomy=taxonomy, column=column, …)
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from aisle.errors import CatalogError

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.progress import Progress


def place(text: str) -> Path:
    """A path, or an address such as `s3://bucket/products.csv`."""
    if "://" not in text:
        return Path(text)
    from aisle.data.paths import to_path

    return to_path(text)


Source = Annotated[
    Path,
    typer.Argument(
        parser=place,
        metavar="SOURCE",
        help="CSV, TSV, JSONL or Parquet (.gz, .bz2, .xz, .zst), a folder of them or of class folders, or - "
        "for standard input; or a contest's: kakao:FOLDER, rakuten:FOLDER[:PHASE]. Or an address of one: "
        "s3://bucket/products.csv.",
    ),
]
TaxonomyFlag = Annotated[
    Path | None,
    typer.Option("--taxonomy", help="The official category tree; without it the labels make the tree."),
]
ColumnFlag = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        "-c",
        metavar="PART=NAME",
        help="What a column holds where its name does not tell: -c title=name, -c levels=l1,l2,l3, "
        "-c delimiter=/ (between a label's levels), -c image_template='images/{id}.jpg', "
        "-c vectors=clip=clip.npz (vectors by product id: .npz, .npy, .h5, .parquet). Repeatable.",
    ),
]
ColumnsFlag = Annotated[
    Path | None, typer.Option("--columns", help="A TOML file that says the same: title = 'name' …")
]
ImageRootFlag = Annotated[
    Path | None,
    typer.Option(
        "--image-root",
        parser=place,
        metavar="PATH",
        help="The folder picture paths are relative to (default: the file's).",
    ),
]
MaxExpandedFlag = Annotated[
    str | None,
    typer.Option(
        "--max-expanded",
        metavar="SIZE",
        help="What a packed file (.gz, .bz2, .xz, .zst) may unpack to at most, such as 10GB (default: 100 "
        "times its size, and always 64 MiB).",
    ),
]
DelimiterFlag = Annotated[
    str | None, typer.Option("--delimiter", help="What parts the fields of a CSV file (default: found).")
]
EncodingFlag = Annotated[
    str | None, typer.Option("--encoding", help="How the file's bytes become text (default: found).")
]
DateFormatFlag = Annotated[
    str | None,
    typer.Option(
        "--date-format",
        metavar="FORMAT",
        help="How dates are written, where day and month can be mistaken: %d/%m/%Y or %m/%d/%Y "
        "(default: found).",
    ),
]


def _vector_file(text: str) -> tuple[str, str]:
    """`clip=clip.npz`."""
    name, sign, file = text.partition("=")
    if not sign or not name.strip() or not file.strip():
        raise CatalogError(
            f"--column vectors={text}: write NAME=FILE, such as --column vectors=clip=clip.npz"
        )
    return name.strip(), file.strip()


_LISTS = {"levels", "images", "vectors", "fields", "ignored"}


class Described(NamedTuple):
    """What `--column` and `--columns` say: parts by name, and files of vectors."""

    columns: dict[str, Any]
    vectors: dict[str, str]


def described(column: list[str] | None, columns: Path | None) -> Described:
    """The flags taken apart; `--column` overrides the TOML file.

    Raises:
        CatalogError: a `--column` that is not PART=NAME.
    """
    from aisle.data.columns import parse_columns

    given = parse_columns(columns)
    vectors: dict[str, str] = {}
    for text in column or []:
        part, sign, name = text.partition("=")
        if not sign:
            raise CatalogError(f"--column {text!r}: write PART=NAME, such as --column title=name")
        if part.strip() == "vectors" and "=" in name:  # -c vectors=clip=clip.npz
            vectors |= dict(_vector_file(item) for item in name.split(","))
            continue
        given[part.strip()] = tuple(n.strip() for n in name.split(",")) if part.strip() in _LISTS else name
    return Described(given, vectors)


def size(text: str | None) -> int | None:
    """Bytes: `10GB` is 10 000 000 000, `10GiB` 10 × 2³⁰.

    Raises:
        CatalogError: it is no size.
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text.casefold())
    if found is None:
        raise CatalogError(f"--max-expanded {text}: write a size, such as 500MB or 10GB")
    power = " kmgt".index(found[2] or " ")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** power)


def mark(delimiter: str | None) -> str | None:
    """A delimiter as it is typed: `tab` and `\\t` too."""
    return {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter) if delimiter is not None else None


def open_catalog(
    source: Path | list[Path],
    *,
    taxonomy: Path | None = None,
    column: list[str] | None = None,
    columns: Path | None = None,
    image_root: Path | None = None,
    max_expanded: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
    labels: bool = True,
    splits: bool = True,
    strict: bool = False,
    like: Any = None,
    progress: "Progress | None" = None,
) -> "Catalog":
    """`aisle.read` with what the flags say; `--column` overrides the TOML file. like: a model, whose
    catalog's columns this one has too where nothing else is said.

    Raises:
        CatalogError: as `read`; or a `--column` that is not PART=NAME.
    """
    from aisle.data import benchmark_datasets, read
    from aisle.progress import SILENT

    contest = benchmark_datasets.parse_contest(source) if not isinstance(source, list) else None
    if contest is not None:
        return benchmark_datasets.open_contest(contest, progress or SILENT)
    given = described(column, columns)
    return read(
        source,
        taxonomy=taxonomy,
        columns=given.columns,
        image_root=image_root,
        delimiter=mark(delimiter),
        encoding=encoding,
        date_format=date_format,
        labels=labels,
        splits=splits,
        vectors=given.vectors,
        strict=strict,
        like=like,
        max_expanded=size(max_expanded),
        progress=progress or SILENT,
    )
