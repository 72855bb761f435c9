"""Line, bar and scatter charts as SVG, drawn without a plotting library.

A chart is one `<svg>` element with a `viewBox`: it scales with the page that holds it. Colors are any CSS
color, `var(--name)` included, so that a page can switch between light and dark.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

Point = tuple[float, float]


@dataclass
class Chart:
    """Axes, and what is drawn between them in the order of the calls.

    Args:
        width: of the whole chart in pixels, tick labels included.
        height: likewise.
        x: lowest and highest value of the x axis.
        y: likewise of the y axis.
        title: above the axes.
        x_label: below the x axis.
        y_label: left of the y axis, rotated.
        percent: axes (`"x"`, `"y"`, `"xy"`) whose values are shares, labelled in percent.
        x_ticks: most ticks on the x axis; 0 for none.
        y_ticks: likewise on the y axis.
        names: labels of y = 0, 1, … in place of ticks.
        ink: color of all text.
        grid: color of grid lines.
        legend: width in pixels, right of the axes, for the labels of lines.
        left: width in pixels, left of the axes, at least: charts stacked with one value are aligned.
    """

    width: float
    height: float
    x: Point = (0.0, 1.0)
    y: Point = (0.0, 1.0)
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    percent: str = ""
    x_ticks: int = 6
    y_ticks: int = 6
    names: Sequence[str] = ()
    ink: str = "#333333"
    grid: str = "#dddddd"
    legend: float = 0.0
    left: float = 0.0
    _drawn: list[str] = field(default_factory=list, init=False)
    _legend: list[tuple[str, str]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.y_values = (
            list(enumerate(self.names)) if self.names else ticks(*self.y, self.y_ticks, "y" in self.percent)
        )
        self.x_values = ticks(*self.x, self.x_ticks, "x" in self.percent)
        longest = max((len(label) for _, label in self.y_values), default=0)
        self.left = max(self.left, 10 + 6.2 * longest + (16 if self.y_label else 0))
        self.top = 24 if self.title else 8
        self.inner_width = self.width - self.left - self.legend - 18
        below = (18 if self.x_values else 6) + (20 if self.x_label else 0)
        self.inner_height = self.height - self.top - below

    def _x(self, value: float) -> float:
        return (value - self.x[0]) / ((self.x[1] - self.x[0]) or 1) * self.inner_width

    def _y(self, value: float) -> float:
        return (1 - (value - self.y[0]) / ((self.y[1] - self.y[0]) or 1)) * self.inner_height

    def _path(self, points: Sequence[Point]) -> str:
        finite = [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])]
        return " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in finite)

    def line(
        self, points: Sequence[Point], color: str, width: float = 2, dashed: bool = False, label: str = ""
    ) -> None:
        """A line through the points that are finite. label: its name in the legend."""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._drawn.append(
            f'<polyline points="{self._path(points)}" fill="none" stroke="{color}" stroke-width="{width}"'
            f' stroke-linejoin="round"{dash}/>'
        )
        if label:
            self._legend.append((color, label))

    def area(self, upper: Sequence[Point], lower: Sequence[Point], color: str) -> None:
        """The area between two lines."""
        outline = self._path([*upper, *lower[::-1]])
        self._drawn.append(f'<polygon points="{outline}" fill="{color}" fill-opacity="0.16"/>')

    def rectangle(self, x: Point, y: Point, color: str, opacity: float = 1.0) -> None:
        """A rectangle between two values on each axis: a bar."""
        left, right = sorted(map(self._x, x))
        top, bottom = sorted(map(self._y, y))
        self._drawn.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
            f' fill="{color}" fill-opacity="{opacity}"/>'
        )

    def dot(self, x: float, y: float, color: str, radius: float = 3) -> None:
        """A filled circle."""
        self._drawn.append(
            f'<circle cx="{self._x(x):.1f}" cy="{self._y(y):.1f}" r="{radius}" fill="{color}"/>'
        )

    def interval(self, x: float, y: float, low: float, high: float, color: str) -> None:
        """A dot with a vertical error bar from `low` to `high`."""
        self.line([(x, low), (x, high)], color, 2)
        half = 4 / self.inner_width * (self.x[1] - self.x[0])
        for end in (low, high):
            self.line([(x - half, end), (x + half, end)], color, 2)
        self.dot(x, y, color, 4.5)

    def text(self, x: float, y: float, text: str) -> None:
        """Text that begins at a point."""
        self._drawn.append(_text(self._x(x), self._y(y), text, self.ink, 10))

    def image(self, jpeg: bytes) -> None:
        """An image that fills the axes."""
        data = base64.b64encode(jpeg).decode("ascii")
        self._drawn.append(
            f'<image width="{self.inner_width:.1f}" height="{self.inner_height:.1f}"'
            f' href="data:image/jpeg;base64,{data}"/>'
        )

    def svg(self, x: float = 0, y: float = 0) -> str:
        """The chart as one `<svg>` element, at a position inside another."""
        width, height, ink = self.inner_width, self.inner_height, self.ink
        parts = [
            f'<svg x="{x:.0f}" y="{y:.0f}" width="{self.width:.0f}" height="{self.height:.0f}">',
            f'<g transform="translate({self.left:.1f} {self.top})">',
            _text(width / 2, -9, self.title, ink, 12, "middle"),
            _text(width / 2, height + (33 if self.x_values else 16), self.x_label, ink, 11, "middle"),
            _text(16 - self.left, height / 2, self.y_label, ink, 11, "middle", turned=True),
        ]
        for value, label in self.x_values:
            at = self._x(value)
            parts.append(f'<path d="M{at:.1f} 0V{height:.1f}" stroke="{self.grid}"/>')
            parts.append(_text(at, height + 14, label, ink, 11, "middle"))
        for value, label in self.y_values:
            at = self._y(value)
            if not self.names:
                parts.append(f'<path d="M0 {at:.1f}H{width:.1f}" stroke="{self.grid}"/>')
            parts.append(_text(-6, at + 3.8, label, ink, 11, "end"))
        for i, (color, label) in enumerate(self._legend if self.legend else ()):
            parts.append(f'<path d="M{width + 12:.1f} {8 + 16 * i}h14" stroke="{color}" stroke-width="3"/>')
            parts.append(_text(width + 31, 12 + 16 * i, label, ink, 11))
        # A nested svg clips what lies outside the axes.
        parts.append(f'<svg width="{width:.1f}" height="{height:.1f}">')
        return "".join([*parts, *self._drawn, "</svg></g></svg>"])


def figure(charts: Sequence[Chart], stacked: bool = False, title: str = "", style: str = "") -> str:
    """Charts side by side, or stacked, as one SVG document.

    Args:
        charts: at least one.
        stacked: below one another.
        title: above all of them, also read by screen readers; without one the figure is decoration.
        style: CSS of the root element.
    """
    top = 26.0 if title else 0.0
    x, y, inside = 0.0, top, []
    for chart in charts:
        inside.append(chart.svg(x, y))
        x, y = (0, y + chart.height) if stacked else (x + chart.width, top)
    width = max(c.width for c in charts) if stacked else x
    height = y if stacked else top + max(c.height for c in charts)
    label = f'role="img" aria-label={quoteattr(title)}' if title else 'aria-hidden="true" focusable="false"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" {label}'
        f' style="{style or "font-family: sans-serif; background: #ffffff"}">'
        f"{_text(width / 2, 18, title, charts[0].ink, 13, 'middle')}{''.join(inside)}</svg>"
    )


def ticks(low: float, high: float, most: int, percent: bool = False) -> list[tuple[float, str]]:
    """Round values from low to high, at most `most` of them, and their labels."""
    if most < 1 or not high > low:
        return []
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    values = [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]
    if percent:
        decimals = max(0, -math.floor(math.log10(step * 100) + 1e-9))
        return [(v, f"{v * 100:.{decimals}f}%") for v in values]
    return [(v, f"{v:,.6g}" if 1e-3 <= step < 1e6 else f"{v:.2g}") for v in values]


def _text(
    x: float, y: float, text: str, color: str, size: float, anchor: str = "start", turned: bool = False
) -> str:
    if not text:
        return ""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    clean = "".join(c for c in text if c.isprintable())
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" font-size="{size}" text-anchor="{anchor}"{turn}>'
        f"{escape(clean)}</text>"
    )
