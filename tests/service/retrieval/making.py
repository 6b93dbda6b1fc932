"""Collections of documents with metadata, and what a mask of theirs lets through."""

from __future__ import annotations

import asyncio
import gc
import math
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from softkv_attention.lookup import KeySummary, Limits
from softkv_service.encoding import Encoder, Encoders, LoadingEncoder
from softkv_service.retrieval.collections import Catalogue, Collection, Snapshot
from softkv_service.retrieval.documents import SentDocument, upsert
from softkv_service.retrieval.queries import attend_collection
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage import SQLiteStore
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.records import DocumentRecord

ODD = Comparison("metadata.odd", "==", True)
LARGE = Comparison("metadata.i", ">=", 30)


def document(identity: str, **fields) -> DocumentRecord:
    return DocumentRecord(identity, None, identity, np.array([[1, len(identity)]], np.float32), metadata=fields)


def numbered(*numbers: int) -> list[DocumentRecord]:
    return [document(f"{i:03}", i=i, odd=i % 2 == 1) for i in numbers]


def opened(directory: Path, documents=(), limits=Limits(), **settings):
    """A catalogue with the collection `c`, of these settings."""
    made = Catalogue(SQLiteStore.open(directory), None, limits=limits)
    collection, _ = asyncio.run(made.create("c", {"similarity": "dot"} | settings))
    if documents:
        collection.write(documents)
    return made


def with_keys(random: np.random.Generator, values: list[Any], count: int = 60) -> list[DocumentRecord]:
    """Return documents of one to three random keys and one of these values each."""
    return [
        DocumentRecord(
            f"d{i:02}",
            None,
            None,
            random.standard_normal((random.integers(1, 4), 2)).astype(np.float32),
            metadata={"at": {"x": values[random.integers(len(values))]}, "even": i % 2 == 0},
        )
        for i in range(count)
    ]


def weigh(keys, query, temperature, null, addends):
    """Return the weight of each document: of all of its keys, beside the null key."""
    levels = np.concatenate([document.astype(np.float64) @ query.astype(np.float64) for document in keys])
    added = np.concatenate([np.full(len(document), addend) for document, addend in zip(keys, addends, strict=True)])
    if temperature == 0:
        masses = (levels == max(levels.max(), -math.inf if null is None else null)).astype(float)
        masses /= masses.sum() + (null is not None and null >= levels.max()) or 1.0
    else:
        logits = np.append(levels / temperature + added, [] if null is None else [null / temperature])
        masses = np.exp(logits - logits.max())
        masses /= masses.sum()
    ends = np.cumsum([0, *map(len, keys)])
    return np.array([masses[a:b].sum() for a, b in pairwise(ends)])


def attend(collection: Collection, *queries: Any, **options: Any) -> list[Any]:
    """Return the results of queries with these options; pointers lead to /queries/0 and so on."""
    pointers = [f"/queries/{i}" for i in range(len(queries))]
    return asyncio.run(attend_collection(collection, queries, CollectionQuestion(**options), pointers))


@asynccontextmanager
async def texts(directory: Path, encoder: Encoder, *keys: str) -> AsyncIterator[Collection]:
    """A collection of documents with these texts as keys, in a service that runs the encoder."""
    loading = LoadingEncoder(encoder.name, lambda: encoder)
    await loading.start()
    with SQLiteStore.open(directory) as store:
        made, _ = await Catalogue(store, Encoders([loading])).create("texts", {"late": False})
        documents = [SentDocument(f"{i:03}", key) for i, key in enumerate(keys)]
        await upsert(made, documents, [f"/{i}" for i in range(len(keys))])
        try:
            yield made
        finally:
            await loading.close()


def rows(mask):
    numbers = [segment.numbers[allowed] for segment, allowed in mask.view.passing(mask)]
    return np.sort(np.concatenate(numbers)) if numbers else np.empty(0, np.int64)


def ids(snapshot: Snapshot, condition) -> list[str]:
    return sorted(snapshot.reader.ids(snapshot.record.id, rows(snapshot.mask(condition))))


def lacking(collection: Collection, missing: KeySummary) -> None:
    """From now on, let questions to the collection miss these keys."""
    taken = collection.lookups._snapshot

    @contextmanager
    def without() -> Iterator[Snapshot]:
        with taken() as snapshot:
            yield replace(snapshot, missing=missing)

    collection.lookups._snapshot = without
    collection.lookups.light_components = 0  # a light lookup would have all keys


def wait_until_gone(*references: weakref.ref) -> None:
    """Wait until a thread has released its objects, a moment after its work."""
    deadline = time.monotonic() + 60
    while any(reference() is not None for reference in references):
        assert time.monotonic() < deadline
        gc.collect()


def tidied(collection):
    """Return the view after compaction."""
    while collection.compaction.running:
        time.sleep(0.001)
