"""Rows of every kind become the same documents, in each of the three ways."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import softkv
from softkv import Document

VECTORS = np.array([[1, 0], [0.5, 2], [3, -1]], np.float32)
FIELDS = [
    {"id": "a", "key": "one", "value": {"n": 1}, "metadata": {"year": 1970}},
    {"id": "b", "key": "two", "value": [2], "metadata": {"year": 1980, "open": True}},
    {"id": "c"},
]
FULL = [{**fields, "key_vector": vector} for fields, vector in zip(FIELDS, VECTORS, strict=True)]
COLUMNS = {
    "ids": ["a", "b", "c"],
    "keys": ["one", "two", None],
    "key_vectors": VECTORS,
    "metadata": [{"year": 1970}, {"year": 1980, "open": True}, None],
}
FLAT = {
    "id": ["a", "b", "c"],
    "key": ["one", "two", None],
    "year": [1970, 1980, None],
    "metadata.open": [None, True, None],
}


def generated() -> Iterator[Any]:
    yield FULL[0]
    yield Document(**FULL[1])
    yield {**FULL[2], "key_vector": VECTORS[2].astype(np.float64)}


async def awaited() -> AsyncIterator[Any]:
    for item in generated():
        yield item


def matrix() -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 2)


def frame() -> pd.DataFrame:
    return pd.DataFrame(FLAT | {"year": [1970, 1980, pd.NA], "key_vector": list(VECTORS)})


def table(**columns: Any) -> pa.Table:
    return pa.table(FLAT | {"key_vector": matrix()} | columns)


KINDS = {
    "a list": lambda: {"rows": FULL},
    "a generator": lambda: {"rows": generated()},
    "columns": lambda: COLUMNS | {"values": [{"n": 1}, [2], None]},
    "columns without values": lambda: COLUMNS,
    "a DataFrame": lambda: {"rows": frame()},
    "a DataFrame by its index": lambda: {"rows": frame().set_index("id")},
    "a Table": lambda: {"rows": table()},
    "a Table of two pieces": lambda: {"rows": pa.concat_tables([table().slice(0, 1), table().slice(1)])},
    "a Table of lists": lambda: {"rows": table(key_vector=pa.array(VECTORS.tolist()))},
    "a RecordBatch": lambda: {"rows": table().to_batches()[0]},
    "a RecordBatchReader": lambda: {"rows": table().to_reader()},
}


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_the_same_documents(made, kind):
    collection = made(encoder=None, similarity="dot")
    seen = []
    report = collection.upsert(**KINDS[kind](), progress=lambda report: seen.append(report.acknowledged))
    assert (report.upserted, report.refused, seen) == (3, [], [3])
    documents = list(collection.find(include=["key", "value", "metadata", "key_vector"]))
    assert [document.id for document in documents] == ["a", "b", "c"]
    assert np.array_equal([document.key_vector for document in documents], VECTORS)
    assert [document.key for document in documents] == ["one", "two", None]
    assert [document.metadata for document in documents] == [{"year": 1970}, {"year": 1980, "open": True}, {}]
    with_values = kind in ("a list", "a generator", "columns")
    assert [document.value for document in documents] == (
        [{"n": 1}, [2], None] if with_values else ["one", "two", None]
    )


def test_awaited_rows(softkv_client, made):
    collection = made(encoder=None, similarity="dot")
    if type(softkv_client).__name__ == "Awaited":
        assert collection.upsert(awaited()).upserted == 3
        assert collection.count() == 3
    else:
        with pytest.raises(softkv.Invalid, match="only an AsyncClient"):
            collection.upsert(awaited())


@pytest.mark.parametrize(
    ("rows_argument", "words"),
    [
        ({}, "wanted rows, or columns that begin with ids="),
        ({"rows": FULL, "ids": ["a"]}, "send one of them"),
        ({"rows": {"id": "a"}}, "got one dict: put it into a list"),
        ({"rows": Document("a")}, "got one Document: put it into a list"),
        ({"rows": "a"}, "got one str"),
        ({"rows": 3}, "wanted rows to go through, a DataFrame or a table of Arrow's; got int"),
        ({"keys": ["one"]}, "columns came without ids="),
        ({"ids": ["a"], "keys": ["one", "two"]}, "wanted as many of each column, got 1 ids, 2 keys"),
        ({"ids": ["a"], "key_vectors": [1, 2]}, r"key_vectors: wanted a matrix .* got an array of shape \(2,\)"),
        ({"ids": ["a", "b"], "key_vectors": [[1], [1, 2]]}, "key_vectors: wanted rows of one length"),
        ({"rows": pd.DataFrame({"name": ["a"]})}, "the table has no columns 'id' and 'key', its columns are name"),
        ({"rows": pa.table({"name": ["a"]})}, "the table has no columns 'id' and 'key', its columns are name"),
    ],
)
def test_invalid_rows_are_refused(silent, rows_argument, words):
    with pytest.raises(softkv.Invalid, match=words):
        silent().collection("a").upsert(**rows_argument)
