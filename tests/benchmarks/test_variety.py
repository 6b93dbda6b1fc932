"""Collections and questions are the same for the same seed, and the service takes most questions."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from benchmarks.variety import Questions, shapes
from softkv.questions import Question, Sweep

SHAPES = shapes([0, 1, 50], encoder=True)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_documents_and_questions_are_the_same_every_time(shape):
    assert list(shape.lines()) == list(shape.lines())
    documents = [json.loads(line) for part in shape.lines() for line in part.splitlines()]
    assert len(documents) == shape.size
    assert set(shape.ids_to_delete()) <= {document["id"] for document in documents}
    assert any("key_vectors" in document for document in documents) == shape.several
    requests = list(islice(Questions(shape, 3), 200))
    assert requests == list(islice(Questions(shape, 3), 200))
    assert requests != list(islice(Questions(shape, 4), 200))
    assert {request.path.rpartition("/")[2] for request in requests} == {"attend", "sweep"}


LEFT_OUT = {"group_by", "rerank", "diversity", "ignore_defaults"}
"""Options that the commits to compare with may lack, or that need more than a collection, or are no fields."""


def test_questions_have_every_option_whose_answer_is_determined():
    options = {name for shape in SHAPES for request in islice(Questions(shape, 0), 500) for name in request.body}
    expected = ({*Question._names} | {*Sweep._names}) - LEFT_OUT
    assert options == expected
