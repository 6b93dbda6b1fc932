"""Other people's vector stores, read and searched through their own clients, which are imported when one is opened.

`open_store` opens one. Nothing here writes to a store.
"""

from __future__ import annotations

from softkv_referee.stores.opening import KINDS, Location, open_store
from softkv_referee.stores.store import Page, Search, Store, StoreError, StoreUnreachable

__all__ = ["KINDS", "Location", "Page", "Search", "Store", "StoreError", "StoreUnreachable", "open_store"]
