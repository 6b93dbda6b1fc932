"""LlamaIndex classes: a vector store, a retriever that returns nothing for unknown topics, and an encoder."""

from __future__ import annotations

try:
    import llama_index.core as _  # noqa: F401
except ModuleNotFoundError as _error:
    raise ImportError('LlamaIndex is not installed here: pip install "softkv-client[llamaindex]"') from _error

from softkv.llamaindex.embeddings import SoftkvEmbedding
from softkv.llamaindex.retriever import SoftkvRetriever
from softkv.llamaindex.store import SoftkvVectorStore

__all__ = ["SoftkvEmbedding", "SoftkvRetriever", "SoftkvVectorStore"]
