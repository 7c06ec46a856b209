"""The study's plot: its content, and that it is a self-contained SVG file."""

from xml.etree import ElementTree

import pytest

from lilliput.evaluate.intervals import Estimate
from lilliput.report.front_plot import FrontPoint, front_svg


def front(*values, size=1_000_000):
    return [
        FrontPoint(f"p{row} <&>", size * (row + 1), Estimate(value, 0.9 * value, 1.1 * value, 8), row != 1, row == 2)
        for row, value in enumerate(values)
    ]


def texts(svg):
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_front_is_labelled_and_the_chosen_point_marked():
    pytest.importorskip("matplotlib")
    found = texts(front_svg(front(12.0, 30.0, 10.0), "a $model$ <b>", "perplexity", percent=False))
    assert "1  p0 <&>: 1.00 MB, 12.00" in found
    assert "2  p2 <&>: 3.00 MB, 10.00, chosen" in found
    assert not any("p1" in text for text in found)
    assert "a $model$ <b>: 3 points" in found
    assert "perplexity, log scale" in found


def test_percent_and_zero():
    found = texts(front_svg(front(0.0, 0.25, 0.5), "m", "pass@1", percent=True))
    assert "2  p2 <&>: 3.00 MB, 50.00 %, chosen" in found
    assert "pass@1, %" in found


def test_far_worse_points_are_counted_and_not_drawn():
    found = texts(front_svg(front(10.0, 12.0, 4000.0), "m", "perplexity", percent=False))
    assert "m: 3 points; 1 beyond 20 times the best are not drawn" in found


def test_single_point_without_an_interval():
    (point,) = front(10.0)
    sharp = FrontPoint(point.label, point.size, Estimate(10.0, 10.0, 10.0, 1), True, True)
    assert texts(front_svg([sharp], "m", "perplexity", percent=False))


def test_equal_figures_give_equal_files():
    made = [front_svg(front(12.0, 11.0), "m", "perplexity", percent=False) for _ in range(2)]
    assert made[0] == made[1]
