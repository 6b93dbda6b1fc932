"""Readers and writers of a part of the documents, in every store: all that they do is as if there were no others."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.storage import Store
from softkv_service.storage.conditions import Comparison, Condition, Visibility, parse_condition
from softkv_service.storage.errors import DocumentsExist, OutsideFilter
from softkv_service.storage.records import DocumentRecord
from tests.service.storage.making import collection, document
from tests.thorough import examples

A = Comparison("metadata.tenant", "==", "a")
CONDITIONS: list[Condition] = [
    A,
    parse_condition({"operator": "NOT", "conditions": [A.tree]}),
    Comparison("id", "<", "d5"),
    Comparison("metadata.tags", "contains", "x"),
    parse_condition({"operator": "OR", "conditions": [A.tree, {"field": "key", "operator": "==", "value": None}]}),
]
metadata = st.fixed_dictionaries(
    {},
    optional={
        "tenant": st.sampled_from(["a", "b", None, ["a"]]),
        "tags": st.sampled_from([["x"], ["y", "x"], [1], "xy", [], "z"]),
        "year": st.integers(0, 3) | st.just("2026-11-01"),
        "own": st.just({"deep": 1}),
        "expires": st.sampled_from([None, 4, 5, 6]),
    },
)
documents = st.dictionaries(
    st.integers(0, 9).map(lambda number: f"d{number}"), st.tuples(metadata, st.none() | st.just("text")), max_size=8
)


def made(contents: dict[str, tuple[dict[str, Any], str | None]]) -> list[DocumentRecord]:
    return [
        document(name, key=key, metadata=fields, expires=fields.get("expires"))
        for name, (fields, key) in contents.items()
    ]


@settings(max_examples=examples(30), deadline=None)
@given(
    documents, st.sampled_from([None, *CONDITIONS]), st.sampled_from([None, *CONDITIONS]), st.sampled_from([None, 5])
)
def test_a_restricted_reader_equals_a_store_of_its_documents_alone(
    shared: Store,
    contents: dict[str, tuple[dict[str, Any], str | None]],
    condition: Condition | None,
    asked: Condition | None,
    instant: int | None,
) -> None:
    number = collection(shared, made(contents))
    with shared.reading() as reader:
        visible = [
            record.id
            for record in reader.page(number, condition=condition)
            if instant is None or record.expires is None or record.expires > instant
        ]
    alone = collection(shared, made({name: contents[name] for name in visible}), "alone")
    names = [*contents, "none"]
    with shared.reading() as whole:
        part = whole.seeing(Visibility(condition, instant))
        assert [record.id for record in part.page(number)] == visible
        assert part.usage(number) == whole.usage(alone)
        assert part.usage(number, asked) == whole.usage(alone, asked)
        for limits in ({}, {"condition": asked}, {"ids": names, "condition": asked}):
            assert part.count(number, **limits) == whole.count(alone, **limits)
            ids = [text.id for text in part.page_of_texts(number, **limits)]
            assert ids == [text.id for text in whole.page_of_texts(alone, **limits)]
        assert part.existing(number, names).keys() == whole.existing(alone, names).keys()
        assert part.rows_among(number, names).tolist() == sorted(part.existing(number, names).values())
        ids = part.ids(number, part.rows_where(number, asked))
        assert sorted(ids) == sorted(whole.ids(alone, whole.rows_where(alone, asked)))
        fields = part.field_names(number, limit=100)
        assert fields == whole.field_names(alone, limit=100)
        assert part.field_names(number, after="tags", limit=1) == whole.field_names(alone, after="tags", limit=1)
        for values in (0, 5):
            told = part.field_facts(number, fields, condition=asked, values=values)
            assert told == whole.field_facts(alone, fields, condition=asked, values=values)
        for name in names:
            own, expected = part.document(number, name), whole.document(alone, name)
            assert (own and own.metadata) == (expected and expected.metadata)
            assert (own is None) == (name not in visible)
        for name in ("tenant", "tags", "year", "none"):
            assert part.field_kinds(number, name) == whole.field_kinds(alone, name)


@settings(max_examples=examples(30), deadline=None)
@given(documents, documents, st.sampled_from(CONDITIONS), st.sampled_from(["upsert", "skip", "create"]))
def test_a_writer_leaves_all_others_as_they_are_or_writes_nothing(
    shared: Store,
    contents: dict[str, tuple[dict[str, Any], str | None]],
    new: dict[str, tuple[dict[str, Any], str | None]],
    condition: Condition,
    mode: Any,
) -> None:
    number = collection(shared, made(contents))

    def others() -> list[tuple[str, Any]]:
        with shared.reading() as reader:
            hidden = set(reader.rows_where(number).tolist()) - set(reader.rows_where(number, condition).tolist())
            rows = np.array(sorted(hidden), dtype=np.int64)
            return [(record.id, record.metadata) for record in reader.documents(number, rows)]

    before = others()
    hidden = {name for name, _ in before}
    with suppress(OutsideFilter, DocumentsExist), shared.writing() as writer:
        part = writer.seeing(Visibility(condition))
        change = part.upsert(number, made(new), mode=mode)
        assert not hidden & new.keys()
        assert part.existing(number, list(new)).keys() == new.keys()
        assert len(change.added) + len(change.skipped) == len(new)
    assert others() == before
    with shared.writing() as writer:
        part = writer.seeing(Visibility(condition))
        part.delete_ids(number, [*contents, *new])
        part.delete_where(number, Comparison("id", ">=", ""))
    assert others() == before
    with shared.reading() as reader:
        assert reader.count(number) == len(before)


def test_the_statements_of_a_search_tell_nothing_of_hidden_documents(store: Store) -> None:
    """Not that one has expired, nor how often they were written."""
    number, statements = collection(store, [document("a")]), set[tuple[str, str]]()
    for instant in (None, 5):
        with store.reading() as reader:
            search = reader.seeing(Visibility(A, instant)).search(number)
            statements.add((search.equal("a", 1).statement, search.full_text("a", 1).statement))
        with store.writing() as writer:
            writer.upsert(number, [document("b")])
    assert len(statements) == 1


def test_usage_counts_documents_keys_and_bytes(store: Store) -> None:
    keyless = document("é", key=None, value="x" * 10, metadata={"a": "ü"}, keys=np.zeros((0, 3), np.float32))
    several = document("s", key="k", value=1, metadata={}, keys=np.ones((2, 3), np.float32))
    number = collection(store, [keyless, several])
    with store.reading() as reader:
        usage = reader.usage(number)
        texts = [len(part.encode()) for part in ("é", '"xxxxxxxxxx"', '{"a":"ü"}', "s", "k", "1", "{}")]
        assert usage == (2, 1, 2, sum(texts) + 2 * 3 * 4)
        assert reader.usage(number, Comparison("id", "==", "s")) == (1, 0, 2, 1 + 1 + 1 + 2 + 2 * 3 * 4)
        assert reader.usage(number, Comparison("id", "==", "none")) == (0, 0, 0, 0)
