"""A filter with values that the fields of the documents do not have says so."""

from __future__ import annotations

import pytest

from softkv_service.retrieval.documents.fields import MAX_NAMED_FIELDS, explain_filter
from softkv_service.storage import SQLiteStore
from softkv_service.storage.conditions import parse_condition
from tests.service.storage.making import collection, document

DOCUMENTS = [
    document("a", metadata={"views": 7, "topics": ["cats", 3], "loc": {"page": 2}, "done": True, "empty": None}),
    document("b", metadata={"views": 2**70, "title": "On cats"}),
    document("c", metadata={"views": 0.5, "mixed": 1}),
    document("d", metadata={"mixed": "one"}),
]
NAMES = (
    "metadata.done, metadata.loc, metadata.loc.page, metadata.mixed, metadata.title, metadata.topics, metadata.views"
)
VIEWS = "metadata.views holds numbers in every document that has it, and is"


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with SQLiteStore.open(tmp_path_factory.mktemp("unmatched")) as store:
        collection(store, DOCUMENTS, "unmatched")
        collection(store, [document("a", metadata={})], "bare")
        collection(store, [document("a", metadata={f"f{i:02}": 1 for i in range(30)})], "many")
        yield store


def asked(field, operator, value):
    return {"field": f"metadata.{field}", "operator": operator, "value": value}


def told(store, tree, name="unmatched", *, passes=False):
    with store.reading() as reader:
        return explain_filter(reader, reader.collection(name).id, parse_condition(tree), passes=passes)


@pytest.mark.parametrize(
    ("comparison", "warning"),
    [
        (("viewz", ">", 5), f"no document has metadata.viewz; there are {NAMES}"),
        (("empty", "==", 5), f"no document has metadata.empty; there are {NAMES}"),
        (("views", ">", "5"), f"{VIEWS} compared with a text"),
        (("views", "in", ["5", "6"]), f"{VIEWS} compared with a text"),
        (("views", "==", True), f"{VIEWS} compared with a boolean"),
        (("views", "contains", 5), f"{VIEWS} looked through for a number"),
        (
            ("topics", "==", "cats"),
            "metadata.topics holds lists in every document that has it, and is compared with a text; "
            "`contains` looks into lists",
        ),
        (("done", "<", 3), "metadata.done holds booleans in every document that has it, and is compared with a number"),
        (("loc", "==", "x"), "metadata.loc holds objects in every document that has it, and is compared with a text"),
    ],
)
def test_a_comparison_that_no_document_can_pass_gives_a_warning(filled, comparison, warning):
    assert told(filled, asked(*comparison)) == [warning]


@pytest.mark.parametrize(
    "comparison",
    [
        ("views", ">", 10**30),
        ("views", "==", 5.5),
        ("views", "in", ["5", 6]),
        ("viewz", "!=", 5),
        ("viewz", "not in", [5]),
        ("viewz", "==", None),
        ("viewz", "in", [1, None]),
        ("viewz", "in", []),
        ("topics", "contains", "dogs"),
        ("topics", "contains", 4),
        ("topics", "==", ["dogs"]),
        ("title", "contains", "dogs"),
        ("mixed", "==", 5),
    ],
)
def test_a_comparison_that_another_document_could_pass_gives_no_warning(filled, comparison):
    assert told(filled, asked(*comparison)) == []


@pytest.mark.parametrize(("operand", "kind"), [(5, "number"), ("z", "text")])
@pytest.mark.parametrize("operator", [">", ">=", "<", "<="])
def test_an_ordering_of_some_values_gives_a_warning_below_not_too(filled, operator, operand, kind):
    warning = (
        f"metadata.mixed holds numbers in some documents and texts in others: `{operator}` with a {kind} compares "
        f"only the {kind}s"
    )
    tree = asked("mixed", operator, operand)
    for condition in (tree, {"operator": "NOT", "conditions": [tree]}):
        assert [told(filled, condition, passes=passes) for passes in (True, False)] == [[warning], [warning]]


@pytest.mark.parametrize(
    ("comparison", "warning"),
    [
        (("views", ">", "5"), f"{VIEWS} compared with a text"),
        (("title", "<=", 5), "metadata.title holds texts in every document that has it, and is compared with a number"),
        (("views", "==", "5"), None),
        (("viewz", ">", 5), None),
        (("title", "<", "5"), None),
    ],
)
def test_if_documents_pass_only_orderings_of_values_that_exist_are_explained(filled, comparison, warning):
    either = {"operator": "OR", "conditions": [asked("views", ">", 1), asked(*comparison)]}
    assert told(filled, either, passes=True) == ([] if warning is None else [warning])


def test_conditions_are_searched_for_warnings_except_negated_ones(filled):
    viewz, views = asked("viewz", "==", 1), asked("views", "==", "x")
    joined = {"operator": "OR", "conditions": [viewz, {"operator": "AND", "conditions": [viewz, views]}]}
    assert [warning.split()[0] for warning in told(filled, joined)] == ["no", "metadata.views"]
    assert told(filled, {"operator": "NOT", "conditions": [viewz]}) == []
    assert told(filled, {"field": "id", "operator": "==", "value": "x"}) == []


def test_fields_are_named_as_far_as_they_go(filled):
    assert told(filled, asked("x", "==", 1), "bare") == ["no document has metadata.x, nor any other field of metadata"]
    names = ", ".join(f"metadata.f{i:02}" for i in range(MAX_NAMED_FIELDS))
    assert told(filled, asked("x" * 100, "==", 1), "many") == [
        f"no document has metadata.{'x' * 60}…; there are {names}, …"
    ]
    many = {"operator": "OR", "conditions": [asked(f"x{i}", "==", 1) for i in range(20)]}
    assert len(told(filled, many, "many")) == 10
