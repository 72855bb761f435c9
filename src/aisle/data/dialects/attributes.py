"""Converts attributes of products to columns."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import pyarrow as pa

from aisle.data.column_names import folded
from aisle.data.dialects.cells import attribute_list, split_list
from aisle.data.dialects.header import Header, wildcards
from aisle.data.dialects.schema import AttributeLists, AttributeRules, Names
from aisle.data.records import Records

MAX_COLUMNS = 100  # attributes that get a column of their own, the most frequent
REST = "Attributes"  # the column of all others


class AttributeColumns(NamedTuple):
    """The columns of a file that hold attributes.

    Attributes:
        pairs: The columns of a name and of its value.
        lists: Columns that list attributes, with how.
        named: Column -> the attribute's name in the column's name.
    """

    pairs: list[tuple[str, str]]
    lists: list[tuple[str, AttributeLists]]
    named: dict[str, str]

    @property
    def names(self) -> list[str]:
        """All of them."""
        pairs = [name for pair in self.pairs for name in pair]
        return [*pairs, *(column for column, _ in self.lists), *self.named]


def attribute_columns(rules: AttributeRules, header: Header, ignored: Names = ()) -> AttributeColumns:
    """The columns of a file that hold attributes.

    Args:
        rules: How attributes are written.
        header: The columns of the file.
        ignored: Names of columns that hold no attribute, even where their names have the form of one.
    """
    not_read = set(header.find_all(ignored))
    pairs = []
    for pair in rules.pairs:
        values = {wildcards(pair.value, name): name for name in header.names}
        for name in header.names:
            number = wildcards(pair.name, name)
            if number is not None and number in values and values[number] != name:
                pairs.append((name, values[number]))
    lists = [(column, rule) for rule in rules.lists for column in header.find_all(rule.columns)]
    columns_ = {}
    for pattern in rules.columns:
        for name in header.names:
            match = wildcards(pattern, name)
            if match and match[0] and name not in not_read:
                columns_.setdefault(name, match[0])
    return AttributeColumns(pairs, lists, columns_)


class AttributeTable:
    """Attributes as columns.

    Args:
        columns: Where attributes are.
        records: The rows, whose attributes are counted: the most frequent get columns.
        no_value: Values that stand for none.
    """

    def __init__(self, columns: AttributeColumns, records: Records, no_value: Collection[str] = ()) -> None:
        self.columns, self._no_value = columns, frozenset(no_value)
        counts: Counter[str] = Counter()
        spelling: dict[str, str] = {}
        if columns.names:
            for row in records.rows(columns.names):
                for name, _ in self._attributes(row):
                    key = folded(name)
                    spelling.setdefault(key, name)
                    counts[key] += 1
        used_names = {folded(name) for name in records.names if name not in columns.names} | {folded(REST)}
        chosen = sorted((key for key, _ in counts.most_common(MAX_COLUMNS)), key=list(spelling).index)
        self._column = {
            key: f"{spelling[key]} (attribute)" if key in used_names else spelling[key] for key in chosen
        }
        self._rest = len(counts) > len(chosen)

    @property
    def added(self) -> list[str]:
        """The columns that `batch` adds."""
        return [*dict.fromkeys(self._column.values()), *([REST] if self._rest else [])]

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch in which attribute columns replace the columns whose names contain an attribute."""
        if not self.added:
            return batch
        cells: dict[str, list[str | None]] = {name: [None] * batch.num_rows for name in self.added}
        present = [name for name in self.columns.names if name in batch.schema.names]
        for i, row in enumerate(batch.select(present).to_pylist()):
            for name, value in self._attributes(row):
                column = self._column.get(folded(name))
                if column is None:
                    cells[REST][i] = "; ".join(filter(None, [cells[REST][i], f"{name}: {value}"]))
                else:
                    cells[column][i] = _joined(cells[column][i], value)
        for name in self.columns.named:
            batch = batch.drop_columns([name]) if name in batch.schema.names else batch
        for name, values in cells.items():
            batch = batch.append_column(name, pa.array(values, pa.string()))
        return batch

    def _attributes(self, row: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
        """(name, value) of each attribute of a row."""
        for name_column, value_column in self.columns.pairs:
            name, value = (row.get(name_column) or "").strip(), (row.get(value_column) or "").strip()
            if name and value and value not in self._no_value:
                yield name, ", ".join(_values(value))
        for column, rules in self.columns.lists:
            yield from attribute_list(row.get(column) or "", rules)
        for column, name in self.columns.named.items():
            value = (row.get(column) or "").strip()
            if value:
                yield name, value


def _joined(known: str | None, value: str) -> str:
    """Distinct values of an attribute that is named several times, joined by commas."""
    if known is None:
        return value
    return ", ".join(dict.fromkeys([*known.split(", "), *value.split(", ")]))


def _values(cell: str) -> Iterable[str]:
    """The values of an attribute; `\\,` is a literal comma."""
    return split_list(cell, ",", "\\")
