"""Search for the decision rule: full paths and branches jointly, tested along one path of candidates.

A rule has two prices, one for full paths and one for branches (`aisle.guarantee.rule`). For each slack s,
from strict to lenient, the candidate is the pair of prices of highest utility whose expected precision (the
mean confidence) exceeds what is asked by s standard errors. That needs no labels. Labels only test: a
candidate passes if both kinds of decision pass an exact test, and the first failure ends the search
(fixed-sequence testing, Learn then Test, arXiv 2110.01052). The strictest candidates decide branches alone,
so a first full-path rule that fails leaves these. Searches over branches alone and full paths alone get a
small share of alpha, so that a kind that cannot be shown at all does not cost the other.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import betainc, betaincinv

from aisle.guarantee.exact_tests import betting_p, rows_for_certainty, rows_to_show
from aisle.guarantee.path_confidence import OUTSIDE, Descent, judge
from aisle.guarantee.prediction import Verdict
from aisle.guarantee.rule import NEVER, Demand, Guarantee, OperatingPoint, gains
from aisle.taxonomy import Targets, Taxonomy

SHARES = (0.9, 0.05, 0.05)  # of alpha: both kinds jointly, branches alone, full paths alone
PRICES = np.geomspace(0.5, 200, 32)
SLACKS = np.arange(5.0, -3.01, -0.25)  # standard errors
MOST = 1e9  # more rows than any shop has labelled
LIKELY = 0.8  # a number of rows is "needed" when it shows the guarantee with this probability


class Rows(NamedTuple):
    """Labelled rows and their most probable paths.

    wrong, known: (B, L) whether naming the node at each level is wrong, and whether the label tells; the
    column of the last level is about the full path. group: (B,) numbers that near-duplicates share. held:
    (B,) bool, nothing may be decided.
    """

    descent: Descent
    wrong: np.ndarray
    known: np.ndarray
    group: np.ndarray
    held: np.ndarray

    @classmethod
    def of(
        cls, taxonomy: Taxonomy, descent: Descent, targets: Targets, group: np.ndarray, held: np.ndarray
    ) -> "Rows":
        """Rows without any label are left out."""
        rows = np.flatnonzero((targets.node >= 0) | (targets.node == OUTSIDE))
        targets, group = Targets(targets.node[rows], targets.exact[rows]), group[rows]
        descent = Descent(*(part[rows] for part in descent))
        truth = judge(taxonomy, descent, targets)
        wrong, known = ~truth.branch, truth.branch_known.copy()
        ends = np.arange(len(rows)), descent.depth - 1
        wrong[ends], known[ends] = ~truth.full, truth.full_known
        return cls(descent, wrong, known, group, held[rows])

    def __len__(self) -> int:
        return len(self.descent.best)


class Decided(NamedTuple):
    """Rows decided by one rule whose label tells, (R,) each: as in Rows, a mistake's cost, the node named."""

    wrong: np.ndarray
    cost: np.ndarray
    node: np.ndarray
    group: np.ndarray

    def among(self, rows: np.ndarray) -> "Decided":
        """Some of them."""
        return Decided(*(values[rows] for values in self))

    def p_value(self, alpha: float) -> float:
        """Of "the average cost of these decisions is at least alpha"; 1 where no label tells.

        Exact for independent rows. Near-duplicates count as the number of independent rows they are worth by
        the design effect: the variance between groups over that of independent rows, as Korn & Graubard
        (1998) do for confidence limits of surveys.
        """
        if not len(self.wrong):
            return 1.0
        loss, top = self.wrong * self.cost, float(self.cost.max())
        worth = len(loss) / self._design_effect(loss)
        if (self.cost == top).all():
            errors = float(self.wrong.mean()) * worth  # the binomial tail, at any real number of rows
            return float(betainc(max(worth - errors, 1e-9), errors + 1, max(1 - alpha / top, 0.0)))
        return betting_p(loss, alpha, top, worth / len(loss))

    def _design_effect(self, loss: np.ndarray) -> float:
        """At least 1; by sizes alone where all losses are equal."""
        _, group, sizes = np.unique(self.group, return_inverse=True, return_counts=True)
        spread = loss - loss.mean()
        if len(sizes) == len(loss) or not spread.any():
            return float((sizes**2).sum() / len(loss))
        return max(1.0, float((np.bincount(group, spread) ** 2).sum() / (spread**2).sum()))


class Search:
    """Finds one operating point: the prices that can be shown to keep a precision."""

    def __init__(self, demand: Demand, taxonomy: Taxonomy, rows: Rows, alpha: float) -> None:
        self.demand, self.taxonomy, self.rows, self.alpha = demand, taxonomy, rows, alpha
        self.every, self.last = np.arange(len(rows)), rows.descent.depth - 1
        self._lay_out()

    def _lay_out(self) -> None:
        """What each price alone would decide: gains (G, R) of the full path and of the best branch."""
        accept, partial, level = [], [], []
        for price in PRICES:
            gain = gains(self.demand, self.taxonomy, self.rows.descent, price, price)
            gain[self.rows.held] = -np.inf
            accept.append(gain[self.every, self.last])
            gain[self.every, self.last] = -np.inf
            level.append(gain.argmax(1) if gain.shape[1] else np.zeros(len(gain), np.int64))
            partial.append(gain[self.every, level[-1]] if len(gain) else np.zeros(0))
        none = np.full((1, len(self.rows)), -np.inf)
        self.accept = np.concatenate([np.array(accept), none])  # the last row: never
        self.partial, self.level = np.concatenate([np.array(partial), none]), np.array([*level, level[-1]])

    def stops(self, i: int, j: int) -> np.ndarray:
        """(R,) levels decided at price i for full paths and j for branches; 0 is review."""
        full = (self.accept[i] > 0) & (self.accept[i] >= self.partial[j])
        return np.where(full, self.last + 1, np.where(self.partial[j] > 0, self.level[j] + 1, 0))

    def run(self) -> OperatingPoint:
        """The best point that is shown."""
        cells = self._cells()
        g = len(PRICES)
        chains = np.ones(len(cells.i), bool), cells.i == g, cells.j == g
        best, most = (g, g), 0.0
        for share, mine in zip(SHARES, chains, strict=True):
            cell = self._last_shown(cells, mine, share * self.alpha)
            if cell is not None and cells.utility[cell] > most:
                best, most = (int(cells.i[cell]), int(cells.j[cell])), float(cells.utility[cell])
        return self._point(best)

    def _cells(self) -> "_Cells":
        """Every pair of prices: what it would decide, and how right that should be."""
        confidence, nodes, n = self.rows.descent.confidence, self.rows.descent.nodes, len(PRICES) + 1
        cost = self.demand.cost[nodes]
        alpha = self.demand.alpha[nodes]
        excess = cost * (1 - confidence) - alpha  # (R, L) of the risk over what is allowed
        spread = alpha * (1 - alpha)
        asked = np.unique(self.demand.alpha)
        kinds, kind = len(asked), np.searchsorted(asked, alpha)  # (R, L) by the precision asked for
        worth = self.demand.utility(np.arange(nodes.shape[1])[None] + 1, self.rows.descent.depth[:, None])
        stats = np.zeros((n, n, 2, kinds, 3))  # of full paths, of branches: rows, excess, variance
        utility = np.zeros((n, n))

        def columns(at: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
            """(R, 3 kinds) what each row adds to the sums where it is decided at this level."""
            own = np.stack([np.ones(len(self.rows)), np.nan_to_num(excess[at]), spread[at]], 1)
            return (np.eye(kinds)[kind[at]][..., None] * own[:, None]).reshape(len(own), 3 * kinds)

        ends = columns((self.every, self.last))
        for price in range(n):
            at, partial = (self.every, self.level[price]), self.partial[price]
            mine = (self.accept > 0) & (self.accept >= partial)  # (n, R), a row a price of full paths
            theirs = (partial > 0) & ~mine
            stats[:, price, 0] = (mine @ ends).reshape(n, kinds, 3)
            stats[:, price, 1] = (theirs @ columns(at)).reshape(n, kinds, 3)
            utility[:, price] = mine.sum(1) + theirs @ worth[at]
        with np.errstate(invalid="ignore", divide="ignore"):
            slack = -stats[..., 1] / np.sqrt(stats[..., 2])
        slack = np.where(stats[..., 0] > 0, slack, np.inf).min((2, 3))
        i, j = np.divmod(np.arange(n * n), n)
        return _Cells(i, j, utility.ravel(), slack.ravel())

    def _last_shown(self, cells: "_Cells", mine: np.ndarray, alpha: float) -> int | None:
        """Fixed-sequence testing from strict to lenient; the last candidate before the first failure."""
        shown = tried = None
        for slack in SLACKS:
            fits = np.flatnonzero(mine & (cells.slack >= slack) & (cells.utility > 0))
            if not len(fits):
                continue
            cell = int(fits[cells.utility[fits].argmax()])
            if cell == tried:
                continue
            tried = cell
            stops = self.stops(int(cells.i[cell]), int(cells.j[cell]))
            if any(found.p_value(1 - p) > alpha for _, p, found in self._kinds(stops)):
                break
            shown = cell
        return shown

    def _kinds(self, stops: np.ndarray) -> list[tuple[Verdict, float, Decided]]:
        """What is decided, by kind and by the precision asked for."""
        found: list[tuple[Verdict, float, Decided]] = []
        kinds: tuple[Verdict, ...] = ("accept", "partial")
        for kind in kinds:
            mine = (stops > 0) & ((stops == self.last + 1) == (kind == "accept"))
            decided = self._decided(np.flatnonzero(mine), stops)
            asked = np.round(1 - self.demand.alpha[decided.node], 9)
            if mine.any() and not len(asked):  # decided, and no label tells
                found.append((kind, self.demand.precision, decided))
            for precision in np.unique(asked):
                found.append((kind, float(precision), decided.among(asked == precision)))
        return found

    def _decided(self, rows: np.ndarray, stops: np.ndarray) -> Decided:
        rows = rows[self.rows.known[rows, stops[rows] - 1]]
        at = rows, stops[rows] - 1
        node = self.rows.descent.nodes[at]
        return Decided(self.rows.wrong[at], self.demand.cost[node], node, self.rows.group[rows])

    def _point(self, best: tuple[int, int]) -> OperatingPoint:
        stops = self.stops(*best)
        accept, partial = (NEVER if k == len(PRICES) else float(PRICES[k]) for k in best)
        full, n = (stops > 0) & (stops == self.last + 1), max(len(stops), 1)
        levels = range(1, self.taxonomy.depth)
        branch = tuple(float(((stops == level) & ~full).sum() / n) for level in levels)
        guarantees = tuple(self._guarantees(stops))
        asked = self.demand.precision
        return OperatingPoint(asked, accept, partial, guarantees, len(stops), float(full.sum() / n), branch)

    def _guarantees(self, stops: np.ndarray) -> list[Guarantee]:
        """Of each kind: what was shown of all categories, then of each top category alone."""
        found: list[Guarantee] = []
        shown = self._kinds(stops)
        top = self.taxonomy.ancestors[:, 0]
        kinds: tuple[Verdict, ...] = ("accept", "partial")
        for kind in kinds:
            mine = [(p, d) for k, p, d in shown if k == kind]
            if not mine:
                found.append(Guarantee(kind, self.demand.precision, "", False, 0, 0, self._needed(kind)))
            for precision, decided in mine:
                found.append(_counted(kind, precision, "", True, decided))
                for node in np.unique(top[decided.node]):
                    own = decided.among(top[decided.node] == node)
                    holds = own.p_value(1 - precision) <= self.alpha
                    found.append(_counted(kind, precision, self.taxonomy.nodes[node].id, holds, own))
        return found

    def _needed(self, kind: Verdict) -> int | None:
        """About how many labelled rows would show a guarantee for this kind; None if no number would."""
        g, n, alpha = len(PRICES), max(len(self.rows), 1), 1 - self.demand.precision
        share = SHARES[0] * self.alpha
        pairs = [(i, g) for i in range(g)] if kind == "accept" else [(g, j) for j in range(g)]
        counts = np.array([(len(d.wrong), d.wrong.sum()) for d in map(self._of_pair, pairs)])
        rows, wrong = counts[counts[:, 0] > 0].T if counts[:, 0].any() else np.zeros((2, 0))
        if not len(rows):
            return rows_for_certainty(1 - alpha, share)
        lowest = np.where(wrong > 0, betaincinv(np.maximum(wrong, 1e-9), rows - wrong + 1, 0.05), 0.0)
        for rate in ((wrong + 1.5) / (rows + 2), lowest):
            decided = rows_to_show(rate, alpha, share, LIKELY)
            needed = np.min(decided * n / rows)
            if needed < MOST:
                return int(np.ceil(max(needed, 1.25 * n)))
        return None

    def _of_pair(self, pair: tuple[int, int]) -> Decided:
        stops = self.stops(*pair)
        return self._decided(np.flatnonzero(stops > 0), stops)


class _Cells(NamedTuple):
    """Pairs of prices i, j (C,): expected utility, standard errors to spare."""

    i: np.ndarray
    j: np.ndarray
    utility: np.ndarray
    slack: np.ndarray


def _counted(kind: Verdict, precision: float, branch: str, holds: bool, found: Decided) -> Guarantee:
    return Guarantee(kind, precision, branch, holds, len(found.wrong), int(found.wrong.sum()), None)
