"""Recipe tables that linear models and networks share."""

from typing import Literal

from pydantic import Field

from aisle.models.options import Strict


class Split(Strict):
    """Shares of the training rows that are held out; the parts are disjoint, near-duplicates in one part.

    Attributes:
        by: `random`, or `time`: the oldest rows train, and validation, calibration and threshold rows are
            ever newer.
        validation: share for early stopping.
        calibration: share for calibration.
        threshold: share for the thresholds of the guarantee.
        max_rows: the most rows of each of these parts.
    """

    by: Literal["random", "time"] = "random"
    validation: float = Field(default=0.05, ge=0, lt=0.5)
    calibration: float = Field(default=0.05, ge=0, lt=0.5)
    threshold: float = Field(default=0.1, ge=0, lt=0.5)
    max_rows: int = Field(default=20_000, ge=1)


class GuaranteeOptions(Strict):
    """At least `precision` of the automatic decisions are right, except with probability `alpha`.

    Attributes:
        precision: the guaranteed share of right automatic decisions.
        alpha: probability, over the labelled rows it was fitted on, that the guarantee fails.
        prefer: full paths at the price of fewer decisions (`depth`), or as many decisions as possible, full
            paths or branches (`coverage`).
        method: `cross-fit` trains on every labelled row and calibrates on every row's out-of-fold scores
            (linear models only); `hold-out` calibrates on the rows that `split` holds out; `none` gives no
            guarantee; `auto` is `cross-fit` for linear models of at most `max_rows` rows, else `hold-out`.
        folds: number of folds of `cross-fit`.
        max_rows: the most rows that `auto` cross-fits.
        max_scores: the most rows times categories that are scored; beyond it `cross-fit` scores only its
            first folds, and `hold-out` holds out fewer rows.
    """

    precision: float = Field(default=0.95, gt=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    prefer: Literal["depth", "coverage"] = "depth"
    method: Literal["auto", "cross-fit", "hold-out", "none"] = "auto"
    folds: int = Field(default=5, ge=2)
    max_rows: int = Field(default=100_000, ge=1)
    max_scores: int = Field(default=2**25, ge=1)


class RecipeBase(Strict):
    """Keys of every recipe.

    Attributes:
        name: name of the recipe.
        description: one sentence about it.
        seed: seed of all randomness.
        split: held-out rows.
        guarantee: the guarantee to fit.
    """

    name: str = "unnamed"
    description: str = ""
    seed: int = 0
    split: Split = Split()
    guarantee: GuaranteeOptions = GuaranteeOptions()
