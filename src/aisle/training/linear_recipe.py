"""The recipe of a linear model."""

from typing import Self

from aisle.errors import RecipeError
from aisle.models.linear.config import LinearSpec
from aisle.training.recipe_options import RecipeBase


class LinearRecipe(RecipeBase, LinearSpec):
    """The recipe of a linear model; its keys are those of `aisle.models.linear.config.LinearSpec`."""

    @property
    def model(self) -> LinearSpec:
        """The keys that a bundle keeps."""
        return LinearSpec(**{name: getattr(self, name) for name in LinearSpec.model_fields})

    def without(self, names: set[str]) -> Self:
        """A copy without these views.

        Raises:
            RecipeError: no view is left.
        """
        kept = {name: view for name, view in self.views.items() if name not in names}
        if not kept:
            raise RecipeError(f"recipe {self.name!r} reads only views that are left out: {', '.join(names)}")
        return self.model_copy(update={"views": kept})
