"""Lists and objects of any length: what is wrong with them costs no more than a part of them, and is said rightly."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from softkv.questions import Question, Sweep
from softkv_service.schemas.document import Document, DocumentBatch, DocumentDelete, DocumentQuery
from softkv_service.schemas.encode import EncodeRequest
from softkv_service.schemas.requests import compile_model
from softkv_service.schemas.wire import PART

MANY = 20 * PART
LISTS: list[tuple[type[BaseModel], str, Any, dict[str, Any]]] = [
    (EncodeRequest, "texts", 1, {}),
    (DocumentBatch, "documents", {}, {}),
    (DocumentQuery, "ids", {}, {}),
    (DocumentQuery, "include", 1, {}),
    (DocumentDelete, "ids", 1, {}),
    (compile_model(Question), "queries", 1, {}),
    (compile_model(Question), "include", 1, {"query": "a"}),
    (compile_model(Sweep), "include", 1, {"query": "a", "temperatures": [1]}),
    (compile_model(Sweep), "temperatures", "a", {"query": "a"}),
]
GOOD = {"texts": "a", "documents": {"id": "a"}, "ids": "a", "include": "key", "queries": "a"}


def flaws(model: type[BaseModel], content: Any) -> list[Any]:
    with pytest.raises(ValidationError) as raised:
        model.model_validate(content)
    return raised.value.errors(include_url=False)


@pytest.mark.parametrize(("model", "field", "wrong", "besides"), LISTS)
def test_a_list_of_wrong_elements_is_refused_by_its_first_part(model, field, wrong, besides):
    problems = flaws(model, besides | {field: [wrong] * MANY})
    assert 1 <= len(problems) <= 2 * PART
    assert problems[0]["loc"][0] == field


@pytest.mark.parametrize(("model", "field", "wrong", "besides"), [each for each in LISTS if each[1] in GOOD])
@pytest.mark.parametrize("position", [0, PART - 1, PART, MANY - 3])
def test_a_flaw_is_reported_at_its_position(model, field, wrong, besides, position):
    elements = [GOOD[field]] * MANY
    elements[position] = wrong
    assert {flaw["loc"][:2] for flaw in flaws(model, besides | {field: elements})} == {(field, position)}


@pytest.mark.parametrize("length", [1, PART, PART + 1, MANY])
def test_valid_elements_keep_their_order(length):
    texts = [str(number) for number in range(length)]
    assert EncodeRequest.model_validate({"texts": texts}).texts == texts
    with pytest.raises(ValidationError):
        DocumentBatch.model_validate({"documents": []})


def test_some_of_very_many_unknown_fields_are_named():
    unknown = {f"field {number}": 1 for number in range(MANY)}
    problems = flaws(Document, {"id": "a", **unknown})
    assert [flaw["type"] for flaw in problems] == ["extra_forbidden"] * PART
    assert {flaw["loc"][0] for flaw in problems} <= unknown.keys()
    (deeper,) = {flaw["loc"][:2] for flaw in flaws(DocumentBatch, {"documents": [{"id": "a", **unknown}]})}
    assert deeper == ("documents", 0)
    assert {flaw["type"] for flaw in flaws(Document, unknown)} == {"extra_forbidden", "missing"}
