"""A collection as the vector store of mem0, by mem0's provider `langchain`."""

from __future__ import annotations

from softkv_mem0.store import SoftkvMemoryStore

__all__ = ["SoftkvMemoryStore"]
