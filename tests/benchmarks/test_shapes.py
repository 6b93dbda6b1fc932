"""The benchmark of shapes: its collections hold what they say, and the bounds are checked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.asking import Collection, Vectors
from benchmarks.shapes import Shape, shapes
from benchmarks.shapes.__main__ import LABELS, Figures, ask_null_keys, check_bounds, draws, label, worst
from benchmarks.shapes.demos import demos, off_topic_of
from benchmarks.verdict import NULLS
from service.encoding import load_encoder

PETS = Shape(
    "pets",
    {"0": "cats purr", "1": "dogs bark", "2": "a cat purrs"},
    [("what purrs?", ("0", "2")), ("what barks?", ("1",))],
    ["what neighs?"],
    ["capital of Peru"],
)
GOOD = Figures(0.8, (0.5, 0.45, 0.05), (0.1, 0.5, 0.4), (0.0, 0.01, 0.99), 0.8)


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape.name)
def test_a_shape_has_questions_of_all_kinds(shape):
    present = dict(shape.present)
    assert 150 <= len(shape.keys) <= 2000
    assert 100 <= len(shape.present) == len(present) <= 400
    assert 70 <= len(set(shape.near)) == len(shape.near) <= 300
    assert len(set(shape.off)) == len(shape.off) == 150
    assert all(answers and shape.keys.keys() >= {*answers} for answers in present.values())
    assert not present.keys() & {*shape.near, *shape.off}


def test_shapes_are_the_same_every_time():
    assert shapes() == shapes()


def test_a_question_is_absent_from_a_draw_without_its_rows():
    for draw in draws(PETS, 2):
        assert len(draw.keys) == 2
        assert all(answers and draw.keys.keys() >= {*answers} for _, answers in draw.present)
        assert {text for text, _ in draw.present} | {*draw.absent} == {"what purrs?", "what barks?", "what neighs?"}


def test_labels_are_not_among_the_judged_questions():
    shape = shapes()[0]
    questions, unlabelled = label(shape, 0)
    assert len(questions) == sum(LABELS.values())
    remaining = [text for text, _ in unlabelled.present] + unlabelled.near + unlabelled.off
    assert not {question["query"] for question in questions} & {*remaining}


def test_every_null_key_is_tried():
    pets = Collection(PETS.keys, PETS.present, PETS.near)
    figures = ask_null_keys([pets], PETS.off, Vectors(load_encoder("all-MiniLM-L6-v2")))
    assert list(figures) == list(NULLS)
    assert figures["auto"].first == 1
    assert sum(figures["auto"].right) == pytest.approx(1)


@pytest.mark.parametrize("name", list(demos()))
def test_a_demo_collection_comes_with_and_without_its_answers(name):
    whole, others = demos()[name]
    assert len(whole.present) == len(others.absent) > 30
    assert all(whole.keys.keys() >= {*answers} and not others.keys.keys() & {*answers} for _, answers in whole.present)
    assert off_topic_of(name)


def test_a_missed_bound_is_reported():
    assert list(check_bounds(None, [GOOD, GOOD])) == []
    refusing = replace(GOOD, right=(0.3, 0.4, 0.3))
    assert worst([GOOD, refusing])["refused"] == 0.3
    assert len(list(check_bounds(None, [GOOD, refusing]))) == 2
    assert len(list(check_bounds(50, [GOOD, refusing]))) == 1
