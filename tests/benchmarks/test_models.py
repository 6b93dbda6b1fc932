"""The benchmark of models: its figures are shares of the questions, and encoders are compared question by question."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.asking import Vectors
from benchmarks.costs import ENCODERS
from benchmarks.models import Figures, by_kind, cells, compare
from benchmarks.shapes import Shape
from softkv_service.encoding import load_encoder

PETS = Shape(
    "pets",
    {"0": "cats purr", "1": "dogs bark", "2": "horses neigh", "3": "canaries sing in their cages"},
    [("what purrs?", ("0",)), ("what barks?", ("1",)), ("what neighs?", ("3",))],
    [],
    ["capital of Peru", "interest rates of loans"],
)


def test_the_figures_of_a_collection_are_shares_of_its_questions():
    figures = Figures.of(PETS, Vectors(load_encoder(ENCODERS[0], precision="int16")))
    assert figures.right.tolist() == [True, True, False]
    first, three, refused, off_topic = figures.shares
    assert (first, refused, off_topic) == (pytest.approx(2 / 3), 0, 1)
    assert three >= first
    assert cells((first, 1, refused, off_topic)) == ["66.7 · 100.0", "0.0", "100.0"]


def test_two_encoders_are_compared_question_by_question():
    one, other = (
        [Figures(np.array(right, np.bool_), 1, 0, 1) for right in rows]
        for rows in (([1, 0, 1], [0, 0]), ([0, 1, 1], [1, 0]))
    )
    assert compare(one, other) == (2, 1, 5)


def test_the_collections_are_those_with_questions_by_hand():
    kinds = by_kind()
    assert [shape.name for shape in kinds["three collections"]] == ["office", "coffee", "outdoor"]
    assert [shape.name for shape in kinds["demo collections"]] == ["library", "videos", "python", "unicode"]
    assert {len(shape.off) for shapes in kinds.values() for shape in shapes} == {150}
