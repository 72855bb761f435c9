"""Models side by side: which are loaded, which one answers, which one answers along unseen.

A request holds on to the slots it began with, so that a swap never takes a model from under it; the old
one is freed when its last answer is out.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aisle.data import Product
from aisle.errors import did_you_mean
from aisle.guarantee import Prediction
from aisle.inference.training_counts import training_counts
from aisle.server.problems import ApiError, ServerError
from aisle.taxonomy import Taxonomy

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor
    from aisle.server.suggest import Suggester

_log = logging.getLogger("aisle.server")


@dataclass(frozen=True, eq=False)
class Slot:
    """A loaded model under a name."""

    name: str
    folder: Path
    predictor: "Predictor"

    @property
    def model_id(self) -> str:
        """Of its very weights."""
        return self.predictor.model_id

    @property
    def taxonomy(self) -> Taxonomy:
        """The tree its answers are about."""
        return self.predictor.taxonomy

    def images_read(self, product: Product) -> int:
        """How many of a product's images (those that decode) this model reads."""
        return min(len(product.images), self.predictor.max_images)

    def predict(self, products: Sequence[Product]) -> list[Prediction]:
        """One prediction a product, in order."""
        return self.predictor.predict(products)

    def confidences(self, products: Sequence[Product]) -> list[np.ndarray]:
        """Log-confidences (N,) of the terminals, a product each: as predictions have them."""
        return list(self.predictor.confidences(products).logp)

    @cached_property
    def suggester(self) -> "Suggester":
        """What completes unfinished titles with the words this model knows."""
        from aisle.server.suggest import Suggester

        return Suggester.of(self.predictor)

    @cached_property
    def evaluation(self) -> Mapping[str, Any]:
        """The run's report on its test rows as JSON, as `aisle evaluate` wrote it of these very weights;
        empty where there is none. (`aisle.evaluation` itself would bring what learns along.)"""
        for folder in (self.folder, self.folder.parent):
            file = folder / "report" / "report.json"
            try:
                found = json.loads(file.read_text("utf-8"))
                if found["model_id"] == self.model_id:
                    return found
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                _log.warning("%s cannot be read: %s", file, error)
        return {}

    @cached_property
    def training_counts(self) -> np.ndarray:
        """(M,) the training products at or below each node of its tree."""
        return training_counts(self.predictor)

    @cached_property
    def report(self) -> Path | None:
        """The page of that report."""
        pages = (folder / "report" / "report.html" for folder in (self.folder, self.folder.parent))
        return next((page for page in pages if page.is_file()), None) if self.evaluation else None

    @cached_property
    def node_scores(self) -> Mapping[str, Mapping[str, Any]]:
        """By node id, what was measured there."""
        return {node["id"]: node for node in self.evaluation.get("nodes", ())}


@dataclass(frozen=True)
class Standing:
    """Which models there are at one moment: all of them by name, the `live` one, the `shadow`."""

    slots: Mapping[str, Slot]
    live: str
    shadow: str | None = None
    before: tuple[str, ...] = ()  # names that were live, the latest last

    def slot(self, name: str | None) -> Slot:
        """The named model, or the live one.

        Raises:
            ApiError: there is none of that name.
        """
        found = self.slots.get(name or self.live)
        if found is None:
            near = did_you_mean(str(name), self.slots)
            known = ", ".join(self.slots)
            raise ApiError(404, "no_such_model", f"there is no model {name!r} (there are: {known}).{near}")
        return found


class Models:
    """The models of a server. Reading `standing` is free; changes happen one at a time."""

    def __init__(self, runs: Mapping[str, Path], load: Callable[[Path], "Predictor"] | None = None) -> None:
        if not runs:
            raise ServerError("name at least one run to serve: aisle serve runs/shop")
        self._load = load or _load
        slots = {name: self._slot(name, folder) for name, folder in runs.items()}
        self._lock = threading.Lock()
        self._standing = Standing(slots, next(iter(slots)))

    @property
    def standing(self) -> Standing:
        """As of now."""
        return self._standing

    def _slot(self, name: str, folder: Path) -> Slot:
        slot = Slot(name, Path(folder), self._load(Path(folder)))
        slot.predict([Product("warm", {"title": "warm up"})])  # the first answer is slow: not a caller's
        _ = slot.suggester
        return slot

    def add(self, name: str, folder: Path) -> Slot:
        """Load a model beside the others, or a newer one in the place of one that is not live. Other weights
        under a name that was live before cannot be gone back to: they were never judged.

        Raises:
            ApiError: a model of that name is live, or went live while this one was loaded.
            AisleError: it cannot be loaded; the ones there are stay.
        """
        self._check_not_live(name)
        slot = self._slot(name, folder)
        with self._lock:
            self._check_not_live(name)
            now = self._standing
            old = now.slots.get(name)
            same = old is not None and old.model_id == slot.model_id
            before = now.before if same else tuple(other for other in now.before if other != name)
            self._standing = replace(now, slots={**now.slots, name: slot}, before=before)
        return slot

    def _check_not_live(self, name: str) -> None:
        if name == self._standing.live:
            raise ApiError(409, "is_live", f"{name} is live: load under another name and promote that")

    def remove(self, name: str) -> None:
        """Let a model go, once its last answers are out.

        Raises:
            ApiError: it is live, or not there.
        """
        with self._lock:
            now = self._standing
            now.slot(name)
            if name == now.live:
                raise ApiError(409, "is_live", f"{name} is live: promote another one first")
            slots = {key: slot for key, slot in now.slots.items() if key != name}
            shadow = None if now.shadow == name else now.shadow
            before = tuple(other for other in now.before if other != name)
            self._standing = replace(now, slots=slots, shadow=shadow, before=before)

    def shadow(self, name: str | None) -> None:
        """Let this model answer along, unseen; None: no model.

        Raises:
            ApiError: it is live, or not there.
        """
        with self._lock:
            now = self._standing
            if name is not None:
                now.slot(name)
                if name == now.live:
                    raise ApiError(409, "is_live", f"{name} is live: it cannot be its own shadow")
            self._standing = replace(now, shadow=name)

    def promote(self, candidate: Slot, against: Slot, record: Callable[[], None]) -> None:
        """Answer with a model that was judged against the live one, if both are still what was judged.

        record: writes the promotion down; where it fails, nothing changes. No model is added, removed or
        gone back to meanwhile.

        Raises:
            ApiError: either was replaced, or another one went live, while the candidate was judged.
        """
        with self._lock:
            now = self._standing
            if now.slots.get(candidate.name) is not candidate:
                message = f"{candidate.name} was replaced while it was judged; promote it again"
                raise ApiError(409, "changed", message)
            if now.slot(None) is not against:
                message = f"{now.live} went live while {candidate.name} was judged against {against.name}"
                raise ApiError(409, "changed", f"{message}; promote it again")
            record()
            self._go_live(candidate.name)

    def go_live(self, name: str) -> Standing:
        """Answer with this model from now on, as at a restart: it was judged before.

        Raises:
            ApiError: it is not there.
        """
        with self._lock:
            self._standing.slot(name)
            self._go_live(name)
            return self._standing

    def _go_live(self, name: str) -> None:
        now = self._standing
        if name != now.live:
            before = (*now.before, now.live)
            shadow = None if now.shadow == name else now.shadow
            self._standing = replace(now, live=name, shadow=shadow, before=before)

    def roll_back(self) -> Standing:
        """Answer with the model that was live before.

        Raises:
            ApiError: there was none.
        """
        with self._lock:
            now = self._standing
            if not now.before:
                raise ApiError(409, "nothing_before", "no other model was live before this one")
            self._standing = replace(now, live=now.before[-1], before=now.before[:-1], shadow=None)
            return self._standing


def _load(folder: Path) -> "Predictor":
    from aisle.inference.loading import open_model

    return open_model(folder)
