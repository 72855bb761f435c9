"""The form of a rules file: what each rule and each condition may say."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Action = Literal["force", "deny", "restrict", "review"]
ACTIONS = ("force", "deny", "restrict", "review")
Scalar = str | int | float


def _listed(value: Any) -> Any:
    """A single value as a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def _tables(value: Any) -> Any:
    """One table of conditions as a list of one; a field's text as what it equals."""
    tables = value if isinstance(value, list | tuple) else [value]
    return [_spelled_out(table) if isinstance(table, Mapping) else table for table in tables]


def _spelled_out(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: test if isinstance(test, Mapping | CellTest) else {"equals": test}
        for name, test in table.items()
    }


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Range(_Strict):
    """A range of numbers, both ends included."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _check(self) -> "Range":
        if self.min is None and self.max is None:
            raise ValueError("a range needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    def holds(self, number: float) -> bool:
        """Whether a number lies in it."""
        return (self.min is None or number >= self.min) and (self.max is None or number <= self.max)


class CellTest(_Strict):
    """Tests of one field; all of them must hold. A list means any of its items.

    Attributes:
        equals: The cell, or one of its values. Case, accents and spaces do not count; a number equals any
            spelling of it.
        equals_file: A text file of such values, one a line, beside the rules file.
        contains: Whole words, or several words in this order. Case, accents and punctuation do not count.
        contains_file: A text file of such words, one entry a line.
        regex: A pattern that occurs in the text. Case does not count.
        min: The least number.
        max: The greatest number.
        decimal: The decimal separator of numbers (`.` or `,`), where they do not tell.
        blank: Whether the cell is blank.
    """

    equals: Annotated[list[Scalar], BeforeValidator(_listed)] | None = None
    equals_file: str | None = None
    contains: Annotated[list[Scalar], BeforeValidator(_listed)] | None = None
    contains_file: str | None = None
    regex: Annotated[list[str], BeforeValidator(_listed)] | None = None
    min: float | None = None
    max: float | None = None
    decimal: Literal[".", ","] | None = None
    blank: bool | None = None

    @model_validator(mode="after")
    def _check(self) -> "CellTest":
        if not self.model_fields_set - {"decimal"}:
            raise ValueError("a field needs a test: equals, contains, regex, min, max or blank")
        if self.min is not None or self.max is not None:
            Range(min=self.min, max=self.max)
        for name in ("equals", "contains", "regex"):
            given = getattr(self, name)
            if given is not None and (not given or any(not str(item).strip() for item in given)):
                raise ValueError(f"{name} is empty")
        return self


class RuleConfig(_Strict):
    """One rule of a file.

    Attributes:
        id: The rule's name, unique in the file: letters, digits, `.`, `_` and `-`.
        action: `force` a category, `deny` branches, `restrict` to branches, or `review`: never automatic.
        category: The path or id of the category, or several. `review` needs none.
        when: Conditions on fields that must hold, by the field's name; of a list of tables, all must hold.
        unless: Conditions on fields; the rule does not act where all of one table hold.
        predicted: The branches that the model's own best category must lie in.
        confidence: The range of the model's own confidence in its best category.
        decision: The model's own decision.
        source: Names of the files that products come from; `*` stands for any text.
        priority: Rules of higher priority act first; else their order in the file counts.
        owner: Who answers for the rule.
        reason: Why it exists; predictions show it.
        expires: The last day on which it acts.
    """

    id: str = Field(min_length=1, max_length=100)
    action: Action
    category: Annotated[list[str], BeforeValidator(_listed)] = []
    when: Annotated[list[dict[str, CellTest]], BeforeValidator(_tables)] = []
    unless: Annotated[list[dict[str, CellTest]], BeforeValidator(_tables)] = []
    predicted: Annotated[list[str], BeforeValidator(_listed)] = []
    confidence: Range | None = None
    decision: Annotated[list[Literal["accept", "partial", "review"]], BeforeValidator(_listed)] = []
    source: Annotated[list[str], BeforeValidator(_listed)] = []
    priority: int = 0
    owner: str = ""
    reason: str = ""
    expires: date | None = None

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        if not re.fullmatch(r"[\w.-]+", value):
            raise ValueError("an id has letters, digits, `.`, `_` and `-` only")
        return value

    @model_validator(mode="after")
    def _check(self) -> "RuleConfig":
        if self.action == "force" and len(self.category) != 1:
            raise ValueError("force needs exactly one category")
        if self.action in ("deny", "restrict") and not self.category:
            raise ValueError(f"{self.action} needs a category")
        if any(not table for table in (*self.when, *self.unless)):
            raise ValueError("a table of conditions is empty")
        conditions = (self.when, self.predicted, self.confidence, self.decision, self.source)
        if self.action == "force" and not any(conditions):
            raise ValueError("force needs a condition, else it decides every product")
        return self

    def acts_on(self, day: date) -> bool:
        """Whether it has not expired on a day."""
        return self.expires is None or day <= self.expires


class RulesConfig(_Strict):
    """A rules file.

    Attributes:
        rule: The rules.
        fields: Fields that rules may name although the training catalog has no such column.
    """

    rule: list[RuleConfig] = []
    fields: list[str] = []
