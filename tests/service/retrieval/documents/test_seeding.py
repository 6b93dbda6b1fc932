"""Demo collections: what is there is not written again, and one that fails stops no other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from service.retrieval.documents import Seeding
from tests.service.retrieval.making import opened


@dataclass(frozen=True)
class Seed:
    name: str
    ids: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=lambda: {"similarity": "dot"})

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


def test_only_what_is_missing_is_written(catalogue):
    asyncio.run(Seeding(catalogue, [Seed("demo", ("a", "b"))]).run())
    collection = catalogue.collection("demo")
    with collection.reading() as (record, reader):
        rows = [reader.document(record.id, identity).row for identity in "ab"]
    seeding = Seeding(catalogue, [Seed("demo", ("a", "b", "c"))])
    assert seeding.loading() == ["demo"]
    asyncio.run(seeding.run())
    assert (seeding.loading(), seeding.failed()) == ([], [])
    assert (seeding.progress["demo"].done, seeding.progress["demo"].total) == (3, 3)
    with collection.reading() as (record, reader):
        assert [reader.document(record.id, identity).row for identity in "ab"] == rows
        assert reader.document(record.id, "c") is not None


def test_one_that_fails_is_told_and_the_next_one_loads(catalogue):
    seeds = [Seed("broken", ("a", "unreadable")), Seed("c", ("a",), {"similarity": "cosine"}), Seed("whole", ("a",))]
    seeding = Seeding(catalogue, seeds)
    asyncio.run(seeding.run())
    assert seeding.loading() == []
    unreadable, conflict = seeding.failed()
    assert unreadable == "broken: no such file"
    assert conflict.startswith("c: collection 'c' exists with other settings: similarity is 'dot', not 'cosine'")
    assert catalogue.collection("whole").record.documents == 1
