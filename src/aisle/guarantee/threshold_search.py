"""The search for limits: laid out on one part, tested on the other, most generous first refused."""

from copy import copy
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, ndtri

from aisle.guarantee.exact_tests import (
    betting_p,
    binomial_p,
    reject_in_order,
    rows_for_certainty,
    rows_to_show,
)
from aisle.guarantee.path_confidence import OUTSIDE, Descent, judge
from aisle.guarantee.policy import NOTHING, Promise, Rule, covers
from aisle.guarantee.prediction import Verdict
from aisle.guarantee.settings import Settings
from aisle.taxonomy import Targets, Taxonomy

ACCEPT_SHARE = 0.8  # of delta; `partial` has more rows to show its worth on
STEPS = 400  # candidates for a limit
MOST = 1e9  # more rows than any shop has labelled are as good as none that would do
LIKELY = 0.8  # a number of rows is "needed" when it shows the promise with this probability
SPARE = 0.5  # standard deviations beyond the test's own that a category should have to spare
KEEP = 0.9  # of its answers a category keeps when held to a promise of its own; else rows do not allow it


class Part(NamedTuple):
    """Labelled rows on their way down.

    wrong, known: (B, L) whether naming the node at each level is wrong, and whether the label tells;
    the column of the last level is about the full path. group: (B,) numbers that near-duplicates share.
    drawn: (B,) bool, one row of each group, by chance. held: (B,) bool, nothing is decided for it.
    """

    descent: Descent
    wrong: np.ndarray
    known: np.ndarray
    group: np.ndarray
    drawn: np.ndarray
    held: np.ndarray

    @classmethod
    def of(
        cls, taxonomy: Taxonomy, descent: Descent, targets: Targets, group: np.ndarray, held: np.ndarray
    ) -> "Part":
        """Rows without any label are left out."""
        rows = np.flatnonzero((targets.node >= 0) | (targets.node == OUTSIDE))
        targets, group = Targets(targets.node[rows], targets.exact[rows]), group[rows]
        descent = Descent(*(part[rows] for part in descent))
        truth = judge(taxonomy, descent, targets)
        wrong, known = ~truth.branch, truth.branch_known.copy()
        ends = np.arange(len(rows)), descent.depth - 1
        wrong[ends], known[ends] = ~truth.full, truth.full_known
        shuffled = np.random.default_rng(0).permutation(len(rows))  # always the same chance
        drawn = np.zeros(len(rows), dtype=bool)
        drawn[shuffled[np.unique(group[shuffled], return_index=True)[1]]] = True
        return cls(descent, wrong, known, group, drawn, held[rows])

    def __len__(self) -> int:
        return len(self.descent.best)


class Answers(NamedTuple):
    """Rows answered at one limit whose label tells, (R,) each: as in Part, a mistake's cost, top category."""

    wrong: np.ndarray
    cost: np.ndarray
    top: np.ndarray
    group: np.ndarray
    drawn: np.ndarray

    def among(self, rows: np.ndarray) -> "Answers":
        """Some of them."""
        return Answers(*(values[rows] for values in self))

    def p_value(self, alpha: float) -> float:
        """Of "the average cost of these answers is at least alpha".

        Exact for one row drawn from each group. Where near-duplicates are answered, also that of all
        rows, at the number of independent ones they are worth (by the spread of errors between groups),
        so that what holds for groups also holds for products; the larger of the two counts.
        """
        drawn = self.among(self.drawn)
        p = _p_value(drawn.wrong, drawn.cost, alpha)
        if len(drawn.wrong) == len(self.wrong):
            return p
        loss, top = self.wrong * self.cost, self.cost.max()
        spread = loss - loss.mean()
        _, group = np.unique(self.group, return_inverse=True)
        together = (np.bincount(group, spread) ** 2).sum()
        worth = len(loss) * min(1.0, float((spread**2).sum() / together)) if together else len(drawn.wrong)
        errors, rows = np.ceil(loss.mean() / top * worth), np.floor(worth)
        return max(p, float(binomial_p(errors, rows, min(alpha / top, 1.0))))


def _p_value(wrong: np.ndarray, cost: np.ndarray, alpha: float) -> float:
    if not len(wrong):
        return 1.0
    if (cost == cost[0]).all():
        return float(binomial_p(int(wrong.sum()), len(wrong), min(alpha / cost[0], 1.0)))
    return betting_p(wrong * cost, alpha, float(cost.max()))


class Kind:
    """One kind of answer on one part: which rows are answered at which limit.

    open_: (B, L) where this kind may answer at all. cost: (M,) of a mistake at each node.
    """

    def __init__(self, part: Part, open_: np.ndarray, cost: np.ndarray) -> None:
        self.part_rows = len(part)
        self.rows = np.flatnonzero(open_.any(1))
        nodes = part.descent.nodes[self.rows]
        self.top = nodes[:, 0]
        self.cost = cost[nodes]  # (R, L)
        risk = self.cost * (1 - part.descent.confidence[self.rows])
        self.risk = np.where(open_[self.rows], risk, np.inf)
        self.wrong, self.known = part.wrong[self.rows], part.known[self.rows]
        self.group, self.drawn = part.group[self.rows], part.drawn[self.rows]

    def only(self, top: int) -> "Kind":
        """Its rows in one top category."""
        part = copy(self)
        mine = self.top == top
        for name in ("rows", "top", "cost", "risk", "wrong", "known", "group", "drawn"):
            setattr(part, name, getattr(self, name)[mine])
        return part

    def levels(self, limit: float, floors: np.ndarray) -> np.ndarray:
        """(R,) the deepest level whose risk is within the limit, -1 where none is.

        floors: (M,) the strictest limit by top category.
        """
        fits = self.risk <= np.minimum(limit, floors[self.top])[:, None]
        return np.where(fits.any(1), fits.shape[1] - 1 - fits[:, ::-1].argmax(1), -1)

    def answers(self, limit: float, floors: np.ndarray) -> Answers:
        """What is answered at this limit and can be told right from wrong."""
        level = self.levels(limit, floors)
        told = np.flatnonzero((level >= 0) & self.known[np.arange(len(level)), level])
        at = told, level[told]
        return Answers(self.wrong[at], self.cost[at], self.top[told], self.group[told], self.drawn[told])


class Walk:
    """Fixed-sequence testing of one kind of answer: candidates laid out on `first`, tested on `second`.

    Counts over the C candidates, by top category (T of them) and, in the last column, together.
    """

    def __init__(self, first: Kind, second: Kind, alpha: float, delta: float, tops: np.ndarray) -> None:
        self.first, self.second, self.alpha, self.delta, self.tops = first, second, alpha, delta, tops
        self.scale = second.part_rows / max(first.part_rows, 1)
        self.floors = np.full(int(tops[-1]) + 1, np.inf)
        risks = np.sort(first.risk[np.isfinite(first.risk)])
        if len(risks):
            risks = np.unique(risks[np.linspace(0, len(risks) - 1, STEPS).astype(int)])
        self.candidates = risks
        self._count()
        self._set_floors()
        self.begin = int(self.evidence(self.scale)[:, -1].argmax()) if len(risks) else 0

    def _count(self) -> None:
        """How many rows of the first part each candidate answers, and what mistakes among them cost.

        As the limit rises, a row is answered at one of its levels after another: each step adds the new
        answer and takes the one before away.
        """
        kind, shape = self.first, (len(self.candidates) + 1, len(self.tops) + 1)
        rows, loss, worst = np.zeros(shape), np.zeros(shape), np.ones(shape[1])
        limit = np.where(kind.risk <= self.floors[kind.top][:, None], kind.risk, np.inf)  # (R, L)
        deeper = np.minimum.accumulate(
            np.pad(limit, ((0, 0), (0, 1)), constant_values=np.inf)[:, ::-1], axis=1
        )
        level_rows, levels = np.nonzero(limit < deeper[:, -2::-1])  # row by row, from the top down
        first = np.diff(level_rows, prepend=-1) != 0
        at = np.searchsorted(self.candidates, limit[level_rows, levels])
        column = np.searchsorted(self.tops, kind.top[level_rows])
        told = kind.known[level_rows, levels].astype(float)
        cost = told * kind.wrong[level_rows, levels] * kind.cost[level_rows, levels]
        for onto, value in ((rows, told), (loss, cost)):
            np.add.at(onto, (at, column), value - np.where(first, 0, np.roll(value, 1)))
            onto[:, -1] = onto.sum(1)
        np.maximum.at(worst, column, kind.cost[level_rows, levels])
        worst[-1] = worst.max()
        self.rows, self.loss, self.worst = rows.cumsum(0)[:-1], loss.cumsum(0)[:-1], worst

    def _set_floors(self) -> None:
        """Where a category alone would fail at the limit foreseen, hold it to one at which it should not."""
        if not len(self.candidates):
            return
        evidence = self.evidence(self.scale)
        enough = -ndtri(self.delta) + SPARE
        foreseen = np.flatnonzero(evidence[:, -1] >= enough - SPARE).max(initial=-1)
        for column, top in enumerate(self.tops):
            good = np.flatnonzero(evidence[: foreseen + 1, column] >= enough)
            if (
                len(good)
                and good[-1] < foreseen
                and self.rows[good[-1], column] >= KEEP * self.rows[foreseen, column]
            ):
                self.floors[top] = self.candidates[good[-1]]
        if np.isfinite(self.floors).any():
            self._count()

    def evidence(self, scale: float) -> np.ndarray:
        """(C, T + 1) by how many standard deviations each test on `scale` times the rows should succeed."""
        rate = (self.loss + self.worst) / (self.rows + 2)
        return (self.alpha - rate) * np.sqrt(self.rows * scale / (self.alpha * max(1 - self.alpha, 1e-9)))

    def limit(self) -> float:
        """The last candidate that can be shown, NOTHING if none."""
        return self._last_shown(self.second, self.begin, len(self.candidates))

    def hold(self, limit: float) -> list[bool]:
        """Which categories alone can be shown to keep the promise at this limit for all.

        One that fails is held to the last limit at which it does not, where that leaves it nearly all
        its answers (design: where rows allow). This may follow the test of the whole, because it only
        takes away answers of a category that was wrong too often to be shown.
        """
        found = []
        end = int(np.searchsorted(self.candidates, limit)) + 1
        evidence = self.evidence(self.scale)
        foreseen = np.flatnonzero(evidence[:, -1] >= -ndtri(self.delta)).max(initial=self.begin)
        for column, top in enumerate(self.tops):
            mine = self.second.only(top)
            # A category's walk begins where its own evidence is best, short of the limit foreseen for all.
            begin = int(evidence[: int(0.9 * foreseen) + 1, column].argmax())
            own = self._last_shown(mine, begin, end)
            kept, usual = (len(mine.answers(at, self.floors).wrong) for at in (own, limit))
            found.append(own >= 0 and kept >= KEEP * usual)
            if found[-1] and own < limit:
                self.floors[top] = min(self.floors[top], own)
        return found

    def _last_shown(self, kind: Kind, begin: int, end: int) -> float:
        """Where fixed-sequence testing from candidate `begin` on ends; NOTHING if at once."""
        p_values = []
        for limit in self.candidates[begin:end]:
            p_values.append(kind.answers(limit, self.floors).p_value(self.alpha))
            if not p_values[-1] <= self.delta:
                break
        shown = reject_in_order(np.array(p_values), self.delta)
        return float(self.candidates[begin + shown - 1]) if shown else NOTHING

    def needed(self, column: int = -1) -> int | None:
        """About how many rows of the second part would show the promise; None if no number would.

        By the rate of mistakes that the first part leads to expect; where that is too high everywhere, by
        the lowest one that it does not rule out, so that few rows are not taken for a bad model.
        """
        if not len(self.candidates):
            return rows_for_certainty(1 - self.alpha, self.delta)
        rows, worst = self.rows[:, column], self.worst[column]
        wrong, share = self.loss[:, column] / worst, rows / max(self.first.part_rows, 1)
        lowest = np.where(wrong > 0, betaincinv(np.maximum(wrong, 1e-9), rows - wrong + 1, 0.05), 0.0)
        for rate in ((wrong + 1) / (rows + 2), lowest):
            answered = rows_to_show(rate, self.alpha / worst, self.delta, LIKELY)
            needed = np.min(np.where(share > 0, answered / np.maximum(share, 1e-12), np.inf))
            if needed < MOST:
                return int(np.ceil(max(needed, 1.25 * self.second.part_rows)))
        return None


class Search:
    """Goes through the kinds of answer, full paths first, and settles each one's limit."""

    def __init__(self, settings: Settings, taxonomy: Taxonomy, first: Part, second: Part) -> None:
        self.settings = settings
        self.taxonomy = taxonomy
        self.parts = first, second
        self.demands = settings.on(taxonomy)
        self.taken = [part.held.copy() for part in self.parts]
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
        first, second = (
            self._kind(part, taken, verdict, mine) for part, taken in zip(self.parts, self.taken, strict=True)
        )
        walk = Walk(first, second, 1 - precision, delta, self.taxonomy.level(1))
        limit = walk.limit()
        alone = walk.hold(limit) if limit >= 0 else []
        whole = Promise(verdict, level, precision, "", limit >= 0, 0, 0, None)
        self.promises += self._promises(walk, limit, whole, alone)
        names = {
            self.taxonomy.nodes[t].id: float(walk.floors[t]) for t in walk.tops if walk.floors[t] < limit
        }
        self.rules.append(Rule(verdict, level, precision, limit, names))
        for kind, taken in zip((first, second), self.taken, strict=True):
            taken[kind.rows[kind.levels(limit, walk.floors) >= 0]] = True

    def _promises(self, walk: Walk, limit: float, whole: Promise, alone: list[bool]) -> list[Promise]:
        """What was shown of all categories together, and of each top category alone."""
        found = walk.second.answers(limit, walk.floors)
        promises = [_told(whole, found, walk, -1)]
        for column, holds in enumerate(alone):
            mine = found.among(found.top == walk.tops[column])
            if len(mine.wrong):
                branch = self.taxonomy.nodes[walk.tops[column]].id
                promises.append(_told(whole._replace(branch=branch, holds=holds), mine, walk, column))
        return promises

    def _kind(self, part: Part, taken: np.ndarray, verdict: Verdict, mine: np.ndarray) -> Kind:
        nodes = part.descent.nodes
        last = np.arange(nodes.shape[1]) == (part.descent.depth - 1)[:, None]
        here = last if verdict == "accept" else (nodes >= 0) & ~last
        return Kind(part, here & mine[nodes] & ~taken[:, None], self.demands.cost)


def _told(promise: Promise, found: Answers, walk: Walk, column: int) -> Promise:
    """The promise with what was counted; and, where it was not shown, how many rows would do."""
    needed = None if promise.holds else walk.needed(column)
    return promise._replace(rows=len(found.wrong), errors=int(found.wrong.sum()), needed=needed)
