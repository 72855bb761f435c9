"""Dates as exports write them, the order of day and month decided over the column as a whole."""

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
_CLOCK = re.compile(rf"(?:\s*,?\s+|t){_TIME}$", re.IGNORECASE)
_WEEKDAY = re.compile(r"^[a-z]{3,9},\s*", re.IGNORECASE)
_ORDERS = {
    "day first": (2, 1, 0),
    "month first": (2, 0, 1),
    "year first": (0, 1, 2),
}  # where year, month, day stand
_CODES = {"day first": "%d{0}%m{0}%{1}", "month first": "%m{0}%d{0}%{1}", "year first": "%{1}{0}%m{0}%d"}
_MOST = 0.95  # share of the dates that show an order in which they must agree
_TOKENS = {"yyyy": "%Y", "yy": "%y", "mm": "%m", "m": "%m", "dd": "%d", "d": "%d"}
_NEVER = np.datetime64("NaT", "s")


class Dates(NamedTuple):
    """n values as datetime64[s] in UTC, NaT where blank, unreadable or of an ambiguity order.

    ambiguity: why the order of day and month cannot be told, and the flags that say it; empty where it can.
    ambiguous (n,): the values that this concerns.
    """

    values: np.ndarray
    ambiguity: str
    ambiguous: np.ndarray


class _Written(NamedTuple):
    """Three numbers, the sign between them, and the time after them."""

    numbers: tuple[str, str, str]
    sign: str
    clock: tuple[str | None, ...]

    def read(self, order: str) -> datetime.datetime | None:
        """The date, if the numbers are one in this order."""
        year, month, day = (self.numbers[place] for place in _ORDERS[order])
        if len(year) not in (2, 4) or len(month) > 2 or len(day) > 2:
            return None
        number = int(year)
        if len(year) == 2:
            number += 2000 if number < 69 else 1900
        try:
            return _timed(datetime.datetime(number, int(month), int(day)), self.clock)
        except (ValueError, OverflowError):
            return None


def read(values: Sequence[str], form: str | None = None) -> Dates:
    """Distinct values of one column as dates.

    form: how they are written, as `strptime` says it (`%d/%m/%Y`); a time may follow. None: ISO 8601, seconds
    or milliseconds since 1970, a day with a month's English name, or numbers in the order that explains the
    whole column.

    Raises:
        CatalogError: the form is none.
    """
    out = np.full(len(values), _NEVER, "datetime64[s]")
    ambiguous = np.zeros(len(values), bool)
    if form is not None:
        form = checked_format(form)
        for i, text in enumerate(values):
            out[i] = _utc(_by_format(text.strip(), form))
        return Dates(out, "", ambiguous)
    written: dict[int, _Written] = {}
    for i, text in enumerate(values):
        found = _sure(text.strip())
        if found is None and (numbers := _numbers(text.strip())) is not None:
            written[i] = numbers
        out[i] = _utc(found)
    order, ambiguity = _order(list(written.values()))
    for i, numbers in written.items():
        if order is not None:
            out[i] = _utc(numbers.read(order))
        else:
            ambiguous[i] = any(numbers.read(name) for name in _ORDERS)
    return Dates(out, ambiguity, ambiguous)


def looks_like_date(text: str, form: str | None = None) -> bool:
    """Whether a value is a date in some order."""
    text = text.strip()
    if form is not None:
        return _by_format(text, checked_format(form)) is not None
    numbers = _numbers(text)
    return _sure(text) is not None or (numbers is not None and any(numbers.read(name) for name in _ORDERS))


def checked_format(form: str) -> str:
    """A date's form as `strptime` takes it; `DD/MM/YYYY` is understood too.

    Raises:
        CatalogError: it is none.
    """
    made = form.strip()
    if "%" not in made:
        made = re.sub(r"[a-z]+", lambda found: _TOKENS.get(found[0].lower(), found[0]), made, flags=re.I)
    day = datetime.datetime(2026, 3, 31, 11, 58, 59)
    try:
        read_back = datetime.datetime.strptime(day.strftime(made), made)
    except (ValueError, UnicodeError):
        read_back = None
    if "%" not in made or read_back is None or read_back.date() != day.date():
        raise CatalogError(
            f"date format {form!r} does not say where day, month and year stand; "
            "write it as %d/%m/%Y, %m/%d/%Y or %Y-%m-%d"
        )
    return made


def _order(written: Sequence[_Written]) -> tuple[str | None, str]:
    """The order in which the column's numbers are dates, or why it cannot be told."""
    read = [{name: found for name in _ORDERS if (found := one.read(name)) is not None} for one in written]
    kept = [(one, orders) for one, orders in zip(written, read, strict=True) if orders]
    fits = {name: sum(name in orders for _, orders in kept) for name in _ORDERS}
    if not kept:
        return "day first", ""
    full = [name for name in _ORDERS if fits[name] == len(kept)]
    if len(full) == 1 or ("day first" in full and all(one.sign == "." for one, _ in kept)):
        return full[0], ""
    if full:
        if all(len({orders[name] for name in full}) == 1 for _, orders in kept):
            return full[0], ""
        shown = next(one for one, orders in kept if len({orders[name] for name in full}) > 1)
        ways = " or ".join(full)
        return (
            None,
            f"{_shown(shown)} may be {ways}, and so may every date; say which with {_flags(shown, full)}",
        )
    telling = {
        name: [one for one, orders in kept if set(orders) == {name}] for name in ("day first", "month first")
    }
    most = max(telling, key=lambda name: len(telling[name]))
    if len(telling[most]) >= _MOST * sum(map(len, telling.values())) and telling[most]:
        return most, ""
    shown = [found[0] for found in telling.values() if found]
    if len(shown) < 2:
        return most, ""
    first, second = shown
    what = f"{_shown(first)} is day first, {_shown(second)} is month first; say which with "
    return None, what + _flags(first, list(telling))


def _flags(one: _Written, orders: Sequence[str]) -> str:
    places = {name: "Y" if len(one.numbers[_ORDERS[name][0]]) == 4 else "y" for name in orders}
    return " or ".join(
        f"--date-format {_quoted(_CODES[name].format(one.sign, places[name]))}" for name in orders
    )


def _quoted(text: str) -> str:
    return f"'{text}'" if " " in text else text


def _shown(one: _Written) -> str:
    return one.sign.join(one.numbers)


def _numbers(text: str) -> _Written | None:
    found = _NUMBERS.fullmatch(text)
    if found is None:
        return None
    return _Written((found[1], found[3], found[4]), found[2], found.groups()[4:])


def _sure(text: str) -> datetime.datetime | None:
    """A date whose parts cannot be mistaken: ISO 8601, seconds since 1970, year first, or a named month."""
    try:
        if text.isdigit() and len(text) in (10, 13):
            return datetime.datetime.fromtimestamp(int(text[:10]), datetime.UTC)
        return datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        pass
    numbers = _numbers(text)
    if numbers is not None:
        return numbers.read("year first") if len(numbers.numbers[0]) == 4 else None
    clock = _CLOCK.search(text)
    words = _WEEKDAY.sub("", text[: clock.start()] if clock else text).replace(",", " ").replace(".", " ")
    words = " ".join(words.split())
    for form in _NAMED if re.search("[A-Za-z]{3}", words) else ():
        try:
            return _timed(datetime.datetime.strptime(words, form), clock.groups() if clock else ())
        except (ValueError, OverflowError):
            continue
    return None


def _by_format(text: str, form: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(text, form)
    except ValueError:
        pass
    clock = _CLOCK.search(text)
    if clock is None or re.search(r"%[HIMScXpZz]", form):
        return None
    try:
        return _timed(datetime.datetime.strptime(text[: clock.start()].strip(), form), clock.groups())
    except (ValueError, OverflowError):
        return None


def _timed(day: datetime.datetime, clock: Sequence[str | None]) -> datetime.datetime:
    """A day at a time.

    Raises:
        ValueError: there is no such time.
    """
    if not clock or clock[0] is None:
        return day
    hour, minute, second = int(clock[0]), int(clock[1] or 0), int(clock[2] or 0)
    if clock[3]:
        hour = hour % 12 + 12 * (clock[3][0].lower() == "p")
    zone = (clock[4] or "").upper()
    found = day.replace(hour=hour, minute=minute, second=second)
    if zone in ("Z", "UTC", "GMT"):
        return found.replace(tzinfo=datetime.UTC)
    if zone:
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        offset = datetime.timedelta(minutes=minutes if zone[0] == "+" else -minutes)
        return found.replace(tzinfo=datetime.timezone(offset))
    return found


def _utc(found: datetime.datetime | None) -> np.datetime64:
    if found is None:
        return _NEVER
    try:
        if found.tzinfo is not None:
            found = found.astimezone(datetime.UTC).replace(tzinfo=None)
    except OverflowError:
        return _NEVER
    return np.datetime64(found, "s")
