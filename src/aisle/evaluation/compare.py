"""Compares recipes that are trained on the same folds with the same seeds."""

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aisle.atomic_files import atomic_text
from aisle.data import Catalog
from aisle.data.column_hints import advice
from aisle.data.splits import folds as fold_numbers
from aisle.errors import CatalogError, RecipeError
from aisle.evaluation.comparison import Comparison, PairedDifference, VariantScores
from aisle.evaluation.scores import ConfidenceInterval
from aisle.evaluation.summary import limits
from aisle.metrics import (
    MatchedPredictions,
    Truth,
    at_level,
    macro_f1_of_pairs,
    overall_metrics,
    paired_bootstrap,
)
from aisle.models.features import FeatureStore
from aisle.progress import SILENT, Progress
from aisle.taxonomy import Targets
from aisle.training.fit import fit
from aisle.training.recipe import AnyRecipe, encoders_read, load_recipe
from aisle.training.recipe_toml import to_toml

DRAWS = 1000  # of the bootstrap


class Variant(NamedTuple):
    """A recipe and its name in the table."""

    name: str
    recipe: AnyRecipe


class Fold(NamedTuple):
    """Row numbers of training and evaluation."""

    train: np.ndarray
    test: np.ndarray


class TrainingResult(NamedTuple):
    """One training: the predicted node of each evaluated row, and its cost.

    Attributes:
        answers: (n,) predicted nodes.
        seconds: Duration of the training.
        per_second: Products classified per second.
        memory: Peak memory of the process, in MiB.
        parameters: Number of parameters of the model.
    """

    answers: np.ndarray
    seconds: float
    per_second: float
    memory: float
    parameters: int


def parse_variant(text: str, changes: Sequence[str] = (), encoders: Sequence[str] = ()) -> Variant:
    """Parse `"text only: cross-attention views.image=false"`: a name, a recipe, changes.

    Args:
        text: The variant. Without `NAME: `, the text is its name.
        changes: `KEY=VALUE` changes that come before those in `text`.
        encoders: Changes that name encoders, for recipes that read them.

    Raises:
        RecipeError: As `load_recipe`, or the quotes do not match.
    """
    name, recipe_text = _split_name(text)
    try:
        words = _words(recipe_text)
    except ValueError as error:
        raise RecipeError(f"{text!r}: {error}; write NAME: RECIPE KEY=VALUE …") from error
    if not words:
        raise RecipeError(f"{text!r} names no recipe; write NAME: RECIPE KEY=VALUE …")
    read_keys = encoders_read(load_recipe(words[0], [*changes, *words[1:]]))
    encoder_changes = [change for change in encoders if change.partition("=")[0] in read_keys]
    return Variant(name or text.strip(), load_recipe(words[0], [*changes, *encoder_changes, *words[1:]]))


def _split_name(text: str) -> tuple[str, str]:
    """Split the name, empty if there is none, from the rest. A colon inside a value ends no name."""
    name, colon, recipe_text = text.partition(": ")
    in_value = name.count('"') % 2 or any(name.count(a) > name.count(b) for a, b in ("{}", "[]"))
    return (name.strip(), recipe_text) if colon and not in_value else ("", text)


def _words(text: str) -> list[str]:
    """Split words like a shell, but keep quotes inside words for TOML, and keep brackets together.

    Raises:
        ValueError: A quote or a bracket is not closed.
    """
    words: list[str] = []
    word, quote, depth, started = "", "", 0, False
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        depth += (char in "{[") - (char in "}]") if not quote else 0
        if char.isspace() and not quote and depth <= 0:
            words += [_unquoted(word)] if started else []
            word, started = "", False
            continue
        word, started = word + char, True
    if quote or depth > 0:
        raise ValueError("No closing quotation" if quote else "No closing bracket")
    return [*words, _unquoted(word)] if started else words


def _unquoted(word: str) -> str:
    """Remove quotes around a whole word."""
    quoted = len(word) > 1 and word[0] in "\"'" and word.find(word[0], 1) == len(word) - 1
    return word[1:-1] if quoted else word


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
    """Train every variant on the same rows and evaluate it on the same other rows.

    The result of every training (variant, seed, fold) is written to its own file, so that an interrupted
    comparison continues where it stopped.

    Args:
        catalog: The labelled rows.
        variants: The recipes; gains are relative to the first.
        folds: The number of folds. Near-duplicates are in one fold.
        seeds: Every variant is trained with each seed.
        test: Rows to evaluate on instead of folds; then every variant is trained once per seed.
        out: The folder of finished trainings. Default: they are not kept.
        source: The name of the rows in the table. Default: the names of the files.
        store: Caches encoder outputs.
        trust_code: As in `fit`.
        progress: Reports trainings.

    Raises:
        CatalogError: There is no labelled row, or there are fewer groups of them than folds.
        RecipeError: Two variants have the same name, or as `fit`.
    """
    names = [variant.name for variant in variants]
    if len(set(names)) < len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise RecipeError(f"two variants are called {duplicate!r}; write NAME: RECIPE KEY=VALUE")
    combined, splits = _folds(catalog, folds, test)
    test_rows = np.concatenate([fold.test for fold in splits])
    targets = combined.targets()
    truth = Truth.of(combined.taxonomy, Targets(targets.node[test_rows], targets.exact[test_rows]))
    trainings: dict[str, list[list[TrainingResult]]] = {}
    with progress("comparing", len(variants) * len(seeds) * len(splits), "trainings") as advance:
        for variant in variants:
            trainings[variant.name] = []
            for seed in seeds:
                results = []
                for number, fold in enumerate(splits):
                    cache = _CachedTraining(out, variant, seed, number, combined)
                    result = cache.load()
                    if result is None:
                        result = _train_fold(cache, fold, store, trust_code)
                        cache.save(result)
                    results.append(result)
                    advance(1)
                trainings[variant.name].append(results)
                right = np.concatenate([c.answers for c in results]) == truth.node[:, 0]
                progress.say(f"{variant.name}, seed {seed}: {right.mean():.4f}")
    scored = {
        name: [_score(truth, np.concatenate([result.answers for result in results])) for results in runs]
        for name, runs in trainings.items()
    }
    groups = combined.groups()[test_rows]
    return Comparison(
        source=source or ", ".join(part.path.name for part in catalog.files) or "the catalog given",
        evaluated=len(test_rows),
        folds=0 if test is not None else folds,
        seeds=tuple(int(seed) for seed in seeds),
        levels=truth.taxonomy.depth,
        rows=tuple(_rows(trainings, scored, truth, groups)),
        differences=tuple(_differences(scored, groups)),
    )


def _folds(catalog: Catalog, folds: int, test: Catalog | None) -> tuple[Catalog, list[Fold]]:
    """One catalog of all rows, and the folds over it."""
    usable = np.flatnonzero(catalog.targets().node >= 0)
    if not len(usable):
        raise CatalogError(f"no row has a usable category: nothing to compare on. {advice(catalog)}")
    if test is not None:
        test_usable = test.targets().node >= 0
        numbers = np.concatenate([catalog.rows[usable], test.rows[test_usable]]) - 1
        combined = catalog.whole().select(numbers)
        return combined, [Fold(np.arange(len(usable)), np.arange(len(usable), len(numbers)))]
    if folds < 2:
        raise CatalogError(f"a comparison needs at least 2 folds, not {folds}")
    combined = catalog.select(usable)
    fold_of = fold_numbers(combined, folds)
    splits = [
        Fold(np.flatnonzero((fold_of != k) & (fold_of >= 0)), np.flatnonzero(fold_of == k))
        for k in range(folds)
    ]
    if any(not len(fold.test) or not len(fold.train) for fold in splits):
        raise CatalogError(f"{len(combined):,} rows are too few for {folds} folds; name fewer")
    return combined, splits


class _CachedTraining:
    """The file of one training's result; its name is a hash of recipe, rows and fold."""

    def __init__(self, out: Path | None, variant: Variant, seed: int, number: int, whole: Catalog) -> None:
        self.recipe = variant.recipe.model_copy(update={"seed": seed})
        self.whole = whole
        parts = [to_toml(self.recipe), whole.fingerprint, str(number)]
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        slug = "".join(c if c.isalnum() else "-" for c in variant.name)[:40]
        self.file = out / "trainings" / f"{slug}-{seed}-{number}-{key}.json" if out is not None else None

    def load(self) -> TrainingResult | None:
        if self.file is None or not self.file.exists():
            return None
        data = json.loads(self.file.read_text())
        return TrainingResult(**{**data, "answers": np.array(data["answers"], dtype=np.int64)})

    def save(self, result: TrainingResult) -> None:
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_text(self.file) as handle:
                json.dump({**result._asdict(), "answers": result.answers.tolist()}, handle)


def _train_fold(
    cache: _CachedTraining, fold: Fold, store: FeatureStore | None, trust_code: bool
) -> TrainingResult:
    combined, tree = cache.whole, cache.whole.taxonomy
    peak = PeakMemory()
    start = time.perf_counter()
    model = fit(combined.select(fold.train), cache.recipe, store=store, trust_code=trust_code)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    best = model.score(combined.select(fold.test)).best()
    rate = len(fold.test) / max(time.perf_counter() - start, 1e-9)
    predicted = [tree.index(model.taxonomy.nodes[node].path) for node in best]
    parameters = model.parameters
    return TrainingResult(np.array(predicted, dtype=np.int64), seconds, rate, peak.mebibytes(), parameters)


class PeakMemory:
    """Measures the peak memory of this process from now on: resident memory, or that of a GPU."""

    def __init__(self) -> None:
        torch = sys.modules.get("torch")  # not imported by linear models
        if torch is not None and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # Linux: resets the peak

    def mebibytes(self) -> float:
        """The peak, in MiB."""
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


class _SeedScores(NamedTuple):
    """One variant with one seed on n rows: right (n,), and pairs (n, 2) of true and predicted nodes."""

    matched: MatchedPredictions
    right: np.ndarray
    pairs: np.ndarray


def _score(truth: Truth, answers: np.ndarray) -> _SeedScores:
    matched = truth.match(answers)
    return _SeedScores(matched, matched.right.astype(float), np.stack([matched.node, matched.answer], 1))


def _rows(
    trainings: dict[str, list[list[TrainingResult]]],
    scored: dict[str, list[_SeedScores]],
    truth: Truth,
    groups: np.ndarray,
) -> Iterator[VariantScores]:
    first = next(iter(scored.values()))
    depth = truth.taxonomy.depth
    for name, runs in scored.items():
        results = [result for fold_results in trainings[name] for result in fold_results]
        spread = [
            value
            for seed, fold_results in enumerate(trainings[name])
            for value in _fold_accuracy(runs[seed], fold_results)
        ]
        metrics = [overall_metrics(run.matched) for run in runs]
        others = [metric for metric in metrics[0] if metric != "accuracy"]
        yield VariantScores(
            name=name,
            accuracy=float(np.mean([run.right.mean() for run in runs])),
            deviation=float(np.std(spread, ddof=1)) if len(spread) > 1 else None,
            metrics={
                metric: float(np.mean([fold_results[metric] for fold_results in metrics]))
                for metric in others
            },
            levels=tuple(
                float(np.mean([_level(run, level) for run in runs])) for level in range(1, depth + 1)
            ),
            gain=None if runs is first else _gain(runs, first, groups),
            gain_f1=None if runs is first else _gain_f1(runs, first, groups),
            parameters=results[0].parameters,
            seconds=float(np.mean([result.seconds for result in results])),
            per_second=float(np.mean([result.per_second for result in results])),
            memory=float(np.max([result.memory for result in results])),
        )


def _differences(scored: dict[str, list[_SeedScores]], groups: np.ndarray) -> Iterator[PairedDifference]:
    """Every pair of variants, the more accurate one first."""
    ranked = sorted(scored, key=lambda name: -np.mean([run.right.mean() for run in scored[name]]))
    for better, worse in combinations(ranked, 2):
        accuracy = _gain(scored[better], scored[worse], groups)
        yield PairedDifference(better=better, worse=worse, accuracy=accuracy)


def _fold_accuracy(run: _SeedScores, results: Sequence[TrainingResult]) -> list[float]:
    boundaries = np.cumsum([len(result.answers) for result in results])[:-1]
    return [float(part.mean()) for part in np.split(run.right, boundaries)]


def _level(run: _SeedScores, depth: int) -> float:
    right = at_level(run.matched, depth).right
    return float(right.mean()) if len(right) else float("nan")


def _gain(
    runs: Sequence[_SeedScores], baseline: Sequence[_SeedScores], groups: np.ndarray
) -> ConfidenceInterval:
    """Accuracy minus that of the baseline on the same products, averaged over seeds."""
    accuracy, baseline_accuracy = (np.mean([run.right for run in seeds], 0) for seeds in (runs, baseline))
    return limits(paired_bootstrap(accuracy, baseline_accuracy, groups=groups, resamples=DRAWS))


def _gain_f1(
    runs: Sequence[_SeedScores], baseline: Sequence[_SeedScores], groups: np.ndarray
) -> ConfidenceInterval:
    """Macro-F1 minus that of the baseline, with the first seed of each."""
    return limits(
        paired_bootstrap(
            runs[0].pairs, baseline[0].pairs, macro_f1_of_pairs, groups=groups, resamples=DRAWS // 2
        )
    )
