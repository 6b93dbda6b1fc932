"""Plots of an answer and a sweep: labels and colours, in a light and in a dark style."""

from __future__ import annotations

import sys

import matplotlib
import matplotlib.pyplot as pyplot
import pytest
from matplotlib.colors import to_hex

from tests.clients.python.answers.test_answer import answer
from tests.clients.python.answers.test_answer_swept import swept

matplotlib.use("agg")


@pytest.fixture(autouse=True, params=["default", "dark_background"])
def style(request):
    with pyplot.style.context(request.param):
        yield
    pyplot.close("all")


def labels(axes):
    axes.figure.canvas.draw()
    return [label.get_text() for label in axes.get_yticklabels()]


def test_an_answer_is_a_bar_for_each_weight():
    axes = answer().plot()
    assert labels(axes) == ["<b>", "c", "1,198 others", "none of these"]
    assert [bar.get_width() for bar in axes.patches] == [0.5, 0.25, 0.125, 0.125]
    assert [to_hex(bar.get_facecolor()) for bar in axes.patches] == ["#2a9d8f", "#2a9d8f", "#7aa9a3", "#8c8c8c"]
    assert [text.get_text() for text in axes.texts] == ["0.500", "0.250", "0.125", "0.125"]
    assert axes.yaxis_inverted()
    assert axes.get_title() == "who <wrote> it?"


def test_an_answer_without_a_match_is_drawn_too():
    axes = answer(matches=[], documents=0, question=None).plot()
    assert (labels(axes), axes.get_title()) == (["none of these"], "")


def test_a_sweep_is_a_line_for_each_weight():
    axes = swept().plot()
    drawn = {line.get_label(): line for line in axes.lines}
    assert list(drawn) == ["a", "b", "all others", "none of these"]
    assert drawn["a"].get_xydata().tolist() == [[0.1, 0.5], [1.0, 0.5]]
    assert drawn["all others"].get_linestyle() == "--"
    assert to_hex(drawn["none of these"].get_color()) == "#8c8c8c"
    assert (axes.get_xscale(), axes.get_title()) == ("log", "cats")
    assert swept((0.0, 1.0)).plot().get_xscale() == "linear"


def test_both_stand_side_by_side_on_axes_of_the_caller():
    figure, (left, right) = pyplot.subplots(1, 2)
    assert answer().plot(left) is left
    assert swept().plot(right) is right
    assert [bar.get_width() for bar in left.patches] == [bar.get_width() for bar in answer().plot().patches]
    assert len(right.lines) == len(swept().plot().lines) > 0
    assert figure.axes == [left, right]


def test_no_match_is_grey_however_many_there_are():
    result = swept()
    result.matches = result.matches * 6
    result.weights = result.weights.repeat(6, axis=1)
    matches = result.plot().lines[:12]
    colours = [matplotlib.colors.to_rgb(line.get_color()) for line in matches]
    assert all(max(rgb) - min(rgb) > 0.1 for rgb in colours)
    assert len(set(colours)) >= 8


def test_a_name_is_a_text_and_no_formula():
    broken = answer(question="$x^{ costs $5").plot()
    broken.figure.canvas.draw()
    assert broken.get_title() == r"\$x^{ costs \$5"


@pytest.mark.parametrize("drawn", [answer, swept])
def test_a_plot_without_matplotlib_names_the_package_to_install(monkeypatch, drawn):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="this needs matplotlib, which is not here: pip install matplotlib"):
        drawn().plot()
