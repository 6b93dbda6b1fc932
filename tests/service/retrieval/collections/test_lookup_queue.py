"""Questions that arrive while a scan runs form the next batch; each is answered as if it were alone."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from service.retrieval.collections import lookup_queue as lookups
from service.retrieval.collections.catalogue import Catalogue
from service.retrieval.errors import InvalidContent
from service.retrieval.queries import Options, attend_collection
from service.storage import DocumentRecord, Store

RNG = np.random.default_rng(3)
KEYS = RNG.normal(size=(50, 4)).astype(np.float32)


@pytest.fixture
def catalogue(tmp_path):
    store = Store.open(tmp_path)
    made = Catalogue(store, None)
    collection, _ = asyncio.run(made.create("c", {"similarity": "dot"}))
    collection.write([DocumentRecord(f"{i:02}", None, i, key) for i, key in enumerate(KEYS)])
    yield made
    store.close()


@pytest.fixture
def held(monkeypatch):
    """Holds the first scan until told; counts how many questions each scan answers."""
    gate, sizes, real = threading.Event(), [], lookups.answers

    def watched(view, questions):
        sizes.append(len(questions))
        gate.wait(10)
        return real(view, questions)

    monkeypatch.setattr(lookups, "answers", watched)
    return gate, sizes


def ask(catalogue, query, **options):
    return attend_collection(catalogue.collection("c"), [query], Options(temperature=1.0, **options), ["/query"])


def test_those_who_wait_are_answered_together_and_as_if_alone(catalogue, held):
    gate, sizes = held
    queries = RNG.normal(size=(20, 4)).astype(np.float32)

    async def run():
        first = asyncio.create_task(ask(catalogue, queries[0]))
        await asyncio.sleep(0.1)
        rest = [asyncio.create_task(ask(catalogue, query)) for query in queries[1:]]
        await asyncio.sleep(0.1)
        gate.set()
        return await asyncio.gather(first, *rest)

    found = asyncio.run(run())
    assert sizes == [1, 19]
    for query, (result,) in zip(queries, found, strict=True):
        logits = KEYS.astype(np.float64) @ query.astype(np.float64)
        weights = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        best = np.argsort(-logits)[:10]
        assert [match.document.value for match in result.matches] == best.tolist()
        np.testing.assert_allclose([match.weight for match in result.matches], weights[best], rtol=1e-9)


def test_one_that_cannot_be_answered_fails_alone(catalogue, held):
    gate, _ = held

    async def run():
        asked = [
            ask(catalogue, KEYS[0]),
            ask(catalogue, KEYS[0][:2]),
            ask(catalogue, KEYS[1], filter={"field": "id", "operator": "??", "value": 1}),
            ask(catalogue, KEYS[2], top_k=3),
        ]
        tasks = [asyncio.create_task(each) for each in asked]
        await asyncio.sleep(0.1)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    good, narrow, unknown, short = asyncio.run(run())
    assert len(good[0].matches) == 10
    assert isinstance(narrow, InvalidContent)
    assert isinstance(unknown, InvalidContent)
    assert len(short[0].matches) == 3


def test_a_cancelled_question_leaves_the_batch(catalogue, held):
    gate, sizes = held

    async def run():
        first = asyncio.create_task(ask(catalogue, KEYS[0]))
        await asyncio.sleep(0.1)
        leaver, stayer = (asyncio.create_task(ask(catalogue, key)) for key in KEYS[1:3])
        await asyncio.sleep(0.05)
        leaver.cancel()
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(first, stayer)

    asyncio.run(run())
    assert sizes == [1, 1]


def test_a_question_sees_every_write_that_was_acknowledged_before_it(catalogue, held):
    gate, _ = held

    async def run():
        first = asyncio.create_task(ask(catalogue, KEYS[0]))
        await asyncio.sleep(0.1)
        new = DocumentRecord("new", None, "new", 100 * KEYS[0])
        await asyncio.to_thread(catalogue.collection("c").write, [new])
        second = asyncio.create_task(ask(catalogue, KEYS[0]))
        await asyncio.sleep(0.05)
        gate.set()
        return await asyncio.gather(first, second)

    before, after = asyncio.run(run())
    assert before[0].answer.documents == 50
    assert after[0].answer.documents == 51
    assert after[0].matches[0].document.id == "new"
