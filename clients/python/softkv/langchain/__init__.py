"""softkv for LangChain."""

from __future__ import annotations

try:
    import langchain_core as _  # noqa: F401
except ModuleNotFoundError as _error:
    raise ImportError('LangChain is not installed here: pip install "softkv-client[langchain]"') from _error

from softkv.langchain.embeddings import SoftkvEmbeddings

__all__ = ["SoftkvEmbeddings"]
