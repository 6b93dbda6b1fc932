"""LangChain's and LlamaIndex's classes for OpenAI's embeddings, pointed at this service."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

MODEL = "all-MiniLM-L6-v2"
TEXTS = ["relational databases", "a cat asleep in the sun", "word " * 300]


@pytest.fixture(scope="module")
def wanted(client):
    return np.asarray(client.post("/v1/encode", json={"texts": TEXTS}).json()["embeddings"])


def test_langchain(service, wanted):
    from langchain_openai import OpenAIEmbeddings

    embeddings = OpenAIEmbeddings(
        model=MODEL,
        base_url=f"{service.url}/v1",
        api_key="none",
        # Else it sends the tokens of OpenAI's own models, as its documentation says of other providers.
        check_embedding_ctx_length=False,
    )
    np.testing.assert_allclose(embeddings.embed_documents(TEXTS), wanted, rtol=0, atol=1e-6)
    np.testing.assert_allclose(embeddings.embed_query(TEXTS[1]), wanted[1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(asyncio.run(embeddings.aembed_documents(TEXTS)), wanted, rtol=0, atol=1e-6)


def test_langchain_with_fewer_dimensions(service, wanted):
    from langchain_openai import OpenAIEmbeddings

    embeddings = OpenAIEmbeddings(
        model=MODEL,
        base_url=f"{service.url}/v1",
        api_key="none",
        check_embedding_ctx_length=False,
        dimensions=64,
    )
    cut = wanted[1, :64] / np.linalg.norm(wanted[1, :64])
    np.testing.assert_allclose(embeddings.embed_query(TEXTS[1]), cut, rtol=0, atol=1e-6)


def test_llama_index(service, wanted):
    from llama_index.embeddings.openai import OpenAIEmbedding

    embeddings = OpenAIEmbedding(model_name=MODEL, api_base=f"{service.url}/v1", api_key="none")
    np.testing.assert_allclose(embeddings.get_text_embedding_batch(TEXTS), wanted, rtol=0, atol=1e-6)
    np.testing.assert_allclose(embeddings.get_query_embedding(TEXTS[1]), wanted[1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(asyncio.run(embeddings.aget_text_embedding(TEXTS[0])), wanted[0], rtol=0, atol=1e-6)
