"""A catalogue's rows along the axes of their views, and the network that is trained on them."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aisle.data import Product
from aisle.errors import AisleError, CatalogError
from aisle.inference.input_pipeline import Reader
from aisle.models.preprocessing import Prepared, Vectors
from aisle.models.registry import Context
from aisle.models.spec import ModelSpec, build, views_of
from aisle.progress import Progress
from aisle.training import warm_start
from aisle.training.data import KEEP_BYTES
from aisle.training.pca import LANDMARKS, Axes, find_axes, rotated_spec

_BLOCK = 8192  # rows turned at once: their likeness to all landmarks is in memory
_AMONG = 50_000  # products among which axes are found
_RESERVES = hasattr(os, "posix_fallocate")


class Along(NamedTuple):
    """axes: by view; rows: of each set of products, by view, the coordinates; started: whether the network
    goes on from an earlier one, which then stands among the views as `aisle.training.warm_start.EARLIER`."""

    axes: dict[str, Axes]
    rows: list[dict[str, Prepared]]
    started: bool

    @property
    def earlier(self) -> str | None:
        """The view by which the earlier network is read."""
        return warm_start.EARLIER if self.started else None

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
            warm_start.begin(model, whole.model, self.axes)
        return Reader(model, views_of(turned, trust_code), preparers, whole.store)


def along(
    reader: Reader,
    products: Sequence[Sequence[Product]],
    ranks: Mapping[str, int],
    seed: int,
    started: bool,
    progress: Progress,
) -> Along:
    """Find the axes of the views in `ranks` (at most so many each) among the first set of products, and every
    set's coordinates along them. A network that has started earlier may read views that no row has now.

    A view that no row has, or none that can be read, gets no axes.

    Raises:
        RecipeError: a view's encoder cannot be learned along axes.
        CatalogError: no row has any view that can be read.
        AisleError: the coordinates fit neither memory nor disk.
    """
    axes: dict[str, Axes] = {}
    rows: list[dict[str, Prepared]] = [{} for _ in products]
    room = Room(reader.store.folder if reader.store else None)
    for name, rank in ranks.items():
        progress.say(f"finding the principal axes of {name}")
        view = ViewRows(reader, name, products[0], progress)
        sample = _sample(view, seed)
        if sample.present.any():
            axes[name] = find_axes(reader.model, name, sample, rank, seed, started)
        elif not started:
            progress.say(f"view {name!r} is left out: no row has one that can be read")
        for i, some in enumerate(products):
            view = view if i == 0 else ViewRows(reader, name, some, progress)
            present = np.zeros(len(some), bool)
            if name in axes:
                coordinates = room.empty((len(some), axes[name].rank))
                rows[i][name] = Prepared({"vector": coordinates}, present, {})
            if started and warm_start.EARLIER not in rows[i]:
                total = room.empty((len(some), reader.model.fusion.dim))
                rows[i][warm_start.EARLIER] = Prepared({"vector": total}, np.zeros(len(some), bool), {})
            for start in range(0, len(some), _BLOCK):
                block = np.arange(start, min(start + _BLOCK, len(some)))
                prepared = view(block)
                present[block] = prepared.present
                if name in axes:
                    coordinates[block] = axes[name].along(prepared)
                if started:
                    earlier = rows[i][warm_start.EARLIER]
                    earlier.arrays["vector"][block] += warm_start.said(reader.model, name, prepared)
                    earlier.present[block] |= prepared.present
    if not axes and not started and len(ranks) == len(reader.views):
        raise CatalogError(f"no row has a view that can be read: nothing to learn from in {', '.join(ranks)}")
    return Along(axes, rows, started)


class ViewRows:
    """One view of some products, as the network reads it: rows by number."""

    def __init__(self, reader: Reader, name: str, products: Sequence[Product], progress: Progress) -> None:
        self.reader, self.name, self.products, self.progress = reader, name, products, progress
        self.whole: Prepared | None = None
        if name in reader.stored and len(products) * reader.model.dim_of(name) * 4 <= KEEP_BYTES:
            self.whole = self._kept(np.arange(len(products)))

    def __call__(self, rows: np.ndarray) -> Prepared:
        """Those rows' arrays."""
        if self.whole is not None:
            return Prepared({"pooled": self.whole.arrays["pooled"][rows]}, self.whole.present[rows], {})
        if self.name in self.reader.stored:
            return self._kept(rows)
        return self.reader.preparers[self.name](self._values(rows))

    def having(self) -> np.ndarray:
        """The numbers of the rows that have this view."""
        if self.whole is not None:
            return np.flatnonzero(self.whole.present)
        view = self.reader.views[self.name]
        return np.flatnonzero([view.value(product) is not None for product in self.products])

    def _kept(self, rows: np.ndarray) -> Prepared:
        return self.reader.kept(self.name, self._values(rows), self.progress)

    def _values(self, rows: np.ndarray) -> list[Any]:
        view = self.reader.views[self.name]
        return [view.value(self.products[int(i)]) for i in rows]


def _sample(view: ViewRows, seed: int) -> Prepared:
    """Rows among which a view's axes are found: all, or some drawn by chance. Of a view that too few of those
    have, as many more that have it as span the axes."""
    n = len(view.products)
    if n <= _AMONG:
        return view(np.arange(n))
    pick = np.random.default_rng(seed)
    rows = np.sort(pick.choice(n, _AMONG, replace=False))
    sample = view(rows)
    if sample.present.sum() >= LANDMARKS:
        return sample
    having = np.setdiff1d(view.having(), rows)
    more = pick.choice(having, min(len(having), LANDMARKS), replace=False)
    return view(np.union1d(rows[sample.present], more)) if len(more) else sample


class Room:
    """Arrays of zeros: in memory up to `KEEP_BYTES` together, beyond that in files without a name beside
    the kept features, which the system drops when the training ends, however it ends."""

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.taken = folder, 0

    def empty(self, shape: tuple[int, int]) -> np.ndarray:
        """float32 zeros.

        Raises:
            AisleError: there is no room on the disk.
        """
        size = 4 * shape[0] * shape[1]
        self.taken += size
        if self.taken <= KEEP_BYTES or not size:
            return np.zeros(shape, np.float32)
        try:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder) as file:
                # Reserved now: a full disk met while writing to a mapped file kills the process.
                os.posix_fallocate(file.fileno(), 0, size) if _RESERVES else file.truncate(size)
                return np.memmap(file, np.float32, "r+", shape=shape)
        except OSError as error:
            raise AisleError(
                f"{size >> 20:,} MiB of coordinates fit neither memory nor {self.folder or 'the disk'}: "
                f"{error.strerror or error}. Make room, or lower the views' `axes`"
            ) from error
