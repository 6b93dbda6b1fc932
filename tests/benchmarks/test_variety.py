"""Collections and questions are the same for the same seed, and the service takes most questions."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest

from benchmarks.variety import DELETED, Questions, shapes
from service.schemas.attend import AttendRequest, SweepRequest

SHAPES = shapes([0, 1, 50], encoder=True)


def test_every_size_has_its_collections_under_names_of_their_own():
    assert [shape.name for shape in SHAPES] == [
        "cosine-0",
        "dot-0",
        "cosine-1",
        "dot-1",
        "cosine-50",
        "dot-50",
        "scaled-dot-50",
        "gaussian-50",
        "cosine-50-several",
        "cosine-50-texts",
    ]
    assert not any(shape.encoder for shape in shapes([50], encoder=False))


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


def test_some_keys_are_copies_of_another():
    keys = SHAPES[4].keys
    assert (np.unique(keys, axis=0, return_counts=True)[1] > 1).any()
    assert DELETED < 50


LEFT_OUT = {"stream", "group_by", "rerank", "diversity"}
"""Options that the commits to compare with may lack, or that need more than a collection."""


def test_questions_have_every_option_whose_answer_is_determined():
    options = {name for shape in SHAPES for request in islice(Questions(shape, 0), 500) for name in request.body}
    expected = (AttendRequest.model_fields.keys() | SweepRequest.model_fields.keys()) - LEFT_OUT
    assert options == expected
