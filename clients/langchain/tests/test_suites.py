"""LangChain's own suites for vector stores and retrievers."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

from langchain_softkv import SoftkvRetriever, SoftkvVectorStore


class Stores(VectorStoreIntegrationTests):
    """The suite on an empty collection."""

    similarity: str

    @pytest.fixture
    def vectorstore(self, name: Any) -> VectorStore:
        settings = {"similarity": self.similarity}
        store = SoftkvVectorStore(name(), self.get_embeddings(), settings=settings)
        store.create()
        return store


class TestCosine(Stores):
    similarity = "cosine"


class TestDot(Stores):
    similarity = "dot"


class TestGaussian(Stores):
    similarity = "gaussian"


class TestEncoder(VectorStoreIntegrationTests):
    """The same suite with vectors that the service makes."""

    @pytest.fixture
    def vectorstore(self, name: Any) -> VectorStore:
        store = SoftkvVectorStore(name())
        store.create()
        return store


class TestRetriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> type[SoftkvRetriever]:
        return SoftkvRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"collection": "library"}

    @property
    def retriever_query_example(self) -> str:
        return "pets that purr"


class TestRetrieverByItsOwnWord(TestRetriever):
    @property
    def num_results_arg_name(self) -> str:
        return "top_k"


class TestRetrieverOfAStore(TestRetriever):
    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"store": SoftkvVectorStore("library")}
