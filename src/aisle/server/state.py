"""The parts of one server, created at its start and closed at its end."""

import asyncio
import logging
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from aisle.data import Product
from aisle.rules import RulesError
from aisle.server.batches.worker import BatchWorker, Workplace
from aisle.server.batching import Batcher
from aisle.server.errors import ApiError, ServerError
from aisle.server.golden_set import read_golden_set
from aisle.server.loop_lag import LoopLagMonitor
from aisle.server.mapping_review import MappingReview
from aisle.server.model_registry import ModelRegistry
from aisle.server.product_parsing import ProductParser
from aisle.server.search_service import SearchService
from aisle.server.security import RateLimiter
from aisle.server.settings import ServerSettings
from aisle.server.shadow_recorder import ShadowRecorder
from aisle.server.store import ServerStore
from aisle.server.store.keys import ApiKeyCache
from aisle.server.store.promotions import live_history
from aisle.server.store.rules import versions
from aisle.server.telemetry import Telemetry

if TYPE_CHECKING:
    from aisle.inference.predictor import Predictor

_log = logging.getLogger("aisle.server")


@dataclass
class Server:
    """The parts that routes use."""

    settings: ServerSettings
    store: ServerStore
    keys: ApiKeyCache
    registry: ModelRegistry
    batcher: Batcher
    parser: ProductParser
    rate_limiter: RateLimiter
    telemetry: Telemetry
    shadow_recorder: ShadowRecorder
    worker: BatchWorker
    search: SearchService | None = None
    mapping: MappingReview | None = None
    lag_monitor: LoopLagMonitor = field(default_factory=LoopLagMonitor)
    golden_set: list[Product] = field(default_factory=list)
    promotion_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    draining: bool = False
    reading_slots: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(4))
    explanation_slots: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(2)
    )

    @classmethod
    def start(
        cls,
        settings: ServerSettings,
        *,
        load: "Callable[[Path], Predictor] | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> "Server":
        """Open the store and load the models.

        Args:
            settings: The settings of the server.
            load: Loads the model of a folder; None: `aisle.load`, at `settings.precision`.
            clock: The seconds by which the queue measures waiting times.

        Raises:
            ServerError: The store cannot be opened, or others could use the server without a key.
            AisleError: A model cannot be loaded.
        """
        store = ServerStore(settings.store)
        keys = ApiKeyCache(store)
        try:
            keys.refresh()
            _check_keys(settings, keys)
        except ServerError:
            keys.close()
            store.close()
            raise
        telemetry = Telemetry()
        registry = ModelRegistry(settings.runs, load, settings.precision)
        limits = settings.limits
        batcher = Batcher(
            limits.max_wait_s, limits.batch_size, limits.batch_wait_s, telemetry.observe_batch, clock
        )
        parser, fetches = ProductParser(limits, settings.image_fetch), settings.image_fetch.enabled
        workplace = Workplace(
            store,
            registry,
            batcher,
            settings.files_folder.absolute(),
            settings.batches,
            settings.double_review_rate,
            parser if fetches else None,
        )
        server = cls(
            settings,
            store,
            keys,
            registry,
            batcher,
            parser,
            RateLimiter(limits.rate, limits.burst),
            telemetry,
            ShadowRecorder(store, batcher, telemetry),
            BatchWorker(workplace),
            SearchService(settings.index, registry) if settings.index else None,
            MappingReview(settings.mapping, settings.mapping_to) if settings.mapping else None,
        )
        server._restore_models()
        server._restore_rules()
        live = registry.state.get()
        server.golden_set = (
            read_golden_set(settings.golden_set, live.predictor) if settings.golden_set else []
        )
        telemetry.queued_products.set_function(lambda: batcher.waiting)
        telemetry.queue_wait.set_function(batcher.expected_wait)
        telemetry.set_live(live.name, live.model_id)
        server.worker.resume()
        return server

    def _restore_models(self) -> None:
        """Make the model live that was live when the server stopped, and start the shadow."""
        registry, shadow = self.registry, self.settings.shadow
        ids = {name: served.model_id for name, served in registry.state.models.items()}
        history = live_history(self.store, registry.state.live, ids)
        for name in history.names[1:]:
            registry.restore_live(name)
        live = registry.state.live
        if history.left_out is not None:
            message = "%s was live, but the model that was promoted is not among those served: %s is live"
            _log.warning(message, history.left_out, live)
        if shadow is not None and shadow == live and len(history.names) > 1:
            _log.warning("%s was promoted meanwhile, so it is not the shadow", shadow)
        elif shadow is not None:
            registry.set_shadow(shadow)

    def _restore_rules(self) -> None:
        """Set the rules that were set when the server stopped."""
        try:
            rules = versions(self.store)[-1].read()
            if rules is not None:
                self.registry.set_rules(rules)
        except (RulesError, ApiError) as error:
            message = "the rules that were set do not fit (%s): the models keep those they were saved with"
            _log.warning(message, error)

    @property
    def open(self) -> bool:
        """Whether requests need no key: there never was one, and only this machine may call, or all may."""
        return not self.keys.ever_used and (self.settings.no_keys or self.settings.reachable is None)

    def stop(self) -> None:
        """Finish the queued work and close all parts."""
        self.draining = True
        self.worker.stop()
        self.batcher.close(self.settings.drain_seconds)
        self.shadow_recorder.close()
        self.keys.close()
        self.store.close()


def _check_keys(settings: ServerSettings, keys: ApiKeyCache) -> None:
    """Refuse settings under which others need no key, or nobody has one.

    Raises:
        ServerError: The server must not start with these keys.
    """
    store = settings.store if keys.store.is_sqlite else keys.store.shown
    is_configured = store != ServerSettings.model_fields["store"].default
    where = f" --store {shlex.quote(store)}" if is_configured else ""
    first = f"`aisle keys add NAME --role admin{where}` makes one"
    if settings.no_keys and keys.ever_used:
        raise ServerError(f"--no-keys asks nobody for a key, but {store} has keys: leave --no-keys out")
    if keys.empty and settings.reachable and not settings.no_keys:
        reason = f"there is no key in use, and others can reach this server ({settings.reachable})"
        raise ServerError(f"{reason}: {first}" + ("" if keys.ever_used else "; or give --no-keys"))
    if keys.empty and keys.ever_used:
        _log.warning("all keys are revoked, so nobody can call: %s", first)


def _server(request: Request) -> Server:
    return request.app.state.server


ServerDep = Annotated[Server, Depends(_server)]
