"""What passes between the parts of a network, and how a part is found by its name.

Shapes throughout: B products, V views, T tokens, D the width of a view or of the joint vector,
N terminals, M nodes, C the width of class-name vectors.
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
    """One view of a batch: `pooled` (B, D), `tokens` (B, T, D), `mask` (B, T) bool, `present` (B,) bool."""

    pooled: Tensor
    tokens: Tensor
    mask: Tensor
    present: Tensor


class Joint(NamedTuple):
    """All views of a batch as one vector: `product` (B, D); `views` {name: (B, D)} in its space."""

    product: Tensor
    views: Mapping[str, Tensor] | None = None

    def embedding(self, present: Tensor) -> Tensor:
        """(B, D) what products are found by; present (B, V). What stands in for an absent view belongs to the
        classifier; a query by words alone must not look for products without pictures."""
        if self.views is None:
            return self.product
        here = present.unsqueeze(2)  # (B, V, 1)
        return (torch.stack(list(self.views.values()), 1) * here).sum(1)


class Output(NamedTuple):
    """What the network says: `scores` over the tree, `by_view` the same of those single views asked for.

    `present`: (B,) bool of every view.
    """

    joint: Joint
    scores: TorchScores
    by_view: dict[str, TorchScores]
    present: dict[str, Tensor]


class Target(NamedTuple):
    """Where products belong: `node` (B,) indexes; `exact` (B,) bool (else: somewhere in that branch);
    `weight` (B,) how much each counts, None for all alike."""

    node: Tensor
    exact: Tensor
    weight: Tensor | None = None


# Keys of a configuration that tell where it came from, not what it does.
_HISTORY = {"_name_or_path", "name_or_path", "transformers_version", "architectures"}


class Encoder(nn.Module):
    """Base of encoders: reads one view. Its `forward` takes the arrays of its preprocessor by name.

    Attributes:
        cacheable: its output is worth keeping on disk while it is frozen.
        fixed: names of parameters that are not trained even where it is finetuned.
        slower: factor on the learning rate from each layer to the one below it.
        modality: what it reads.
        preprocessor_class: makes its arrays.
        dim: width of its output.
    """

    cacheable: ClassVar[bool] = False
    fixed: frozenset[str] = frozenset()
    slower: float = 1.0
    modality: ClassVar[Modality]
    preprocessor_class: ClassVar[type[Preprocessor]]
    dim: int

    def settings(self) -> dict[str, Any]:
        """What decides its output beside its weights: the constructor's options, and where they come from a
        pretrained model its configuration."""
        options = inspect.signature(type(self)).parameters.keys() - {"preprocessor", "name"}
        found = {key: getattr(self, key) for key in sorted(options) if hasattr(self, key)}
        if isinstance(found.get("config"), dict):
            config = {k: v for k, v in sorted(found["config"].items()) if k not in _HISTORY}
            if "id2label" in config:  # a saved bundle's JSON has made strings of the numbers
                config["id2label"] = {int(k): v for k, v in config["id2label"].items()}
            found["config"] = config
        return {"class": type(self).__qualname__, **found}


class Fusion(nn.Module):
    """What makes one vector of views: called with {view: Encoded}, gives a `Joint` of width `dim`. Its
    constructor is given `dims` {view: width} and, if it asks for them, `modalities` {view: modality}.

    reads_tokens: it looks at `tokens` and `mask`; without it they may be the pooled vector alone, and
    frozen encoders' tokens are not kept on disk.
    """

    reads_tokens: ClassVar[bool] = False
    dim: int


class Context(NamedTuple):
    """What heads and losses may know of the shop: the tree, `counts` (N,) training products a terminal,
    `class_vectors` (M, C) embeddings of the nodes' names."""

    taxonomy: Taxonomy
    counts: np.ndarray
    class_vectors: np.ndarray


def pooled_only(pooled: Tensor) -> Encoded:
    """An `Encoded` whose only token is the pooled vector; every row counts as present."""
    ones = torch.ones(pooled.shape[0], dtype=torch.bool, device=pooled.device)
    return Encoded(pooled, pooled.unsqueeze(1), ones.unsqueeze(1), ones)


class OutsideCodeError(RecipeError):
    """A part is code from outside Aisle, which is not trusted or cannot be loaded."""


def find_part(module: ModuleType, kind: str, name: str, trust_code: bool) -> Any:
    """The class called `name` in a module's `__all__`, or outside code named as `"my_file:Bilinear"`.

    Raises:
        RecipeError: there is no such part, or it is outside code and `trust_code` is False.
    """
    if ":" in name:
        return _outside(name, kind, trust_code)
    if name not in module.__all__:
        near = did_you_mean(name, module.__all__)
        raise RecipeError(f"there is no {kind} {name!r}.{near} Choices: {', '.join(module.__all__)}")
    return getattr(module, name)


Part = TypeVar("Part", bound=nn.Module)

# What constructors, torch's own among them, raise on a value they cannot use.
REFUSALS = (TypeError, ValueError, RuntimeError, AssertionError, ArithmeticError)


def check_options(
    cls: type, kind: str, options: Collection[str], given: Collection[str], more: Collection[str] = ()
) -> None:
    """Whether a constructor takes these options. given: arguments that the house supplies; more: keys that
    stand beside the options.

    Raises:
        RecipeError: it does not; the nearest one it takes is named.
    """
    known = inspect.signature(cls).parameters.keys() - set(given)
    for key in options:
        if key not in known:
            raise RecipeError(
                f"{kind} {cls.__name__} has no option {key!r}.{did_you_mean(key, known | set(more))}"
            )


def build_part(cls: type[Part], kind: str, options: Mapping[str, Any], **given: Any) -> Part:
    """Construct a part from a recipe's options; `given` is what the house supplies if the part asks for it.

    Raises:
        RecipeError: an option the constructor does not know, or a value it refuses.
    """
    check_options(cls, kind, options, given)
    known = inspect.signature(cls).parameters
    try:
        return cls(**{k: v for k, v in given.items() if k in known}, **options)
    except REFUSALS as error:
        raise RecipeError(f"{kind} {cls.__name__}: {error}") from error


def _outside(name: str, kind: str, trust_code: bool) -> Any:
    where, _, attribute = name.rpartition(":")
    if not trust_code:
        raise OutsideCodeError(
            f"{kind} {name!r} is code from outside Aisle; pass trust_code=True (--trust-code) if you trust it"
        )
    file = Path(where if where.endswith(".py") else where + ".py")
    try:
        module = _run(file.resolve()) if file.is_file() else importlib.import_module(where)
        return getattr(module, attribute)
    except Exception as error:  # whatever code from outside raises
        why = f"{type(error).__name__}: {error}"
        raise OutsideCodeError(f"{kind} {name!r} cannot be loaded: {why}") from error


@cache
def _run(file: Path) -> ModuleType:
    """The module in a file, under a name that hides no other; once, so that its classes are the same."""
    name = f"aisle_outside_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
