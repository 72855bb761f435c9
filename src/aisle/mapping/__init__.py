"""Maps the categories of one tree onto another, with probabilities and guaranteed decisions.

`map_categories` (`run`) is the entry: candidates by names, paths, embeddings and product texts (`features`),
a conditional logit (`scorer`), agreement of parents and children (`structure`), and a threshold at which a
precision is guaranteed (`decide`).
"""

from aisle.mapping.decide import CheckedScores, MappingGuarantee, find_threshold
from aisle.mapping.decisions_file import CheckedPair, Overrides, read_checked, read_overrides
from aisle.mapping.feed import write_feed
from aisle.mapping.files import earlier_overrides, products_file, write_mapping, write_sample
from aisle.mapping.run import (
    CategoryMapping,
    MappedCategory,
    MappedProduct,
    map_categories,
    product_titles,
    shop_category_column,
    shop_side,
)
from aisle.mapping.sides import TreeSide
from aisle.mapping.targets import read_target

__all__ = [
    "CategoryMapping",
    "CheckedPair",
    "CheckedScores",
    "MappedCategory",
    "MappedProduct",
    "MappingGuarantee",
    "Overrides",
    "TreeSide",
    "earlier_overrides",
    "find_threshold",
    "map_categories",
    "product_titles",
    "products_file",
    "read_checked",
    "read_overrides",
    "read_target",
    "shop_category_column",
    "shop_side",
    "write_feed",
    "write_mapping",
    "write_sample",
]
