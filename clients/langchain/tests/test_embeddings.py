"""LangChain's own suites for embeddings, and further tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from langchain_softkv import SoftkvEmbeddings
from softkv import NotFound


class TestUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[SoftkvEmbeddings]:
        return SoftkvEmbeddings

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return (
            {"SOFTKV_URL": "http://127.0.0.1:9"},
            {"model": "a model"},
            {"url": "http://127.0.0.1:9", "model": "a model"},
        )


class TestIntegration(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[SoftkvEmbeddings]:
        return SoftkvEmbeddings


MODEL, SMALL = "all-MiniLM-L6-v2", "small"
TEXTS = ["relational databases", "a cat asleep in the sun", ""]


async def test_they_are_the_service_s_vectors(client):
    expected = client.encode(TEXTS)
    embeddings = SoftkvEmbeddings()
    assert (np.array(embeddings.embed_documents(TEXTS), dtype=np.float32) == expected).all()
    assert (np.array(await embeddings.aembed_documents(TEXTS), dtype=np.float32) == expected).all()
    assert np.array(embeddings.embed_query(TEXTS[1])) == pytest.approx(expected[1], abs=1e-6)
    assert await embeddings.aembed_query(TEXTS[1]) == embeddings.embed_query(TEXTS[1])
    assert SoftkvEmbeddings(MODEL).embed_query(TEXTS[1]) == embeddings.embed_query(TEXTS[1])


async def test_a_model_is_chosen_by_name_and_encodes_queries_and_documents_differently(client):
    documents, queries = (client.encode(TEXTS, model=SMALL, purpose=purpose) for purpose in ("document", "query"))
    assert not np.allclose(documents, queries, atol=1e-2)
    embeddings = SoftkvEmbeddings(SMALL)
    assert np.array(embeddings.embed_documents(TEXTS)) == pytest.approx(documents, abs=1e-6)
    assert np.array(await embeddings.aembed_documents(TEXTS)) == pytest.approx(documents, abs=1e-6)
    assert np.array(embeddings.embed_query(TEXTS[1])) == pytest.approx(queries[1], abs=1e-6)
    assert await embeddings.aembed_query(TEXTS[1]) == embeddings.embed_query(TEXTS[1])


async def test_a_model_that_is_not_there_is_named_with_those_that_are():
    embeddings = SoftkvEmbeddings("nothing")
    with pytest.raises(NotFound, match=f"{MODEL}, {SMALL}.*nothing"):
        embeddings.embed_query("a")
    with pytest.raises(NotFound, match=f"{MODEL}, {SMALL}.*nothing"):
        await embeddings.aembed_documents(["a"])
