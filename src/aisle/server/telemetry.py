"""Prometheus metrics, and a log of one JSON object per line without secrets."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Telemetry:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"aisle_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"aisle_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: Any, *labels: str) -> Histogram:
            return Histogram(f"aisle_{name}", text, labels, buckets=buckets, registry=self.registry)

        self.requests = counter("requests", "Requests answered", "route", "method", "status")
        self.request_seconds = histogram("request_seconds", "Time of a request", _SECONDS, "route")
        self.predictions = counter("predictions", "Products classified", "model", "decision")
        self.item_errors = counter("item_errors", "Products that could not be classified", "code")
        self.feedback = counter("feedback", "Choices stored", "how")
        self.shadow = counter("shadow", "Predictions of a shadow model", "model", "agrees")
        self.shadow_dropped = counter("shadow_dropped", "Shadow predictions dropped under load")
        self.batch_size = histogram("batch_size", "Products of a batch", _SIZES)
        self.batch_seconds = histogram("batch_seconds", "Time of a batch", _SECONDS)
        self.queued_products = gauge("queue_products", "Products waiting")
        self.queue_wait = gauge("queue_wait_seconds", "Time that a product arriving now would wait")
        self.live = gauge("model_live", "1 for the live model", "model", "model_id")

    def observe_batch(self, size: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_size.observe(size)
        self.batch_seconds.observe(seconds)

    def set_live(self, model: str, model_id: str) -> None:
        """Show which model is live."""
        self.live.clear()
        self.live.labels(model, model_id).set(1)

    def page(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class JsonFormatter(logging.Formatter):
    """One JSON object per line; `extra={"fields": {…}}` adds keys."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Let the server's and uvicorn's loggers write JSON lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name in ("aisle.server", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    error = logging.getLogger("uvicorn.error")
    error.handlers, error.propagate = [], True
    error.setLevel(level)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it quotes what clients send
