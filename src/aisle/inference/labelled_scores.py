"""Scores of labelled rows that a model was not trained on, kept in a run folder.

A guarantee is fitted on them; with them it can be fitted again, such as for another version of the tree,
without training. Of each row the highest log-probabilities are kept, the rest is shared alike.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aisle.atomic_files import atomic_binary
from aisle.errors import BundleError
from aisle.guarantee import Nearest, Policy, Sample, Settings, cross_fit, fit
from aisle.taxonomy import Scores, Targets, Taxonomy

FILE = "labelled_scores.npz"
MOST_ROWS = 20_000
_TOP = 64  # log-probabilities kept of a row
_LEAST = 1e-12  # probability of the categories that are not kept, together, at least


class LabelledScores(NamedTuple):
    """n labelled rows, scored by a model that was not trained on them.

    Attributes:
        scores: raw log-probabilities.
        targets: where the rows belong.
        groups: (n,) what near-duplicates share.
        fold: (n,) number of the fold of each row; for `hold-out` 0 calibrates and 1 tests.
        nearest: the most similar training products, None for a model without an index.
        method: `cross-fit` or `hold-out`.
        keys: (n,) content hash of each row, by which a catalog's products are found.
    """

    scores: Scores
    targets: Targets
    groups: np.ndarray
    fold: np.ndarray
    nearest: Nearest | None
    method: str
    keys: np.ndarray

    @classmethod
    def of_parts(cls, calibration: Sample, thresholds: Sample, keys: np.ndarray) -> "LabelledScores":
        """Of two held-out parts: one calibrates, the other tests thresholds; and the keys of both."""
        parts = calibration, thresholds
        nearest = [part.nearest for part in parts if part.nearest is not None]
        tree, targets = parts[0].scores.taxonomy, zip(*(part.targets for part in parts), strict=True)
        return cls(
            Scores(tree, np.concatenate([part.scores.logp for part in parts])),
            Targets(*(np.concatenate(column) for column in targets)),
            np.concatenate([np.asarray(part.groups) for part in parts]),
            np.repeat([0, 1], [len(part.scores) for part in parts]),
            Nearest.join(nearest) if len(nearest) == 2 else None,
            "hold-out",
            keys,
        )

    def rows_of(self, keys: np.ndarray) -> np.ndarray:
        """(m,) the row with each content hash (m,); -1: there is none."""
        row = {key: i for i, key in enumerate(self.keys.tolist())}
        return np.array([row.get(key, -1) for key in keys.tolist()], np.int64)

    def policy(self, settings: Settings) -> Policy:
        """Fit a policy on the rows that have a label."""
        known = np.flatnonzero(self.targets.node != -1)
        groups = np.unique(self.groups[known], return_inverse=True)[1]
        nearest = None if self.nearest is None else self.nearest.take(known)
        sample = Sample(self.scores[known], self.targets.select(known), groups, nearest)
        fold = self.fold[known]
        if self.method == "cross-fit":
            return cross_fit(sample, fold, settings)
        return fit(
            sample.select(np.flatnonzero(fold == 0)),
            sample.select(np.flatnonzero(fold == 1)),
            precision=settings.precision, alpha=settings.alpha, prefer=settings.prefer, never=settings.never,
            costs=settings.costs, branch_precision=settings.branch_precision,
            level_precision=settings.level_precision,
        )  # fmt: skip

    def save(self, folder: Path) -> None:
        """Write `labelled_scores.npz` into a run folder, at most `MOST_ROWS` rows.

        Raises:
            OSError: the file cannot be written.
        """
        n = len(self.scores)
        rows = np.unique(np.linspace(0, max(n - 1, 0), min(n, MOST_ROWS)).astype(np.int64))
        logp = self.scores.logp[rows]
        top = np.argsort(-logp, axis=1, kind="stable")[:, :_TOP]
        arrays = {
            "top": top.astype(np.int32),
            "logp": np.take_along_axis(logp, top, 1).astype(np.float32),
            "node": self.targets.node[rows],
            "exact": self.targets.exact[rows],
            "groups": self.groups[rows],
            "fold": self.fold[rows],
            "method": np.array(self.method),
            "keys": self.keys[rows],
            "tree": np.frombuffer(self.scores.taxonomy.to_json().encode(), np.uint8),
        }
        if self.nearest is not None:
            for name, values in self.nearest.take(rows)._asdict().items():
                arrays[f"nearest.{name}"] = values if name == "node" else values.astype(np.float32)
        out = io.BytesIO()
        np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
        with atomic_binary(folder / FILE) as handle:
            handle.write(out.getvalue())

    @classmethod
    def load(cls, folder: Path) -> "LabelledScores | None":
        """Read what `save` wrote; None where there is no such file.

        Raises:
            BundleError: the file is damaged.
        """
        file = folder / FILE
        if not file.is_file():
            return None
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            tree = Taxonomy.from_json(arrays["tree"].tobytes().decode())
            scores = Scores(tree, _complete(arrays["top"], arrays["logp"], len(tree.terminals)))
            neighbors = [arrays[f"nearest.{name}"] for name in Nearest._fields if f"nearest.{name}" in arrays]
            return cls(
                scores,
                Targets(arrays["node"], arrays["exact"]),
                arrays["groups"],
                arrays["fold"],
                Nearest(*neighbors) if neighbors else None,
                str(arrays["method"]),
                arrays["keys"],
            )
        except Exception as error:  # whatever a damaged archive makes its readers raise
            raise BundleError(f"{file} is damaged ({type(error).__name__}): delete it") from error


def _complete(top: np.ndarray, logp: np.ndarray, terminals: int) -> np.ndarray:
    """(n, N) log-probabilities, of which the highest (n, K) are given."""
    left = terminals - top.shape[1]
    rest = np.maximum(1.0 - np.exp(logp.astype(np.float64)).sum(1), _LEAST)
    out = np.repeat((np.log(rest) - np.log(max(left, 1)))[:, None], terminals, 1)
    np.put_along_axis(out, top.astype(np.int64), logp.astype(np.float64), 1)
    return (out - np.logaddexp.reduce(out, 1)[:, None]).astype(np.float32)
