"""From the core's answer to matches: ties by id, only as many as asked, all weights together one."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from attention.lookup import Memory, Question, Rows, answer
from service.retrieval.queries import Options, attend_collection
from service.retrieval.queries.attend import result
from service.retrieval.queries.reading import InMemory
from service.storage import CollectionRecord, CollectionSettings, DocumentRecord
from tests.service.retrieval.making import document, opened

RECORD = CollectionRecord(1, "c", CollectionSettings("dot", 1.0, dimension=2, value_dimension=3))


def asked(names: str, **options):
    """Documents of one key, so that all tie, their ids in the order of their rows."""
    memory = Memory("dot")
    view = (
        memory.publish(add=Rows(np.arange(len(names)), np.ones((len(names), 2), np.float32))) if names else memory.view
    )
    found = answer(view, Question(np.ones(2), 1.0, **options))
    return result(RECORD, found, InMemory([DocumentRecord(name, None, None, np.ones((1, 2))) for name in names]))


def test_of_those_that_tie_at_the_cut_the_first_ids_are_taken():
    for names in ("dcba", "badc"):
        assert [match.id for match in asked(names, top_k=2).matches] == ["a", "b"]


def test_what_is_not_matched_is_the_rest():
    found = asked("dcba", top_k=3, null=2.0)
    weights = sum(match.weight for match in found.matches)
    assert weights == pytest.approx(3 / 5)
    assert weights + found.rest_weight + found.answer.null_weight == pytest.approx(1)


def test_nothing_is_an_answer_of_the_right_width():
    found = asked("", output=True)
    assert (found.matches, found.rest_weight) == ([], 0)
    np.testing.assert_array_equal(found.output, np.zeros(3))


def test_where_only_ids_are_wanted_no_document_is_read(tmp_path):
    catalogue = opened(tmp_path, [document("b"), document("a")])
    asking = attend_collection(
        catalogue.collection("c"), [np.ones(2, np.float32)], Options(reads="ids", temperature=0), ["/query"]
    )
    (found,) = asyncio.run(asking)
    assert [(match.id, match.document) for match in found.matches] == [("a", None), ("b", None)]
    catalogue.store.close()
