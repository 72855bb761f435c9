"""The models of a server: which are loaded, which one is live, which one is the shadow.

A request keeps the models it began with, so that a change of models never affects it. A replaced model is
freed after its last response.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aisle.data import Product
from aisle.errors import MissingExtraError, did_you_mean
from aisle.guarantee import Prediction
from aisle.inference.training_counts import training_counts
from aisle.rules import RulesError, Ruleset
from aisle.server.errors import ApiError, ServerError
from aisle.server.row_products import predict_rows
from aisle.taxonomy import Taxonomy

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor
    from aisle.server.suggest import Suggester

_log = logging.getLogger("aisle.server")


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A loaded model, its name, and the rules that it was saved with."""

    name: str
    folder: Path
    predictor: "Predictor"
    own_rules: Ruleset | None = None

    @property
    def model_id(self) -> str:
        """The hash of its weights."""
        return self.predictor.model_id

    @property
    def taxonomy(self) -> Taxonomy:
        """The tree of its predictions."""
        return self.predictor.taxonomy

    def with_rules(self, rules: Ruleset | None) -> "ServedModel":
        """The same model with other rules; None: those it was saved with.

        Raises:
            ApiError: They do not fit the model.
        """
        try:
            changed = replace(self, predictor=self.predictor.with_rules(rules or self.own_rules))
        except (RulesError, MissingExtraError) as error:
            raise ApiError(422, "bad_rules", f"{self.name}: {error}") from error
        kept = {key: value for key, value in vars(self).items() if key not in _FIELDS}
        vars(changed).update(kept)  # what was computed of the weights
        return changed

    def images_read(self, product: Product) -> int:
        """How many of a product's images the model reads."""
        return min(len(product.images), self.predictor.max_images)

    def predict(self, products: Sequence[Product]) -> list[Prediction]:
        """One prediction for each product, in order."""
        return list(self.predictor.predict(products))

    def predict_rows(self, products: Sequence[Product]) -> list[Prediction]:
        """One prediction for each product of an uploaded file, in order."""
        return predict_rows(self.predictor, products)

    def confidences(self, products: Sequence[Product]) -> list[np.ndarray]:
        """Log-confidences (N,) of the terminals, for each product."""
        return list(self.predictor.confidences(products).logp)

    @cached_property
    def suggester(self) -> "Suggester":
        """Completes unfinished titles with the words that this model knows."""
        from aisle.server.suggest import Suggester

        return Suggester.of(self.predictor)

    @cached_property
    def evaluation(self) -> Mapping[str, Any]:
        """The run's `report.json`, if it is of these weights; else empty."""
        for folder in (self.folder, self.folder.parent):
            file = folder / "report" / "report.json"
            try:
                report = json.loads(file.read_text("utf-8"))
                if report["model_id"] == self.model_id.split("@")[0]:  # at any point of its curve
                    return report
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                _log.warning("%s cannot be read: %s", file, error)
        return {}

    @cached_property
    def training_counts(self) -> np.ndarray:
        """(M,) training products at or below each node."""
        return training_counts(self.predictor)

    @cached_property
    def report(self) -> Path | None:
        """The HTML page of `evaluation`."""
        pages = (folder / "report" / "report.html" for folder in (self.folder, self.folder.parent))
        return next((page for page in pages if page.is_file()), None) if self.evaluation else None

    @cached_property
    def node_scores(self) -> Mapping[str, Mapping[str, Any]]:
        """The evaluation's entries of nodes, by node id."""
        return {node["id"]: node for node in self.evaluation.get("nodes", ())}


_FIELDS = ("name", "folder", "predictor", "own_rules")


@dataclass(frozen=True)
class RegistryState:
    """An immutable snapshot: all models by name, the names of the live, shadow and previous ones, and the
    rules of all of them (None: those they were saved with)."""

    models: Mapping[str, ServedModel]
    live: str
    shadow: str | None = None
    previous: tuple[str, ...] = ()  # names that were live, the latest last
    rules: Ruleset | None = None

    def get(self, name: str | None = None) -> ServedModel:
        """The named model; the live one for None.

        Raises:
            ApiError: There is no such model.
        """
        served = self.models.get(name or self.live)
        if served is None:
            suggestion, known = did_you_mean(str(name), self.models), ", ".join(self.models)
            raise ApiError(
                404, "no_such_model", f"there is no model {name!r} (there are: {known}).{suggestion}"
            )
        return served


class ModelRegistry:
    """Loads and switches models. Reading `state` takes no lock; changes happen one at a time.

    Args:
        runs: Folders by name; the first is live.
        load: Loads a folder.
    """

    def __init__(
        self,
        runs: Mapping[str, Path],
        load: Callable[[Path], "Predictor"] | None = None,
        precision: float | None = None,
    ) -> None:
        if not runs:
            raise ServerError("name at least one run to serve: aisle serve runs/shop")
        self._load_folder = load or partial(_load, precision=precision)
        models = {name: self._load(name, folder) for name, folder in runs.items()}
        self._lock = threading.Lock()
        self._state = RegistryState(models, next(iter(models)))

    @property
    def state(self) -> RegistryState:
        """The current snapshot."""
        return self._state

    def _load(self, name: str, folder: Path) -> ServedModel:
        predictor = self._load_folder(Path(folder))
        served = ServedModel(name, Path(folder), predictor, getattr(predictor, "rules", None))
        served.predict([Product("warm", {"title": "warm up"})])  # the first prediction is slow
        _ = served.suggester
        return served

    def add(self, name: str, folder: Path) -> ServedModel:
        """Load a model, or replace one that is not live.

        If other weights take the name of a model that was live, it cannot be rolled back to: they were never
        evaluated.

        Raises:
            ApiError: A model of that name is live, or went live meanwhile.
            AisleError: It cannot be loaded; nothing changes.
        """
        self._check_not_live(name)
        served = self._load(name, folder)
        with self._lock:
            self._check_not_live(name)
            state = self._state
            served = served if state.rules is None else served.with_rules(state.rules)
            old = state.models.get(name)
            same = old is not None and old.model_id == served.model_id
            previous = state.previous if same else _without(state.previous, name)
            self._state = replace(state, models={**state.models, name: served}, previous=previous)
        return served

    def _check_not_live(self, name: str) -> None:
        if name == self._state.live:
            raise ApiError(409, "is_live", f"{name} is live: load under another name and promote that")

    def remove(self, name: str) -> None:
        """Remove a model; requests in progress keep it.

        Raises:
            ApiError: It is live, or not loaded.
        """
        with self._lock:
            state = self._state
            state.get(name)
            if name == state.live:
                raise ApiError(409, "is_live", f"{name} is live: promote another one first")
            self._state = replace(
                state,
                models={key: served for key, served in state.models.items() if key != name},
                shadow=None if state.shadow == name else state.shadow,
                previous=_without(state.previous, name),
            )

    def set_shadow(self, name: str | None) -> None:
        """Make a model the shadow; None for no shadow.

        Raises:
            ApiError: It is live, or not loaded.
        """
        with self._lock:
            if name is not None:
                self._state.get(name)
                if name == self._state.live:
                    raise ApiError(409, "is_live", f"{name} is live: it cannot be its own shadow")
            self._state = replace(self._state, shadow=name)

    def set_rules(self, rules: Ruleset | None, record: Callable[[], None] = lambda: None) -> RegistryState:
        """Give all models other rules at once; requests in progress keep those they began with.

        Args:
            rules: None: those that each model was saved with.
            record: Stores the change; if it fails, nothing changes.

        Raises:
            ApiError: They do not fit one of the models.
        """
        with self._lock:
            models = {name: served.with_rules(rules) for name, served in self._state.models.items()}
            record()
            self._state = replace(self._state, models=models, rules=rules)
            return self._state

    def check_rules(self, rules: Ruleset) -> None:
        """Check that rules fit all models.

        Raises:
            ApiError: They do not.
        """
        for served in self._state.models.values():
            served.with_rules(rules)

    def promote(self, candidate: ServedModel, against: ServedModel, record: Callable[[], None]) -> None:
        """Make a model live that was compared with the live one.

        Args:
            candidate: The model.
            against: The live model that it was compared with.
            record: Stores the promotion; if it fails, nothing changes.

        Raises:
            ApiError: Either was replaced, or another one went live, since the comparison.
        """
        with self._lock:
            state = self._state
            if state.models.get(candidate.name) is not candidate:
                message = f"{candidate.name} was replaced while it was compared; promote it again"
                raise ApiError(409, "changed", message)
            if state.get() is not against:
                message = f"{state.live} went live while {candidate.name} was compared with {against.name}"
                raise ApiError(409, "changed", f"{message}; promote it again")
            record()
            self._make_live(candidate.name)

    def restore_live(self, name: str) -> None:
        """Make a model live without a comparison, at a restart.

        Raises:
            ApiError: It is not loaded.
        """
        with self._lock:
            self._state.get(name)
            self._make_live(name)

    def _make_live(self, name: str) -> None:
        state = self._state
        if name != state.live:
            shadow = None if state.shadow == name else state.shadow
            self._state = replace(state, live=name, shadow=shadow, previous=(*state.previous, state.live))

    def roll_back(self) -> RegistryState:
        """Make the previous model live again.

        Raises:
            ApiError: There is none.
        """
        with self._lock:
            previous = self._state.previous
            if not previous:
                raise ApiError(409, "no_previous_model", "no other model was live before this one")
            self._state = replace(self._state, live=previous[-1], previous=previous[:-1], shadow=None)
            return self._state


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)


def _load(folder: Path, precision: float | None) -> "Predictor":
    from aisle.inference.loading import at_precision, open_model

    model = open_model(folder)
    return model if precision is None else at_precision(model, precision)
