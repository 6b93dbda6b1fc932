"""The picture of attention without a browser: where its parts are, and how thick its threads are."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.node import ROOT, checked, node

pytestmark = pytest.mark.node
SCRIPT = Path(__file__).with_name("threads.mjs")
SIZES = [(390, 800), (1280, 560), (1920, 900)]
COUNTS = (1, 2, 8, 15)
BUNDLE = 1.7  # of a row's height


def drawn(pictures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(checked(node(ROOT, SCRIPT, given=json.dumps(pictures))))
    return shown


def picture(size: tuple[int, int], weights: list[float], **layout: Any) -> dict[str, Any]:
    places = {"width": size[0], "height": size[1], "rem": 16, "size": 16, "name": 24, "above": 0, "count": len(weights)}
    texts = {"lines": {"count": 1, "size": 16}, "areColours": False, "arePictures": False, "longest": 9}
    return {"layout": places | texts | {"longestValue": 9} | layout, "weights": weights}


def share(count: int) -> list[float]:
    """Return weights that sum to one, none of them too small for a thread of its thickness."""
    weights = np.random.default_rng(count).uniform(0.5, 1, count)
    return [float(weight) for weight in weights / weights.sum()]


def edges(path: str) -> tuple[float, float]:
    """Return the heights at which the outline of a thread leaves the question, above and below."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", path)
    return float(numbers[1]), float(numbers[-1])


@pytest.mark.parametrize("count", COUNTS)
def test_threads_are_one_bundle_that_is_as_thick_as_ever(count: int) -> None:
    weights = share(count)
    (places,) = drawn([picture(SIZES[1], weights)])
    outlines = [edges(strand["thread"]["d"]) for strand in places["strands"]]
    bundle = BUNDLE * places["height"]
    assert outlines[-1][1] - outlines[0][0] == pytest.approx(bundle, abs=0.2)
    assert (outlines[-1][1] + outlines[0][0]) / 2 == pytest.approx(places["start"]["y"], abs=0.2)
    assert all(above[1] == pytest.approx(below[0], abs=0.11) for above, below in pairwise(outlines))
    assert [below - above for above, below in outlines] == pytest.approx([w * bundle for w in weights], abs=0.11)


def test_a_row_without_weight_has_no_thread() -> None:
    (places,) = drawn([picture(SIZES[0], [0, 1, 0])])
    assert [strand["thread"]["d"] is None for strand in places["strands"]] == [True, False, True]
    assert [strand["stream"]["d"] is None for strand in places["strands"]] == [True, False, True]


@pytest.mark.parametrize(("others", "threads"), [(1, 1), (40, 40), (100_000, 64)])
def test_the_rest_is_a_fan_of_as_many_threads_as_can_be_seen(others: int, threads: int) -> None:
    (places,) = drawn([picture(SIZES[1], [0.6, 0.4], rest=1) | {"others": others}])
    fan = places["strands"][1]
    for path in (fan["thread"], fan["stream"]):
        assert path["d"].count("M") == threads
        assert path["stroke-width"] >= 0.75
        assert 0.12 <= float(path["opacity"]) <= 1
