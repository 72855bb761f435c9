"""Temperature scaling in a tree: calibrated P(child | parent), multiplied from the top category down."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from aisle.taxonomy import Scores, Targets, Taxonomy

_CELLS = 4_000_000  # numbers of an array in a block of rows: 32 MB of float64
_IN_CACHE = 32_768  # numbers of an array that fits into the processor's cache
_FEWEST_ROWS = 64  # rows of a block, at least: smaller ones are dominated by the cost of a call
_BOUNDS = (-2.5, 2.5)  # of the log-sharpness: inverse temperatures from 0.08 to 12
_USUAL_DOUBT = (0.05, 0.3)  # center of a wide prior; typical of noisy listings
_TRUST = 40.0  # precision of the prior of a group’s log-sharpness: its standard deviation is 1 / sqrt(40)


class _Level(NamedTuple):
    """The U children (units) of all G parents at one depth; `stop here` is a child like any other.

    Attributes:
        unit: (U, 2) span of terminals of each unit.
        starts: (G,) first unit of each group of siblings.
        size: (G,) number of units of each group.
        parent: (G,) node of the parent; -1 is the root.
        group: (U,) group of each unit.
        terminal: (U,) the terminal that a unit is; -1 if it has children.
        above: (G,) unit of the parent, one level up.
    """

    unit: np.ndarray
    starts: np.ndarray
    size: np.ndarray
    parent: np.ndarray
    group: np.ndarray
    terminal: np.ndarray
    above: np.ndarray


@lru_cache(maxsize=8)
def _levels(taxonomy: Taxonomy) -> tuple[_Level, ...]:
    """The tree as a sequence of choices. A `stop here` is the first child of its node."""
    levels: list[_Level] = []
    parents, above = [-1], [0]
    tops = [i for i, p in enumerate(taxonomy.parent) if p < 0]
    while parents:
        spans: list[tuple[int, int]] = []
        starts: list[int] = []
        terminal: list[int] = []
        below: list[int] = []
        below_unit: list[int] = []
        for parent in parents:
            starts.append(len(spans))
            if parent >= 0 and taxonomy.terminal_of[parent] >= 0:
                stop = int(taxonomy.terminal_of[parent])
                spans.append((stop, stop + 1))
                terminal.append(stop)
            for child in tops if parent < 0 else taxonomy.children[parent]:
                if taxonomy.children[child]:
                    below.append(child)
                    below_unit.append(len(spans))
                    terminal.append(-1)
                else:
                    terminal.append(int(taxonomy.terminal_of[child]))
                spans.append((int(taxonomy.span[child][0]), int(taxonomy.span[child][1])))
        size = np.diff([*starts, len(spans)])
        levels.append(
            _Level(
                np.array(spans),
                np.array(starts),
                size,
                np.array(parents),
                np.repeat(np.arange(len(parents)), size),
                np.array(terminal),
                np.array(above),
            )
        )
        parents, above = below, below_unit
    return tuple(levels)


def _spans_logp(logp: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """(B, U) log of the probability in each span [start, stop); spans are in order and do not overlap."""
    if len(spans) == logp.shape[1] and (spans[:, 1] - spans[:, 0] == 1).all():
        return logp[:, spans[:, 0]]
    padded = np.pad(logp, ((0, 0), (0, 1)), constant_values=-np.inf)
    edges = spans.ravel()
    peak = np.maximum.reduceat(padded, edges, axis=1)[:, ::2]
    peak = np.where(np.isfinite(peak), peak, 0.0)
    width = spans[:, 1] - spans[:, 0]
    columns = np.concatenate([np.arange(a, b) for a, b in spans])
    mass = np.exp(padded[:, columns] - np.repeat(peak, width, axis=1))
    starts = np.concatenate([[0], np.cumsum(width)[:-1]])
    with np.errstate(divide="ignore"):
        return np.log(np.add.reduceat(mass, starts, axis=1)) + peak


def _group_sums(x: np.ndarray, level: _Level) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of x (U, B), which may be -inf: exp(x - peak) (U, B), and by group its sum and the peak (G, B)."""
    peak = np.maximum.reduceat(x, level.starts, axis=0)
    peak = np.where(np.isfinite(peak), peak, 0.0)
    mass = np.exp(x - peak[level.group])
    return mass, np.add.reduceat(mass, level.starts, axis=0), peak


def blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices of rows such that rows × width stays near 32 MB of float64."""
    step = max(1, _CELLS // max(width, 1))
    return (slice(i, min(i + step, rows)) for i in range(0, rows, step))


@dataclass(frozen=True)
class Calibration:
    """An inverse temperature (`sharpness`) and label noise (`doubt`) for each level of the tree.

    P'(child | parent) = (1 - d) s + d / siblings, where s = softmax(sharpness log P(child | parent)),
    `stop here` being a child like any other, and d = scale (1 - max s) ** power. Without d, a few wrong
    labels, whose loss is unbounded, would lower the inverse temperature of all others; a constant d would
    limit every confidence, and cost coverage at high precision.

    Attributes:
        levels: Inverse temperature of each level, level 1 first; deeper levels use the last.
        doubts: (scale, power) of d for each level, in the same way.
        groups: Inverse temperature by the parent's id ("" is the root); other groups use their level's.
    """

    levels: tuple[float, ...] = (1.0,)
    doubts: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    groups: Mapping[str, float] = field(default_factory=dict)

    def apply(self, scores: Scores) -> Scores:
        """Calibrated log-probabilities of the same shape (B, N): one distribution over the terminals."""
        taxonomy = scores.taxonomy
        if self == Calibration():
            return scores
        levels = _levels(taxonomy)
        sharpness = [self._sharpness(taxonomy, depth, level) for depth, level in enumerate(levels)]
        doubts = [self.doubts[min(depth, len(self.doubts) - 1)] for depth in range(len(levels))]
        out = np.empty(scores.logp.shape, dtype=scores.logp.dtype)
        at_once = max(_FEWEST_ROWS, _IN_CACHE // scores.logp.shape[1])
        for start in range(0, len(scores), at_once):
            rows = slice(start, start + at_once)
            out[rows] = _multiplied_down(scores.logp[rows].astype(np.float64), levels, sharpness, doubts)
        return Scores(taxonomy, out)

    def _sharpness(self, taxonomy: Taxonomy, depth: int, level: _Level) -> np.ndarray:
        """(G,) inverse temperature of each group of siblings at this depth (0 is the top)."""
        usual = self.levels[min(depth, len(self.levels) - 1)]
        ids = ["" if parent < 0 else taxonomy.nodes[parent].id for parent in level.parent]
        return np.array([self.groups.get(i, usual) for i in ids])

    @classmethod
    def fit(cls, scores: Scores, targets: Targets) -> "Calibration":
        """Fit by maximum likelihood, level by level; a group has a normal prior around its level.

        Args:
            scores: (B, N) log-probabilities of products that the model was not trained on.
            targets: Their labels. A label that is a branch counts for the levels down to it.

        Returns:
            The identity if there are no rows.
        """
        if not len(scores):
            return cls()
        sharpness: list[float] = []
        doubts: list[tuple[float, float]] = []
        groups: dict[str, float] = {}
        taxonomy = scores.taxonomy
        chosen = _chosen_units(taxonomy, targets)
        for depth, level in enumerate(_levels(taxonomy)):
            seen = _choices(scores, level, chosen[depth])
            usual, doubt = _best_level(list(seen.values()))
            sharpness.append(float(np.exp(usual)))
            doubts.append(doubt)
            for group, choice in seen.items():
                own = _best_sharpness([choice], doubt, usual, _TRUST)
                parent = level.parent[group]
                groups["" if parent < 0 else taxonomy.nodes[parent].id] = float(np.exp(own))
        return cls(tuple(sharpness), tuple(doubts), groups)

    def to_dict(self) -> dict[str, Any]:
        """JSON-compatible numbers and strings."""
        return {"levels": list(self.levels), "doubts": list(self.doubts), "groups": dict(self.groups)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Calibration":
        """Read back what `to_dict` wrote."""
        return cls(
            tuple(float(x) for x in data["levels"]),
            tuple((float(scale), float(power)) for scale, power in data["doubts"]),
            {str(k): float(v) for k, v in data["groups"].items()},
        )


def _multiplied_down(
    logp: np.ndarray,
    levels: tuple[_Level, ...],
    sharpness: list[np.ndarray],
    doubts: list[tuple[float, float]],
) -> np.ndarray:
    """(B, N) calibrated terminals: each unit is its parent times its share among its siblings."""
    columns = np.ascontiguousarray(logp.T)  # products side by side: siblings are summed without strides
    out = np.empty_like(columns)
    before = np.zeros((1, len(logp)))  # the root
    for level, x, power, doubt in zip(levels, _units_logp(columns, levels), sharpness, doubts, strict=True):
        # Within a group P(child) and P(child | parent) differ by a constant, which the softmax removes.
        here = before[level.above[level.group]] + _log_share(x * power[level.group, None], level, doubt)
        ends = level.terminal >= 0
        out[level.terminal[ends]] = here[ends]
        before = here
    return out.T


def _units_logp(logp: np.ndarray, levels: tuple[_Level, ...]) -> list[np.ndarray]:
    """(U, B) log of the probability of each unit of each level; summed from the deepest level up."""
    found: list[np.ndarray] = []
    for depth in reversed(range(len(levels))):
        level = levels[depth]
        here = np.empty((len(level.terminal), logp.shape[1]))
        ends = level.terminal >= 0
        here[ends] = logp[level.terminal[ends]]
        if found:
            _, total, peak = _group_sums(found[-1], levels[depth + 1])
            with np.errstate(divide="ignore"):
                here[levels[depth + 1].above] = np.log(total) + peak
        found.append(here)
    return found[::-1]


def _log_share(x: np.ndarray, level: _Level, doubt: tuple[float, float]) -> np.ndarray:
    """(U, B) log of each unit's share among its siblings, at most 0, with label noise."""
    mass, total, peak = _group_sums(x, level)
    # A branch without any probability is shared evenly: it stays at -inf through its parent.
    void, size = total <= 0, level.size[:, None]
    if not doubt[0]:
        with np.errstate(divide="ignore"):
            norm = np.where(void, np.log(size), peak + np.log(total))
        return np.minimum(np.where(void[level.group], 0.0, x) - norm[level.group], 0.0)
    total = np.where(void, 1.0, total)
    best = np.where(void, 1 / size, np.maximum.reduceat(mass, level.starts, axis=0) / total)  # (G, B)
    beyond = _beyond(best, doubt)
    even = beyond / size + np.where(void, (1 - beyond) / size, 0.0)
    return np.minimum(np.log(((1 - beyond) / total)[level.group] * mass + even[level.group]), 0.0)


class _Choice(NamedTuple):
    """Rows that chose among one group of siblings: logp (R, K), and the one chosen (R,)."""

    logp: np.ndarray
    chosen: np.ndarray


def _chosen_units(taxonomy: Taxonomy, targets: Targets) -> list[np.ndarray]:
    """For each level the unit (B,) that a row is known to have chosen, or -1."""
    levels = _levels(taxonomy)
    unit_of_node = [np.full(len(taxonomy) + 1, -1) for _ in levels]  # the last entry is for node -1
    stop_of_node = [np.full(len(taxonomy) + 1, -1) for _ in levels]
    node_of_terminal = taxonomy.terminals
    for depth, level in enumerate(levels):
        for unit, (start, terminal) in enumerate(zip(level.unit[:, 0], level.terminal, strict=True)):
            parent = level.parent[level.group[unit]]
            node = int(node_of_terminal[terminal]) if terminal >= 0 else _node_at(taxonomy, start, depth)
            (stop_of_node if terminal >= 0 and node == parent else unit_of_node)[depth][node] = unit
    lineage = np.where((targets.node >= 0)[:, None], taxonomy.ancestors[targets.node], -1)  # (B, L)
    lineage = np.pad(lineage, ((0, 0), (0, 1)), constant_values=-1)
    found = []
    for depth in range(len(levels)):
        chosen = unit_of_node[depth][lineage[:, depth]]
        stops = targets.exact & (targets.node >= 0)
        found.append(np.where(stops & (chosen < 0), stop_of_node[depth][targets.node], chosen))
    return found


def _node_at(taxonomy: Taxonomy, terminal: int, depth: int) -> int:
    """The node at this depth (0 is the top) above a terminal."""
    return int(taxonomy.ancestors[taxonomy.terminals[terminal], depth])


def _choices(scores: Scores, level: _Level, chosen: np.ndarray) -> dict[int, _Choice]:
    """The rows whose label is in each group of siblings; groups of one are left out."""
    found: dict[int, _Choice] = {}
    rows = np.flatnonzero(chosen >= 0)
    rows = rows[np.argsort(level.group[chosen[rows]], kind="stable")]
    edges = np.flatnonzero(np.diff(level.group[chosen[rows]], prepend=-1))
    for these in np.split(rows, edges[1:]) if len(rows) else []:
        group = int(level.group[chosen[these[0]]])
        if level.size[group] < 2:
            continue
        units = level.unit[level.starts[group] : level.starts[group] + level.size[group]]
        logp = _spans_logp(scores.logp[these].astype(np.float64), units)
        own = chosen[these] - level.starts[group]
        # A choice given no probability at all is wrong at every sharpness.
        possible = np.isfinite(logp[np.arange(len(these)), own])
        if possible.any():
            found[group] = _Choice(logp[possible], own[possible])
    return found


def _beyond(best: np.ndarray, doubt: tuple[float, float]) -> np.ndarray:
    """The label noise d of a choice, at most 0.5: it falls as the share of the best child rises."""
    scale, power = doubt
    return np.minimum(scale * (1 - best + 1e-6) ** power, 0.5)


def _best_level(choices: list[_Choice]) -> tuple[float, tuple[float, float]]:
    """Maximum a posteriori log-sharpness and doubt of a level."""
    if not choices:
        return 0.0, (0.0, 0.0)

    from scipy.optimize import minimize  # slow to import, and not needed to predict

    centre = np.array([0.0, *np.log(_USUAL_DOUBT)])

    def loss(x: np.ndarray) -> float:
        prior = 0.05 * ((x - centre) ** 2).sum()
        return prior - sum(_likelihood(choice, x[0], tuple(np.exp(x[1:]))) for choice in choices)

    begin = centre.copy()
    begin[0] = _best_sharpness(choices, _USUAL_DOUBT, 0.0, 1.0)
    corners = np.vstack([begin, begin + 0.5 * np.eye(3)])
    options = {"xatol": 1e-2, "fatol": 1e-2, "initial_simplex": corners}
    sharpness, *doubt = minimize(loss, begin, method="Nelder-Mead", options=options)["x"]
    scale, power = np.exp(doubt)
    return float(sharpness), (float(scale), float(power))


def _likelihood(choice: _Choice, log_sharpness: float, doubt: tuple[float, float]) -> float:
    """Log-likelihood of the children chosen."""
    x = np.exp(log_sharpness) * choice.logp
    x = x - x.max(1, keepdims=True)
    share = np.exp(x)
    share /= share.sum(1, keepdims=True)
    beyond = _beyond(share.max(1), doubt)
    own = share[np.arange(len(x)), choice.chosen]
    return float(np.log((1 - beyond) * own + beyond / x.shape[1] + 1e-300).sum())


def _best_sharpness(choices: list[_Choice], doubt: tuple[float, float], centre: float, trust: float) -> float:
    """Maximum a posteriori log-sharpness, under a normal prior of mean `centre` and precision `trust`."""

    def loss(log_sharpness: float) -> float:
        fit = sum(_likelihood(choice, log_sharpness, doubt) for choice in choices)
        return 0.5 * trust * (log_sharpness - centre) ** 2 - fit

    return _lowest(loss, *_BOUNDS)


def _lowest(loss: Callable[[float], float], low: float, high: float, tolerance: float = 2e-3) -> float:
    """Minimum of a unimodal function, by golden-section search."""
    golden = (5**0.5 - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > tolerance:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = loss(right)
    return (low + high) / 2
