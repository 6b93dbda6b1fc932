"""Histories of writes against a plain dictionary, and readers that hold on to what they saw."""

from __future__ import annotations

import copy
import math
import pickle
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.lookup import Limits, Memory, Question, Rows, answer
from softkv_attention.lookup.memory import rows as rows_module
from softkv_attention.lookup.memory import statistics
from tests.thorough import examples

LIMITS = Limits(block_rows=64, first_rows=4, min_file_bytes=1, removed_in_last=4)
QUERY = np.array([1.0, 20.0, 400.0]) / 1000


class Histories(RuleBasedStateMachine):
    """Writes of documents of one or several keys, in any order, leave what a dictionary would hold, and old views."""

    directory = None
    views = Bundle("views")

    def __init__(self):
        super().__init__()
        self.memory = Memory("dot", self.directory, limits=LIMITS)
        self.documents = {}
        self.next = 0

    def seen(self):
        """Return the current view, and a copy of what it holds: by document and row number, the key and value."""
        return self.memory.view, {document: dict(rows) for document, rows in self.documents.items()}

    @rule(
        target=views,
        sizes=st.lists(st.sampled_from([1, 1, 2, 3, 40, 100]), max_size=8),
        step=st.integers(1, 3),
        removed=st.lists(st.integers(0, 400), max_size=20),
        own_values=st.booleans(),
        seed=st.integers(0, 1000),
        staged=st.sampled_from(["shown", "given up", "not at all"]),
        compacts=st.booleans(),
    )
    def publish(self, sizes, step, removed, own_values, seed, staged, compacts):
        random = np.random.default_rng(seed)
        numbers = self.next + step * np.arange(sum(sizes))
        owners = np.repeat(numbers[np.cumsum([0, *sizes[:-1]])] if sizes else numbers, sizes)
        keys = random.integers(-9, 10, (len(numbers), 3)).astype(np.float32)
        values = keys[:, ::-1].copy() if own_values else keys
        order = random.permutation(len(numbers))
        documents = sorted(self.documents)
        gone = [documents[index % len(documents)] for index in removed] if documents else []
        parts = [number for document in documents for number in self.documents[document] if number != document]
        write = {
            "add": Rows(numbers[order], keys[order], values[order] if own_values else None, owners[order]),
            # Parts are not documents, and so stay; so does what this write adds.
            "remove": np.array([*gone, *parts[:20], self.next, 10**9], dtype=np.int64),
        }
        if staged == "not at all":
            self.memory.publish(**write)
        else:
            view = self.memory.stage(**write)
            self.compare(self.memory.view, self.documents)
            if compacts:
                self.memory.compact()
            if staged == "given up":
                return self.seen()
            self.memory.show(view)
        self.next += step * len(numbers)
        for document in gone:
            self.documents.pop(document, None)
        for number, owner, *row in zip(numbers.tolist(), owners.tolist(), keys.tolist(), values.tolist(), strict=True):
            self.documents.setdefault(owner, {})[number] = row
        return self.seen()

    @rule()
    def compact(self):
        before = self.memory.view
        if self.memory.compact():
            assert len(self.memory.view.segments) <= len(before.segments)
            self.compare(before, self.documents)

    @rule(seen=views, share=st.floats(0, 1), seed=st.integers(0, 99))
    def an_old_view_is_as_it_was_and_its_masks_hold_whole_documents(self, seen, share, seed):
        view, documents = seen
        self.compare(view, documents)
        passing = [document for document in documents if np.random.default_rng([seed, document]).random() < share]
        self.compare(view, {document: documents[document] for document in passing}, view.mask(np.array(passing, int)))

    @invariant()
    def the_current_view_is_the_dictionary(self):
        self.compare(self.memory.view, self.documents)

    def compare(self, view, documents, mask=None):
        size = view if mask is None else mask
        rows = {number: row for document in documents.values() for number, row in document.items()}
        assert (size.n, size.documents) == (len(rows), len(documents))
        assert mask is not None or view.numbers().tolist() == sorted(rows)
        if view.dimension is None:
            return
        result = answer(view, Question(QUERY, 0.5, top_k=10**6, mask=mask))
        assert (result.keys, result.documents) == (size.n, size.documents)
        assert set(result.numbers.tolist()) == set(documents)
        similarities = {number: math.fsum(QUERY * key) for number, (key, _) in rows.items()}
        top = max(similarities.values(), default=0.0)
        masses = {number: math.exp((similarity - top) / 0.5) for number, similarity in similarities.items()}
        whole = math.fsum(masses.values())
        for number, part, weight in zip(result.numbers.tolist(), result.parts.tolist(), result.weights, strict=True):
            own_rows = documents[number]
            assert weight == pytest.approx(math.fsum(masses[row] for row in own_rows) / whole, rel=1e-11)
            assert similarities[part] == pytest.approx(max(similarities[row] for row in own_rows), abs=1e-13)
            assert part in own_rows
        if rows:
            mean = answer(view, Question(QUERY, np.inf, mask=mask)).output
            np.testing.assert_allclose(mean, np.mean([value for _, value in rows.values()], axis=0), atol=1e-9)
        longest = view.facts.longest
        other_lengths = [len(own_rows) for document, own_rows in documents.items() if document not in longest]
        assert mask is not None or max(other_lengths, default=0) <= view.facts.most_keys


class HistoriesInFiles(Histories):
    """The same histories, with the originals in files."""

    directory = Path(tempfile.gettempdir())


@pytest.mark.hypothesis
@pytest.mark.parametrize("histories", [Histories, HistoriesInFiles])
def test_histories(histories, monkeypatch):
    for module in (rows_module, statistics):
        monkeypatch.setattr(module, "LONGEST_DOCUMENTS", 2)
    run_state_machine_as_test(
        histories, settings=settings(max_examples=examples(40), stateful_step_count=15, deadline=None)
    )


def test_readers_see_whole_writes_while_a_writer_writes():
    """Each write moves a fixed total of 100 rows on; a reader that saw half of one would count otherwise."""
    memory = Memory("dot", limits=LIMITS)
    memory.publish(add=Rows(np.arange(100), np.ones((100, 5))))
    failures, done = [], threading.Event()

    def read():
        while not done.is_set():
            memory.compact()
            view = memory.view
            result = answer(view, Question(np.ones(5), 1.0, top_k=1))
            generation = view.numbers()[0] // 100
            whole = result.documents == 100 and len(set(view.numbers() // 100)) == 1
            if not whole or result.similarities[0] != 5 * (generation + 1):
                failures.append((result.documents, generation, result.similarities[0]))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for generation in range(1, 150):
        numbers = np.arange(generation * 100, generation * 100 + 100)
        memory.publish(add=Rows(numbers, np.full((100, 5), generation + 1.0)), remove=numbers - 100)
    done.set()
    for reader in readers:
        reader.join()
    assert not failures


def test_nothing_is_written_when_a_write_is_refused():
    memory = Memory("cosine", limits=LIMITS)
    before = memory.publish(add=Rows(np.arange(3), np.eye(3), np.ones((3, 2))))
    refused = [
        (Rows(np.array([9]), np.ones((1, 4)), np.ones((1, 2))), ShapeError, "keys have width 4, those stored have 3"),
        (Rows(np.array([9]), np.ones((1, 3))), ShapeError, "values have width 3, those stored have 2"),
        (Rows(np.array([9]), np.zeros((1, 3)), np.ones((1, 2))), ParameterError, "zero vector"),
        (Rows(np.array([1]), np.ones((1, 3)), np.ones((1, 2))), ParameterError, "used before"),
    ]
    for rows, error, message in refused:
        with pytest.raises(error, match=message):
            memory.publish(add=rows, remove=np.array([0]))
        assert memory.view is before
    memory.publish(remove=np.arange(3))
    assert (memory.view.n, memory.view.dimension, memory.view.value_dimension) == (0, 3, 2)


def test_only_known_similarities():
    with pytest.raises(ParameterError, match="must be one of cosine, dot, scaled_dot, gaussian"):
        Memory("euclidean")


def test_no_row_comes_between_the_rows_of_another_document():
    memory = Memory("dot", limits=LIMITS)
    before = memory.publish(add=Rows([10, 20, 30, 40], np.ones((4, 1)), owners=[10, 10, 30, 30]))
    for numbers, owners, message in (
        ([15], None, "row number 15 lies between rows of document 10"),
        ([5, 35], None, "row number 35 lies between rows of document 30"),
        ([5, 45], [5, 5], "row number 10 lies between rows of document 5"),
        ([25, 26, 31], [25, 25, 25], "row number 31 lies between rows of document 30"),
    ):
        with pytest.raises(ParameterError, match=message):
            memory.publish(add=Rows(numbers, np.ones((len(numbers), 1)), owners=owners))
        assert memory.view is before
    after = memory.publish(add=Rows([5, 25, 26, 45], np.ones((4, 1)), owners=[5, 25, 25, 45]))
    assert (after.n, after.documents) == (8, 5)


def test_a_row_cannot_be_inserted_into_a_document():
    memory = Memory("dot", limits=Limits(block_rows=2))
    memory.publish(add=Rows([10, 20, 30, 40], np.ones((4, 1)), owners=[10, 10, 10, 10]))
    with pytest.raises(ParameterError, match="row number 25 lies between rows of document 10"):
        memory.publish(add=Rows([25], np.ones((1, 1))))


def test_rows_that_are_expected_have_room_from_the_beginning_and_more_may_come():
    memory = Memory("dot", expected=50, limits=LIMITS)
    blocks = []
    for start in range(0, 90, 10):
        rows = Rows(np.arange(start, start + 10), np.full((10, 3), start, np.float32))
        blocks.append(memory.publish(add=rows).segments[-1].block)
    assert [block.capacity for block in blocks[:6]] == [64] * 6
    assert len({id(block) for block in blocks[:6]}) == 1
    assert memory.view.numbers().tolist() == list(range(90))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_memory_has_no_copies_but_its_view_has(duplicate):
    keys = np.random.default_rng(0).standard_normal((300, 4))
    memory = Memory.of(keys, limits=LIMITS)
    with pytest.raises(TypeError, match=r"a Memory cannot be copied or pickled.* its view can, with all rows"):
        duplicate(memory)
    view = duplicate(memory.view)
    view = pickle.loads(view) if isinstance(view, bytes) else view
    same, expected = (answer(rows, Question(keys[0], 0.1)) for rows in (view, memory))
    np.testing.assert_array_equal(same.output, expected.output)
    np.testing.assert_array_equal(same.numbers, expected.numbers)
