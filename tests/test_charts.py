"""Charts: values land where the axes say, labels are escaped, nothing outside the axes is drawn."""

import math
from xml.etree import ElementTree

import pytest

from aisle.charts import Chart, figure, ticks

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*charts, **options):
    return ElementTree.fromstring(figure(charts, **options))


def points(element):
    return [tuple(map(float, pair.split(","))) for pair in element.get("points").split()]


def test_a_line_runs_from_corner_to_corner_and_leaves_out_what_is_not_finite():
    chart = Chart(200, 100, x=(0, 10), y=(0, 5))
    chart.line([(0, 0), (5, math.nan), (10, 5)], "red")
    (line,) = drawn(chart).iter(f"{SVG}polyline")
    assert points(line) == [
        (0.0, pytest.approx(chart.inner_height, abs=0.1)),
        (pytest.approx(chart.inner_width, abs=0.1), 0.0),
    ]


def test_a_bar_is_as_high_as_its_value():
    chart = Chart(200, 100, y=(0, 4))
    chart.rectangle((0.25, 0.75), (0, 1), "green")
    (bar,) = drawn(chart).iter(f"{SVG}rect")
    assert float(bar.get("height")) == pytest.approx(chart.inner_height / 4, abs=0.1)
    assert float(bar.get("y")) == pytest.approx(chart.inner_height * 3 / 4, abs=0.1)
    assert float(bar.get("width")) == pytest.approx(chart.inner_width / 2, abs=0.1)


@pytest.mark.parametrize(
    ("low", "high", "percent", "labels"),
    [
        (0, 1, True, ["0%", "20%", "40%", "60%", "80%", "100%"]),
        (0.93, 1.0, True, ["94%", "96%", "98%", "100%"]),
        (0.99, 1.0, True, ["99.0%", "99.2%", "99.4%", "99.6%", "99.8%", "100.0%"]),
        (0, 15_000, False, ["0", "2,500", "5,000", "7,500", "10,000", "12,500", "15,000"]),
        (0, 3e-4, False, ["0", "5e-05", "0.0001", "0.00015", "0.0002", "0.00025", "0.0003"]),
        (1, 1, False, []),
    ],
)
def test_ticks_are_round_numbers(low, high, percent, labels):
    found = ticks(low, high, 6, percent)
    assert [label for _, label in found] == labels
    assert all(low - 1e-9 <= value <= high + 1e-9 for value, _ in found)


def test_labels_are_escaped_and_control_characters_left_out():
    chart = Chart(200, 100, y=(-0.5, 0.5), names=["<b>&\0"], title='"quoted"')
    texts = [text.text for text in drawn(chart, title="a < b").iter(f"{SVG}text")]
    assert {"<b>&", '"quoted"', "a < b"} <= set(texts)


def test_charts_stand_side_by_side_or_below_one_another():
    charts = [Chart(200, 100), Chart(100, 50)]
    assert drawn(*charts).get("viewBox") == "0 0 300 100"
    assert drawn(*charts, stacked=True).get("viewBox") == "0 0 200 150"


def test_a_legend_names_each_line():
    chart = Chart(300, 100, legend=80)
    chart.line([(0, 0), (1, 1)], "red", label="training")
    chart.line([(0, 1), (1, 0)], "blue", label="validation")
    root = drawn(chart)
    assert {"training", "validation"} <= {text.text for text in root.iter(f"{SVG}text")}
    assert {"red", "blue"} <= {path.get("stroke") for path in root.iter(f"{SVG}path")}
