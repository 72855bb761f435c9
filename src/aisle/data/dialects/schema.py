"""The schema of a dialect: how the product export of one shop platform is written."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

Names = tuple[str, ...]
AUTO = "auto"  # a separator that is found over the whole column


class DialectTable(BaseModel):
    """A table of a dialect file: unknown keys are errors.

    Column names are compared without case, spaces, accents and punctuation. `*` stands for any characters:
    `IMAGE*`, `*(product.metafields.*)`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class DetectRules(DialectTable):
    """By which columns a file is recognised.

    Attributes:
        columns: Column names; an entry may list alternatives.
        at_least: How many of them occur in a file of this dialect. Default: all.
        also: Sets of columns, each of which is enough by itself.
        without: Names that do not occur.
        header_line: A regular expression; if the first line of a text file matches, the line of column names
            is one of the next lines.
    """

    columns: tuple[str | Names, ...] = ()
    at_least: int | None = None
    also: tuple[Names, ...] = ()
    without: Names = ()
    header_line: str | None = None


class RoleNames(DialectTable):
    """Column names by role, the likeliest first. A role without names is detected as in other files."""

    id: Names = ()
    title: Names = ()
    description: Names = ()
    date: Names = ()
    ignored: Names = ()


class RowKey(DialectTable):
    """A column that other rows name a row by.

    Attributes:
        column: Alternative names.
        prefix: What a reference starts with, such as `id:`.
    """

    column: Names
    prefix: str = ""


class FirstRow(DialectTable):
    """Tells the first row of a product from those that continue it.

    Attributes:
        column: Alternative names.
        value: What the first row has in it, without case. Default: anything.
    """

    column: Names
    value: str | None = None


class ProductRules(DialectTable):
    """How rows form products. Without any, each row is a product.

    Text of a product is that of its first row that has it; images are those of all rows.

    Attributes:
        begins: Where a product begins; the rows that follow belong to it, up to the next such row.
        group_by: Rows with the same value are one product.
        parent: The column that names the parent's row; rows of variants and their parent are one product.
        keys: The columns that `parent` and `children` name rows by.
        children: The column in which a parent's row lists its variants.
        child: A regular expression that finds the key of each variant in it, as group 1.
        collect: Columns whose distinct values over all rows are joined, such as the options of variants.
    """

    begins: FirstRow | None = None
    group_by: Names = ()
    parent: Names = ()
    keys: tuple[RowKey, ...] = ()
    children: Names = ()
    child: str = r"([^,|]+)"
    collect: Names = ()


class CategoryFile(DialectTable):
    """A separate file of categories, by which codes become names.

    Attributes:
        files: Name patterns, such as `categor*.csv`.
        code: The column of the code.
        parent: The column of the parent's code; none if `name` holds full paths.
        name: The column of the name.
    """

    files: Names
    code: Names
    parent: Names = ()
    name: Names


class CategoryRules(DialectTable):
    """How categories are written.

    Attributes:
        columns: Column names, the likeliest first; the others are ignored, for they tell the label.
        delimiter: Separates levels. Default: the categories are flat.
        separator: Separates several categories of a product; `auto`: found over the whole column.
        nested: Whether a category without levels that is listed with all products of another is above it:
            `Home, Clothes, Men` is one path.
        all_rows: Whether categories of all rows of a product count, not those of its first row.
        escape: The character that precedes a literal separator in a name.
        drop_roots: Names of roots that are no category, such as `Default Category`.
        common_root: Whether a root that all categories of the file share is dropped.
        no_category: Names that stand for none, such as `Uncategorized`.
        names: The file by which codes become names.
        levels_listed: Whether a JSON list holds the levels of one category, not several categories.
        in_document: Whether the document lists its categories with their codes besides its products, as feeds
            in XML do.
    """

    columns: Names = ()
    delimiter: str | None = None
    separator: str | None = None
    levels_listed: bool = False
    in_document: bool = False
    nested: bool = False
    all_rows: bool = False
    escape: str | None = None
    drop_roots: Names = ()
    common_root: bool = False
    no_category: Names = ()
    names: CategoryFile | None = None


class ImageSheet(DialectTable):
    """A sheet of a workbook that lists more images of the products, such as OpenCart's `AdditionalImages`.

    Attributes:
        product: The column of the product's id, which the sheet of the products has too.
        image: The column of the image.
        position: The column that orders a product's images.
    """

    product: Names
    image: Names
    position: Names = ()


class ImageRules(DialectTable):
    """Where images are.

    Attributes:
        columns: Column names, the main image first.
        separator: Separates several images in a cell.
        escape: The character that precedes a literal separator.
        position: The column that orders the images of a product's rows.
        relative: Whether paths that start with `/` are relative to the image folder.
        cut: What follows this text is not the name: ` ! ` in `a.jpg ! alt : red`.
        media: The address that names of stored media, such as `1a_2b~mv2.jpg` of Wix, are below.
        sheet: The sheet of a workbook with more images.
    """

    columns: Names = ()
    separator: str | None = None
    escape: str | None = None
    position: Names = ()
    relative: bool = False
    cut: str | None = None
    media: str | None = None
    sheet: ImageSheet | None = None


class AttributePair(DialectTable):
    """Columns that hold an attribute's name and its value; `*` in both is the attribute's number."""

    name: str
    value: str


class AttributeLists(DialectTable):
    """Columns that list attributes, such as `color=Black,size=M`.

    Attributes:
        columns: Column names.
        separator: Separates attributes; a value in double quotes may hold it.
        equals: Stands between name and value.
        record: Separates lists in a cell, such as those of variants.
        skip: Names that are no attributes.
        cut: What follows this text is not the value: the position in `Composition:Cotton:1`.
    """

    columns: Names
    separator: str = ","
    equals: str = "="
    record: str | None = None
    skip: Names = ()
    cut: str | None = None


class AttributeRules(DialectTable):
    """Where attributes are; each becomes a field under its own name.

    Attributes:
        pairs: Pairs of columns.
        lists: Columns that list attributes.
        no_value: Values that stand for none, such as `Default Title`.
        columns: Columns whose names hold the attribute's name at `*`: `* (product.metafields.*)`. The first
            `*` is the name.
    """

    pairs: tuple[AttributePair, ...] = ()
    lists: tuple[AttributeLists, ...] = ()
    no_value: Names = ()
    columns: Names = ()


class WriteBackRules(DialectTable):
    """How a predicted category is written into the export.

    Attributes:
        columns: Alternative names of the column that is filled.
        value: What is written: the path, the name of the last level, or the id (the path where the tree has
            no ids).
        delimiter: Separates levels in it.
        prefix: Stands before a path, such as the first `/` of `/audio/headphones`.
        separator: Separates several categories.
        escape: The character that precedes a literal separator in a name.
        every_row: Whether each row of a product is filled; if not, only the row that describes the product,
            and rows that have a category already.
        extra_columns: Whether the platform ignores columns that it does not know. If not, confidence and
            decision go to a separate file.
    """

    columns: Names = ()
    value: Literal["path", "name", "id"] = "path"
    delimiter: str = " > "
    prefix: str = ""
    separator: str | None = None
    escape: str | None = None
    every_row: bool = False
    extra_columns: bool = True


class Dialect(DialectTable):
    """How the product export of one platform is written.

    Attributes:
        name: The name of its file, such as `shopify`.
        title: How it is announced, such as `Shopify product export`.
        detect: By which columns a file is recognised.
        columns: Column names by role.
        products: How rows form products.
        category: How categories are written.
        images: Where images are.
        attributes: Where attributes are.
        write_back: How a predicted category is written into the export.
    """

    name: str
    title: str
    detect: DetectRules | None = None
    columns: RoleNames = RoleNames()
    products: ProductRules = ProductRules()
    category: CategoryRules = CategoryRules()
    images: ImageRules = ImageRules()
    attributes: AttributeRules = AttributeRules()
    write_back: WriteBackRules = WriteBackRules()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.products.parent or self.products.children) and not self.products.keys:
            raise ValueError("products.parent and products.children need products.keys")
        return self
