"""LlamaIndex classes: a vector store, a retriever that returns nothing for unknown topics, and an encoder."""

from __future__ import annotations

from llama_index.vector_stores.softkv.embeddings import SoftkvEmbedding
from llama_index.vector_stores.softkv.retriever import SoftkvRetriever
from llama_index.vector_stores.softkv.store import SoftkvVectorStore

__all__ = ["SoftkvEmbedding", "SoftkvRetriever", "SoftkvVectorStore"]
