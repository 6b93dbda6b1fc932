"""Opening a store by its kind and its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from softkv_referee.stores.chroma import ChromaStore
from softkv_referee.stores.faiss import FaissStore
from softkv_referee.stores.pgvector import PgvectorStore
from softkv_referee.stores.qdrant import QdrantStore
from softkv_referee.stores.store import Store, StoreError


@dataclass(frozen=True)
class Location:
    """The place of a collection.

    Attributes:
        address: a URL, or the path of a folder or a file.
        name: the collection or the table; None if there is only one, or for FAISS.
        key: the store's API key.
        id_column: the column of ids in a table.
        vector: the column of vectors in a table, or the name of qdrant's vector.
        originals: for FAISS, a .npy file with the vectors that the index was made of.
        settings: settings of the search.
    """

    address: str
    name: str | None = None
    key: str | None = None
    id_column: str | None = None
    vector: str | None = None
    originals: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


_OPTIONS = {
    "chroma": {"name", "key"},
    "qdrant": {"name", "key", "vector"},
    "pgvector": {"name", "id_column", "vector"},
    "faiss": {"originals"},
}
KINDS = tuple(_OPTIONS)
"""The stores that can be opened."""

_WORDS = {
    "name": "the name of a collection",
    "key": "--store-key",
    "id_column": "--id",
    "vector": "--vector",
    "originals": "--originals",
}


def open_store(kind: str, location: Location) -> Store:
    """Open a store of one of KINDS to read it.

    Raises:
        StoreUnreachable: nothing answers at the address.
        StoreError: the client of the store is not installed, or there is no such store or collection.
    """
    for option, words in _WORDS.items():
        if getattr(location, option) is not None and option not in _OPTIONS[kind]:
            raise StoreError(f"{words} is not for {kind}: leave it out")
    settings = location.settings
    if kind == "chroma":
        return ChromaStore(location.address, location.name, key=location.key, settings=settings)
    if kind == "qdrant":
        return QdrantStore(location.address, location.name, key=location.key, vector=location.vector, settings=settings)
    if kind == "pgvector":
        return PgvectorStore(
            location.address,
            location.name,
            id_column=location.id_column or "id",
            vector=location.vector,
            settings=settings,
        )
    return FaissStore(location.address, originals=location.originals, settings=settings)
