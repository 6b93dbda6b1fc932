"""Every class of Haystack's own suites for document stores, in three ways.

Documents bring vectors; or they bring none, and the collection has no encoder, so that all are keyless; or the service
encodes them.
"""

from __future__ import annotations

import dataclasses
import inspect
from itertools import count
from typing import Any

import numpy as np
import pytest
from haystack import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.testing import document_store as waiting

from haystack_integrations.document_stores.softkv import SoftkvDocumentStore

try:
    from haystack.testing import document_store_async as awaiting
except ImportError:  # of the oldest versions
    awaiting = None
WIDTH = 768  # of the vectors that the suites' documents bring


def suites() -> list[type]:
    """The classes of tests that Haystack has."""
    return [
        member
        for module in filter(None, (waiting, awaiting))
        for name, member in vars(module).items()
        if inspect.isclass(member) and member.__module__ == module.__name__ and name.endswith(("Test", "Tests"))
    ]


class Suites(*(suite for suite in suites() if not any(suite in other.__mro__[1:] for other in suites()))):  # type: ignore[misc]
    """The common part of all three suites, and the parts that the suites leave to a store."""

    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        """Compare documents by id and in float32, because the store lists them by id and keeps float32."""
        assert [item.id for item in received] == sorted(item.id for item in expected)
        for one, other in zip(received, sorted(expected, key=lambda each: each.id), strict=True):
            assert dataclasses.replace(one, embedding=None) == dataclasses.replace(other, embedding=None)
            assert (one.embedding is None) == (other.embedding is None)
            if one.embedding is not None:
                assert np.array_equal(np.float32(one.embedding), np.float32(other.embedding))

    def test_write_documents(self, document_store: SoftkvDocumentStore) -> None:
        """Reason: the suite leaves to each store what it does without a policy; here, as with FAIL."""
        document = Document(content="a text")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError, match=document.id):
            document_store.write_documents([document])
        self.assert_documents_are_equal(document_store.filter_documents(), [document])

    @pytest.mark.asyncio
    async def test_write_documents_async(self, document_store: SoftkvDocumentStore) -> None:
        """Reason: the same, awaited."""
        document = Document(content="a text")
        assert await document_store.write_documents_async([document]) == 1
        with pytest.raises(DuplicateDocumentError, match=document.id):
            await document_store.write_documents_async([document])
        self.assert_documents_are_equal(await document_store.filter_documents_async(), [document])


if awaiting is not None:
    # In the oldest version it is not static, and takes the class for the store; otherwise this changes nothing.
    COUNT = "test_count_not_empty_async"
    count_async = next(suite.__dict__[COUNT] for suite in suites() if COUNT in suite.__dict__)
    setattr(Suites, COUNT, staticmethod(getattr(count_async, "__func__", count_async)))


class Bringing(SoftkvDocumentStore):
    """Gives a vector to each document that has none, and takes it off those that are read."""

    def __init__(self, collection: str, **options: Any) -> None:
        super().__init__(collection, **options)
        self._given: set[str] = set()
        self._numbers = count(1)

    def write_documents(self, documents: Any, policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:  # type: ignore[override]
        return super().write_documents(self._with_vectors(documents), policy)

    async def write_documents_async(self, documents: Any, policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:  # type: ignore[override]
        return await super().write_documents_async(self._with_vectors(documents), policy)

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:  # type: ignore[override]
        return self._as_written(super().filter_documents(filters))

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:  # type: ignore[override]
        return self._as_written(await super().filter_documents_async(filters))

    def _with_vectors(self, documents: Any) -> Any:
        return list(map(self._with_vector, documents)) if isinstance(documents, list) else documents

    def _with_vector(self, document: Any) -> Any:
        if not isinstance(document, Document) or document.embedding is not None:
            return document
        self._given.add(document.id)
        vector = np.random.default_rng(next(self._numbers)).standard_normal(WIDTH)
        return dataclasses.replace(document, embedding=vector.tolist())

    def _as_written(self, documents: list[Document]) -> list[Document]:
        assert all(document.embedding is not None for document in documents)
        return [
            dataclasses.replace(document, embedding=None) if document.id in self._given else document
            for document in documents
        ]


class TestDocumentsThatBringVectors(Suites):
    @pytest.fixture
    def document_store(self, name) -> SoftkvDocumentStore:
        return Bringing(name(), settings={"encoder": None})


class WithoutVectors(Suites):
    @pytest.fixture
    def filterable_docs(self) -> list[Document]:
        """Return documents; those of the suites have vectors of 768 numbers, which fit no encoder of a service."""
        return [dataclasses.replace(document, embedding=None) for document in waiting.create_filterable_docs()]


class TestDocumentsThatBringNone(WithoutVectors):
    @pytest.fixture
    def document_store(self, made) -> SoftkvDocumentStore:
        return made(settings={"encoder": None})


class TestEncodedByTheService(WithoutVectors):
    @pytest.fixture
    def document_store(self, made) -> SoftkvDocumentStore:
        return made()


def test_all_of_haystack_s_suites_are_here():
    assert set(suites()) <= set(Suites.__mro__)
    assert len(suites()) >= (20 if awaiting else 5)
    names = {name for name in vars(Suites) if name.startswith("test_")}
    assert names - {"test_count_not_empty_async"} == {"test_write_documents", "test_write_documents_async"}
