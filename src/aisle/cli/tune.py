"""`aisle tune`: searches the hyperparameters of a recipe."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aisle.cli import console
from aisle.cli.command import command
from aisle.cli.options import (
    AsJson,
    LabelledCatalogOptions,
    Quiet,
    RecipeOptions,
    Seed,
    Source,
    TrustCode,
)
from aisle.errors import AisleError

if TYPE_CHECKING:
    from aisle.training.tuning import Tuning

_SHOWN = 10  # trials in the table
_HEADING = 12  # characters of a line of a column's heading
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@command("tune", "Search the hyperparameters of a recipe.", section="Training", resumes=True)
def tune(
    source: Source,
    options: LabelledCatalogOptions,
    changes: RecipeOptions,
    recipe: Annotated[
        str, typer.Option(help="The recipe to improve: a shipped one (see `aisle recipes`) or a .toml file.")
    ] = "fast",
    budget: Annotated[
        str,
        typer.Option(metavar="TIME", help="Time to spend: 90s, 30m, 2h, 1h30m; or none, with --trials."),
    ] = "30m",
    trials: Annotated[
        int | None, typer.Option(min=1, help="The most trials, those of earlier calls included.")
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            metavar="KEY=VALUES",
            help="A recipe key to search: linear_svm.penalty=0.1..10:log, ridge.n_components=512,1024. "
            "Repeatable (default: the keys that matter most, around the recipe's values).",
        ),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="What is maximised: accuracy, macro_f1, hierarchical_f1, …")
    ] = "accuracy",
    folds: Annotated[int, typer.Option(min=2, help="Number of cross-validation folds.")] = 3,
    out: Annotated[
        Path, typer.Option(help="Folder of the study, the table of all trials and the best recipe.")
    ] = Path("tune"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the study in --out.")] = False,
    seed: Seed = 0,
    trust_code: TrustCode = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Search the hyperparameters of a recipe by cross-validation. Rows marked `test` are never used.

    The best recipe is compared with the given one on folds cut anew, because the best of many trials looks
    better than it is.
    """
    from aisle.cli.interrupts import continue_with, same_command
    from aisle.cli.summary import print_catalog_summary
    from aisle.training.search_space import search_space
    from aisle.training.tuning import BEST, TRIALS
    from aisle.training.tuning import tune as run
    from aisle.workflow import resolve

    progress = console.progress(quiet or as_json)
    seconds = parse_duration(budget)
    if seconds is None and trials is None:
        raise AisleError("--budget none: set --trials, or the search never ends")
    resolved = resolve(recipe, changes.all())
    space = search_space(resolved, search or [])
    continue_with(lambda: same_command("--resume"))
    catalog = options.read(source)
    print_catalog_summary(catalog, progress)
    tuning = run(
        catalog,
        resolved,
        space,
        out=out,
        budget=seconds,
        trials=trials,
        metric=metric,
        folds=folds,
        seed=seed,
        resume=resume,
        trust_code=trust_code,
        progress=progress,
    )
    if as_json:
        console.print_json(_as_json(tuning))
        return
    _print(tuning)
    console.print_paths(
        recipe=out / BEST,
        trials=out / TRIALS,
        next=console.command("train", source, "--recipe", out / BEST) if _pays(tuning) else None,
    )


def parse_duration(text: str) -> float | None:
    """Seconds of `90s`, `30m`, `1h30m` or `2d`; None of `none`.

    Raises:
        AisleError: The text has another form.
    """
    if text.strip() == "none":
        return None
    compact = text.replace(" ", "").casefold()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise AisleError(f"--budget {text!r}: write a time such as 90s, 30m, 2h or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _pays(tuning: "Tuning") -> bool:
    """Whether the best recipe is better than the given one beyond chance."""
    return tuning.gain is not None and tuning.gain.low > 0


def _as_json(tuning: "Tuning") -> dict[str, Any]:
    return {
        "metric": tuning.metric,
        "trials": [trial._asdict() for trial in tuning.trials],
        "gain": None if tuning.gain is None else tuning.gain._asdict(),
        "better": _pays(tuning),
    }


def _print(tuning: "Tuning") -> None:
    """Print the best trials in one table, and whether they pay."""
    from rich.table import Table

    from aisle.evaluation.numbers import decimal
    from aisle.metrics import metric_label

    keys = list(tuning.default.values)
    trials = tuning.trials[:_SHOWN]
    if tuning.default not in trials:
        trials.append(tuning.default)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("trial", metric_label(tuning.metric), *map(_heading, keys)):
        table.add_column(name, justify="right", vertical="bottom")
    for trial in trials:
        mark = {"pruned": "*", "failed": "–"}.get(trial.state, "")
        values = [_short(trial.values.get(key)) for key in keys]
        style = "bold" if trial.number == 0 else ""
        table.add_row(str(trial.number), decimal(trial.metric, 4) + mark, *values, style=style)
    console.out.print(table)
    pruned, failed = (sum(trial.state == state for trial in tuning.trials) for state in ("pruned", "failed"))
    notes = ["trial 0 is the recipe as it is"]
    notes += [f"* {pruned:,} stopped early"] * bool(pruned) + [f"{failed:,} failed"] * bool(failed)
    console.out.print(f"{len(tuning.trials):,} trials; {'; '.join(notes)}")
    console.out.print(_conclusion(tuning), markup=False)


def _heading(key: str) -> str:
    """A recipe key broken after dots and underscores, so that columns stay narrow."""
    lines = [""]
    for part in re.split(r"(?<=[._])", key):
        if len(lines[-1]) + len(part) > _HEADING:
            lines.append("")
        lines[-1] += part
    return "\n".join(line for line in lines if line)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _conclusion(tuning: "Tuning") -> str:
    from aisle.evaluation.numbers import points
    from aisle.metrics import metric_label

    if tuning.gain is None:
        return "No trial is better than the recipe as it is."
    gain, label = tuning.gain, metric_label(tuning.metric)
    change = f"{points(gain.value)} points ({points(gain.low)} to {points(gain.high)})"
    sentence = f"On other folds, the best recipe changes {label} by {change}"
    if _pays(tuning):
        return f"{sentence}."
    return f"{sentence}: not better beyond chance. Keep the recipe as it is, or give the search more time."
