"""Exports a trained network to ONNX and compares both on real rows. Only the export needs torch."""

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
from aisle.inference.onnx.int8 import CALIBRATION_ROWS, quantize
from aisle.inference.onnx.predictor import OnnxPredictor, learned_of
from aisle.inference.predictor import Predictor
from aisle.inference.recalibrate import recalibrate
from aisle.models.encoders import TfidfEncoder
from aisle.models.spec import network_views
from aisle.progress import SILENT, Advance, Progress
from aisle.taxonomy import Scores

COMPARED_ROWS = 512  # at most
FEWEST_ROWS = 330  # without a difference on so many rows, the interval's upper limit is 0.5 points
TOLERANCE = 0.01  # largest difference of a log-probability; graphs sum in another order than torch
_LEAST_LOGP = -12.0  # lower log-probabilities are neither shown nor used in decisions


class Parity(NamedTuple):
    """The agreement of two models on the same `rows`.

    difference: the largest difference of log-probabilities, of those above -12. agreement: the share of rows
    with the same best prediction.
    """

    rows: int
    difference: float
    agreement: float


class ExportOptions(NamedTuple):
    """How to export. int8: quantise the encoders. max_loss: the most points of accuracy that int8 may lose.
    force: write it whatever it loses."""

    int8: bool = False
    max_loss: float = MOST_POINTS
    force: bool = False


class ExportResult(NamedTuple):
    """The exported model, its agreement with the original, and the accuracy that int8 loses.

    cost: None without int8, or without held-out rows.
    """

    predictor: OnnxPredictor
    parity: Parity
    cost: Cost | None


def export(
    predictor: Predictor,
    catalog: Catalog,
    folder: Path,
    options: ExportOptions = ExportOptions(),  # noqa: B008 a constant
    progress: Progress = SILENT,
) -> ExportResult:
    """Export a predictor to ONNX, after comparing both on rows of the catalog.

    In int8 it must not lose more than `options.max_loss` points of accuracy, by a paired interval over
    labelled rows that training has not seen; its guarantee is fitted anew on them.

    Args:
        predictor: a trained network.
        catalog: rows to compare on, and for int8 to calibrate on.
        folder: a new folder, or a bundle, which is replaced.
        options: how to export.
        progress: reports progress.

    Raises:
        ExportError: the model or a part of it cannot be exported, predictions differ, or int8 may lose too
            much.
        BundleError: the folder exists and is no bundle, or cannot be written.
        MissingExtraError: onnx, onnxruntime or onnxscript is not installed.
    """
    if getattr(predictor.spec, "family", "network") == "linear":
        raise ExportError("a linear model already runs without torch: use it as it is")
    with tempfile.TemporaryDirectory(prefix="aisle-export-") as temporary:
        first, second = Path(temporary) / "float32", Path(temporary) / "int8"
        first.mkdir()
        exported = write_unchecked(predictor, first, progress)
        agreement = parity(predictor, exported, evenly_spaced(catalog, COMPARED_ROWS))
        if agreement.difference > TOLERANCE:
            raise ExportError(
                "the exported model predicts differently: log-probabilities differ by "
                f"{agreement.difference:.3g} on {agreement.rows:,} rows, best predictions agree on "
                f"{agreement.agreement:.1%}; nothing was written"
            )
        cost: Cost | None = None
        measured: dict[str, Any] = {"precision": "float32", "parity": agreement._asdict()}
        if options.int8:
            exported, agreement, cost = _to_int8(exported, catalog, second, options, progress)
            measured = {"precision": "int8", "parity": agreement._asdict(), "cost": cost and cost._asdict()}
        results = {**exported.results, "exported": measured}
        saved = dataclasses.replace(exported, results=results).save(folder)
    return ExportResult(saved, agreement, cost)


def evenly_spaced(catalog: Catalog, most: int) -> Catalog:
    """At most `most` rows, evenly spaced over a catalog."""
    return catalog.select(np.unique(np.linspace(0, len(catalog) - 1, min(most, len(catalog))).astype(int)))


def _to_int8(
    exported: OnnxPredictor, catalog: Catalog, folder: Path, options: ExportOptions, progress: Progress
) -> tuple[OnnxPredictor, Parity, Cost | None]:
    quantized = quantize(exported, list(evenly_spaced(catalog, 2 * CALIBRATION_ROWS)), folder, progress)
    rows = held_out(exported, catalog)
    if not len(rows) and not options.force:
        raise ExportError(
            "the accuracy that int8 loses cannot be measured: no row here is labelled and unseen by "
            "training; name a file of such rows, or pass --force"
        )
    if not len(rows):
        quantized = quantized.with_policy(Policy.uncalibrated(exported.taxonomy))
        return quantized, parity(exported, quantized, catalog), None
    with progress("evaluating int8", 2 * len(rows)) as advance:
        before, after = (_scored(model, rows.catalog, advance) for model in (exported, quantized))
    cost = cost_of(rows.right(before), rows.right(after))
    if cost.high > options.max_loss and not options.force:
        note = f"; {FEWEST_ROWS} rows are the fewest that could show 0.5" if len(rows) < FEWEST_ROWS else ""
        raise ExportError(
            f"int8 loses {cost}: more than {options.max_loss:g} cannot be ruled out{note}. Name a file of "
            "more labelled rows, allow more with --max-loss, or pass --force"
        )
    if exported.policy.curve:
        settings = exported.policy.settings
        quantized = quantized.with_policy(
            recalibrate(cast(Any, quantized), rows.catalog, settings).predictor.policy
        )
    return quantized, compare_scores(before, after), cost


def _scored(model: OnnxPredictor, catalog: Catalog, advance: Advance) -> Scores:
    parts = []
    for part in model.score_batches(catalog):
        parts.append(part.scores.logp)
        advance(len(parts[-1]))
    return Scores(model.taxonomy, np.concatenate(parts))


def parity(one: Classifier, other: Classifier, products: Sequence[Product]) -> Parity:
    """The agreement of two classifiers over one tree."""
    return compare_scores(one.score(products), other.score(products))


def compare_scores(one: Scores, other: Scores) -> Parity:
    """The agreement of two classifiers' scores of the same products."""
    a, b = one.logp, other.logp
    if not len(a):
        return Parity(0, 0.0, 1.0)
    seen = np.maximum(a, b) > _LEAST_LOGP
    # Ties may fall either way: what counts is how probable the other's best prediction is.
    best = a[np.arange(len(a)), b.argmax(1)] >= a.max(1) - 1e-4
    return Parity(len(a), float(np.abs(a - b)[seen].max(initial=0.0)), float(best.mean()))


def write_unchecked(predictor: Predictor, folder: Path, progress: Progress = SILENT) -> OnnxPredictor:
    """Write an exported model's own files into an empty folder, without a manifest or a comparison."""
    model = predictor.model
    (folder / "graphs").mkdir()
    tables, about, graphs = {}, {}, {}
    views = network_views(predictor.spec, trust_code=True)
    with progress("exporting", len(views) + 1, "graphs") as advance:
        for name, view in views.items():
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
            about[name] = {
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
        "views": about,
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
