"""Models of requests, compiled from records: each mark becomes a check, and a valid request the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from softkv.questions import GroupBy, Question, Rerank
from softkv.record import NOT_SENT, ONE_OF, OR_NULL, Keyword, LeftOut, Length, Range, Record
from softkv_service.schemas.requests import AsJSON, AsRecord, compile_model


class Inner(Record, schema="InnerOfATest", sent={"how": "as"}):
    """A part.

    Attributes:
        how: the way.
        share: a share.
    """

    how: Literal["mean", "vote"]
    share: Annotated[float | None, Range(above=0, most=1)] = None


class Outer(Record, schema="OuterOfATest"):
    """A request
    of two lines.

    Attributes:
        count: a number. None: nothing.
        depth: a depth.
        parts: a part, or several.
        names: names.
        ignore_defaults: the fields that are null.
    """

    count: Annotated[int | None, Range(0, 9), OR_NULL] = None
    depth: Annotated[int | None, Range(1, 5), LeftOut(3)] = None
    parts: Annotated[Inner | Sequence[Inner] | None, ONE_OF, Length(1, 2)] = None
    names: Annotated[Sequence[str] | None, Keyword("examples", [["a"]])] = None
    ignore_defaults: Annotated[frozenset[str], NOT_SENT] = frozenset()


OUTER = TypeAdapter(Annotated[Outer, AsRecord()])


def flaws(content):
    with pytest.raises(ValidationError) as refused:
        OUTER.validate_python(content)
    return {".".join(map(str, flaw["loc"])) for flaw in refused.value.errors()}


def test_a_valid_request_becomes_the_record():
    assert OUTER.validate_python({}) == Outer()
    sent = {"count": 4.0, "depth": 2, "parts": [{"as": "vote", "share": 0.5}], "names": ["a"]}
    assert OUTER.validate_python(sent) == Outer(4, 2, [Inner("vote", 0.5)], ["a"])
    assert OUTER.validate_python({"parts": {"as": "mean"}}) == Outer(parts=Inner("mean"))
    assert OUTER.validate_python({"count": None}) == Outer(ignore_defaults=frozenset({"count"}))


def test_a_record_that_was_built_before_stays_as_it_is():
    """A large body is validated in a thread, and again where the route is called; no field of it becomes null."""
    record = OUTER.validate_python({"names": ["a"]})
    assert OUTER.validate_python(record, from_attributes=True) is record
    assert record.ignore_defaults == frozenset()


def test_all_flaws_are_found_at_once_with_their_places():
    sent = {"count": 10, "depth": None, "parts": [{"as": "sum", "share": 0}, {}], "names": ["a", 3], "more": 1}
    assert flaws(sent) == {
        "count",
        "depth",
        "parts.list.0.as",
        "parts.list.0.share",
        "parts.list.1.as",
        "names.1",
        "more",
    }
    assert flaws({"parts": []}) == flaws({"parts": [{"as": "vote"}] * 3}) == {"parts.list"}
    assert flaws({"ignore_defaults": ["count"]}) == {"ignore_defaults"}


def test_the_description_has_the_ranges_and_the_words():
    schema = OUTER.json_schema(by_alias=True)
    assert (schema["description"], schema.get("required")) == ("A request of two lines.", None)
    count, depth = schema["properties"]["count"], schema["properties"]["depth"]
    assert count["description"] == "A number. null: nothing."
    assert count["anyOf"] == [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "null"}]
    assert (depth["minimum"], depth["maximum"], depth["default"], "anyOf" in depth) == (1, 5, 3, False)
    assert schema["properties"]["names"]["examples"] == [["a"]]
    assert "ignore_defaults" not in schema["properties"]
    inner = schema["$defs"]["InnerOfATest"]
    assert inner["required"] == ["as"]
    assert (inner["properties"]["share"]["exclusiveMinimum"], inner["properties"]["share"]["maximum"]) == (0, 1)


def test_a_record_that_stays_json_lacks_its_defaults():
    adapter = TypeAdapter(Annotated[Rerank, AsJSON()])
    assert adapter.validate_python({"model": "late"}) == {"model": "late"}
    with pytest.raises(ValidationError, match="less than or equal to 1000"):
        adapter.validate_python({"depth": 1001})


def test_a_model_is_compiled_once_and_has_the_name_of_the_schema():
    assert compile_model(Question) is compile_model(Question)
    assert compile_model(Question).__name__ == "AttendRequest"
    assert compile_model(GroupBy).model_fields.keys() == {*GroupBy._names}
