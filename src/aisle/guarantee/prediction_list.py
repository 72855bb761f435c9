"""The predictions of several products, in order, and as a table."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa

from aisle.data import Product
from aisle.errors import MissingExtraError
from aisle.guarantee.prediction import Prediction
from aisle.guarantee.prediction_html import DECISION_NAMES, predictions_html

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

# The columns of `to_arrow`, `to_pandas` and `to_polars`.
COLUMNS = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("id", "decision", "path")),
        pa.field("confidence", pa.float64()),
        *(pa.field(name, pa.string()) for name in ("reason", "rule", "best")),
        pa.field("best_confidence", pa.float64()),
        *(pa.field(name, pa.string()) for name in ("path_id", "best_id")),
        pa.field("threshold", pa.float64()),
        pa.field("level_confidences", pa.list_(pa.float64())),
        pa.field("alternatives", pa.list_(pa.struct([("path", pa.string()), ("confidence", pa.float64())]))),
        pa.field("problems", pa.list_(pa.string())),
        pa.field("model_id", pa.string()),
    ]
)


class Predictions(Sequence[Prediction]):
    """B predictions in the order of the products.

    Args:
        predictions: B predictions.
        products: The B products that were classified, shown in notebooks; may be empty.
        index: The (B,) index of the pandas frame that the products come from, or None.

    Attributes:
        products: The B products, or none.
        index: The (B,) pandas index, or None.
    """

    def __init__(
        self, predictions: Iterable[Prediction], products: Sequence[Product] = (), index: Any = None
    ) -> None:
        self._predictions = list(predictions)
        self.products = products
        self.index = index

    def __len__(self) -> int:
        return len(self._predictions)

    @overload
    def __getitem__(self, i: int) -> Prediction: ...
    @overload
    def __getitem__(self, i: slice) -> "Predictions": ...
    def __getitem__(self, i: "int | slice") -> "Prediction | Predictions":
        if not isinstance(i, slice):
            return self._predictions[i]
        index: Any = self.index
        return Predictions(self._predictions[i], self.products[i], None if index is None else index[i])

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self._predictions)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Predictions | list) and self._predictions == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Predictions({self.summary()})"

    def _repr_html_(self) -> str:
        return predictions_html(self)

    def summary(self) -> str:
        """The number of products, and of each decision: `200 products: 120 full path, 30 partial path, …`."""
        counts = Counter(one.decision for one in self)
        parts = [f"{counts[key]:,} {name}" for key, name in DECISION_NAMES.items() if counts[key]]
        count = f"{len(self):,} product{'' if len(self) == 1 else 's'}"
        return f"{count}: {', '.join(parts)}" if parts else count

    def to_arrow(self) -> pa.Table:
        """The predictions as an Arrow table of B rows.

        Columns: `id`; `decision` (accept, partial, review); `path` (as deep as is guaranteed, ` > ` between
        levels, empty for review); `confidence` (of `path`, for review of `best`); `reason`; `rule` (the rules
        that acted); `best` (the full path of highest confidence); `best_confidence`; `path_id`, `best_id`;
        `threshold`; `level_confidences`
        (of each level of `best`); `alternatives`; `problems`; `model_id`.
        """
        rows = []
        for one in self:
            row = one.to_dict()
            levels = row["confidence"]
            own = round(one.path_confidence, 6) if levels else None
            best = levels[-1] if levels else None
            rows.append({**row, "confidence": own, "best_confidence": best, "level_confidences": levels})
        return pa.Table.from_pylist(rows, COLUMNS)

    def to_pandas(self) -> "pd.DataFrame":
        """The predictions as a pandas frame with the columns of `to_arrow`.

        Its index is that of the frame or series that was classified, so that the two can be joined.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        _check_installed("pandas")
        frame = self.to_arrow().to_pandas()
        return frame if self.index is None else frame.set_index(self.index)

    def to_polars(self) -> "pl.DataFrame":
        """The predictions as a polars frame with the columns of `to_arrow`.

        Raises:
            MissingExtraError: polars is not installed.
        """
        _check_installed("polars")
        import polars as pl

        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)
        return frame


def _check_installed(name: str) -> None:
    import importlib.util

    if importlib.util.find_spec(name) is None:
        raise MissingExtraError(f"to_{name} needs {name}: pip install {name}")
