"""An evaluation compared with an earlier one."""

import base64
import hashlib
from pathlib import Path

import numpy as np

from aisle.data import Catalog
from aisle.errors import AisleError
from aisle.evaluation.result import Evaluation, MetricChange, NodeChange, ReportComparison
from aisle.evaluation.summary import limits
from aisle.metrics import metric_label, paired_bootstrap

MIN_PRODUCTS = 10  # products of a branch whose change is reported
MAX_BRANCHES = 6  # reported branches that became better, and as many worse

_NUMBERS = (
    ("model.overall.accuracy.value", "accuracy"),
    ("model.overall.macro_f1", "macro-F1"),
    ("model.overall.weighted_f1", "weighted F1"),
    ("model.overall.top5", "top 5"),
    ("model.overall.hierarchical_f1", "hierarchical F1"),
    ("model.overall.ece", "calibration error"),
    ("decisions.accept.coverage", "accepted"),
    ("decisions.accept.precision.value", "right among the accepted"),
    ("decisions.placed.coverage", "placed at all"),
    ("rows.ceiling", "ceiling"),
)


def compare_with_report(evaluation: Evaluation, earlier: Evaluation) -> Evaluation:
    """Add the comparison with an earlier evaluation.

    Raises:
        AisleError: The earlier evaluation evaluated no product.
    """
    if not earlier.rows.evaluated:
        raise AisleError("the earlier report evaluated no product: there is nothing to compare with")
    same_products = bool(evaluation.products) and evaluation.products == earlier.products
    extra_metrics = [
        name for name in evaluation.model.overall.model_extra or {} if name in earlier.model.overall.numbers
    ]
    levels = [(f"model.overall.{name}", metric_label(name)) for name in extra_metrics] + [
        (f"model.levels.{i}.accuracy", f"level {i + 1} accuracy") for i in range(len(evaluation.model.levels))
    ]
    changes = [
        MetricChange(key=k, name=n, before=_number(earlier, k), now=_number(evaluation, k))
        for k, n in [*_NUMBERS, *levels]
    ]
    earlier_nodes = {node.path: node for node in earlier.nodes}
    nodes = [
        NodeChange(path=node.path, products=node.products, before=earlier_node.accuracy, now=node.accuracy)
        for node in evaluation.nodes
        if (earlier_node := earlier_nodes.get(node.path)) is not None
        and node.accuracy is not None
        and earlier_node.accuracy is not None
        and min(node.products, earlier_node.products) >= MIN_PRODUCTS
    ]
    by_change = sorted(nodes, key=lambda n: (n.now - n.before, n.path))
    change = None
    if same_products:
        change = limits(
            paired_bootstrap(unpack_hits(evaluation.hits, evaluation), unpack_hits(earlier.hits, evaluation))
        )
    comparison = ReportComparison(
        model_id=earlier.model_id,
        source=earlier.source,
        split=earlier.split,
        evaluated=earlier.rows.evaluated,
        same=same_products,
        accuracy=change,
        changes=tuple(c for c in changes if c.before is not None or c.now is not None),
        worse=tuple(n for n in by_change[:MAX_BRANCHES] if n.now < n.before),
        better=tuple(n for n in by_change[::-1][:MAX_BRANCHES] if n.now > n.before),
    )
    return evaluation.model_copy(update={"comparison": comparison})


def load_report(location: Path) -> Evaluation:
    """Load an evaluation from a file, a report folder, or a run.

    Raises:
        AisleError: There is none, or it is no saved evaluation.
    """
    candidates = [
        location,
        location / "report.json",
        location / "report" / "report.json",
        location.with_name(f"{location.name}-report") / "report.json",
    ]
    file = next((file for file in candidates if file.is_file()), None)
    if file is None:
        raise AisleError(f"{location} holds no report.json: name a report, or a run that was evaluated")
    try:
        return Evaluation.from_json(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise AisleError(f"{file} is not a saved evaluation: it is no text") from error
    except OSError as error:
        raise AisleError(f"{file} cannot be read: {error.strerror or error}") from error


def products_hash(catalog: Catalog) -> str:
    """A hash of the content and the labels of products, in order."""
    tree, node = catalog.taxonomy, catalog.targets().node
    digest = hashlib.blake2b(catalog.keys().tobytes(), digest_size=12)
    digest.update("\n".join(tree.nodes[n].id if n >= 0 else "" for n in node.tolist()).encode())
    return digest.hexdigest()


def pack_hits(hits: np.ndarray) -> str:
    """Encode (B,) bool as base64."""
    return base64.b64encode(np.packbits(hits.astype(bool)).tobytes()).decode("ascii")


def unpack_hits(text: str, evaluation: Evaluation) -> np.ndarray:
    """Decode the output of `pack_hits`."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))
    return bits[: evaluation.rows.evaluated].astype(float)


def _number(evaluation: Evaluation, key: str) -> float | None:
    value: object = evaluation
    for part in key.split("."):
        if isinstance(value, tuple):
            value = value[int(part)] if int(part) < len(value) else None
        elif value is not None:
            value = getattr(value, part)
    return float(value) if isinstance(value, int | float) else None
