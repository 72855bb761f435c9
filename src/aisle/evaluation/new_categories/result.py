"""Proposed categories, and their files."""

import csv
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from aisle.atomic_files import atomic_text
from aisle.data import Catalog
from aisle.taxonomy import CategoryPath, Node, Taxonomy, format_path


class SimilarCategory(NamedTuple):
    """A category of the tree that the model predicts for products of a proposed one.

    Attributes:
        path: its path.
        share: of the products.
    """

    path: CategoryPath
    share: float


class NewCategory(BaseModel):
    """A proposed category.

    Attributes:
        path: of the proposed category: its parent's, and a name from the products' own words.
        parent: its likeliest parent, an inner category of the tree; empty: a new top category.
        parent_share: share of the products for which the model predicts a category below the parent.
        words: the words that tell its products from all others, as folded for comparison.
        evidence: mean out-of-distribution score of its products over the threshold from which the model flags
            a single product; about 0 for products that belong in the tree.
        flagged: how many of its products are flagged by themselves.
        similar: categories that the model predicts for its products, the most frequent first.
        examples: titles of typical products.
        rows: row numbers of its products in the catalog, the most typical first.
    """

    model_config = ConfigDict(frozen=True)

    path: CategoryPath
    parent: CategoryPath
    parent_share: float
    words: tuple[str, ...]
    evidence: float
    flagged: int
    similar: tuple[SimilarCategory, ...]
    examples: tuple[str, ...]
    rows: tuple[int, ...]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path[-1]


class NewCategories(BaseModel):
    """Proposed categories, those with most evidence first.

    Attributes:
        source: name of the catalog.
        model_id: the model.
        rows: products compared with the tree: without a label, and new to the model.
        flagged: products that the model flags by themselves: they probably belong nowhere in the tree.
        groups: groups of similar products that were found.
        categories: the groups that are proposed.
    """

    source: str
    model_id: str
    rows: int
    flagged: int
    groups: int
    categories: tuple[NewCategory, ...]

    @property
    def products(self) -> int:
        """Number of products in proposed categories."""
        return sum(len(category.rows) for category in self.categories)

    def draft_tree(self, taxonomy: Taxonomy) -> Taxonomy:
        """The tree with the proposed categories in it.

        Args:
            taxonomy: the model's tree.
        """
        drafts = (Node(format_path(category.path), category.path) for category in self.categories)
        return Taxonomy([*taxonomy.nodes, *drafts], taxonomy.aliases)

    def write(self, folder: str | Path, catalog: Catalog, taxonomy: Taxonomy) -> Path:
        """Write `proposals.html`, `proposals.json`, the draft tree and the products of proposed categories.

        `tree.json` is read by `aisle migrate` and `aisle taxonomy diff`, `products.csv` by
        `aisle migrate --examples`.

        Args:
            folder: a new or an existing folder.
            catalog: the catalog that the proposals were made for.
            taxonomy: the model's tree.

        Returns:
            The page.

        Raises:
            OSError: the folder cannot be written.
        """
        from aisle.evaluation.pages import environment

        folder_path = Path(folder)
        folder_path.mkdir(parents=True, exist_ok=True)
        with atomic_text(folder_path / "proposals.json") as file:
            file.write(self.model_dump_json(indent=1))
        with atomic_text(folder_path / "tree.json") as file:
            file.write(self.draft_tree(taxonomy).to_json())
        with atomic_text(folder_path / "products.csv") as file:
            fields = catalog.fields
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", *fields, "category"])
            for category in self.categories:
                for product in catalog.select(list(category.rows)):
                    values = (product.fields.get(name, "") for name in fields)
                    writer.writerow([product.id, *values, format_path(category.path)])
        with atomic_text(folder_path / "proposals.html") as file:
            file.write(environment().get_template("new_categories.html").render(d=self))
        return folder_path / "proposals.html"
