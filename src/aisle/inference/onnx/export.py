"""Write a trained network as its ONNX twin, checked on real rows. Needs torch; what it writes does not."""

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from safetensors.numpy import save_file

from aisle.data import Catalog, Product
from aisle.guarantee import Policy
from aisle.inference.card import model_card
from aisle.inference.classifier import Classifier
from aisle.inference.folder import seal, write_json
from aisle.inference.holdout import MOST_POINTS, Cost, cost_of, held_out
from aisle.inference.onnx.graphs import ExportError, encoder_graph, joint_graph
from aisle.inference.onnx.int8 import CALIBRATED_ON, quantised
from aisle.inference.onnx.predictor import OnnxPredictor, learned_of
from aisle.inference.predictor import Predictor
from aisle.inference.recalibrate import recalibrate
from aisle.models.encoders import TfidfEncoder
from aisle.models.spec import views_of
from aisle.progress import SILENT, Advance, Progress
from aisle.taxonomy import Scores

COMPARED = 512  # rows at most
ENOUGH = 330  # rows: of so many without a difference, the interval ends at 0.5 points
APART = 0.01  # of a log-probability worth looking at; graphs sum in another order than torch
_SURE = -12.0  # log-probabilities below it are never shown nor decided by


class Parity(NamedTuple):
    """How alike two models answer the same `rows`: the largest difference of log-probabilities (of those
    above e^-12), and the share of rows whose best answers are the same."""

    rows: int
    difference: float
    agreement: float


class ExportOptions(NamedTuple):
    """How to export. int8: quantise the encoders; cost: points of accuracy that may cost at most, force: or
    whatever it costs."""

    int8: bool = False
    cost: float = MOST_POINTS
    force: bool = False


class ExportResult(NamedTuple):
    """What was written, how alike it answers, and what int8 costs (None without it, or without rows)."""

    predictor: OnnxPredictor
    parity: Parity
    cost: Cost | None


def export(
    predictor: Predictor,
    catalog: Catalog,
    folder: Path,
    asked: ExportOptions = ExportOptions(),  # noqa: B008 a constant
    progress: Progress = SILENT,
) -> ExportResult:
    """Write the twin of a predictor, once it is seen to answer the catalog's rows alike.

    In int8 it must not cost more than `asked.cost`, by a paired interval over labelled rows that training has
    not seen, and its promise is made anew on them.

    Raises:
        ExportError: the model or a part of it cannot be exported, answers differ, or int8 may cost too much.
        BundleError: the folder exists and is no bundle, or cannot be written.
        MissingExtraError: onnx, onnxruntime or onnxscript is not installed.
    """
    if getattr(predictor.spec, "family", "network") == "linear":
        raise ExportError("a linear model already answers without torch: use it as it is")
    with tempfile.TemporaryDirectory(prefix="aisle-export-") as made:
        first, second = Path(made) / "float32", Path(made) / "int8"
        first.mkdir()
        twin = write_unchecked(predictor, first, progress)
        told = parity(predictor, twin, evenly_spaced(catalog, COMPARED))
        if told.difference > APART:
            raise ExportError(
                f"the exported model answers otherwise: log-probabilities differ by {told.difference:.3g} on "
                f"{told.rows:,} rows, best answers agree on {told.agreement:.1%}; nothing was written"
            )
        found: Cost | None = None
        said: dict[str, Any] = {"precision": "float32", "parity": told._asdict()}
        if asked.int8:
            twin, told, found = _in_int8(twin, catalog, second, asked, progress)
            said = {"precision": "int8", "parity": told._asdict(), "cost": found and found._asdict()}
        saved = dataclasses.replace(twin, results={**twin.results, "exported": said}).save(folder)
    return ExportResult(saved, told, found)


def evenly_spaced(catalog: Catalog, most: int) -> Catalog:
    """At most so many rows, from all over a catalog."""
    return catalog.select(np.unique(np.linspace(0, len(catalog) - 1, min(most, len(catalog))).astype(int)))


def _in_int8(
    twin: OnnxPredictor, catalog: Catalog, folder: Path, asked: ExportOptions, progress: Progress
) -> tuple[OnnxPredictor, Parity, Cost | None]:
    small = quantised(twin, list(evenly_spaced(catalog, 2 * CALIBRATED_ON)), folder, progress)
    held = held_out(twin, catalog)
    if not len(held) and not asked.force:
        raise ExportError(
            "what int8 costs cannot be told: no row here is labelled and unseen by training; name a file of "
            "such rows, or pass --force"
        )
    if not len(held):
        return small.with_policy(Policy.uncalibrated(twin.taxonomy)), parity(twin, small, catalog), None
    with progress("judging int8", 2 * len(held)) as advance:
        before, after = (_scored(model, held.catalog, advance) for model in (twin, small))
    cost = cost_of(held.right(before), held.right(after))
    if cost.high > asked.cost and not asked.force:
        few = f"; {ENOUGH} rows are the fewest that could show 0.5" if len(held) < ENOUGH else ""
        raise ExportError(
            f"int8 costs {cost}: more than {asked.cost:g} cannot be ruled out{few}. Name a file of more "
            "labelled rows, allow more with --max-loss, or pass --force"
        )
    if twin.policy.curve:
        settings = twin.policy.settings
        small = small.with_policy(recalibrate(cast(Any, small), held.catalog, settings).predictor.policy)
    return small, compare_scores(before, after), cost


def _scored(model: OnnxPredictor, catalog: Catalog, advance: Advance) -> Scores:
    parts = []
    for part in model.score_batches(catalog):
        parts.append(part.scores.logp)
        advance(len(parts[-1]))
    return Scores(model.taxonomy, np.concatenate(parts))


def parity(one: Classifier, other: Classifier, products: Sequence[Product]) -> Parity:
    """Compare two classifiers over one tree."""
    return compare_scores(one.score(products), other.score(products))


def compare_scores(one: Scores, other: Scores) -> Parity:
    """Compare what two classifiers said of the same products."""
    a, b = one.logp, other.logp
    if not len(a):
        return Parity(0, 0.0, 1.0)
    seen = np.maximum(a, b) > _SURE
    # Ties may fall either way: what counts is how probable the other's best answer is.
    best = a[np.arange(len(a)), b.argmax(1)] >= a.max(1) - 1e-4
    return Parity(len(a), float(np.abs(a - b)[seen].max(initial=0.0)), float(best.mean()))


def write_unchecked(predictor: Predictor, folder: Path, progress: Progress = SILENT) -> OnnxPredictor:
    """Write graphs, tables and all else into an empty folder, unsealed and unchecked."""
    model = predictor.model
    (folder / "graphs").mkdir()
    tables, views, graphs = {}, {}, {}
    named = views_of(predictor.spec, trust_code=True)
    with progress("exporting", len(named) + 1, "graphs") as advance:
        for name, view in named.items():
            encoder, preprocessor = model.encoders[name], predictor.preprocessors[name]
            graph = None
            if isinstance(encoder, TfidfEncoder):
                tables[name] = np.ascontiguousarray(encoder.table.weight.detach().cpu().numpy())
            else:
                size = getattr(preprocessor, "size", 0)
                key = f"{model.fingerprint(name)}-{type(preprocessor).__name__}-{size}"
                if key not in graphs:
                    graphs[key] = f"{name}.onnx"
                    encoder_graph(model, name, preprocessor, folder / "graphs" / graphs[key])
                graph = graphs[key]
            preprocessor.save(folder / "views" / name)
            views[name] = {
                **view._asdict(),
                "preprocessor": type(preprocessor).__name__,
                "graph": graph,
                "dim": model.dim_of(name),
            }
            advance(1)
        joint_graph(model, folder / "graphs" / "joint.onnx")
        advance(1)
    if tables:
        save_file(tables, str(folder / "tables.safetensors"))
    network = {
        "views": views,
        "tables": sorted(tables),
        "dim": model.fusion.dim,
        "knn_views": list(predictor.knn_views),
        "terminal_counts": np.asarray(predictor.context.counts).tolist(),
        "exported_from": {
            "model_id": predictor.model_id,
            "policy": seal(json.loads(predictor.policy.to_json())),
        },
    }
    write_json(folder / "network.json", network)
    (folder / "README.md").write_text(model_card(predictor, predictor.model_id))
    (folder / "taxonomy.json").write_text(predictor.taxonomy.to_json())
    return OnnxPredictor.of_files(folder, learned_of(predictor))
