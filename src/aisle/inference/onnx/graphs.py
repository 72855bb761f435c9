"""Exports the modules of a network to ONNX graphs: one per encoder, and one for fusion and head.

Shapes: B products, V views, T tokens, P images, S pixels per side, D the width of a view.
"""

import functools
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aisle.errors import AisleError, extra, first_line
from aisle.inference.onnx.recurrent import exportable
from aisle.models.encoders.pooling import average_tokens
from aisle.models.model import Model
from aisle.models.preprocessing import ImagePreprocessor, Preprocessor, TokenPreprocessor, VectorPreprocessor
from aisle.models.registry import Encoded, Encoder

_EXTERNAL_DATA_BYTES = 1_000_000_000  # a file cannot hold a graph of 2 GB or more


class ExportError(AisleError):
    """A model cannot be exported, or predicts differently once it is."""


class _View(nn.Module):
    """An encoder with positional arguments, and with its tokens where the fusion reads them."""

    def __init__(self, encoder: nn.Module, names: list[str], tokens: int) -> None:
        super().__init__()
        self.encoder, self.names, self.tokens = encoder, names, tokens

    def forward(self, first: Tensor, second: Tensor | None = None) -> tuple[Tensor, ...]:
        arrays = dict(zip(self.names, (first, second), strict=False))
        encoded: Encoded = self.encoder(**arrays)
        if not self.tokens:
            return (encoded.pooled,)
        return (encoded.pooled, *average_tokens(encoded.tokens, encoded.mask, self.tokens))


def encoder_graph(model: Model, name: str, preprocessor: Preprocessor, file: Path) -> None:
    """Export the encoder of one view.

    The outputs are `pooled` (B, D) and, where the fusion reads tokens, `tokens` and `tokens_mask`.

    Args:
        model: the network.
        name: of the view.
        preprocessor: its arrays are the inputs.
        file: the graph to write.

    Raises:
        ExportError: torch cannot trace it.
    """
    tokens = model.max_tokens if model.fusion.reads_tokens else 0
    frozen_graph(exportable(model.encoders[name]), preprocessor, f"encoder of view {name!r}", file, tokens)


def frozen_graph(
    encoder: nn.Module, preprocessor: Preprocessor, label: str, file: Path, tokens: int = 0
) -> None:
    """Export an encoder.

    Args:
        encoder: the encoder.
        preprocessor: its arrays are the inputs.
        label: names the encoder in messages.
        file: the graph to write.
        tokens: the most tokens in the output; 0 for the pooled vector only.

    Raises:
        ExportError: torch cannot trace it.
    """
    arrays, dynamic = _example(preprocessor, label)
    outputs = ["pooled", "tokens", "tokens_mask"] if tokens else ["pooled"]
    view = _View(encoder, list(arrays), tokens)
    _write(view, tuple(arrays.values()), tuple(dynamic.values()), list(arrays), outputs, file, label)


class _PrecomputedEncoder(Encoder):
    """A placeholder for an encoder whose output is the input of the graph."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim


class _Joint(nn.Module):
    """The network after the encoders: missing tokens, fusion, head."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        encoders = {name: _PrecomputedEncoder(model.dim_of(name)) for name in model.views}
        self.model = Model(encoders, model.fusion, model.head, 0.0, model.max_tokens)
        self.model.missing_token = model.missing_token
        self.eval()

    def forward(self, views: dict[str, dict[str, Tensor]], present: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(views, present)
        return output.scores.all(), output.joint.embedding(present)


def joint_graph(model: Model, file: Path) -> None:
    """Export fusion and head as one graph.

    The inputs are `present` (B, V) bool and for each view `NAME.pooled` (B, D) and, where the fusion reads
    tokens, `NAME.tokens` (B, T, D) and `NAME.mask` (B, T). The outputs are `logp` (B, N) and `embedding` (B,
    D).

    Args:
        model: the network.
        file: the graph to write.

    Raises:
        ExportError: torch cannot trace it.
    """
    b, t, any_size = 3, 5, torch.export.Dim.DYNAMIC
    views: dict[str, dict[str, Tensor]] = {}
    shapes: dict[str, dict[str, Any]] = {}
    for name in model.views:
        views[name] = {"pooled": torch.randn(b, model.dim_of(name))}
        shapes[name] = {"pooled": {0: any_size}}
        if model.fusion.reads_tokens:
            views[name]["tokens"] = torch.randn(b, t, model.dim_of(name))
            views[name]["mask"] = torch.arange(t) < torch.tensor([[t], [t - 2], [1]])
            shapes[name] |= {"tokens": {0: any_size, 1: any_size}, "mask": {0: any_size, 1: any_size}}
    present = torch.ones(b, len(model.views), dtype=torch.bool)
    # `present` comes last, because torch takes a last argument that is a dict for keyword arguments.
    names = [*(f"{name}.{key}" for name, arrays in views.items() for key in arrays), "present"]
    joint = _Joint(model)
    with _cached_weight(model.head), torch.no_grad():
        joint(views, present)  # computes the weights, which become constants of the graph
        _write(
            joint,
            (views, present),
            (shapes, {0: any_size}),
            names,
            ["logp", "embedding"],
            file,
            "fusion and head",
        )


@contextmanager
def _cached_weight(head: nn.Module) -> Iterator[None]:
    """Cache the result of the head's method `weight`, where it has one, while the block runs."""
    if not callable(getattr(head, "weight", None)) or isinstance(head.weight, nn.Module):
        yield
        return
    head.weight = functools.cache(head.weight)  # type: ignore[assignment, arg-type]
    try:
        yield
    finally:
        del head.weight


def _example(preprocessor: Preprocessor, name: str) -> tuple[dict[str, Tensor], dict[str, dict[int, Any]]]:
    """Example arrays of a preprocessor, and their dynamic axes."""
    b, any_size = 3, torch.export.Dim.DYNAMIC
    if isinstance(preprocessor, TokenPreprocessor):
        t = min(7, preprocessor.max_length)
        axes = {0: any_size, 1: any_size} if t > 1 else {0: any_size}
        ids = torch.randint(0, max(preprocessor.size, 1), (b, t))
        mask = torch.arange(t) < torch.tensor([[t], [max(t - 2, 1)], [1]])
        return {"ids": ids, "mask": mask}, {"ids": axes, "mask": axes}
    if isinstance(preprocessor, ImagePreprocessor):
        p = min(2, preprocessor.images)
        axes = {0: any_size, 1: any_size} if p > 1 else {0: any_size}
        pixels = torch.randint(0, 255, (b, p, 3, preprocessor.size, preprocessor.size), dtype=torch.uint8)
        is_token = torch.arange(p) < torch.tensor([[p], [1], [1]])
        return {"pixels": pixels, "shown": is_token}, {"pixels": axes, "shown": axes}
    if isinstance(preprocessor, VectorPreprocessor):
        return {"vector": torch.randn(b, preprocessor.dim)}, {"vector": {0: any_size}}
    raise ExportError(
        f"the {name} cannot be exported: its preprocessor {type(preprocessor).__name__} is code from "
        "outside Aisle"
    )


def _write(
    module: nn.Module,
    args: tuple[Any, ...],
    dynamic: tuple[Any, ...],
    inputs: list[str],
    outputs: list[str],
    file: Path,
    label: str,
) -> None:
    extra("onnxscript", "torch", "exporting a model")
    size = sum(p.numel() * p.element_size() for p in [*module.parameters(), *module.buffers()])
    fast = torch.backends.mha.get_fastpath_enabled()
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # its fused operators have no ONNX
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                module.eval(),
                args,
                dynamo=True,
                dynamic_shapes=dynamic,
                input_names=inputs,
                output_names=outputs,
                verbose=False,
            )
            program.save(str(file), external_data=size > _EXTERNAL_DATA_BYTES)
    except OSError:
        raise
    except Exception as error:  # tracing raises many kinds
        raise ExportError(f"the {label} cannot be exported to ONNX: {first_line(error)}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
