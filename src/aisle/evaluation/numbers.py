"""Formats numbers for pages; a dash for a missing number."""


def percent(share: float | None, digits: int = 1) -> str:
    """`0.634` -> `63.4 %`; a dash where there is no number."""
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def points(difference: float | None, digits: int = 1) -> str:
    """`-0.021` -> `−2.1`: a difference of shares, in percentage points."""
    return "–" if difference is None else f"{100 * difference:+.{digits}f}".replace("-", "−")


def decimal(value: float | None, digits: int = 3) -> str:
    """`0.4056` -> `0.406`."""
    return "–" if value is None else f"{value:.{digits}f}"


def step(difference: float | None) -> str:
    """`-0.0749` -> `−0.075`: a difference of F1s."""
    return "–" if difference is None else f"{difference:+.3f}".replace("-", "−")


def count(number: int | None) -> str:
    """`1063` -> `1,063`."""
    return "–" if number is None else f"{number:,}"
