"""Registry of CLI commands: each module in `aisle.cli` registers its own with `@command`."""

import dataclasses
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

from typer.models import ParameterInfo

from aisle.cli.interrupts import guarded, same_command
from aisle.cli.options import OptionGroup

SECTIONS = ("Start", "Catalog", "Training", "Evaluation", "Classification", "Search", "Server")
"""The sections of `aisle --help`, in order."""


class Command(NamedTuple):
    """A registered command. `name` has two words where it is a subcommand, such as `keys add`; `function` is
    None for the group that holds subcommands."""

    name: str
    function: Callable[..., None] | None
    short: str
    section: str


_METAVARS = {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "PATH"}
_COMMON = ("device", "trust_code", "quiet", "as_json")
_REGISTERED: dict[str, Command] = {}


def command(name: str, short: str, section: str, resumes: bool = False) -> Callable[..., Callable[..., None]]:
    """Register the decorated function as a CLI command.

    A parameter whose type is an `OptionGroup` becomes that group's options.

    Args:
        name: What is typed after `aisle`; two words make a subcommand of a group.
        short: Its line in the list of commands.
        section: The heading under which it is listed, one of `SECTIONS`.
        resumes: An interrupted run continues when the same command is given again.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        wrapped = guarded(_expand(function), same_command if resumes else None)
        _REGISTERED[name] = Command(name, wrapped, short, section)
        return wrapped

    return decorate


def group(name: str, short: str, section: str) -> None:
    """Register a command that consists of subcommands."""
    _REGISTERED[name] = Command(name, None, short, section)


def commands() -> list[Command]:
    """All commands of all modules in `aisle.cli`, by section, then by name."""
    package = importlib.import_module("aisle.cli")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"aisle.cli.{module.name}")
    return sorted(_REGISTERED.values(), key=lambda one: (SECTIONS.index(one.section), one.name))


def _expand(function: Callable[..., None]) -> Callable[..., None]:
    """The same function with each `OptionGroup` parameter replaced by the options in it."""
    signature, hints = inspect.signature(function), get_type_hints(function, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if _is_group(kind)}

    def parameters() -> Iterator[inspect.Parameter]:
        for parameter in sorted(
            signature.parameters.values(), key=lambda parameter: _rank(parameter.name, groups)
        ):
            if parameter.name not in groups:
                yield parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
                continue
            kinds = get_type_hints(groups[parameter.name], include_extras=True)
            for field in dataclasses.fields(groups[parameter.name]):
                yield inspect.Parameter(
                    field.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=field.default,
                    annotation=kinds[field.name],
                )

    @functools.wraps(function)
    def call(**given: Any) -> None:
        for name, kind in groups.items():
            names = {field.name for field in dataclasses.fields(kind)} & given.keys()
            given[name] = kind(**{field: given.pop(field) for field in names})
        function(**given)

    expanded = list(parameters())
    for parameter in expanded:
        _set_metavar(parameter.annotation)
    call.__signature__ = inspect.Signature(expanded)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in expanded}
    return call


def _set_metavar(annotation: Any) -> None:
    """Give an option or argument without a metavar the plain name of its type: TEXT, NUMBER or PATH."""
    kind, *infos = get_args(annotation) or (annotation,)
    while inner := [one for one in get_args(kind) if one is not NoneType]:  # `list[str] | None` is `str`
        kind = inner[0]
    for info in infos:
        if isinstance(info, ParameterInfo) and info.metavar is None:
            info.metavar = _METAVARS.get(kind)


def _rank(name: str, groups: Mapping[str, type]) -> int:
    """Order in the help: a command's own options, then groups, then those that most commands have."""
    return 2 if name in _COMMON else 1 if name in groups else 0


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, OptionGroup)
