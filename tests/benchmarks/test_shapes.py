"""The benchmark of shapes: its collections hold what they say, and so do its demos."""

from __future__ import annotations

import pytest

from benchmarks.shapes import Shape, shapes
from benchmarks.shapes.__main__ import draws
from benchmarks.shapes.written import FOLDER, demos, off_topic_of, written

PETS = Shape(
    "pets",
    {"0": "cats purr", "1": "dogs bark", "2": "a cat purrs"},
    [("what purrs?", ("0", "2")), ("what barks?", ("1",))],
    ["what neighs?"],
    ["capital of Peru"],
)


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape.name)
def test_a_shape_has_questions_of_all_kinds(shape):
    present = dict(shape.present)
    assert 150 <= len(shape.keys) <= 2000
    assert 100 <= len(shape.present) == len(present) <= 400
    assert 70 <= len(set(shape.near)) == len(shape.near) <= 300
    assert len(set(shape.off)) == len(shape.off) == 150
    assert all(answers and shape.keys.keys() >= {*answers} for answers in present.values())
    assert not present.keys() & {*shape.near, *shape.off}


@pytest.mark.parametrize("shape", written(), ids=lambda shape: shape.name)
def test_a_written_shape_has_40_questions_of_each_kind(shape):
    lines = (FOLDER / f"{shape.name}.txt").read_text(encoding="utf-8").splitlines()
    assert len(shape.keys) == len({*shape.keys.values()}) == len(lines) - 80
    assert len(shape.present) == len(shape.near) == 40
    assert len({question.lower() for question, _ in shape.present} | {text.lower() for text in shape.near}) == 80
    assert all(answers and shape.keys.keys() >= {*answers} for _, answers in shape.present)
    assert len(set(shape.off)) == 150


def test_a_question_is_absent_from_a_draw_without_its_rows():
    for draw in draws(PETS, 2):
        assert len(draw.keys) == 2
        assert all(answers and draw.keys.keys() >= {*answers} for _, answers in draw.present)
        assert {text for text, _ in draw.present} | {*draw.absent} == {"what purrs?", "what barks?", "what neighs?"}


@pytest.mark.parametrize("name", list(demos()))
def test_a_demo_collection_comes_with_and_without_its_answers(name):
    whole, others = demos()[name]
    assert len(whole.present) == len(others.absent) > 30
    assert all(whole.keys.keys() >= {*answers} and not others.keys.keys() & {*answers} for _, answers in whole.present)
    assert off_topic_of(name)
