"""Widgets for notebooks: a query over the keys of a collection or of arrays, and the heads of a Transformer.

    from softkv.widget import Heads, Lookup

    Lookup.of_collection(client.collection("library"), "pets that purr")
    Lookup.of_arrays(query, keys, values, labels=["red", "green"])
    Heads(client.trace("The dog chased the cat"))

They draw the pictures of softkv's page. `temperature`, `null`, `query`, `layer`, `head` and `word` are traitlets: their
value in Python follows what a reader drags, and what Python sets is drawn.
"""

from __future__ import annotations

from softkv_widget.heads import Heads
from softkv_widget.lookup import Lookup

__all__ = ["Heads", "Lookup"]
