"""Interfaces between the parts of a network, and the lookup of parts by name.

Shapes: B products, V views, T tokens, D the width of a view or of the joint vector, N terminals, M nodes,
C the width of the embeddings of category names.
"""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from aisle.errors import RecipeError, did_you_mean
from aisle.models.preprocessing import Preprocessor
from aisle.models.scores import TorchScores
from aisle.models.views import Modality
from aisle.taxonomy import Taxonomy


class Encoded(NamedTuple):
    """One encoded view of a batch.

    Attributes:
        pooled: (B, D).
        tokens: (B, T, D).
        mask: (B, T) bool, True for real tokens.
        present: (B,) bool.
    """

    pooled: Tensor
    tokens: Tensor
    mask: Tensor
    present: Tensor


class Joint(NamedTuple):
    """The fused views of a batch.

    Attributes:
        product: (B, D).
        views: (B, D) by view in the same space, where the fusion has one.
    """

    product: Tensor
    views: Mapping[str, Tensor] | None = None

    def embedding(self, present: Tensor) -> Tensor:
        """The embedding (B, D) that products are searched by.

        It leaves out the learned tokens of missing views: a query of text alone must not prefer products
        without images.

        Args:
            present: (B, V) bool.
        """
        if self.views is None:
            return self.product
        return (torch.stack(list(self.views.values()), 1) * present.unsqueeze(2)).sum(1)


class Output(NamedTuple):
    """A network's output for a batch.

    Attributes:
        joint: the fused views.
        scores: log-probabilities over the tree.
        by_view: the same from single views, for the views asked for.
        present: (B,) bool by view.
    """

    joint: Joint
    scores: TorchScores
    by_view: dict[str, TorchScores]
    present: dict[str, Tensor]


class Target(NamedTuple):
    """The labels of a batch.

    Attributes:
        node: (B,) node indexes.
        exact: (B,) bool, whether the label is this node, or some node in its branch.
        weight: (B,) sample weights; None weighs all alike.
    """

    node: Tensor
    exact: Tensor
    weight: Tensor | None = None


# Keys of a transformers configuration without effect on the output.
_PROVENANCE = {"_name_or_path", "name_or_path", "transformers_version", "architectures"}


class Encoder(nn.Module):
    """Base class of encoders of one view; `forward` takes the arrays of its preprocessor by name.

    Attributes:
        cacheable: whether its output is cached on disk while it is frozen.
        frozen_parameters: names of parameters that stay frozen when the encoder is finetuned.
        layer_decay: factor on the learning rate from each layer to the one below it.
        modality: what it reads.
        preprocessor_class: the class of its preprocessor.
        dim: D, the width of its output.
    """

    cacheable: ClassVar[bool] = False
    frozen_parameters: frozenset[str] = frozenset()
    layer_decay: float = 1.0
    modality: ClassVar[Modality]
    preprocessor_class: ClassVar[type[Preprocessor]]
    dim: int

    def settings(self) -> dict[str, Any]:
        """What determines its output apart from its weights.

        Returns:
            The constructor's options, and the configuration of a pretrained model.
        """
        names = inspect.signature(type(self)).parameters.keys() - {"preprocessor", "name"}
        options = {key: getattr(self, key) for key in sorted(names) if hasattr(self, key)}
        if isinstance(options.get("config"), dict):
            config = {k: v for k, v in sorted(options["config"].items()) if k not in _PROVENANCE}
            if "id2label" in config:  # JSON turns its integer keys into strings
                config["id2label"] = {int(k): v for k, v in config["id2label"].items()}
            options["config"] = config
        return {"class": type(self).__qualname__, **options}


class Fusion(nn.Module):
    """Base class of fusions, called with `Encoded` by view, returning a `Joint`.

    The constructor is given `dims` (width by view) and, if it has such a parameter, `modalities` (by view).

    Attributes:
        reads_tokens: whether it reads `tokens` and `mask`. Otherwise they may be the pooled vector alone, and
            tokens of frozen encoders are not cached.
        dim: D, the width of its output.
    """

    reads_tokens: ClassVar[bool] = False
    dim: int


class Context(NamedTuple):
    """What heads and losses are given about the training data.

    Attributes:
        taxonomy: the tree.
        counts: (N,) training products of each terminal.
        class_vectors: (M, C) embeddings of the nodes' names.
    """

    taxonomy: Taxonomy
    counts: np.ndarray
    class_vectors: np.ndarray


def pooled_only(pooled: Tensor) -> Encoded:
    """An `Encoded` whose only token is the pooled vector; every row counts as present."""
    ones = torch.ones(pooled.shape[0], dtype=torch.bool, device=pooled.device)
    return Encoded(pooled, pooled.unsqueeze(1), ones.unsqueeze(1), ones)


class OutsideCodeError(RecipeError):
    """A part from outside Aisle is not trusted, or cannot be loaded."""


def find_part(module: ModuleType, kind: str, name: str, trust_code: bool) -> Any:
    """Find a part by its name.

    Args:
        module: its `__all__` is the list of choices.
        kind: encoder, fusion, head or loss, for messages.
        name: a class in `module`, or outside code as `"my_file:Bilinear"`.
        trust_code: whether outside code may be imported.

    Returns:
        The class.

    Raises:
        RecipeError: there is no such part, or it is outside code and `trust_code` is False.
    """
    if ":" in name:
        return _import_outside(name, kind, trust_code)
    if name not in module.__all__:
        near = did_you_mean(name, module.__all__)
        raise RecipeError(f"there is no {kind} {name!r}.{near} Choices: {', '.join(module.__all__)}")
    return getattr(module, name)


Part = TypeVar("Part", bound=nn.Module)

# What constructors, torch's own among them, raise on invalid values.
CONSTRUCTOR_ERRORS = (TypeError, ValueError, RuntimeError, AssertionError, ArithmeticError)


def check_options(
    cls: type,
    kind: str,
    options: Collection[str],
    supplied: Collection[str],
    other_keys: Collection[str] = (),
) -> None:
    """Check that a constructor has these options.

    Args:
        cls: the class of the part.
        kind: encoder, fusion, head or loss, for messages.
        options: names of the options in the recipe.
        supplied: parameters that Aisle sets, which are no options.
        other_keys: further keys of the recipe's table, for suggestions.

    Raises:
        RecipeError: there is no such option; the message names the nearest one.
    """
    known = inspect.signature(cls).parameters.keys() - set(supplied)
    for key in options:
        if key not in known:
            near = did_you_mean(key, known | set(other_keys))
            raise RecipeError(f"{kind} {cls.__name__} has no option {key!r}.{near}")


def build_part(cls: type[Part], kind: str, options: Mapping[str, Any], **supplied: Any) -> Part:
    """Construct a part from a recipe's options.

    Args:
        cls: the class of the part.
        kind: encoder, fusion, head or loss, for messages.
        options: constructor arguments from the recipe.
        **supplied: arguments that Aisle sets if the constructor has such a parameter.

    Raises:
        RecipeError: an unknown option, or an invalid value.
    """
    check_options(cls, kind, options, supplied)
    known = inspect.signature(cls).parameters
    try:
        return cls(**{k: v for k, v in supplied.items() if k in known}, **options)
    except CONSTRUCTOR_ERRORS as error:
        raise RecipeError(f"{kind} {cls.__name__}: {error}") from error


def _import_outside(name: str, kind: str, trust_code: bool) -> Any:
    where, _, attribute = name.rpartition(":")
    if not trust_code:
        raise OutsideCodeError(
            f"{kind} {name!r} is code from outside Aisle; pass trust_code=True (--trust-code) if you trust it"
        )
    file = Path(where if where.endswith(".py") else where + ".py")
    try:
        module = _import_file(file.resolve()) if file.is_file() else importlib.import_module(where)
        return getattr(module, attribute)
    except Exception as error:  # outside code may raise anything
        why = f"{type(error).__name__}: {error}"
        raise OutsideCodeError(f"{kind} {name!r} cannot be loaded: {why}") from error


@cache
def _import_file(file: Path) -> ModuleType:
    """The module in a file, imported once under a unique name."""
    name = f"aisle_outside_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
