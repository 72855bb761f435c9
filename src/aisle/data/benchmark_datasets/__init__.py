"""Public contests' data, read in their own formats, and predictions written in the form they ask for.

`open_contest("kakao:FOLDER:dev")` is what the command line calls; a contest is a pair of functions in a file.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from aisle.data.benchmark_datasets import kakao as _kakao
from aisle.data.benchmark_datasets import rakuten as _rakuten
from aisle.data.catalog import Catalog
from aisle.errors import CatalogError
from aisle.progress import SILENT, Progress

CONTESTS = {"kakao": _kakao, "rakuten": _rakuten}


class Answer(Protocol):
    """What a submission needs of a prediction."""

    @property
    def id(self) -> str:
        """The product's."""
        ...

    @property
    def best_id(self) -> str:
        """The id of the place it was given."""
        ...


class Named(NamedTuple):
    """`kakao:FOLDER:dev` taken apart; phase "" is the training phase."""

    contest: str
    folder: Path
    phase: str


def parse_contest(source: str | Path) -> Named | None:
    """What `CONTEST:FOLDER[:PHASE]` names; None if it is no such thing (a path, most likely)."""
    contest, colon, rest = str(source).partition(":")
    if not colon or contest not in CONTESTS or Path(source).exists():
        return None
    folder, colon, phase = rest.rpartition(":")
    return Named(contest, Path(folder), phase) if colon else Named(contest, Path(rest), "")


def open_contest(named: Named, progress: Progress = SILENT) -> Catalog:
    """The catalogue of a contest's phase.

    Raises:
        CatalogError: the folder lacks its files, or there is no such phase.
    """
    module = CONTESTS[named.contest]
    phase = named.phase or "train"
    if phase not in module.PHASES:
        raise CatalogError(f"{named.contest} has no phase {phase!r}; it has {', '.join(module.PHASES)}")
    return getattr(module, named.contest)(named.folder, phase, progress=progress)


def write_submission(contest: str, catalog: Catalog, answers: Iterable[Answer], file: str | Path) -> int:
    """Write answers, one a row of `catalog` in order, in the form a contest asks for; returns how many.

    The file is written beside and renamed, so it is whole or not there.

    Raises:
        CatalogError: an answer is missing, too many or in another order; a category is not the contest's; the
            disk refuses.
    """
    if contest not in CONTESTS:
        raise CatalogError(f"there is no contest {contest!r}; there are {', '.join(CONTESTS)}")
    return CONTESTS[contest].write_submission(catalog, answers, Path(file))
