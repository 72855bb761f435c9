"""Lines that a platform writes before the line of column names, as in Amazon's flat files."""

import csv
import re
from collections.abc import Sequence

from aisle.data.dialects.detection import proof, shipped_dialects
from aisle.data.dialects.header import Header

_LINES = 8  # that the column names may be among
_DELIMITERS = "\t,;"


def lines_before_header(sample: Sequence[str]) -> int:
    """The number of lines before the column names; 0 where the first line holds them.

    Args:
        sample: The first lines of a text file.
    """
    if not sample:
        return 0
    for dialect in shipped_dialects():
        rules = dialect.detect
        if rules is None or rules.header_line is None or not re.match(rules.header_line, sample[0]):
            continue
        fits = [max(proof(rules, Header(names)) for names in _splits(line)) for line in sample[1:_LINES]]
        if any(fits):
            return 1 + fits.index(max(fits))
    return 0


def _splits(line: str) -> list[list[str]]:
    return [next(csv.reader([line], delimiter=mark), []) for mark in _DELIMITERS]
