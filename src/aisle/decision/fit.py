"""From labelled rows to a promise: calibrate on one part, test thresholds on another.

What is promised, exactly. Let the rows of the threshold part be independent draws (one row is drawn
from each group of near-duplicates) of the products to come. For each kind of answer, with
probability at least 1 - its share of delta over that draw, the share of right answers among future
products given that answer is at least `precision` (with costs: their average cost is at most
1 - precision). The shares add up to delta, so all kinds hold together with probability 1 - delta.
A promise for one top category is made at delta on its own; those are not joint.

Why it holds. The calibration part fixes everything but one number a kind: the calibration, the
candidates for the limit, where the walk among them begins, and how much stricter single categories
are. The threshold part only tests, walking from the strict end (Learn then Test, arXiv 2110.01052,
fixed-sequence testing), each test exact. The rule tested is the climb of Goren, Galil & El-Yaniv
(arXiv 2405.11533): from the best terminal up to the first node that is sure enough. Accepting is
settled first. Whether its walk goes on depends only on the rows it accepts and those of the step it
refuses, which were refused for having too many mistakes: what is left for `partial` is therefore as
good as fresh, or worse than it, never better.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from aisle.decision.calibration import Calibration
from aisle.decision.descent import Descent, descend, judge
from aisle.decision.guarantee import (
    betting_p,
    binomial_p,
    critical_errors,
    reject_in_order,
    rows_for_certainty,
)
from aisle.decision.policy import NOTHING, Policy, Promise, Rule, covers
from aisle.decision.prediction import Verdict
from aisle.decision.settings import Demands, PolicyError, Settings
from aisle.taxonomy import Scores, Targets, Taxonomy

ACCEPT_SHARE = 0.75  # of delta; `partial` has more rows to show its worth on
STEPS = 200  # candidates for a limit
LIKELY = 0.8  # a number of rows is "needed" when it shows the promise with this probability


class Sample(NamedTuple):
    """Labelled rows: raw scores, targets, and (B,) what ties near-duplicates together, None if nothing."""

    scores: Scores
    targets: Targets
    groups: np.ndarray | None = None


Labelled = tuple[Any, ...]  # a Sample, or the same as a plain tuple


def fit(
    calibration: Labelled,
    thresholds: Labelled,
    *,
    precision: float = 0.95,
    delta: float = 0.05,
    never: Iterable[str] = (),
    costs: Mapping[str, float] | None = None,
    branch_precision: Mapping[str, float] | None = None,
    level_precision: Mapping[int, float] | None = None,
) -> Policy:
    """The policy that promises `precision` on as much as it can show, from two disjoint parts.

    calibration, thresholds: `(scores, targets)` or `(scores, targets, groups)`: raw scores over one
    tree, labels, and optionally what ties near-duplicates together; no row, nor a near-duplicate of
    it, in both or in training. Rows with node -1 that are not exact have no label and are left out;
    node -1 and exact says that the product belongs nowhere in the tree, where every answer is wrong.
    The other settings are those of `Settings`.

    Raises:
        PolicyError: a setting out of its range, or parts over different trees.
        TaxonomyError: an id that is not in the tree.
    """
    settings = Settings(
        precision,
        delta,
        tuple(never),
        dict(costs or {}),
        dict(branch_precision or {}),
        dict(level_precision or {}),
    )
    first, second = Sample(*calibration), Sample(*thresholds)
    taxonomy = first.scores.taxonomy
    if second.scores.taxonomy != taxonomy:
        raise PolicyError(
            "the calibration and the threshold part are scored over different trees: score both anew"
        )
    settings.check(taxonomy)
    calibrated = Calibration.fit(first.scores, first.targets, _weights(first.groups, len(first.scores)))
    search = _Search(settings, taxonomy, _Part.of(calibrated, first), _Part.of(calibrated, second))
    search.run()
    known = frozenset(node.id for node in taxonomy.nodes)
    return Policy(settings, calibrated, tuple(search.rules), tuple(search.promises), known)


def _weights(groups: np.ndarray | None, rows: int) -> np.ndarray:
    """(B,) one over the number of rows in each row's group."""
    if groups is None:
        return np.ones(rows)
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return 1.0 / sizes[inverse]


def _one_a_group(groups: np.ndarray | None, rows: int) -> np.ndarray:
    """One row of each group, drawn by chance (always the same chance), in order."""
    if groups is None:
        return np.arange(rows)
    shuffled = np.random.default_rng(0).permutation(rows)
    _, first = np.unique(np.asarray(groups)[shuffled], return_index=True)
    return np.sort(shuffled[first])


class _Part(NamedTuple):
    """Rows on their way down: `descent`, and for each level whether naming its node is wrong.

    wrong, known: (B, L); the column of the last level is about the full path.
    """

    descent: Descent
    wrong: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, calibration: Calibration, sample: Sample) -> "_Part":
        rows = _one_a_group(sample.groups, len(sample.scores))
        rows = rows[(sample.targets.node[rows] >= 0) | sample.targets.exact[rows]]
        targets = Targets(sample.targets.node[rows], sample.targets.exact[rows])
        descent = descend(calibration.apply(sample.scores[rows]))
        truth = judge(sample.scores.taxonomy, descent, targets)
        wrong, known = ~truth.branch, truth.branch_known.copy()
        ends = np.arange(len(rows)), descent.depth - 1
        wrong[ends], known[ends] = ~truth.full, truth.full_known
        return cls(descent, wrong, known)

    def __len__(self) -> int:
        return len(self.descent.best)


class _Answers(NamedTuple):
    """The rows answered at one limit: `wrong` (R,) bool, `cost` (R,) of a mistake, `top` (R,) category."""

    wrong: np.ndarray
    cost: np.ndarray
    top: np.ndarray


class _Kind:
    """One kind of answer on one part: which rows would be answered at which limit.

    open: (B, L) where this kind may answer at all.
    """

    def __init__(self, part: _Part, open_: np.ndarray, cost: np.ndarray) -> None:
        rows = np.flatnonzero(open_.any(1))
        self.part_rows = len(part)
        self.rows = rows
        self.top = part.descent.nodes[rows, 0]
        self.cost = cost[part.descent.nodes[rows]]  # (R, L)
        risk = self.cost * (1 - part.descent.confidence[rows])
        self.risk = np.where(open_[rows], risk, np.inf)
        self.wrong, self.known = part.wrong[rows], part.known[rows]

    def at(self, limit: float, floors: np.ndarray) -> tuple[np.ndarray, _Answers]:
        """Which of `rows` are answered (R,), and those of them whose label tells right from wrong.

        floors: (M,) the strictest limit by top category.
        """
        fits = self.risk <= np.minimum(limit, floors[self.top])[:, None]
        answered = np.asarray(fits.any(1))
        level = fits.shape[1] - 1 - fits[:, ::-1].argmax(1)
        every = np.arange(len(level))
        told = np.flatnonzero(answered & self.known[every, level])
        return answered, _Answers(self.wrong[told, level[told]], self.cost[told, level[told]], self.top[told])


class _Search:
    """Goes through the kinds of answer, full paths first, and settles each one's limit."""

    def __init__(self, settings: Settings, taxonomy: Taxonomy, first: _Part, second: _Part) -> None:
        self.settings = settings
        self.taxonomy = taxonomy
        self.parts = first, second
        self.demands: Demands = settings.on(taxonomy)
        self.taken = [np.zeros(len(part), dtype=bool) for part in self.parts]
        self.rules: list[Rule] = []
        self.promises: list[Promise] = []

    def run(self) -> None:
        """Full paths, then branches from the deepest level up."""
        allowed = ~self.demands.never
        ends = allowed & (self.taxonomy.terminal_of >= 0)
        inner = allowed & np.array([bool(c) for c in self.taxonomy.children])
        delta = self.settings.delta
        accepts = [(0, p) for p in np.unique(self.demands.precision[ends])]
        partials = self._partial_kinds(inner)
        for level, precision in accepts:
            self._settle("accept", level, float(precision), delta * ACCEPT_SHARE / len(accepts))
        for level, precision in partials:
            self._settle("partial", level, float(precision), delta * (1 - ACCEPT_SHARE) / len(partials))

    def _partial_kinds(self, inner: np.ndarray) -> list[tuple[int, float]]:
        """(level, precision) of each kind: all levels together unless what is asked differs along a path."""
        precision, parent = self.demands.precision, self.taxonomy.parent
        below = inner & (parent >= 0)
        if (precision[below] == precision[parent[below]]).all():
            return [(0, p) for p in np.unique(precision[inner])]
        levels = range(self.taxonomy.depth, 0, -1)
        return [(d, p) for d in levels for p in np.unique(precision[inner & (self.taxonomy.node_depth == d)])]

    def _settle(self, verdict: Verdict, level: int, precision: float, delta: float) -> None:
        """Find the most generous limit that can be shown, and say what was shown."""
        mine = covers(level, precision, self.taxonomy, self.demands) & ~self.demands.never
        kinds = [
            self._kind(part, taken, verdict, mine) for part, taken in zip(self.parts, self.taken, strict=True)
        ]
        walk = _Walk(kinds[0], kinds[1], 1 - precision, delta, len(self.taxonomy))
        limit = walk.limit()
        self.rules.append(Rule(verdict, level, precision, limit, {}))
        _, answers = kinds[1].at(limit, walk.floors)
        self.promises.append(
            Promise(
                verdict,
                level,
                precision,
                "",
                limit >= 0,
                len(answers.wrong),
                int(answers.wrong.sum()),
                None if limit >= 0 else walk.needed(),
            )
        )
        for kind, taken in zip(kinds, self.taken, strict=True):
            taken[kind.rows[kind.at(limit, walk.floors)[0]]] = True

    def _kind(self, part: _Part, taken: np.ndarray, verdict: Verdict, mine: np.ndarray) -> _Kind:
        nodes = part.descent.nodes
        last = np.arange(nodes.shape[1]) == (part.descent.depth - 1)[:, None]
        here = last if verdict == "accept" else (nodes >= 0) & ~last
        return _Kind(part, here & mine[nodes] & ~taken[:, None], self.demands.cost)


class _Walk:
    """Fixed-sequence testing of one kind's candidates, laid out on one part and walked on the other."""

    def __init__(self, first: _Kind, second: _Kind, alpha: float, delta: float, nodes: int) -> None:
        self.first, self.second, self.alpha, self.delta = first, second, alpha, delta
        self.floors = np.full(nodes, np.inf)
        risks = np.sort(first.risk[np.isfinite(first.risk)])
        if len(risks):
            risks = np.unique(risks[np.linspace(0, len(risks) - 1, STEPS).astype(int)])
        self.candidates = risks
        counts = [first.at(limit, self.floors)[1] for limit in risks]
        self.rows = np.array([len(a.wrong) for a in counts])
        self.loss = np.array([float((a.wrong * a.cost).sum()) for a in counts])
        self.worst = max((float(a.cost.max()) for a in counts if len(a.cost)), default=1.0)

    def limit(self) -> float:
        """The last candidate that can be shown, NOTHING if none."""
        if not len(self.candidates):
            return NOTHING
        scale = self.second.part_rows / max(self.first.part_rows, 1)
        begin = int(self._evidence(scale).argmax())
        ahead = self.candidates[begin:]
        found = reject_in_order(np.array([self._p(limit) for limit in ahead]), self.delta)
        return float(ahead[found - 1]) if found else NOTHING

    def _p(self, limit: float) -> float:
        answers = self.second.at(limit, self.floors)[1]
        return p_value(answers.wrong, answers.cost, self.alpha)

    def _evidence(self, scale: float) -> np.ndarray:
        """For each candidate, by how many standard deviations its test is expected to succeed."""
        rows, rate, alpha = self.rows * scale, (self.loss + self.worst) / (self.rows + 2), self.alpha
        return (alpha - rate) * np.sqrt(rows / (alpha * (self.worst - alpha)))

    def _chance(self, scale: float) -> np.ndarray:
        """For each candidate, how likely its test succeeds on `scale` times the first part's rows."""
        rows = np.round(self.rows * scale).astype(int)
        rate = (self.loss / self.worst + 1) / (self.rows + 2)
        return stats.binom.cdf(critical_errors(rows, self.alpha / self.worst, self.delta), rows, rate)

    def needed(self) -> int | None:
        """About how many rows of the threshold part would show the promise; None if no number would."""
        fewest = rows_for_certainty(1 - self.alpha, self.delta)
        if not len(self.candidates):
            return fewest
        have = self.second.part_rows
        for factor in 1.25 ** np.arange(40):
            rows = max(have, fewest) * factor
            if self._chance(rows / max(self.first.part_rows, 1)).max() >= LIKELY:
                return int(np.ceil(rows))
        return None


def p_value(wrong: np.ndarray, cost: np.ndarray, alpha: float) -> float:
    """Of "the average cost of these answers is at least alpha"; exact where every mistake costs the same."""
    if not len(wrong):
        return 1.0
    if (cost == cost[0]).all():
        return float(binomial_p(int(wrong.sum()), len(wrong), min(alpha / cost[0], 1.0)))
    return betting_p(wrong * cost, alpha, float(cost.max()))
