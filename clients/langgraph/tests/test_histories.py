"""Random histories of operations: without a null key, the store and LangGraph's InMemoryStore return the same."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from langgraph_store_softkv import SoftkvStore

WORDS = [f"word {number}" for number in range(12)]
VECTORS = dict(zip(WORDS, np.random.default_rng(1).standard_normal((len(WORDS), 8)).tolist(), strict=True))
NAMESPACES = [("users",), ("users", "anna"), ("users", "anna", "notes"), ("users-2",), ("docs", "anna"), ("docs/1",)]
ALL = 1000
_numbers = count()


def embed(texts):
    return [VECTORS[text] for text in texts]


INDEX: Any = {"dims": 8, "embed": embed, "fields": ["text", "tags[*]"]}


class Expected(InMemoryStore):
    """InMemoryStore without accidents of its dictionaries.

    It forgets empty namespaces, and orders the others by the age of their items. It drops the vectors of a replaced
    value. A text may come twice in a batch, which is an error in the original.
    """

    def __init__(self) -> None:
        super().__init__(index=INDEX)
        self._created: dict[tuple[tuple[str, ...], str], int] = {}
        self._clock = count()

    def _insertinmem_store(self, to_embed: Any, embeddings: Any) -> None:
        for places, vector in zip(to_embed.values(), embeddings, strict=True):
            for namespace, key, path in places:
                self._vectors[namespace][key][path] = vector

    def batch(self, ops: Any) -> Any:
        results = [None if isinstance(op, PutOp) else self._read(op) for op in ops]
        writes = {(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}
        for (namespace, key), op in writes.items():
            self._vectors[namespace].pop(key, None)
            if op.value is None:
                self._created.pop((namespace, key), None)
            else:
                self._created.setdefault((namespace, key), next(self._clock))
        super().batch(writes.values())
        self._tidy()
        return results

    def _read(self, op: Any) -> Any:
        (result,) = super().batch([op])
        self._tidy()
        return result

    def _tidy(self) -> None:
        age = {
            namespace: min(self._created[namespace, key] for key in items)
            for namespace, items in self._data.items()
            if items
        }
        self._data = defaultdict(dict, {namespace: self._data[namespace] for namespace in sorted(age, key=age.get)})


scalars = st.one_of(st.integers(-2, 2), st.booleans(), st.sampled_from(["", "a", "b.c", 0.5, 1.0, None, "1"]))
nested = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b.c", "", "%"]), inner, max_size=2)
    ),
    max_leaves=4,
)
values = st.fixed_dictionaries(
    {"n": st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1e300]))},
    optional={
        "text": st.sampled_from(WORDS),
        "tags": st.lists(st.sampled_from(WORDS), max_size=3),
        "x": nested,
        "b.c": nested,
    },
)
comparisons = st.dictionaries(
    st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.integers(-3, 3) | st.just(0.5), min_size=1, max_size=2
)
equalities = st.dictionaries(st.sampled_from(["$eq", "$ne"]), nested, min_size=1, max_size=1)
filters = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "n": comparisons | st.integers(-3, 3),
        "x": nested | equalities | st.dictionaries(st.just("a"), equalities, max_size=1),
        "b.c": nested | equalities,
    },
)
namespaces, keys = st.sampled_from(NAMESPACES), st.sampled_from(["k", "é/2", "..", "x" * 300])
labels = st.sampled_from(["users", "anna", "docs", "notes", "*"])
conditions = st.builds(
    MatchCondition, st.sampled_from(["prefix", "suffix"]), st.lists(labels, min_size=1, max_size=3).map(tuple)
)
puts = st.builds(
    PutOp,
    namespaces,
    keys,
    st.none() | values | values | values,
    st.sampled_from([None, None, False, ["text"]]),
    ttl=st.none(),
)
searches = st.builds(
    SearchOp,
    st.just(()) | namespaces,
    filters,
    st.integers(0, 6),
    st.integers(0, 3),
    st.none() | st.sampled_from(["", *WORDS]),
)
lists = st.builds(
    ListNamespacesOp,
    st.none() | st.lists(conditions, max_size=2).map(tuple),
    st.none() | st.integers(0, 3),
    st.integers(0, 5),
    st.integers(0, 2),
)
reads = st.one_of(st.builds(GetOp, namespaces, keys), searches, searches, lists)
batches = st.tuples(st.booleans(), st.lists(puts | reads, min_size=1, max_size=8))


def content(item: Any) -> Any:
    """The item without times, as JSON: there true is not 1, and 1.0 is not 1."""
    return None if item is None else json.dumps([item.namespace, item.key, item.value], sort_keys=True)


def ranking(store: InMemoryStore, op: SearchOp) -> dict[Any, Any]:
    """The score of each item that passes, by its content."""
    every = store.search(op.namespace_prefix, query=op.query, filter=op.filter, limit=ALL)
    return {content(item): item.score for item in every}


def check_search(got: Any, expected: Any, scores: dict[Any, Any]) -> None:
    """Compare two results of a search by text; items of one score may come in any order."""
    assert [item.score is None for item in got] == [item.score is None for item in expected]
    ranked = [item for item in got if item.score is not None]
    assert [item.score for item in ranked] == pytest.approx([item.score for item in expected[: len(ranked)]], abs=1e-5)
    assert [item.score for item in ranked] == pytest.approx([scores[content(item)] for item in ranked], abs=1e-5)
    assert len(set(map(content, got))) == len(got)
    assert list(map(content, got[len(ranked) :])) == list(map(content, expected[len(ranked) :]))


@given(history=st.lists(batches, min_size=1, max_size=6))
@settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate]
)
def test_any_history_gives_the_results_of_in_memory_store(client, history):
    collection = client.collection(f"histories-{next(_numbers)}")
    store = SoftkvStore(collection.name, client=client, index=INDEX, null=False, score="similarity")
    oracle = Expected()
    try:
        for awaited, ops in history:
            scores = [ranking(oracle, op) if isinstance(op, SearchOp) and op.query else {} for op in ops]
            got = asyncio.run(store.abatch(ops)) if awaited else store.batch(ops)
            for op, one, other, by_item in zip(ops, got, oracle.batch(ops), scores, strict=True):
                if isinstance(op, SearchOp) and op.query:
                    check_search(one, other, by_item)
                elif isinstance(op, SearchOp):
                    assert list(map(content, one)) == list(map(content, other))
                    assert all(item.score is None for item in one)
                elif isinstance(op, GetOp):
                    assert content(one) == content(other)
                    assert one is None or one.created_at <= one.updated_at
                else:
                    assert one == other
    finally:
        collection.drop()
