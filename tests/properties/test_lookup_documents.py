"""Histories of writes of documents with several keys, against a plain dictionary of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from attention.lookup import Limits, Memory, Question, Rows, answer
from attention.lookup.memory import rows as owners_module
from attention.lookup.memory import statistics as facts_module
from tests.thorough import examples

QUERY = np.array([1.0, 20.0, 400.0]) / 1000


class Histories(RuleBasedStateMachine):
    """The answers of a memory about documents, after any history of writes, removals and compactions."""

    views = Bundle("views")

    def __init__(self):
        super().__init__()
        self.memory = Memory("dot", limits=Limits(block_rows=64, first_rows=4))
        self.documents: dict[int, dict[int, tuple[float, ...]]] = {}
        self.next = 0

    @rule(
        target=views,
        sizes=st.lists(st.sampled_from([1, 1, 2, 3, 40, 100]), max_size=8),
        step=st.integers(1, 3),
        removed=st.lists(st.integers(0, 400), max_size=10),
        seed=st.integers(0, 1000),
    )
    def publish(self, sizes, step, removed, seed):
        random = np.random.default_rng(seed)
        numbers = self.next + step * np.arange(sum(sizes))
        owners = np.repeat(numbers[np.cumsum([0, *sizes[:-1]])] if sizes else numbers, sizes)
        keys = random.integers(-9, 10, (len(numbers), 3)).astype(np.float32)
        order = random.permutation(len(numbers))
        documents = sorted(self.documents)
        gone = [documents[index % len(documents)] for index in removed] if documents else []
        parts = [number for document in documents for number in self.documents[document] if number != document]
        names = np.array([*gone, *parts[:20], 10**9], dtype=np.int64)  # parts are not documents, and so stay
        view = self.memory.publish(add=Rows(numbers[order], keys[order], owners=owners[order]), remove=names)
        self.next += step * len(numbers)
        for document in gone:
            self.documents.pop(document, None)
        for number, owner, key in zip(numbers.tolist(), owners.tolist(), keys, strict=True):
            self.documents.setdefault(owner, {})[number] = tuple(key.tolist())
        return view, {document: dict(rows) for document, rows in self.documents.items()}

    @rule()
    def compact(self):
        self.memory.compact()

    @rule(seen=views, share=st.floats(0, 1), seed=st.integers(0, 99))
    def an_old_view_is_as_it_was_and_its_masks_hold_whole_documents(self, seen, share, seed):
        view, documents = seen
        self.compare(view, documents, None)
        if documents:
            passing = [document for document in documents if np.random.default_rng([seed, document]).random() < share]
            self.compare(
                view, {document: documents[document] for document in passing}, view.mask(np.array(passing, int))
            )

    @invariant()
    def the_current_view_is_the_dictionary(self):
        self.compare(self.memory.view, self.documents, None)

    def compare(self, view, documents, mask):
        size = view if mask is None else mask
        assert (size.n, size.documents) == (sum(map(len, documents.values())), len(documents))
        if view.dimension is None:
            return
        result = answer(view, Question(QUERY, 0.5, top_k=10**6, mask=mask))
        assert (result.keys, result.documents) == (size.n, size.documents)
        similarities = {
            document: {number: math.fsum(QUERY * key) for number, key in rows.items()}
            for document, rows in documents.items()
        }
        top = max((s for rows in similarities.values() for s in rows.values()), default=0.0)
        masses = {
            document: math.fsum(math.exp((s - top) / 0.5) for s in rows.values())
            for document, rows in similarities.items()
        }
        whole = math.fsum(masses.values())
        assert set(result.numbers.tolist()) == set(documents)
        for number, part, weight in zip(result.numbers.tolist(), result.parts.tolist(), result.weights, strict=True):
            rows = similarities[number]
            assert weight == pytest.approx(masses[number] / whole, rel=1e-11)
            assert rows[part] == pytest.approx(max(rows.values()), abs=1e-13)
        facts = view.facts
        other_lengths = [len(rows) for document, rows in documents.items() if document not in facts.longest]
        assert mask is not None or max(other_lengths, default=0) <= facts.most_keys


@pytest.mark.hypothesis
def test_histories(monkeypatch):
    for module in (owners_module, facts_module):
        monkeypatch.setattr(module, "LONGEST_DOCUMENTS", 2)
    run_state_machine_as_test(
        Histories, settings=settings(max_examples=examples(40), stateful_step_count=15, deadline=None)
    )
