"""A sweep as arrays, and drawn."""

from __future__ import annotations

import numpy as np
import pytest

from softkv.answers.swept import Swept


def swept(temperatures=(0.1, 1.0)):
    evidence = {"answered": True, "null_weight": 0.25, "null_similarity": 0.3, "log_partition": 1.0, "entropy": 1.0,
                "effective_documents": 2.0}  # fmt: skip
    at = [
        {"temperature": each, "weights": [0.5, 0.125], "rest_weight": 0.125, "evidence": evidence}
        for each in temperatures
    ]
    matches = [{"id": "a", "similarity": 0.6}, {"id": "b", "similarity": 0.2}]
    content = {"matches": matches, "temperatures": at, "documents": 9, "keys": 9, "took_ms": 1.0}
    return Swept(content, question="cats")


class Axes:
    """What matplotlib would be told."""

    def __init__(self):
        self.lines, self.said, self.scale = [], {}, None

    def plot(self, x, y, **how):
        self.lines.append((list(x), list(y), how["label"], how.get("color")))

    def set_xscale(self, scale):
        self.scale = scale

    def set(self, **said):
        self.said = said

    def legend(self):
        pass


def test_arrays():
    found = swept()
    assert found.weights.tolist() == [[0.5, 0.125]] * 2
    assert found.null_weights.dtype == np.float64
    assert found.null_weights.tolist() == [0.25, 0.25]
    assert found.rest_weights.tolist() == [0.125, 0.125]
    assert repr(found) == "<Swept 2 temperatures, 2 of 9 documents, 'a'>"


def test_every_weight_is_drawn_over_the_temperature():
    axes = swept().plot(Axes())
    assert [(label, colour) for _, _, label, colour in axes.lines] == [
        ("a", None), ("b", None), ("all others", None), ("none of these", "grey"),
    ]  # fmt: skip
    assert axes.lines[0][:2] == ([0.1, 1.0], [0.5, 0.5])
    assert (axes.scale, axes.said["title"]) == ("log", "cats")
    assert swept((0.0, 1.0)).plot(Axes()).scale is None


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        swept().plot()
