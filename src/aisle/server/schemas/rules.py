"""`/v1/rules`."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from aisle.server.schemas.common import NO_NUL, RequestModel, ResponseModel

_File = Annotated[str, StringConstraints(max_length=4_000_000, pattern=NO_NUL)]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_NUL)]


class RulesIn(RequestModel):
    """A rules file: its `text`, and the texts of the list files that it names. With `check_only` it is
    checked and not used."""

    text: _File
    lists: dict[_Name, _File] = Field(default_factory=dict, max_length=100)
    check_only: bool = False


class RulesOut(ResponseModel):
    """Rules: their `version` (a hash; null without rules), `text` and lists, how many there are, and the ids
    of those that no longer act. `saved_with_model`: they are those that the live model was saved with."""

    version: str | None
    text: str
    lists: dict[str, list[str]]
    rules: int
    expired: list[str]
    saved_with_model: bool


class RuleChangeOut(ResponseModel):
    """A change of the rules: at which time (ms since 1970), by whom, and the `version` since then; null for
    the rules that the models were saved with."""

    at: int
    person: str
    action: Literal["set", "rolled back"]
    version: str | None
    rules: int


class RulesHistoryOut(ResponseModel):
    """Changes of the rules, the latest first."""

    changes: list[RuleChangeOut]
