"""Parses dates; the order of day and month is detected over the whole column."""

import datetime
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aisle.errors import CatalogError

_NAMED = ("%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %y", "%d-%B-%Y")
_TIME = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap]\.?m\.?)?\s*(z|utc|gmt|[+-]\d{2}:?\d{2})?"
_NUMBERS = re.compile(
    rf"(\d{{1,4}})([./ -])(\d{{1,2}})\2(\d{{1,4}})\.?(?:(?:\s*,?\s*|t){_TIME})?", re.IGNORECASE
)
_TIME_SUFFIX = re.compile(rf"(?:\s*,?\s+|t){_TIME}$", re.IGNORECASE)
_WEEKDAY = re.compile(r"^[a-z]{3,9},\s*", re.IGNORECASE)
_ORDERS = {
    "day first": (2, 1, 0),
    "month first": (2, 0, 1),
    "year first": (0, 1, 2),
}  # positions of year, month and day
_CODES = {"day first": "%d{0}%m{0}%{1}", "month first": "%m{0}%d{0}%{1}", "year first": "%{1}{0}%m{0}%d"}
_MIN_AGREEMENT = 0.95  # share of the dates with a clear order that must have the same order
_TOKENS = {"yyyy": "%Y", "yy": "%y", "mm": "%m", "m": "%m", "dd": "%d", "d": "%d"}
_NAT = np.datetime64("NaT", "s")


class Dates(NamedTuple):
    """The dates of a column.

    Attributes:
        values: (n,) datetime64[s] in UTC, NaT where blank, unreadable or ambiguous.
        ambiguity: Why the order of day and month is unclear, and the flags that state it; else empty.
        ambiguous: (n,) bool: values whose order is unclear.
    """

    values: np.ndarray
    ambiguity: str
    ambiguous: np.ndarray


class _NumericDate(NamedTuple):
    """A date of three numbers, with the separator between them and the time after them."""

    numbers: tuple[str, str, str]
    separator: str
    time: tuple[str | None, ...]

    def read(self, order: str) -> datetime.datetime | None:
        """The date in this order; None if the numbers are none."""
        year, month, day = (self.numbers[index] for index in _ORDERS[order])
        if len(year) not in (2, 4) or len(month) > 2 or len(day) > 2:
            return None
        number = int(year)
        if len(year) == 2:
            number += 2000 if number < 69 else 1900
        try:
            return _with_time(datetime.datetime(number, int(month), int(day)), self.time)
        except (ValueError, OverflowError):
            return None


def parse_dates(values: Sequence[str], date_format: str | None = None) -> Dates:
    """Parse the distinct values of a column.

    Args:
        values: The values.
        date_format: The format, as `strptime` takes it (`%d/%m/%Y`); a time may follow. Default: ISO 8601,
            seconds or milliseconds since 1970, English month names, or numbers in the order that fits the
            whole column.

    Raises:
        CatalogError: `date_format` is no date format.
    """
    out = np.full(len(values), _NAT, "datetime64[s]")
    ambiguous = np.zeros(len(values), bool)
    if date_format is not None:
        date_format = parse_date_format(date_format)
        for i, text in enumerate(values):
            out[i] = _to_utc(_by_format(text.strip(), date_format))
        return Dates(out, "", ambiguous)
    numeric: dict[int, _NumericDate] = {}
    for i, text in enumerate(values):
        parsed = _parse_clear(text.strip())
        if parsed is None and (numbers := _parse_numeric(text.strip())) is not None:
            numeric[i] = numbers
        out[i] = _to_utc(parsed)
    order, ambiguity = _detect_order(list(numeric.values()))
    for i, numbers in numeric.items():
        if order is not None:
            out[i] = _to_utc(numbers.read(order))
        else:
            ambiguous[i] = any(numbers.read(name) for name in _ORDERS)
    return Dates(out, ambiguity, ambiguous)


def looks_like_date(text: str, date_format: str | None = None) -> bool:
    """Whether a value is a date, in any order or in the given format."""
    text = text.strip()
    if date_format is not None:
        return _by_format(text, parse_date_format(date_format)) is not None
    numbers = _parse_numeric(text)
    return _parse_clear(text) is not None or (
        numbers is not None and any(numbers.read(name) for name in _ORDERS)
    )


def parse_date_format(date_format: str) -> str:
    """Convert a date format, such as `DD/MM/YYYY`, to that of `strptime`.

    Raises:
        CatalogError: It is no date format.
    """
    converted = date_format.strip()
    if "%" not in converted:
        converted = re.sub(
            r"[a-z]+", lambda found: _TOKENS.get(found[0].lower(), found[0]), converted, flags=re.I
        )
    day = datetime.datetime(2026, 3, 31, 11, 58, 59)
    try:
        read_back = datetime.datetime.strptime(day.strftime(converted), converted)
    except (ValueError, UnicodeError):
        read_back = None
    if "%" not in converted or read_back is None or read_back.date() != day.date():
        raise CatalogError(
            f"date format {date_format!r} does not say where day, month and year stand; "
            "write it as %d/%m/%Y, %m/%d/%Y or %Y-%m-%d"
        )
    return converted


def _detect_order(numeric: Sequence[_NumericDate]) -> tuple[str | None, str]:
    """The order of the numbers of a column; None and the reason if it is unclear."""
    read = [{name: value for name in _ORDERS if (value := date.read(name)) is not None} for date in numeric]
    readable = [(date, orders) for date, orders in zip(numeric, read, strict=True) if orders]
    fits = {name: sum(name in orders for _, orders in readable) for name in _ORDERS}
    if not readable:
        return "day first", ""
    fitting = [name for name in _ORDERS if fits[name] == len(readable)]
    if len(fitting) == 1 or ("day first" in fitting and all(date.separator == "." for date, _ in readable)):
        return fitting[0], ""
    if fitting:
        if all(len({orders[name] for name in fitting}) == 1 for _, orders in readable):
            return fitting[0], ""
        example = next(date for date, orders in readable if len({orders[name] for name in fitting}) > 1)
        message = f"{_show(example)} may be {' or '.join(fitting)}, and so may every date; say which with "
        return None, message + _flags(example, fitting)
    clear = {
        name: [date for date, orders in readable if set(orders) == {name}]
        for name in ("day first", "month first")
    }
    majority = max(clear, key=lambda name: len(clear[name]))
    if len(clear[majority]) >= _MIN_AGREEMENT * sum(map(len, clear.values())) and clear[majority]:
        return majority, ""
    examples = [dates[0] for dates in clear.values() if dates]
    if len(examples) < 2:
        return majority, ""
    first, second = examples
    message = f"{_show(first)} is day first, {_show(second)} is month first; say which with "
    return None, message + _flags(first, list(clear))


def _flags(date: _NumericDate, orders: Sequence[str]) -> str:
    years = {name: "Y" if len(date.numbers[_ORDERS[name][0]]) == 4 else "y" for name in orders}
    return " or ".join(
        f"--date-format {_quote(_CODES[name].format(date.separator, years[name]))}" for name in orders
    )


def _quote(text: str) -> str:
    return f"'{text}'" if " " in text else text


def _show(date: _NumericDate) -> str:
    return date.separator.join(date.numbers)


def _parse_numeric(text: str) -> _NumericDate | None:
    match = _NUMBERS.fullmatch(text)
    if match is None:
        return None
    return _NumericDate((match[1], match[3], match[4]), match[2], match.groups()[4:])


def _parse_clear(text: str) -> datetime.datetime | None:
    """A date whose order is clear: ISO 8601, seconds since 1970, year first, or an English month name."""
    try:
        if text.isdigit() and len(text) in (10, 13):
            return datetime.datetime.fromtimestamp(int(text[:10]), datetime.UTC)
        return datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        pass
    numbers = _parse_numeric(text)
    if numbers is not None:
        return numbers.read("year first") if len(numbers.numbers[0]) == 4 else None
    time = _TIME_SUFFIX.search(text)
    words = _WEEKDAY.sub("", text[: time.start()] if time else text).replace(",", " ").replace(".", " ")
    words = " ".join(words.split())
    for date_format in _NAMED if re.search("[A-Za-z]{3}", words) else ():
        try:
            return _with_time(datetime.datetime.strptime(words, date_format), time.groups() if time else ())
        except (ValueError, OverflowError):
            continue
    return None


def _by_format(text: str, date_format: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(text, date_format)
    except ValueError:
        pass
    time = _TIME_SUFFIX.search(text)
    if time is None or re.search(r"%[HIMScXpZz]", date_format):
        return None
    try:
        return _with_time(
            datetime.datetime.strptime(text[: time.start()].strip(), date_format), time.groups()
        )
    except (ValueError, OverflowError):
        return None


def _with_time(day: datetime.datetime, time: Sequence[str | None]) -> datetime.datetime:
    """A day with a time.

    Raises:
        ValueError: There is no such time.
    """
    if not time or time[0] is None:
        return day
    hour, minute, second = int(time[0]), int(time[1] or 0), int(time[2] or 0)
    if time[3]:
        hour = hour % 12 + 12 * (time[3][0].lower() == "p")
    zone = (time[4] or "").upper()
    moment = day.replace(hour=hour, minute=minute, second=second)
    if zone in ("Z", "UTC", "GMT"):
        return moment.replace(tzinfo=datetime.UTC)
    if zone:
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        offset = datetime.timedelta(minutes=minutes if zone[0] == "+" else -minutes)
        return moment.replace(tzinfo=datetime.timezone(offset))
    return moment


def _to_utc(moment: datetime.datetime | None) -> np.datetime64:
    if moment is None:
        return _NAT
    try:
        if moment.tzinfo is not None:
            moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    except OverflowError:
        return _NAT
    return np.datetime64(moment, "s")
