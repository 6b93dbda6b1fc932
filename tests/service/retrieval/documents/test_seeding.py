"""Demo collections: what is there is not written again, and one that fails stops no other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from softkv_service.datasets.precomputed_vectors import NO_VECTORS, PrecomputedVectors, text_digest
from softkv_service.encoding import QueueClosed
from softkv_service.retrieval.documents import Seeding
from softkv_service.retrieval.errors import DemoLoading
from tests.captured_logs import capture_logs
from tests.service.retrieval.making import opened


@dataclass(frozen=True)
class Seed:
    name: str
    ids: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=lambda: {"similarity": "dot"})
    known: PrecomputedVectors = NO_VECTORS

    def vectors(self, checksum):
        assert checksum is None  # the service has no encoder
        return self.known

    def documents(self):
        for identity in self.ids:
            if identity == "unreadable":
                raise OSError("no such file")
            yield {"id": identity, "key_vector": np.ones(2, np.float32)}


@pytest.fixture
def catalogue(tmp_path):
    made = opened(tmp_path)
    yield made
    made.store.close()


def test_only_missing_documents_are_written(catalogue):
    asyncio.run(Seeding(catalogue, [Seed("demo", ("a", "b"))]).run())
    collection = catalogue.collection("demo")
    with collection.reading() as (record, reader):
        rows = [reader.document(record.id, identity).row for identity in "ab"]
    seeding = Seeding(catalogue, [Seed("demo", ("a", "b", "c"))])
    assert seeding.loading() == ["demo"]
    asyncio.run(seeding.run())
    assert (seeding.loading(), seeding.failures()) == ([], [])
    assert (seeding.progress["demo"].done, seeding.progress["demo"].total) == (3, 3)
    with collection.reading() as (record, reader):
        assert [reader.document(record.id, identity).row for identity in "ab"] == rows
        assert reader.document(record.id, "c") is not None


def test_a_failed_demo_is_reported_and_the_next_one_loads(catalogue):
    seeds = [Seed("broken", ("a", "unreadable")), Seed("c", ("a",), {"similarity": "cosine"}), Seed("whole", ("a",))]
    seeding = Seeding(catalogue, seeds)
    asyncio.run(seeding.run())
    assert seeding.loading() == []
    assert refusal(seeding, "broken") is None
    unreadable, conflict = seeding.failures()
    assert unreadable == "broken: no such file"
    assert conflict.startswith('c: collection \'c\' exists with other settings: similarity is "dot", not "cosine"')
    assert catalogue.collection("whole").record.documents == 1


@dataclass(frozen=True)
class OfTexts(Seed):
    def documents(self):
        yield from ({"id": identity, "key": f"key {identity}", "value": f"value {identity}"} for identity in self.ids)


@pytest.mark.parametrize("value_from", ["value", "key"])
def test_vectors_that_are_known_are_not_encoded(catalogue, value_from):
    texts = [f"{name} {identity}" for name in ("key", "value") for identity in "ab"]
    vectors = np.eye(4, dtype=np.float16)
    precomputed = PrecomputedVectors(np.array([text_digest(text) for text in texts], np.uint64), vectors)
    seed = OfTexts("demo", ("a", "b", "c"), {"similarity": "dot", "value_from": value_from}, precomputed)
    asyncio.run(Seeding(catalogue, [seed]).run())
    collection = catalogue.collection("demo")
    with collection.reading() as (record, reader):
        a, b, c = (reader.document(record.id, identity) for identity in "abc")
    np.testing.assert_array_equal([a.keys[0], b.keys[0]], vectors[:2])
    assert (a.key, a.value) == ("key a", "value a")
    if value_from == "value":
        np.testing.assert_array_equal([a.value_vector, b.value_vector], vectors[2:])
    else:
        assert a.value_vector is None
    assert len(c.keys) == 0  # without an encoder it has none


def refusal(seeding, name):
    try:
        seeding.check(name)
    except DemoLoading as error:
        return str(error)
    return None


def test_a_stop_is_not_an_error_and_the_next_start_loads_the_rest(catalogue):
    class Stopping(Seed):
        def vectors(self, checksum):
            raise QueueClosed("the service stops")

    seeding = Seeding(catalogue, [Stopping("one", ("a",)), Seed("two", ("a",))])
    with capture_logs() as lines:
        asyncio.run(seeding.run())
    assert [line["log_level"] for line in lines] == ["info"]
    assert (seeding.failures(), seeding.loading()) == ([], ["one (0 of 1)", "two"])
    again = Seeding(catalogue, [Seed("one", ("a",)), Seed("two", ("a",))])
    asyncio.run(again.run())
    assert (again.failures(), again.loading()) == ([], [])


def test_one_of_an_earlier_start_answers_until_documents_prove_to_be_missing(catalogue):
    asyncio.run(Seeding(catalogue, [Seed("demo", ("a", "b"))]).run())
    whole = Seeding(catalogue, [Seed("demo", ("a", "b"))])
    assert refusal(whole, "demo") is None
    refusals = []

    class Watched(Seed):
        def vectors(self, checksum):
            refusals.append(refusal(seeding, "demo"))
            return super().vectors(checksum)

    seeding = Seeding(catalogue, [Watched("demo", ("a", "b", "c"))])
    assert refusal(seeding, "demo") is None
    asyncio.run(seeding.run())
    assert "(2 of 3 documents)" in refusals[0]
    assert refusal(seeding, "demo") is None
