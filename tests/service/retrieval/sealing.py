"""Collections whose blocks are small, and lie in files."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from softkv_attention.lookup import Limits, Question, answer
from softkv_service.retrieval.collections import Catalogue, rows
from softkv_service.retrieval.collections import sealed as fitting
from softkv_service.retrieval.errors import CollectionLoading
from softkv_service.storage import SQLiteStore
from softkv_service.storage.records import DocumentRecord
from tests.waiting import until

BLOCK = 64
WIDTH = 6
SMALL_BLOCKS = Limits(block_rows=BLOCK, min_file_bytes=0)
"""Limits that give a collection of some hundred rows several blocks, which stay in files."""


def make_batches_small(monkeypatch):
    """Give keys codes at the start, and compare the rows of files with the store a few at a time."""
    monkeypatch.setattr(rows, "MAX_UNCODED_COMPONENTS", 0)
    for name in ("_BATCH_ROWS", "_SHORT_BATCH_ROWS"):
        monkeypatch.setattr(fitting, name, 50)


def documents(first, last, *, seed=0, keys=1):
    random = np.random.default_rng([seed, first])
    return [
        DocumentRecord(
            f"{i:04}",
            None,
            i,
            random.standard_normal((1 + (i * 7) % keys, WIDTH)).astype(np.float32),
            metadata={"i": i},
        )
        for i in range(first, last)
    ]


@contextmanager
def opened(directory, *, files=True):
    """Open the collection and load its keys, with or without files."""
    with SQLiteStore.open(directory) as store:
        made = Catalogue(store, None, sealed=directory if files else None, limits=SMALL_BLOCKS)
        asyncio.run(made.create("c", {"similarity": "dot"}))
        made.rebuild()
        yield made
        for collection in made.collections():
            settled(collection)


def settled(collection):
    """Wait until its keys are read and all work is done."""
    until(lambda: collection.ready and not collection.compaction.running)


def valued(first, last):
    """Documents with values of their own."""
    values = np.random.default_rng(first).standard_normal((last - first, 3)).astype(np.float32)
    return [
        replace(document, value_vector=value) for document, value in zip(documents(first, last), values, strict=True)
    ]


def flipped(path, name="keys", place=0):
    """Flip one bit of an array in a file."""
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[8:16], "little")
    section = json.loads(content[24:start].rstrip(b"\0"))["sections"][name]
    content[start + section["offset"] + place] ^= 0x10
    path.write_bytes(content)


def written(directory, *batches):
    with opened(directory) as made:
        for batch in batches:
            made.collection("c").write(batch)
            settled(made.collection("c"))


def written_with_room_behind(directory):
    """Return files of which the last has a block with room after compaction: new rows follow a copy."""
    written(directory, documents(0, 200))
    with opened(directory) as made:
        collection = made.collection("c")
        collection.delete(ids=[f"{i:04}" for i in range(70, 90)])
        settled(collection)
        collection.delete(ids=[f"{i:04}" for i in range(128, 200)])


def files(directory):
    return sorted(directory.glob("softkv.sealed-*"))


def asked(collection, questions):
    """Return the answers of a collection that may reload meanwhile, and how often it asked to try again."""
    count, deadline = 0, time.monotonic() + 60
    while True:
        try:
            with collection.snapshot() as snapshot:
                return snapshot.view, [answer(snapshot.view, question) for question in questions], count
        except CollectionLoading:
            count += 1
            assert time.monotonic() < deadline
            time.sleep(0.01)


def said(directory, *, files=True):
    """Return the answers after a start, and the rows of the collection."""
    with opened(directory, files=files) as made:
        queries = np.random.default_rng(9).standard_normal((5, WIDTH))
        view, results, _ = asked(made.collection("c"), [Question(query, 0.5, top_k=12) for query in queries])
        return view.numbers(), [(result.numbers, result.weights, result.output) for result in results], view.documents


def same(directory, tmp_path_factory):
    """Check that a start with files equals one without them, on a copy of the store alone."""
    copy = tmp_path_factory.mktemp("alone")
    shutil.copy(directory / "softkv.sqlite3", copy)
    numbers, answers, count = said(directory)
    expected_numbers, expected, expected_count = said(copy, files=False)
    np.testing.assert_array_equal(numbers, expected_numbers)
    assert count == expected_count
    for one, other in zip(answers, expected, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_allclose(one[1], other[1], atol=1e-7)
        np.testing.assert_allclose(one[2], other[2], atol=1e-6)


def lies_in(collection, segment, path):
    """Return whether its block is in a file."""
    return collection.sealed._files.get(segment.block, (None, 0))[0] == path
