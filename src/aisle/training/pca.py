"""Learning along the principal axes of the training rows, and folding what was learned back.

A network with a low-rank hidden layer over TF-IDF averages away the rare words that small classes
live on; a full-rank linear layer over 150,000 features is large and learns slowly. In between: rotate
each frozen view onto the principal axes of its training rows (a kernel PCA with a linear kernel:
Schölkopf et al. 1998; latent semantic analysis for text), where Adam treats strong and weak directions
alike, learn a linear layer there, and fold rotation and layer into one small table. The numbers are in
docs/lab-notes.md.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from scipy import linalg, sparse
from torch import nn

from aisle.errors import RecipeError
from aisle.inference.prefetch import ahead, cores
from aisle.models.encoders import Lexical
from aisle.models.fusions import Linear
from aisle.models.fusions.pooled import Gaussian
from aisle.models.heads import Tree
from aisle.models.model import Model
from aisle.models.preprocessing import Prepared
from aisle.models.spec import ModelSpec, PartSpec, ViewSpec

LANDMARKS = 4096  # training rows that span the axes of text; an eigendecomposition grows with their cube
KERNEL_LANDMARKS = 2048  # of a Gaussian kernel: these stay in the bundle
_ROWS = 512  # whose likeness to all landmarks is found at once, in one thread
_TINY = 1e-5  # of the largest variance: axes below it are rounding
_UNSEEN = 1e-3  # what a coordinate counts in a fold beside its part in the sample, of their mean square
_EXACT = 3000  # logits and features of names up to which all directions are found


def find_axes(
    model: Model, view: str, prepared: Prepared, rank: int, seed: int, warm: bool = False
) -> "Axes":
    """The axes of one view's training rows: of its features where it is lexical, else of its vectors, or of
    their likeness to landmarks where the fusion's projection is a `Gaussian` kernel. warm: the model has
    learned along such axes before, and what these give shall add up with that: the same centre or bells."""
    encoder = model.encoders[view]
    if isinstance(encoder, Lexical):
        return TextAxes(prepared, encoder.table.num_embeddings, rank, seed)
    if not prepared.arrays.keys() & {"pooled", "vector"} or getattr(encoder, "hidden", None):
        raise RecipeError(
            f"encoder {type(encoder).__name__} cannot be learned along axes: only Lexical, Vector, and "
            "pretrained encoders kept frozen can"
        )
    project = model.fusion.project[view] if isinstance(model.fusion, Linear) else None
    if isinstance(project, Gaussian):
        return KernelAxes(prepared, project.sharpness, rank, seed, project if warm else None)
    return DenseAxes(prepared, rank, model.absent[view] if warm else None)


class Axes(Protocol):
    """A rotation learned from one view's training rows. r axes."""

    rank: int

    def along(self, prepared: Prepared) -> np.ndarray:
        """(B, r) coordinates."""
        ...

    def fold_into(self, encoder: nn.Module, project: nn.Module, basis: torch.Tensor) -> None:
        """Add `basis` (r, D) after this rotation to the view's encoder and projection."""
        ...

    def token(self, width: int) -> torch.Tensor:
        """What an encoder of this width would have to give for coordinates of zero."""
        ...


class TextAxes:
    """Of sparse TF-IDF rows, uncentred, through the Gram matrix of at most `LANDMARKS` of them."""

    def __init__(self, prepared: Prepared, features: int, rank: int, seed: int) -> None:
        rows = sparse_rows(prepared, features)[prepared.present]
        if rows.shape[0] > LANDMARKS:
            rows = rows[np.sort(np.random.default_rng(seed).choice(rows.shape[0], LANDMARKS, replace=False))]
        self.features, self.landmarks = features, rows
        gram = self._likeness(rows)
        first = max(len(gram) - rank, 0)
        variance, vectors = linalg.eigh(gram, subset_by_index=[first, len(gram) - 1], driver="evr")
        real = variance > _TINY * variance[-1]
        variance, vectors = variance[real][::-1], vectors[:, real][:, ::-1]
        self.map = (vectors / np.sqrt(variance)).astype(np.float32)  # (m, r)
        self.rank = self.map.shape[1]

    def along(self, prepared: Prepared) -> np.ndarray:
        """(B, r) coordinates; zeros where absent."""
        return self._likeness(sparse_rows(prepared, self.features)) @ self.map

    def _likeness(self, rows: sparse.csr_matrix) -> np.ndarray:
        """(B, m) float32 of rows to all landmarks."""
        across = self.landmarks.T.tocsr()  # made once: products would each make it
        starts = range(0, max(len(rows.indptr) - 1, 1), _ROWS)  # of no rows one empty part
        found = ahead(lambda start: (rows[start : start + _ROWS] @ across).toarray(), starts, cores())
        return np.concatenate(list(found))

    @torch.no_grad()
    def fold_into(self, encoder: nn.Module, project: nn.Module, basis: torch.Tensor) -> None:
        """Rotation and basis in one go into the encoder's table (F, D)."""
        assert isinstance(encoder, Lexical)
        table = self.landmarks.T @ (self.map @ basis.numpy())
        encoder.table.weight += torch.from_numpy(np.ascontiguousarray(table))

    def token(self, width: int) -> torch.Tensor:
        """(width,)."""
        return torch.zeros(width)


class DenseAxes:
    """Of given vectors, or a frozen encoder's, centred (on `mean` (width,), by default their own), scaled to
    length 1 on average."""

    def __init__(self, prepared: Prepared, rank: int, mean: torch.Tensor | None = None) -> None:
        rows = _dense(prepared)[prepared.present].astype(np.float64)
        self.mean = rows.mean(0) if mean is None else mean.detach().double().cpu().numpy()
        centred = rows - self.mean
        _, deviation, axes = np.linalg.svd(centred, full_matrices=False)
        kept = min(rank, int((deviation > _TINY * deviation[0]).sum()))
        self.scale = float(np.sqrt((centred**2).sum(1).mean())) or 1.0  # one row, or equal ones
        self.axes = axes[:kept]  # (r, width)
        self.rank = kept

    def along(self, prepared: Prepared) -> np.ndarray:
        """(B, r) coordinates; zeros where absent."""
        rows = (_dense(prepared) - self.mean) @ self.axes.T / self.scale
        return (rows * prepared.present[:, None]).astype(np.float32)

    @torch.no_grad()
    def fold_into(self, encoder: nn.Module, project: nn.Module, basis: torch.Tensor) -> None:
        """Rotation and basis in one go into the projection's weight and bias."""
        weight = basis.double().T @ torch.from_numpy(self.axes) / self.scale  # (D, width)
        project.weight += weight  # type: ignore[operator]
        project.bias -= weight @ torch.from_numpy(self.mean)  # type: ignore[operator]

    def token(self, width: int) -> torch.Tensor:
        """(width,)."""
        return torch.from_numpy(self.mean).float()


class KernelAxes:
    """Of a Gaussian kernel between vectors of length 1, centred, scaled to length 1 on average (kernel PCA:
    Schölkopf et al. 1998), through at most `KERNEL_LANDMARKS` rows, and those of an earlier kernel."""

    def __init__(
        self, prepared: Prepared, sharpness: float, rank: int, seed: int, earlier: Gaussian | None = None
    ) -> None:
        rows = _unit(_dense(prepared)[prepared.present])
        pick = np.random.default_rng(seed)
        self.known = len(earlier.landmarks) if earlier is not None else 0
        room = min(KERNEL_LANDMARKS, max(2 * KERNEL_LANDMARKS - self.known, 0))
        if len(rows) > room:
            rows = rows[np.sort(pick.choice(len(rows), room, replace=False))]
        if earlier is None:
            some = rows[pick.permutation(len(rows))[:1000]]
            self.spread = float(np.median(2 - 2 * some @ some.T)) or 1.0  # one row, or equal ones
        else:
            self.spread = float(earlier.spread)
            rows = np.concatenate([earlier.landmarks.cpu().numpy(), rows])
        self.landmarks = rows
        self.sharpness = sharpness
        gram = self._bells(rows)
        column = gram.mean(0)
        centred = gram - column - column[:, None] + column.mean()
        first = max(len(gram) - rank, 0)
        variance, vectors = linalg.eigh(centred, subset_by_index=[first, len(gram) - 1], driver="evr")
        real = variance > max(_TINY * variance[-1], 1e-9)
        variance, vectors = variance[real][::-1], vectors[:, real][:, ::-1]
        self.map = (vectors / np.sqrt(variance)).astype(np.float32)  # (m, r), each column sums to 0
        self.offset = column @ self.map  # (r,)
        self.scale = float(np.sqrt(variance.sum() / len(gram))) or 1.0
        self.rank = self.map.shape[1]

    def _bells(self, rows: np.ndarray) -> np.ndarray:
        return np.exp((rows @ self.landmarks.T - 1) * np.float32(self.sharpness / self.spread))

    def along(self, prepared: Prepared) -> np.ndarray:
        """(B, r) coordinates; zeros where absent."""
        rows = (self._bells(_unit(_dense(prepared))) @ self.map - self.offset) / self.scale
        return (rows * prepared.present[:, None]).astype(np.float32)

    @torch.no_grad()
    def fold_into(self, encoder: nn.Module, project: nn.Module, basis: torch.Tensor) -> None:
        """Rotation and basis in one go into the landmarks' weights."""
        assert isinstance(project, Gaussian)
        weight = torch.from_numpy(self.map) @ basis / self.scale
        bias = -(torch.from_numpy(self.offset) @ basis) / self.scale
        weight[: self.known] += project.weight[: self.known]
        bias += project.bias
        project.place(torch.from_numpy(self.landmarks), weight, bias, self.spread)

    def token(self, width: int) -> torch.Tensor:
        """(width,)."""
        return torch.zeros(width)


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _dense(prepared: Prepared) -> np.ndarray:
    arrays = prepared.arrays
    return arrays["pooled"] if "pooled" in arrays else arrays["vector"]


def sparse_rows(prepared: Prepared, features: int) -> sparse.csr_matrix:
    """(B, F) a lexical view's features of B products."""
    arrays = prepared.arrays
    ends = np.append(arrays["offsets"], len(arrays["ids"]))
    shape = (len(prepared.present), features)
    return sparse.csr_matrix((arrays["weights"], arrays["ids"], ends), shape=shape)


def rotated_spec(
    spec: ModelSpec, axes: Mapping[str, Axes], lacking: Collection[str] = (), earlier: str | None = None
) -> ModelSpec:
    """The network as it is trained: views with axes come as vectors of coordinates, side by side with the
    rest, under the same head. lacking: views with axes that no row has; earlier: a view of vectors beside.

    Raises:
        RecipeError: the recipe's fusion or head is not linear, so nothing could be folded back.
    """
    if spec.fusion.type != "Linear" or spec.head.type != "Tree" or spec.head.options.get("norm", True):
        raise RecipeError(
            "views with `axes` need fusion Linear and head Tree with norm = false: only linear ones fold"
        )
    views = {
        name: ViewSpec(encoder=PartSpec(type="Vector"), fields=[name]) if name in axes else view
        for name, view in spec.views.items()
        if name not in lacking
    }
    if earlier:
        views[earlier] = ViewSpec(encoder=PartSpec(type="Vector"), fields=[earlier])
    scales = {name: spec.views[name].scale for name in axes}
    fusion = PartSpec.model_validate({"type": "Beside", "scales": scales})
    return spec.model_copy(update={"views": views, "fusion": fusion})


class Sample(NamedTuple):
    """Training rows by which a fold knows what matters. coordinates (n, wide), of the views side by side;
    said (n, N + C): what is added to their logits and to what names are compared with."""

    coordinates: np.ndarray
    said: np.ndarray | None = None


@torch.no_grad()
def fold(
    trained: Model,
    axes: Mapping[str, Axes],
    final: Model,
    sample: Sample,
    words: Mapping[str, np.ndarray] | None = None,
    earlier: str | None = None,
) -> None:
    """Write what `trained` (views side by side) learned into `final` (views in one space of width D).

    What a product's coordinates make of N logits and C features of a new category's name spans at most N + C
    dimensions. The D of them that vary most over the sample are kept (principal components of the logits):
    answers are equal where D is at least N + C. words: by lexical view, weights (F, N + C) of what is added.
    earlier: the view by which `trained` reads what `final` made of its views so far; without it, that is
    overwritten.
    """
    head, small, linear = trained.head, final.head, final.fusion
    assert isinstance(head, Tree)
    assert isinstance(small, Tree)
    assert isinstance(linear, Linear)
    told = _Told(head, sample)
    basis = told.strongest(linear.dim)  # (N + C, D)
    whole = (told.map.T @ basis).float()  # (wide, D)
    parts: dict[str, torch.Tensor] = {}  # (width, D) of each view's coordinates, into the joint space
    start = 0
    for name, width in trained.fusion.dims.items():  # type: ignore[union-attr, operator]
        parts[name] = whole[start : start + width] * trained.fusion.scales.get(name, 1.0)  # type: ignore[union-attr]
        start += width
    for name, project in linear.project.items():
        encoder = final.encoders[name]
        if name in parts and name not in axes:
            encoder.load_state_dict(trained.encoders[name].state_dict())
            project.weight.copy_(parts[name].T)  # type: ignore[union-attr, operator]
            project.bias.zero_()  # type: ignore[union-attr, operator]
            final.absent[name].copy_(trained.absent[name])
            continue
        _carry(encoder, project, parts.get(earlier) if earlier else None)
        if name in axes:
            axes[name].fold_into(encoder, project, parts[name])
            final.absent[name].copy_(axes[name].token(len(final.absent[name])))
        if isinstance(encoder, Lexical):
            if words and name in words:
                encoder.table.weight += torch.from_numpy(words[name]) @ basis.float()
            encoder.table.weight.copy_(encoder.table.weight.half())
    node, generate = told.regress(head.node, basis), told.regress(head.generate.weight.T, basis)
    if sample.said is not None:
        n, names = len(head.index.terminals), head.class_vectors[head.index.terminals].double()
        said, of_names = torch.from_numpy(sample.said).double().split([n, sample.said.shape[1] - n], 1)
        node.index_add_(0, head.index.terminals, told.regress_said(said - of_names @ names.T, basis))
        generate += told.regress_said(of_names, basis)
    small.node.copy_(node)
    small.generate.weight.copy_(generate.T)
    small.bias.copy_(head.bias)


class _Told:
    """What coordinates tell: `map` (N + C, wide) gives a product's logits and its features of names, weighed
    by their second moments over a sample. A little of every coordinate counts, seen in it or not."""

    def __init__(self, head: Tree, sample: Sample) -> None:
        weight = head.weight().double()
        self.map = torch.cat([weight, head.generate.weight.T.double()])
        self.rows = torch.from_numpy(sample.coordinates).double()  # (n, wide)
        self.told = self.rows @ self.map.T  # (n, N + C)
        if sample.said is not None:
            self.told += torch.from_numpy(sample.said)
        self.unseen = _UNSEEN * float((self.rows**2).mean())

    def strongest(self, dim: int) -> torch.Tensor:
        """(N + C, dim) orthonormal directions in which most is told, zeros where there are fewer."""
        factor = torch.cat([self.told / len(self.told) ** 0.5, self.map.T * self.unseen**0.5])
        if factor.shape[1] <= _EXACT:
            basis = torch.linalg.eigh(factor.T @ factor)[1].flip(1)[:, :dim]
        else:  # of many categories only the strongest are looked for (Halko et al. 2011)
            basis = torch.svd_lowrank(factor, q=dim + 16, niter=4)[2][:, :dim]
        return nn.functional.pad(basis, (0, dim - basis.shape[1]))

    def regress(self, rows: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
        """(m, D) what rows (m, wide) of a map say, from the joint vectors that `basis` (N + C, D) makes."""
        rows = rows.double()
        along = self.map.T @ basis  # (wide, D)
        return self._solve(self.rows @ rows.T, self.unseen * along.T @ rows.T, basis)

    def regress_said(self, said: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
        """(m, D) the same of what is said (n, m) of the sample besides."""
        return self._solve(said, torch.zeros(basis.shape[1], said.shape[1], dtype=said.dtype), basis)

    def _solve(self, said: torch.Tensor, unseen: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
        joint, along = self.told @ basis, self.map.T @ basis
        inner = joint.T @ joint / len(joint) + self.unseen * along.T @ along  # (D, D)
        found = torch.linalg.lstsq(inner, joint.T @ said / len(joint) + unseen, driver="gelsd")
        return found.solution.T.float()


def _carry(encoder: nn.Module, project: nn.Module, basis: torch.Tensor | None) -> None:
    """Put `basis` (D, D) after what a view's encoder and projection made of it; None: nothing is left."""
    if isinstance(encoder, Lexical):
        weight = encoder.table.weight
        weight.zero_() if basis is None else weight.copy_(weight @ basis)
        return
    weight, bias = project.weight, project.bias
    if basis is None:
        weight.zero_()  # type: ignore[union-attr, operator]
        bias.zero_()  # type: ignore[union-attr, operator]
        return
    weight.copy_(weight @ basis if isinstance(project, Gaussian) else basis.T @ weight)  # type: ignore[union-attr, operator]
    bias.copy_(bias @ basis)  # type: ignore[union-attr, operator]
