"""The tree that is mapped onto: a file, a folder, or a published one by name, which is downloaded once."""

import os
from collections.abc import Sequence
from pathlib import Path

from aisle.data.addresses import Address, is_address
from aisle.data.web_files import download_file
from aisle.errors import CatalogError, TaxonomyError
from aisle.models.features import default_folder
from aisle.taxonomy import TreeFile, read_tree_file

ADDRESSES = {
    "google": "https://www.google.com/basepages/producttype/taxonomy-with-ids.{language}.txt",
    "shopify": "https://raw.githubusercontent.com/Shopify/product-taxonomy/main/dist/{language}/categories.txt",
}
_LANGUAGES = {"google": "en-US", "shopify": "en"}
_MOST_BYTES = 64 * 2**20


def read_target(name: str, languages: Sequence[str] = ()) -> TreeFile:
    """Read the tree that is mapped onto.

    A published tree is not part of this package. It is looked for in `$AISLE_TAXONOMIES/NAME`, by default
    `~/.cache/aisle/taxonomies/NAME`, and downloaded there where it is missing.

    Args:
        name: `google`, `shopify`, an address, a file, or a folder of one tree in several languages.
        languages: further languages of a published tree, whose names are compared too: `de-DE`.

    Raises:
        TaxonomyError: it cannot be read, or is neither here nor can be downloaded.
    """
    if name.casefold() not in ADDRESSES:
        if is_address(name):
            folder = _folder() / "addresses"
            return read_tree_file(_fetched(name, folder / Path(name.split("?")[0]).name))
        return read_tree_file(Path(name).expanduser())
    name = name.casefold()
    folder = _folder() / name
    for language in dict.fromkeys([_LANGUAGES[name], *languages]):
        stem = f"taxonomy-with-ids.{language}.txt" if name == "google" else f"categories.{language}.txt"
        present = folder.is_dir() and any(language in file.name for file in folder.iterdir())
        if not present and (language in languages or not _any_tree(folder)):
            _fetched(ADDRESSES[name].format(language=language), folder / stem)
    return read_tree_file(folder)


def _folder() -> Path:
    return Path(os.environ.get("AISLE_TAXONOMIES") or default_folder().parent / "taxonomies").expanduser()


def _any_tree(folder: Path) -> bool:
    return folder.is_dir() and any(file.suffix in (".txt", ".json", ".csv") for file in folder.iterdir())


def _fetched(address: str, file: Path) -> Path:
    if file.is_file():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    try:
        download_file(Address(address), part, _MOST_BYTES)
        part.replace(file)
    except CatalogError as error:
        raise TaxonomyError(
            f"{error}. Without a network, put the file from {address} at {file}, or name a file: --to FILE"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return file
