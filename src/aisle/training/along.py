"""A catalogue's rows along the axes of their views, and the network that is trained on them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aisle.catalog import Product
from aisle.errors import RecipeError
from aisle.inference.encode import Reader
from aisle.model.parts import Context
from aisle.model.prepare import Prepared, Vectors
from aisle.model.spec import ModelSpec, build, views_of
from aisle.progress import Progress
from aisle.training import warm
from aisle.training.axes import Axes, find_axes, rotated_spec
from aisle.training.data import KEEP_BYTES, keep


class Along(NamedTuple):
    """axes: by view; rows: of each set of products, by view, the coordinates; started: whether the network
    goes on from an earlier one, which then stands among the views as `aisle.training.warm.EARLIER`."""

    axes: dict[str, Axes]
    rows: list[dict[str, Prepared]]
    started: bool

    @property
    def earlier(self) -> str | None:
        """The view by which the earlier network is read."""
        return warm.EARLIER if self.started else None

    def reader(self, whole: Reader, spec: ModelSpec, context: Context, trust_code: bool) -> Reader:
        """A new network over these coordinates, and the views of `whole` that have no axes.

        Raises:
            RecipeError: as `rotated_spec`.
        """
        lacking = {name for name, view in spec.views.items() if view.axes} - self.axes.keys()
        turned = rotated_spec(spec, self.axes, lacking, self.earlier)
        preparers = {name: whole.preparers[name] for name in turned.views.keys() - {self.earlier}}
        preparers |= {name: Vectors(found.rank) for name, found in self.axes.items()}
        if self.earlier:
            preparers[self.earlier] = Vectors(whole.model.fusion.dim)
        model = build(turned, preparers, context, trust_code=trust_code)
        model.silence(set(self.axes) | ({self.earlier} if self.earlier else set()))
        if self.earlier:
            warm.begin(model, whole.model, self.axes)
        return Reader(model, views_of(turned, trust_code), preparers, whole.store)


def along(
    reader: Reader,
    products: Sequence[Sequence[Product]],
    ranks: Mapping[str, int],
    seed: int,
    started: bool,
    progress: Progress,
) -> Along:
    """Find the axes of the views in `ranks` (at most so many each) in the first set of products, and every
    set's coordinates along them. A network that has started earlier may read views that no row has now.

    Raises:
        RecipeError: a view is too large, or its encoder cannot be learned along axes.
    """
    axes: dict[str, Axes] = {}
    rows: list[dict[str, Prepared]] = [{} for _ in products]
    before: list[dict[str, Prepared]] = [{} for _ in products]
    for name, rank in ranks.items():
        progress.say(f"finding the principal axes of {name}")
        for i, some in enumerate(products):
            prepared = keep(reader, name, some, progress)
            if prepared is None:
                raise RecipeError(
                    f"view {name!r} is too large to be learned along axes: {len(some):,} rows "
                    f"take more than {KEEP_BYTES >> 30} GiB; set views.{name}.axes = 0"
                )
            if i == 0 and (prepared.present.any() or not started):
                axes[name] = find_axes(reader.model, name, prepared, rank, seed, started)
            if name in axes:
                rows[i][name] = Prepared({"vector": axes[name].along(prepared)}, prepared.present, {})
            if started:
                before[i][name] = prepared
    if started:
        reader.model.to("cpu")
        for some, raw in zip(rows, before, strict=True):
            some[warm.EARLIER] = warm.said(reader.model, raw)
    return Along(axes, rows, started)
