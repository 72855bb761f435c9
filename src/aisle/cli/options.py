"""CLI options that several commands share, each declared once.

A command takes single ones as parameters, or a whole group, whose values arrive as one object:

    @command("check", "Check a catalog.", section="Catalog")
    def check(source: Source, options: LabelledCatalogOptions, quiet: Quiet = False) -> None:
        catalog = options.read(source)
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import typer

from aisle.errors import CatalogError

if TYPE_CHECKING:
    from aisle.data import Catalog
    from aisle.progress import Progress


def path_or_url(text: str) -> Path:
    """A path, or an address such as `s3://bucket/products.csv`."""
    if "://" not in text:
        return Path(text)
    from aisle.data.paths import to_path

    return to_path(text)


def source_or_address(text: str) -> Path:
    """A path, or an address: `s3://…`, `https://shop.example/feed.xml`, `postgresql://…?table=products`."""
    from aisle.data.addresses import Address, is_address

    return cast(Path, Address(text)) if is_address(text) else path_or_url(text)


_FORMATS = (
    "CSV, TSV, JSON, JSONL, Parquet, Excel, XML (also .gz, .bz2, .xz, .zst); a folder of such files, of one "
    "folder per category, or of Hugging Face datasets; - for standard input; a URL "
    "(s3://bucket/products.csv, https://shop.example/feed.xml); a database "
    "(postgresql://USER@HOST/NAME?table=products, sqlite:///shop.db?table=products); or a benchmark data "
    "set: kakao:FOLDER, rakuten:FOLDER[:PHASE]."
)

# -- arguments ----------------------------------------------------------------------------------------

Source = Annotated[
    Path, typer.Argument(parser=source_or_address, metavar="SOURCE", help=f"The catalog: {_FORMATS}")
]
Sources = Annotated[
    list[Path],
    typer.Argument(
        parser=source_or_address,
        metavar="FILES",
        help=f"The products: {_FORMATS} Several are allowed, and patterns (s3://bucket/day/*.parquet).",
    ),
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or the model in it.")]

# -- output -------------------------------------------------------------------------------------------

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

# -- models -------------------------------------------------------------------------------------------

Device = Annotated[
    str, typer.Option("--device", help="Device for networks: cpu, cuda, mps, or auto (the fastest present).")
]
TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Allow the model to import your own code (my_file:ClassName).")
]
Precision = Annotated[
    float, typer.Option("--precision", help="Guaranteed share of automatic decisions that are correct.")
]
CurvePrecision = Annotated[
    float | None,
    typer.Option(
        "--precision",
        min=0.5,
        max=0.9999,
        help="Guaranteed precision: a point of the model's operating curve (default: as calibrated).",
    ),
]
RulesFile = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="FILE.toml",
        help="Rules that act on the predictions; `none`: without those of the run "
        "(default: those of the run, see `aisle rules set`).",
    ),
]
Alpha = Annotated[
    float, typer.Option("--alpha", help="Probability that the guarantee does not hold, at most.")
]
Store = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="AISLE_STORE",
        help="Database of keys and feedback: a SQLite file, or postgresql://USER:PASSWORD@HOST/NAME.",
    ),
]
STORE = "aisle-server.db"

Index = Annotated[Path | None, typer.Option("--index", help="Search index, written by `aisle index`.")]
FetchUrls = Annotated[bool, typer.Option("--fetch-urls", help="Download images that products give as URLs.")]

# -- random parts of a catalog ------------------------------------------------------------------------

Folds = Annotated[int, typer.Option("--folds", help="Number of cross-validation folds.")]
Seed = Annotated[int, typer.Option("--seed", help="Random seed.")]

# -- groups -------------------------------------------------------------------------------------------


class OptionGroup:
    """Base class of option groups: a dataclass whose fields are options."""


@dataclass(frozen=True, kw_only=True)
class RecipeOptions(OptionGroup):
    """Changes to a recipe."""

    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a recipe key: views.title.encoder.dim=128. Repeatable."
        ),
    ] = None
    text_encoder: Annotated[
        str | None,
        typer.Option(
            "--text-encoder", metavar="PATH_OR_NAME", help="The recipe's text encoder: a folder or hub name."
        ),
    ] = None
    image_encoder: Annotated[
        str | None,
        typer.Option(
            "--image-encoder",
            metavar="PATH_OR_NAME",
            help="The recipe's image encoder: a folder or hub name.",
        ),
    ] = None

    def encoders(self) -> list[str]:
        """The encoder options as recipe changes."""
        from aisle.training.recipe import encoder_changes

        return encoder_changes(self.text_encoder, self.image_encoder)

    def all(self) -> list[str]:
        """All options as recipe changes."""
        return [*(self.changes or ()), *self.encoders()]


@dataclass(frozen=True, kw_only=True)
class FileOptions(OptionGroup):
    """How a catalog file is parsed."""

    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            "-c",
            metavar="ROLE=NAME",
            help="The column of a role, where its name is not recognised: -c title=name, -c levels=l1,l2,l3, "
            "-c delimiter=/ (between the levels of a category), -c image_template='images/{id}.jpg', "
            "-c vectors=clip=clip.npz (vectors by product id: .npz, .npy, .h5, .parquet). Repeatable.",
        ),
    ] = None
    columns: Annotated[
        Path | None, typer.Option("--columns", help="A TOML file with the same roles: title = 'name' …")
    ] = None
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", help="Field delimiter of a CSV file (default: detected).")
    ] = None
    encoding: Annotated[
        str | None, typer.Option("--encoding", help="Text encoding of the file (default: detected).")
    ] = None
    dialect: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME|FILE",
            help="How a shop platform's export is written: shopify, woocommerce, magento, …, a .toml file of "
            "your own, or none (default: recognised by its columns).",
        ),
    ] = None
    category_file: Annotated[
        Path | None,
        typer.Option(
            "--category-file",
            help="The file that gives codes of categories their names, such as Akeneo's category export "
            "(default: looked for in the folder of the file).",
        ),
    ] = None
    date_format: Annotated[
        str | None,
        typer.Option(
            "--date-format",
            metavar="FORMAT",
            help="Format of dates, where day and month are ambiguous: %d/%m/%Y or %m/%d/%Y "
            "(default: detected).",
        ),
    ] = None
    max_expanded: Annotated[
        str | None,
        typer.Option(
            "--max-expanded",
            metavar="SIZE",
            help="Maximum size of a compressed file once decompressed, such as 10GB (default: 100 times its "
            "size, at least 64 MiB).",
        ),
    ] = None

    def described(self) -> "Described":
        """Parse `--column` and `--columns`; `--column` overrides the TOML file.

        Raises:
            CatalogError: A `--column` is not ROLE=NAME.
        """
        from aisle.data.columns import parse_columns

        columns = parse_columns(self.columns)
        vectors: dict[str, str] = {}
        for text in self.column or []:
            part, sign, name = text.partition("=")
            if not sign:
                raise CatalogError(f"--column {text!r}: write ROLE=NAME, such as --column title=name")
            if part.strip() == "vectors" and "=" in name:  # -c vectors=clip=clip.npz
                vectors |= dict(_vector_file(item) for item in name.split(","))
                continue
            listed = part.strip() in _LISTS
            columns[part.strip()] = tuple(n.strip() for n in name.split(",")) if listed else name
        return Described(columns, vectors)

    def read(
        self,
        source: "Path | list[Path]",
        *,
        labels: bool = True,
        splits: bool = True,
        strict: bool = False,
        like: Any = None,
        progress: "Progress | None" = None,
    ) -> "Catalog":
        """Read a catalog by these options.

        Args:
            source: A file, a folder, several of them, or a benchmark data set.
            labels: Read category labels.
            splits: Read the split column.
            strict: Raise at the first problem.
            like: A model; columns that the options do not name are those of its training catalog.
            progress: Reports progress.

        Raises:
            CatalogError: The source cannot be read, or a `--column` is not ROLE=NAME.
        """
        from aisle.data import benchmark_datasets, read
        from aisle.progress import SILENT

        benchmark = None if isinstance(source, list) else benchmark_datasets.parse_benchmark(source)
        if benchmark is not None:
            return benchmark_datasets.open_benchmark(benchmark, progress or SILENT)
        described = self.described()
        return read(
            source,
            taxonomy=getattr(self, "taxonomy", None),
            columns=described.columns,
            image_root=getattr(self, "image_root", None),
            delimiter=self.field_delimiter(),
            encoding=self.encoding,
            date_format=self.date_format,
            labels=labels,
            splits=splits,
            vectors=described.vectors,
            strict=strict,
            like=like,
            format=self.dialect,
            category_file=self.category_file,
            max_expanded=self.max_bytes(),
            progress=progress or SILENT,
        )

    def field_delimiter(self) -> str | None:
        """The delimiter; `tab` and `\\t` mean a tab."""
        return {"\\t": "\t", "tab": "\t"}.get(self.delimiter or "", self.delimiter)

    def max_bytes(self) -> int | None:
        """`--max-expanded` in bytes: `10GB` is 10 000 000 000, `10GiB` is 10 × 2³⁰.

        Raises:
            CatalogError: It is not a size.
        """
        if self.max_expanded is None:
            return None
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", self.max_expanded.casefold())
        if match is None:
            raise CatalogError(f"--max-expanded {self.max_expanded}: write a size, such as 500MB or 10GB")
        power = " kmgt".index(match[2] or " ")
        return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


@dataclass(frozen=True, kw_only=True)
class CatalogOptions(FileOptions):
    """How a catalog file is parsed, and where its images are."""

    image_root: Annotated[
        Path | None,
        typer.Option(
            "--image-root",
            parser=path_or_url,
            metavar="PATH",
            help="The folder that image paths are relative to (default: the file's folder).",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class LabelledCatalogOptions(CatalogOptions):
    """How a catalog file is parsed, where its images are, and which tree its labels belong to."""

    taxonomy: Annotated[
        Path | None,
        typer.Option("--taxonomy", help="The category tree (default: built from the labels)."),
    ] = None


class Described(NamedTuple):
    """What `--column` and `--columns` say: columns by role, and files of vectors by name."""

    columns: dict[str, Any]
    vectors: dict[str, str]


_LISTS = {"levels", "images", "vectors", "fields", "ignored"}


def _vector_file(text: str) -> tuple[str, str]:
    """`clip=clip.npz` -> name and file."""
    name, sign, file = text.partition("=")
    if not sign or not name.strip() or not file.strip():
        raise CatalogError(
            f"--column vectors={text}: write NAME=FILE, such as --column vectors=clip=clip.npz"
        )
    return name.strip(), file.strip()
