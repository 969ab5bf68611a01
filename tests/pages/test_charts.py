import re
from xml.etree import ElementTree

from aucue.pages import line_chart


def test_points_lie_where_they_should() -> None:
    html = line_chart(
        {"a": [(1, 0.0), (2, 0.5), (3, 1.0)], "b < c": [(1, 1.0), (3, float("nan"))]}, "Two", "epoch"
    )
    first, second = re.findall(r'polyline points="([^"]*)"', html)
    points = [tuple(map(float, point.split(","))) for point in first.split()]
    assert points == [(44.0, 184.0), (246.0, 98.0), (448.0, 12.0)]
    assert second == "44.0,12.0 44.0,12.0"  # a dot: browsers draw no line through one point
    assert "b &lt; c <b>1</b>" in html
    svg = ElementTree.fromstring(html[: html.index("<div")])
    assert (svg.attrib["data-from"], svg.attrib["data-to"]) == ("1", "3")
    assert svg.attrib["aria-label"] == "Two: a 1 at the end, b < c 1 at the end"


def test_long_times_are_told_in_seconds() -> None:
    html = line_chart({"a": [(0, 0.1234), (3725.4, 1234567.0)]}, "A film", "seconds")
    assert re.findall(r"<text[^>]*>([^<]*)", html) == [
        *("0.123", "617284", "1.23e+06"),
        *("0", "3725", "seconds"),
    ]


def test_equal_values_and_none_at_all() -> None:
    assert "polyline" in line_chart({"a": [(1, 2.0)]}, "One")
    assert line_chart({"a": []}, "None") == ""
    assert line_chart({"a": [(1, float("inf"))]}, "None") == ""
