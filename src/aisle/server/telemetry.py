"""What is counted for Prometheus, and what is logged: one JSON line a request, with its id and no secret."""

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
        self.registry = own = CollectorRegistry()
        self.requests = Counter(
            "aisle_requests", "Requests answered", ["route", "method", "status"], registry=own
        )
        self.seconds = Histogram(
            "aisle_request_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=own
        )
        self.predictions = Counter(
            "aisle_predictions", "Products answered", ["model", "decision"], registry=own
        )
        self.faults = Counter(
            "aisle_item_errors", "Products that could not be answered", ["code"], registry=own
        )
        self.feedback = Counter("aisle_feedback", "Choices kept", ["how"], registry=own)
        self.shadow = Counter("aisle_shadow", "Answers of a shadow model", ["model", "agrees"], registry=own)
        self.shadow_lost = Counter(
            "aisle_shadow_left_out", "Shadow answers left out under load", registry=own
        )
        self.batch_size = Histogram(
            "aisle_batch_size", "Products scored at once", buckets=_SIZES, registry=own
        )
        self.batch_seconds = Histogram(
            "aisle_batch_seconds", "Time of a batch", buckets=_SECONDS, registry=own
        )
        self.waiting = Gauge("aisle_queue_products", "Products waiting", registry=own)
        self.expected = Gauge(
            "aisle_queue_seconds", "Time that a product coming now would wait", registry=own
        )
        self.live = Gauge(
            "aisle_model_live", "1 for the model that answers", ["model", "model_id"], registry=own
        )

    def batch(self, size: int, seconds: float) -> None:
        """A batch was scored."""
        self.batch_size.observe(size)
        self.batch_seconds.observe(seconds)

    def went_live(self, model: str, model_id: str) -> None:
        """Another model answers from now on."""
        self.live.clear()
        self.live.labels(model, model_id).set(1)

    def page(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


class JsonLines(logging.Formatter):
    """One JSON object a line; what a record carries in `told` becomes keys of it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Let the server's and uvicorn's loggers write JSON lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("aisle.server", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it quotes what callers send
    logging.getLogger("uvicorn.error").handlers = []
    logging.getLogger("uvicorn.error").propagate = True
