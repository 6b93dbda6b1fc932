"""The LangGraph class: a collection as the long-term memory of agents, which returns nothing if nothing fits."""

from __future__ import annotations

from langgraph_store_softkv.conversion import InvalidInput, SoftkvSearchItem
from langgraph_store_softkv.store import SoftkvStore

__all__ = ["InvalidInput", "SoftkvSearchItem", "SoftkvStore"]
