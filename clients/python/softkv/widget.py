"""Widgets for notebooks, which are in a distribution of their own, `softkv-widget`.

from softkv.widget import Heads, Lookup

Lookup.of_collection(client.collection("library"), "pets that purr")
"""

from __future__ import annotations

try:
    from softkv_widget import Heads, Lookup
except ModuleNotFoundError as error:
    if error.name != "softkv_widget":
        raise
    raise ModuleNotFoundError(
        "softkv.widget is in the distribution softkv-widget, which is not installed: install it, too",
        name=error.name,
    ) from None

__all__ = ["Heads", "Lookup"]
