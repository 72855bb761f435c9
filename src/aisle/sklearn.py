"""A scikit-learn classifier: `ProductClassifier`, for pipelines, grid search and cross-validation."""

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils import validation as _validation
from sklearn.utils.multiclass import check_classification_targets

from aisle import data, workflow
from aisle.data.data_frames import column_values
from aisle.inference.base_predictor import BasePredictor
from aisle.taxonomy import DELIMITER, CategoryPath

validation: Any = _validation  # its parameters have no types

_NOT_READ = {"category": "", "split": "", "weight": ""}  # roles that a column of X never gets


class ProductClassifier(ClassifierMixin, BaseEstimator):
    """Classifies products into a category tree.

    X: titles (a list, Series or 1-D array), a data frame, an Arrow table, rows as mappings, `Product`s, or a
    2-D array or a frame without column names, the cells of whose rows are joined to a title.

    y: paths, as strings (`"Home > Mugs"`), or as tuples, lists or a 2-D array of names with `""` below the
    last level. Any other label is a category of its own.

    Args:
        recipe: A shipped recipe's name, a .toml file, or the recipe itself.
        changes: Changes to recipe keys, such as `"guarantee.precision=0.9"`.
        columns: Column roles of data frames and mappings that names do not tell, as of `aisle.read`.
        random_state: The recipe's `seed`. Default: that of the recipe, so that two fits are equal.
        device: The device that a network is trained on: cpu, cuda, mps or auto.
        trust_code: Allow recipes to import your own code.

    Attributes:
        classes_: (N,) sorted labels; (N, L) for paths as tuples, lists or arrays.
        model_: The trained model; `model_.predict(X)` gives decisions with a guaranteed precision.
        n_features_in_: The number of columns of X; 1 for titles.
        feature_names_in_: (n_features_in_,) names of the columns; only for data frames and mappings.
    """

    classes_: np.ndarray
    model_: BasePredictor

    def __init__(
        self,
        recipe: Any = "fast",
        *,
        changes: Sequence[str] = (),
        columns: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        trust_code: bool = False,
    ) -> None:
        self.recipe = recipe
        self.changes = changes
        self.columns = columns
        self.random_state = random_state
        self.device = device
        self.trust_code = trust_code

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Train a model on n products.

        Args:
            X: n products.
            y: n labels.

        Raises:
            ValueError: X or y is empty, of another length, or has missing labels.
            AisleError: As of `aisle.train`.
        """
        if y is None:
            raise ValueError("ProductClassifier requires y to be passed, but the target y is None")
        source = self._source(X, reset=True)
        labels = _encode(y)
        validation.check_consistent_length(source, labels.codes)
        catalog = data.read(source, labels=False, columns=self._roles(source), progress=False)
        catalog = catalog.with_labels([labels.paths[code] for code in labels.codes.tolist()])
        unread = np.flatnonzero(catalog.targets().node < 0)
        if len(unread):
            path = labels.paths[labels.codes[unread[0]]]
            raise ValueError(f"Input y has no category in row {unread[0]}: {path}")
        changes = list(self.changes)
        if self.random_state is not None:
            changes.append(f"seed={check_random_state(self.random_state).randint(2**31 - 1)}")
        self.model_ = workflow.train(
            catalog,
            self.recipe,
            changes=changes,
            device=self.device,
            trust_code=self.trust_code,
            progress=False,
        )
        self.classes_ = labels.classes
        tree = self.model_.taxonomy
        self._columns = tree.terminal_of[[tree.index(path) for path in labels.paths]]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """(B, N) calibrated confidences of the classes, in the order of `classes_`; each row sums to 1."""
        validation.check_is_fitted(self)
        source = self._source(X, reset=False)
        is_products = isinstance(source, list) and isinstance(source[0], data.Product)
        products = (
            source if is_products else data.read(source, like=self.model_, labels=False, progress=False)
        )
        confidences = np.exp(self.model_.confidences(products).logp.astype(np.float64))[:, self._columns]
        return confidences / confidences.sum(1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """(B,) labels of highest confidence; (B, L) names with `""` below the last level where y had several
        columns."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """The share of products whose whole path is right."""
        predicted, labels = _encode(self.predict(X)), _encode(y)
        right = [
            predicted.paths[a] == labels.paths[b]
            for a, b in zip(predicted.codes.tolist(), labels.codes.tolist(), strict=True)
        ]
        return float(np.average(right, weights=sample_weight))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.dict = True
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = False
        if tags.classifier_tags is not None:
            tags.classifier_tags.poor_score = True  # numbers are read as text
        return tags

    def __getstate__(self) -> dict[str, Any]:
        base: Any = super()
        state: dict[str, Any] = dict(base.__getstate__())
        if "model_" in state:
            state["model_"] = _bundle_bytes(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "model_" in state:
            state = {**state, "model_": _open_bundle(state["model_"], state["trust_code"])}
        super().__setstate__(state)

    def _roles(self, source: Any) -> dict[str, Any]:
        """The column roles of X."""
        if isinstance(source, list) and isinstance(source[0], data.Product):
            return {}
        return {**_NOT_READ, **(self.columns or {})}

    def _source(self, X: Any, reset: bool) -> Any:  # noqa: N803
        """X as titles in products, as rows, or as the data frame that it is."""
        values = X if isinstance(X, list | tuple) else column_values(X)
        if values is not None and len(values) and all(v is None or isinstance(v, str) for v in values):
            validation.validate_data(
                self, np.empty((len(values), 1), object), reset=reset, skip_check_array=True
            )
            return _titles(values)
        if values is not None and len(values) and isinstance(values[0], Mapping | data.Product):
            self._check_rows(values, reset)
            return list(values)
        named = all(isinstance(name, str) for name in getattr(X, "columns", ()))
        if hasattr(X, "__arrow_c_stream__") and values is None and named:
            validation.validate_data(self, X, reset=reset, skip_check_array=True)
            if not len(X):
                raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
            return X
        array: Any = validation.validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
        return _titles(" ".join(str(cell) for cell in row if cell == cell) for row in array.tolist())

    def _check_rows(self, rows: Sequence[Any], reset: bool) -> None:
        if not reset:
            return
        names = dict.fromkeys(name for row in rows if isinstance(row, Mapping) for name in row)
        self.n_features_in_ = len(names) or 1
        if names:
            self.feature_names_in_ = np.array(list(names), dtype=object)


def _titles(texts: Iterable[str | None]) -> list[data.Product]:
    return [data.Product(str(i), {"title": text} if text else {}) for i, text in enumerate(texts, 1)]


class EncodedLabels(NamedTuple):
    """Labels of n products.

    Attributes:
        classes: (N,) or (N, L) sorted labels.
        codes: (n,) the class of each product.
        paths: the category path of each class.
    """

    classes: np.ndarray
    codes: np.ndarray
    paths: list[CategoryPath]


def _encode(y: Any) -> EncodedLabels:
    """Labels as classes and category paths.

    Raises:
        ValueError: A label is missing, or the labels are numbers that are not classes.
    """
    is_paths = isinstance(y, list | tuple) and len(y) > 0 and isinstance(y[0], tuple | list)
    array = None if is_paths else np.asarray(y)
    if is_paths or (array is not None and array.ndim == 2 and array.shape[1] > 1):
        rows = [[str(name) for name in row] for row in (y if array is None else array.tolist())]
        depth = max(map(len, rows))
        padded = np.array([row + [""] * (depth - len(row)) for row in rows])
        classes, codes = np.unique(padded, axis=0, return_inverse=True)
        paths = [tuple(name for name in row if name) for row in classes.tolist()]
        if () in paths:
            raise ValueError("Input y has a row without any name")
        return EncodedLabels(classes, codes.ravel(), paths)
    labels = validation.column_or_1d(y, warn=True)
    if labels.dtype.kind == "O" and any(label is None or label != label for label in labels.tolist()):
        raise ValueError("Input y contains NaN")
    if labels.dtype.kind == "O":
        validation.check_array(labels[:, None], dtype=None, ensure_all_finite=True, input_name="y")
    elif labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("Input y contains infinity or NaN")
    check_classification_targets(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    return EncodedLabels(classes, codes, [_path(label) for label in classes.tolist()])


def _path(label: Any) -> CategoryPath:
    if not isinstance(label, str):
        return (f"class {label}",)
    names = tuple(label.split(DELIMITER))
    return names if all(name.strip() for name in names) else (label,)


def _bundle_bytes(model: BasePredictor) -> dict[str, bytes]:
    """The files of a saved model, by relative path."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "model"
        model.save(home)
        files = sorted(path for path in home.rglob("*") if path.is_file())
        return {path.relative_to(home).as_posix(): path.read_bytes() for path in files}


def _open_bundle(files: Mapping[str, bytes], trust_code: bool) -> BasePredictor:
    """The model of these files, which are kept as long as the model: encoders are read from them."""
    folder = Path(tempfile.mkdtemp(prefix="aisle-"))
    for name, content in files.items():
        path = folder / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    model = workflow.load(folder / "model", trust_code=trust_code)
    weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)
    return model
