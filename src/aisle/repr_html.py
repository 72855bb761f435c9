"""Small HTML fragments that notebooks show. All text is escaped; colours suit light and dark pages."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

_HEAD = Markup("font-weight:600;border-bottom:1px solid rgba(128,128,128,.35)")
_CELL = Markup(
    "text-align:left;vertical-align:middle;padding:3px 10px 3px 0;background:transparent;color:inherit"
)


def card(title: str, *parts: str) -> str:
    """A fragment with a title.

    Args:
        title: The title.
        parts: Text, which is escaped, or `Markup`.
    """
    body = Markup("").join(parts)
    return Markup(
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;max-width:72em">'
        '<div style="font-weight:600;margin:2px 0 4px">{}</div>{}</div>'
    ).format(title, body)


def line(text: str) -> Markup:
    """A paragraph."""
    return Markup('<div style="margin:2px 0;opacity:.85">{}</div>').format(text)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table.

    Args:
        header: Names of the columns; empty for a table without a head.
        rows: Cells: numbers, text, which is escaped, or `Markup`.
    """

    def joined(kind: str, cells: Iterable[object], style: Markup) -> Markup:
        markup = Markup(f'<{kind} style="{{}}">{{}}</{kind}>')
        return Markup("<tr>{}</tr>").format(Markup("").join(markup.format(style, cell) for cell in cells))

    head = Markup("<thead>{}</thead>").format(joined("th", header, _CELL + ";" + _HEAD)) if header else ""
    body = Markup("").join(joined("td", row, _CELL) for row in rows)
    style = Markup("border-collapse:collapse;margin:4px 0;background:transparent")
    return Markup('<table style="{}">{}<tbody>{}</tbody></table>').format(style, head, body)


def bar(share: float, text: str) -> Markup:
    """A horizontal bar of a share from 0 to 1, and its value in words."""
    width = round(72 * min(max(share, 0.0), 1.0))
    return Markup(
        '<span style="display:inline-block;width:72px;height:8px;border-radius:4px;'
        'background:rgba(128,128,128,.25);vertical-align:middle;margin-right:6px">'
        '<span style="display:block;width:{}px;height:8px;border-radius:4px;background:#2a9d8f"></span>'
        "</span>{}"
    ).format(width, text)


def percent(share: float) -> Markup:
    """A bar of a share, with the share in percent."""
    return bar(share, f"{share:.1%}")


def image(source: str, side: int = 40) -> Markup:
    """An image of a `data:` address, at most `side` pixels wide and high."""
    return Markup(
        '<img src="{0}" alt="" style="max-width:{1}px;max-height:{1}px;border-radius:4px;margin:0">'
    ).format(source, side)


def folded(title: str, body: str) -> Markup:
    """A part that is shown when its title is clicked."""
    style = Markup("margin:1px 0 1px 12px")
    return Markup('<details style="{}"><summary>{}</summary>{}</details>').format(style, title, body)


def shortened(text: str, length: int = 80) -> str:
    """The text, cut off after some characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def lines(items: Iterable[str]) -> Markup:
    """Several paragraphs; text is escaped."""
    return Markup("").join(line(item) for item in items)
