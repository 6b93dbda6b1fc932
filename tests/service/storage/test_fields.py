"""Facts on fields are what a plain count over the documents says, and their values are listed each once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softkv_service.storage import Store
from softkv_service.storage.fields import Kind
from softkv_service.storage.records import FieldFacts, FieldValue
from tests.service.storage import meaning
from tests.service.storage.making import collection, document
from tests.thorough import examples

TYPES = {int: "integer", float: "number", str: "text", bool: "boolean", type(None): "null"}


def held(value: Any) -> Any:
    """Return a value as the store returns it: beyond 63 bits, a number keeps only its value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or -(2**63) <= value < 2**63:
        return value
    if 0 < value < 2**64:
        return int(value)
    try:
        return float(value) if float(value) == value else int(value)
    except OverflowError:
        return value


def told(value: Any) -> tuple[str, Any]:
    value = held(value)
    past = isinstance(value, int) and not -(2**63) <= value < 2**64
    return "number" if past else TYPES[type(value)], value


def counted(given: list[dict[str, Any]], name: str) -> tuple[FieldFacts, Counter[tuple[str, Any]]]:
    """Return the facts except the values, and how many documents have each value."""
    count, nested, documents = 0, set[str](), Counter[tuple[str, Any]]()
    for metadata in given:
        field = meaning.at(metadata, name)
        if field is None:
            continue
        count += 1
        nested |= {meaning.sort(field)} & {"list", "object"}
        distinct: list[Any] = []
        for element in field if isinstance(field, list) else [field]:
            if not isinstance(element, list | dict) and not any(meaning.equal(element, one) for one in distinct):
                distinct.append(element)
        documents.update(map(told, distinct))
    numbers = [value for sort, value in documents if sort in ("integer", "number")]
    ordered = numbers or [value for sort, value in documents if sort == "text"]
    types = {sort for sort, _ in documents} | nested
    return (
        FieldFacts(
            tuple(kind for kind in ("integer", "number", "text", "boolean", "null", "list", "object") if kind in types),
            count,
            len(documents),
            min(ordered, default=None),
            max(ordered, default=None),
        ),
        documents,
    )


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(meaning.metadata, max_size=8), st.none() | meaning.conditions, st.integers(1, 4))
def test_facts_agree_with_a_plain_count(store: Store, given, condition, size):
    documents = [document(str(i), metadata=metadata) for i, metadata in enumerate(given)]
    number = collection(store, documents)
    passing = [document.metadata for document in documents if condition is None or meaning.passes(document, condition)]
    with store.reading() as reader:
        names = reader.field_names(number, limit=1000)
        assert names == sorted(
            {path for element in given for path in paths(element) if meaning.at(element, path) is not None}
        )
        assert [
            field_name
            for i in range(len(names))
            for field_name in reader.field_names(number, after=names[i - 1] if i else None, limit=1)
        ] == names
        for name, facts in zip(names, reader.field_facts(number, names, condition=condition), strict=True):
            expected, values = counted(passing, name)
            assert facts == expected
            paged: list[FieldValue] = []
            while len(paged) < expected.distinct:
                (actual,) = reader.field_facts(
                    number, [name], condition=condition, values=size, after=paged[-1] if paged else None
                )
                assert 0 < len(actual.values) <= size
                paged += actual.values
            assert Counter({told(element.value): element.count for element in paged}) == values
            assert paged == sorted(paged, key=place)


def place(element: FieldValue) -> tuple[Any, ...]:
    """Return the sort key of a value: count, then null, booleans, numbers, texts, an integer before its float."""
    sort, value = told(element.value)
    kind = {"null": 0, "boolean": 1, "text": 3}.get(sort, 2)
    return (-element.count, kind, 0 if value is None else value, sort == "number")


def paths(value: Any) -> set[str]:
    """Every path of an object, whatever stands there."""
    if not isinstance(value, dict):
        return set()
    return set(value) | {f"{name}.{path}" for name, inner in value.items() for path in paths(inner)}


def test_kinds_are_those_of_documents_that_are_there(store: Store) -> None:
    metadata = [{"a": 1, "b": ["x", None, True]}, {"a": 2**70, "b": 0.5, "c": {"d": "x"}}, {"a": None, "gone": "x"}]
    number = collection(store, [document(str(i), metadata=element) for i, element in enumerate(metadata)])
    with store.writing() as writer:
        writer.upsert(number, [document("2", metadata={"a": None})])
    with store.reading() as reader:
        kinds = {name: reader.field_kinds(number, name) for name in ("a", "b", "c", "c.d", "gone", "never")}
    numbers = {Kind.NUMBER, Kind.NUMBER_ABOVE}
    assert kinds["a"].own - numbers == kinds["a"].elements == frozenset()
    assert Kind.NUMBER in kinds["a"].own
    assert kinds["b"][:2] == ({Kind.LIST, Kind.NUMBER}, {Kind.TEXT, Kind.NULL, Kind.BOOLEAN})
    assert (kinds["c"].own, kinds["c.d"].own) == ({Kind.OBJECT}, {Kind.TEXT})
    assert kinds["gone"] == kinds["never"] == (frozenset(), frozenset(), False)


def test_an_element_counts_once_a_document_and_a_list_by_its_elements(store: Store) -> None:
    fields = [{"x": ["cats", "cats", None]}, {"x": "cats"}, {"x": []}]
    number = collection(store, [document(str(i), metadata=metadata) for i, metadata in enumerate(fields)])
    with store.reading() as reader:
        (facts,) = reader.field_facts(number, ["x"], values=10)
    assert facts.values == (FieldValue("cats", 2), FieldValue(None, 1))
    assert (facts.types, facts.count, facts.distinct) == (("text", "null", "list"), 3, 2)
