"""LangChain classes: a collection as vector store, retriever and cache, and the service's encoder as embeddings."""

from __future__ import annotations

from langchain_softkv.cache import SoftkvCache
from langchain_softkv.embeddings import SoftkvEmbeddings
from langchain_softkv.inputs import InvalidInput
from langchain_softkv.retriever import SoftkvRetriever
from langchain_softkv.store import SoftkvVectorStore

__all__ = ["InvalidInput", "SoftkvCache", "SoftkvEmbeddings", "SoftkvRetriever", "SoftkvVectorStore"]
