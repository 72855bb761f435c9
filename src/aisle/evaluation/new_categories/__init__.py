"""New categories proposed for products that belong nowhere in the tree."""

from aisle.evaluation.new_categories.result import NewCategories, NewCategory, SimilarCategory
from aisle.evaluation.new_categories.run import propose_categories

__all__ = ["NewCategories", "NewCategory", "SimilarCategory", "propose_categories"]
