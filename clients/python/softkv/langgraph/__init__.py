"""The LangGraph class: a collection as the long-term memory of agents, which returns nothing if nothing fits."""

from __future__ import annotations

try:
    import langgraph.store.base as _  # noqa: F401
except ModuleNotFoundError as _error:
    raise ImportError('LangGraph is not installed here: pip install "softkv-client[langgraph]"') from _error

from softkv.langgraph.conversion import InvalidInput, SoftkvSearchItem
from softkv.langgraph.store import SoftkvStore

__all__ = ["InvalidInput", "SoftkvSearchItem", "SoftkvStore"]
