"""Small immutable classes of named fields."""

from __future__ import annotations

import copy
import pickle

import pytest

from softkv.answers.documents import Part
from softkv.errors import Flaw, Invalid


def test_a_record_is_made_by_position_or_by_name():
    assert Part(1, 2, 3) == Part(index=1, start=2, end=3) == Part(1, 2, end=3)
    assert Part(1).start is None
    assert repr(Part(1)) == "Part(index=1, start=None, end=None)"


def test_wrong_fields_of_a_record_are_named():
    with pytest.raises(TypeError, match="Part lacks index"):
        Part(start=1)
    for arguments, named in (((1, 2, 3, 4), {}), ((1,), {"index": 1}), ((1,), {"colour": 1})):
        with pytest.raises(TypeError, match="Part has the fields index, start, end: give each once"):
            Part(*arguments, **named)


def test_a_record_is_immutable():
    part = Part(1)
    with pytest.raises(AttributeError, match="Part is immutable"):
        part.index = 2
    assert part.copy_with(index=2) == Part(2)
    assert part == Part(1)
    assert part != Part(2)


def test_records_and_errors_can_be_pickled():
    assert pickle.loads(pickle.dumps(Part(1, 2))) == copy.deepcopy(Part(1, 2)) == Part(1, 2)
    error = pickle.loads(pickle.dumps(Invalid("wrong", code="invalid_content", errors=[Flaw("/a", "b")], status=422)))
    assert (error.detail, error.status, error.errors) == ("wrong", 422, (Flaw("/a", "b"),))
    assert str(error) == "wrong\n  /a: b"


def test_fields_of_the_future_are_left():
    assert Part.read({"index": 1, "colour": "red"}, end=3) == Part(1, None, 3)
