"""LangChain classes: a collection as vector store, retriever and cache, and the service's encoder as embeddings."""

from __future__ import annotations

try:
    import langchain_core as _  # noqa: F401
except ModuleNotFoundError as _error:
    raise ImportError('LangChain is not installed here: pip install "softkv-client[langchain]"') from _error

from softkv.langchain.cache import SoftkvCache
from softkv.langchain.embeddings import SoftkvEmbeddings
from softkv.langchain.inputs import InvalidInput
from softkv.langchain.retriever import SoftkvRetriever
from softkv.langchain.store import SoftkvVectorStore

__all__ = ["InvalidInput", "SoftkvCache", "SoftkvEmbeddings", "SoftkvRetriever", "SoftkvVectorStore"]
