"""Train recipes on the same folds and seeds, and say which is better, by how much and at what price.

Every training (variant, seed, fold) is written to its own file as soon as it is done, so that a comparison
that was killed goes on where it stood.
"""

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aisle.data import Catalog
from aisle.data.column_hints import advice
from aisle.data.splits import folds as fold_numbers
from aisle.errors import CatalogError, RecipeError
from aisle.evaluation.comparison import Compared, Comparison
from aisle.evaluation.result import Limits
from aisle.evaluation.summary import limits
from aisle.inference.prediction_files import whole_file
from aisle.metrics import CONTEST_WEIGHTS, Judged, Truth, at_level, contest_score, f1_scores, paired_bootstrap
from aisle.models.features import FeatureStore
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Targets
from aisle.training.fit import fit
from aisle.training.recipe import AnyRecipe, encoders_read, load_recipe, to_toml

DRAWS = 1000  # of the bootstrap


class Variant(NamedTuple):
    """A recipe under the name it has in the table."""

    name: str
    recipe: AnyRecipe


class Turn(NamedTuple):
    """Rows to learn from and rows to be judged on, by number."""

    learn: np.ndarray
    judge: np.ndarray


class Cell(NamedTuple):
    """One training: the node answered for each judged row, and what it took."""

    answers: np.ndarray
    seconds: float
    per_second: float
    memory: float
    parameters: int


def parse_variant(text: str, changes: Sequence[str] = (), encoders: Sequence[str] = ()) -> Variant:
    """`"text only: cross-attention views.image=false"`: a name (the rest, without one), a recipe, changes.

    encoders: changes that name encoders, for recipes that read one.

    Raises:
        RecipeError: as `load_recipe`, or the quotes do not match.
    """
    name, rest = _named(text)
    try:
        words = _words(rest)
    except ValueError as error:
        raise RecipeError(f"{text!r}: {error}; write NAME: RECIPE KEY=VALUE …") from error
    if not words:
        raise RecipeError(f"{text!r} names no recipe; write NAME: RECIPE KEY=VALUE …")
    read = encoders_read(load_recipe(words[0], [*changes, *words[1:]]))
    told = [change for change in encoders if change.partition("=")[0] in read]
    return Variant(name or text.strip(), load_recipe(words[0], [*changes, *told, *words[1:]]))


def _named(text: str) -> tuple[str, str]:
    """The name, empty where there is none, and the rest. A colon inside a value ends no name."""
    name, colon, rest = text.partition(": ")
    inside = name.count('"') % 2 or any(name.count(a) > name.count(b) for a, b in ("{}", "[]"))
    return (name.strip(), rest) if colon and not inside else ("", text)


def _words(text: str) -> list[str]:
    """Words as a shell parts them, but quotes inside of a word stay: TOML reads them. Neither quotes nor
    braces and brackets are torn apart.

    Raises:
        ValueError: a quote or a bracket is not closed.
    """
    words: list[str] = []
    word, quote, depth, begun = "", "", 0, False
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        depth += (sign in "{[") - (sign in "}]") if not quote else 0
        if sign.isspace() and not quote and depth <= 0:
            words += [_unquoted(word)] if begun else []
            word, begun = "", False
            continue
        word, begun = word + sign, True
    if quote or depth > 0:
        raise ValueError("No closing quotation" if quote else "No closing bracket")
    return [*words, _unquoted(word)] if begun else words


def _unquoted(word: str) -> str:
    """A word without the quotes around all of it."""
    around = len(word) > 1 and word[0] in "\"'" and word.find(word[0], 1) == len(word) - 1
    return word[1:-1] if around else word


def compare(
    catalog: Catalog,
    variants: Sequence[Variant],
    *,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    test: Catalog | None = None,
    out: Path | None = None,
    source: str | None = None,
    store: FeatureStore | None = None,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> Comparison:
    """Train every variant on the same rows and judge it on the same others.

    folds: parts that take turns being judged, near-duplicates together. test: rows to judge on instead; then
    there is one turn. seeds: every variant is trained with each. out: where finished trainings are kept.
    source: what the table calls the rows (the files' names by default).

    Raises:
        CatalogError: no labelled row, or fewer groups of them than folds.
        RecipeError: two variants have one name, or as `fit`.
    """
    names = [variant.name for variant in variants]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RecipeError(f"two variants are called {twice!r}; write NAME: RECIPE KEY=VALUE")
    whole, turns = _turns(catalog, folds, test)
    judged_rows = np.concatenate([turn.judge for turn in turns])
    targets = whole.targets()
    truth = Truth.of(whole.taxonomy, Targets(targets.node[judged_rows], targets.exact[judged_rows]))
    found: dict[str, list[list[Cell]]] = {}
    with progress("comparing", len(variants) * len(seeds) * len(turns), "trainings") as advance:
        for variant in variants:
            found[variant.name] = []
            for seed in seeds:
                cells = []
                for number, turn in enumerate(turns):
                    place = _Place(out, variant, seed, number, whole)
                    cells.append(place.kept() or place.keep(_train(place, turn, store, trust_code)))
                    advance(1)
                found[variant.name].append(cells)
                right = np.concatenate([c.answers for c in cells]) == truth.node[:, 0]
                progress.say(f"{variant.name}, seed {seed}: {right.mean():.4f}")
    groups = whole.groups()[judged_rows]
    rows = _rows(found, truth, groups)
    return Comparison(
        source=source or ", ".join(part.path.name for part in catalog.files) or "the catalogue given",
        judged=len(judged_rows),
        folds=0 if test is not None else folds,
        seeds=tuple(int(seed) for seed in seeds),
        levels=truth.taxonomy.depth,
        rows=tuple(rows),
    )


def _turns(catalog: Catalog, folds: int, test: Catalog | None) -> tuple[Catalog, list[Turn]]:
    """One catalogue of all rows, and who learns from which of them."""
    usable = np.flatnonzero(catalog.targets().node >= 0)
    if not len(usable):
        raise CatalogError(f"no row has a usable category: nothing to compare on. {advice(catalog)}")
    if test is not None:
        both = test.targets().node >= 0
        numbers = np.concatenate([catalog.rows[usable], test.rows[both]]) - 1
        whole = _all_of(catalog).select(numbers)
        return whole, [Turn(np.arange(len(usable)), np.arange(len(usable), len(numbers)))]
    if folds < 2:
        raise CatalogError(f"a comparison takes turns in at least 2 folds, not {folds}")
    whole = catalog.select(usable)
    part = fold_numbers(whole, folds)
    turns = [Turn(np.flatnonzero((part != k) & (part >= 0)), np.flatnonzero(part == k)) for k in range(folds)]
    if any(not len(turn.judge) or not len(turn.learn) for turn in turns):
        raise CatalogError(f"{len(whole):,} rows are too few for {folds} folds; name fewer")
    return whole, turns


def _all_of(catalog: Catalog) -> Catalog:
    """Every record of the catalogue's source."""
    return Catalog(catalog._base)


class _Place:
    """Where one training's result is kept, under everything that decided it."""

    def __init__(self, out: Path | None, variant: Variant, seed: int, number: int, whole: Catalog) -> None:
        self.recipe = variant.recipe.model_copy(update={"seed": seed})
        self.whole = whole
        said = [to_toml(self.recipe), whole.fingerprint, str(number)]
        key = hashlib.sha256("\0".join(said).encode()).hexdigest()[:12]
        slug = "".join(c if c.isalnum() else "-" for c in variant.name)[:40]
        self.file = out / "trainings" / f"{slug}-{seed}-{number}-{key}.json" if out is not None else None

    def kept(self) -> Cell | None:
        if self.file is None or not self.file.exists():
            return None
        data = json.loads(self.file.read_text())
        return Cell(**{**data, "answers": np.array(data["answers"], dtype=np.int64)})

    def keep(self, cell: Cell) -> Cell:
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self.file) as handle:
                json.dump({**cell._asdict(), "answers": cell.answers.tolist()}, handle)
        return cell


def _train(place: _Place, turn: Turn, store: FeatureStore | None, trust_code: bool) -> Cell:
    whole, tree = place.whole, place.whole.taxonomy
    peak = PeakMemory()
    began = time.perf_counter()
    model = fit(whole.select(turn.learn), place.recipe, store=store, trust_code=trust_code)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    best = model.score(whole.select(turn.judge)).best()
    rate = len(turn.judge) / max(time.perf_counter() - began, 1e-9)
    answers = [tree.index(model.taxonomy.nodes[node].path) for node in best]
    parameters = model.parameters
    return Cell(np.array(answers, dtype=np.int64), seconds, rate, peak.mebibytes(), parameters)


class PeakMemory:
    """The most memory that this process holds from now on: resident, or a GPU's where there is one."""

    def __init__(self) -> None:
        torch = sys.modules.get("torch")  # a linear model brings none
        if torch is not None and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak so far

    def mebibytes(self) -> float:
        """MiB."""
        import resource

        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            return torch.cuda.max_memory_allocated() / 2**20
        try:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 2**10
        except OSError:
            pass
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


class _Judgement(NamedTuple):
    """One variant with one seed, over all judged rows: right (n,), pairs (n, 2) of true and answered."""

    judged: Judged
    right: np.ndarray
    pairs: np.ndarray


def _rows(found: dict[str, list[list[Cell]]], truth: Truth, groups: np.ndarray) -> list[Compared]:
    judged = {
        name: [_judge(truth, np.concatenate([cell.answers for cell in cells])) for cells in runs]
        for name, runs in found.items()
    }
    first = next(iter(judged.values()))
    rows = []
    for name, runs in judged.items():
        cells = [cell for one in found[name] for cell in one]
        spread = [value for seed, one in enumerate(found[name]) for value in _fold_accuracy(runs[seed], one)]
        rival = None if runs is first else first
        deep = truth.taxonomy.depth == len(CONTEST_WEIGHTS)
        rows.append(
            Compared(
                name=name,
                accuracy=float(np.mean([run.right.mean() for run in runs])),
                deviation=float(np.std(spread, ddof=1)) if len(spread) > 1 else None,
                macro_f1=float(np.mean([_macro(run.pairs) for run in runs])),
                levels=tuple(
                    float(np.mean([_level(run, depth) for run in runs])) for depth in _depths(truth)
                ),
                contest=float(np.mean([contest_score(run.judged) for run in runs])) if deep else None,
                gain=_gain(runs, rival, groups),
                gain_f1=_gain_f1(runs, rival, groups),
                parameters=cells[0].parameters,
                seconds=float(np.mean([cell.seconds for cell in cells])),
                per_second=float(np.mean([cell.per_second for cell in cells])),
                memory=float(np.max([cell.memory for cell in cells])),
            )
        )
    return rows


def _judge(truth: Truth, answers: np.ndarray) -> _Judgement:
    judged = truth.judge(answers)
    return _Judgement(judged, judged.right.astype(float), np.stack([judged.node, judged.answer], 1))


def _fold_accuracy(run: _Judgement, cells: Sequence[Cell]) -> list[float]:
    ends = np.cumsum([len(cell.answers) for cell in cells])[:-1]
    return [float(part.mean()) for part in np.split(run.right, ends)]


def _depths(truth: Truth) -> range:
    return range(1, truth.taxonomy.depth + 1)


def _level(run: _Judgement, depth: int) -> float:
    right = at_level(run.judged, depth).right
    return float(right.mean()) if len(right) else float("nan")


def _macro(pairs: np.ndarray) -> float:
    return f1_scores(pairs[:, 0], pairs[:, 1]).macro


def _gain(
    runs: Sequence[_Judgement], rival: Sequence[_Judgement] | None, groups: np.ndarray
) -> Limits | None:
    """Accuracy above the rival's on the same products; with several seeds, of their mean."""
    if rival is None:
        return None
    own, other = (np.mean([run.right for run in some], 0) for some in (runs, rival))
    return limits(paired_bootstrap(own, other, groups=groups, resamples=DRAWS))


def _gain_f1(
    runs: Sequence[_Judgement], rival: Sequence[_Judgement] | None, groups: np.ndarray
) -> Limits | None:
    """The same of macro-F1, with the first seed of each."""
    if rival is None:
        return None
    return limits(
        paired_bootstrap(runs[0].pairs, rival[0].pairs, _macro, groups=groups, resamples=DRAWS // 2)
    )
