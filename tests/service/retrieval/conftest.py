"""A collection of sixty documents, odd and even; and the encoder."""

from __future__ import annotations

import pytest

from softkv_service.encoding import Encoder, load_encoder
from softkv_service.storage.sqlite import vector_rows
from softkv_service.storage.sqlite.reader import Reader
from tests.service.retrieval.making import numbered, opened


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2")


@pytest.fixture
def catalogue(tmp_path):
    made = opened(tmp_path, numbered(*range(60)))
    yield made
    made.store.close()


@pytest.fixture
def collection(catalogue):
    return catalogue.collection("c")


@pytest.fixture
def create(tmp_path):
    """Return a function that creates a collection of documents, in a store of its own."""
    made = []

    def create(documents=(), **options):
        made.append(opened(tmp_path / str(len(made)), documents, **options))
        return made[-1].collection("c")

    yield create
    for catalogue in made:
        catalogue.store.close()


@pytest.fixture
def columns_read(monkeypatch):
    """Return the field and the first row of every column that was read."""
    read, real = [], Reader.column

    def watched(reader, number, field, *, after=0, most_bytes=None):
        read.append((field, after))
        return real(reader, number, field, after=after, most_bytes=most_bytes)

    monkeypatch.setattr(Reader, "column", watched)
    return read


@pytest.fixture
def keys_read(monkeypatch):
    """The documents whose keys were read of the store."""
    result, real = [], vector_rows.keys_of

    def counted(connection, numbers, damaged):
        result.extend(numbers)
        return real(connection, numbers, damaged)

    monkeypatch.setattr(vector_rows, "keys_of", counted)
    return result
