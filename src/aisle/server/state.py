"""Everything one server holds, made at its start and let go at its end."""

import asyncio
import logging
import shlex
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from aisle.data import Product
from aisle.server.batching import Batcher
from aisle.server.items import Items
from aisle.server.loop_lag import Pulse
from aisle.server.models import Models
from aisle.server.problems import ServerError
from aisle.server.promotion import read_gold
from aisle.server.recorder import Recorder
from aisle.server.search_service import Finder
from aisle.server.security import Bucket
from aisle.server.settings import Settings
from aisle.server.store import Store
from aisle.server.store.keys import KeyRing
from aisle.server.store.promotions import line_of
from aisle.server.telemetry import Telemetry

_log = logging.getLogger("aisle.server")


@dataclass
class Server:
    """The parts that routes use. `open`: whether requests without a key are allowed."""

    settings: Settings
    store: Store
    keys: KeyRing
    models: Models
    batcher: Batcher
    items: Items
    bucket: Bucket
    telemetry: Telemetry
    recorder: Recorder
    finder: Finder | None = None
    pulse: Pulse = field(default_factory=Pulse)
    gold: list[Product] = field(default_factory=list)
    promoting: asyncio.Lock = field(default_factory=asyncio.Lock)
    draining: bool = field(default=False)

    @classmethod
    def start(cls, settings: Settings) -> "Server":
        """Open the store, load the models.

        Raises:
            ServerError: it would stand open to the network; or the store cannot be opened.
            AisleError: a model cannot be loaded.
        """
        store = Store(settings.store)
        keys = KeyRing(store)
        try:
            keys.refresh()
            _check_keys(settings, keys)
        except ServerError:
            keys.close()
            store.close()
            raise
        telemetry = Telemetry()
        models = Models(settings.runs)
        limits = settings.limits
        batcher = Batcher(limits.patience, limits.batch, limits.wait, telemetry.batch)
        bucket = Bucket(limits.rate, limits.burst)
        items = Items(limits, settings.urls)
        recorder = Recorder(store, batcher, telemetry)
        server = cls(settings, store, keys, models, batcher, items, bucket, telemetry, recorder)
        server.finder = Finder(settings.index, models) if settings.index else None
        server._go_on()
        standing = models.standing
        live = standing.slot(None).predictor
        server.gold = read_gold(settings.gold, live) if settings.gold else []
        telemetry.waiting.set_function(lambda: batcher.waiting)
        telemetry.expected.set_function(batcher.expected)
        telemetry.went_live(standing.live, standing.slot(None).model_id)
        return server

    def _go_on(self) -> None:
        """Where the server stopped: with the model that was live, and the shadow asked for."""
        models, shadow = self.models, self.settings.shadow
        ids = {name: slot.model_id for name, slot in models.standing.slots.items()}
        line = line_of(self.store, models.standing.live, ids)
        for name in line.names[1:]:
            models.go_live(name)
        if line.left_out is not None:
            message = "%s was live, but the model that was judged is not among those served: %s answers"
            _log.warning(message, line.left_out, models.standing.live)
        if shadow is not None and shadow == models.standing.live and len(line.names) > 1:
            _log.warning("%s was promoted meanwhile, so it is nobody's shadow", shadow)
        elif shadow is not None:
            models.shadow(shadow)

    @property
    def open(self) -> bool:
        """Nobody ever made a key, and only this machine can ask; or it was said so."""
        return not self.keys.ever and (self.settings.open or self.settings.reachable is None)

    def stop(self) -> None:
        """Answer what is waiting, then let go of everything."""
        self.draining = True
        self.batcher.close(self.settings.drain_seconds)
        self.recorder.close()
        self.keys.close()
        self.store.close()


def _check_keys(settings: Settings, keys: KeyRing) -> None:
    """Whether a server with these keys may start.

    Raises:
        ServerError: it would ask nobody for a key, or could let nobody in.
    """
    store = settings.store if keys.store.is_sqlite else keys.store.shown
    named = store != Settings.model_fields["store"].default
    where = f" --store {shlex.quote(store)}" if named else ""
    first = f"`aisle keys add NAME --role admin{where}` makes one"
    if settings.open and keys.ever:
        raise ServerError(f"--open asks nobody for a key, but {store} has keys: leave --open out")
    if keys.empty and settings.reachable and not settings.open:
        why = f"there is no key in use, and others can reach this server ({settings.reachable})"
        raise ServerError(f"{why}: {first}" + ("" if keys.ever else "; or say --open"))
    if keys.empty and keys.ever:
        _log.warning("all keys are revoked, so nobody can call: %s", first)


def _server(request: Request) -> Server:
    return request.app.state.server


Here = Annotated[Server, Depends(_server)]
