"""A collection of chroma, in a folder or behind a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from softkv.integrations import require_module
from softkv_referee.stores.store import (
    F64,
    WIDEST,
    Page,
    Search,
    StoreError,
    StoreUnreachable,
    choose_name,
    require_json_filter,
    require_no_settings,
)

_SIMILARITIES = {"cosine": "cosine", "ip": "dot", "l2": "gaussian"}
_PAGE, _BATCH = 2000, 100


class ChromaStore:
    """A `Store` of chroma.

    Args:
        address: a folder, or the URL of a server.
        name: the collection.
        key: the key of a server.
        settings: must be empty, since chroma keeps its settings with the collection.
    """

    def __init__(self, address: str, name: str | None, *, key: str | None, settings: Mapping[str, str]) -> None:
        require_no_settings(settings, "chroma")
        try:
            chromadb = require_module("chromadb", "chromadb")
        except ImportError as error:
            raise StoreError(str(error)) from None
        options = chromadb.Settings(anonymized_telemetry=False)
        if address.startswith(("http://", "https://")):
            url = urlsplit(address)
            try:
                self._client = chromadb.HttpClient(
                    url.hostname or "",
                    url.port or (443 if url.scheme == "https" else 8000),
                    ssl=url.scheme == "https",
                    headers=None if key is None else {"x-chroma-token": key},
                    settings=options,
                )
            except ValueError as error:
                raise StoreUnreachable(f"no chroma answers at {address} ({error}): start it, or name another") from None
        elif (Path(address) / "chroma.sqlite3").is_file():
            self._client = chromadb.PersistentClient(address, options)
        else:
            raise StoreError(f"{address} is not a folder of chroma: it has no file chroma.sqlite3")
        with _errors():
            names = [collection.name for collection in self._client.list_collections()]
            self._collection = self._client.get_collection(
                choose_name(names, name, "collection", address), embedding_function=None
            )
        configuration = self._collection.configuration
        self._index = "hnsw" if configuration.get("hnsw") else "spann"
        self._configuration = configuration[self._index]
        self.similarity = _SIMILARITIES[self._configuration["space"]]

    def count(self) -> int:
        """Return the number of rows that the store counts."""
        with _errors():
            return int(self._collection.count())

    def pages(self) -> Iterator[Page]:
        """Yield every row."""
        with _errors():
            ids = self._collection.get(include=[])["ids"]
            for start in range(0, len(ids), _PAGE):
                page = self._collection.get(ids=ids[start : start + _PAGE], include=["embeddings"])
                vectors = page["embeddings"]
                present = set(page["ids"])
                without_vector = [id_ for id_ in ids[start : start + _PAGE] if id_ not in present]
                yield Page(
                    page["ids"], np.asarray(vectors, dtype=np.float32).reshape(len(page["ids"]), -1), without_vector
                )

    def read_filter(self, condition: Any) -> Any:
        """Return a filter as `where` of chroma."""
        return require_json_filter(condition, '{"year": {"$lt": 1960}}')

    def passing(self, condition: Any) -> list[str]:
        """Return the ids of all rows that pass a filter."""
        with _errors():
            return list(self._collection.get(where=condition, include=[])["ids"])

    def search(self, queries: F64, k: int, condition: Any = None, *, widest: bool = False) -> list[list[str]]:
        """Return the ids that chroma returns for each query [q, d]; the widest search asks for 1,000."""
        results: list[list[str]] = []
        with _errors():
            for start in range(0, len(queries), _BATCH):
                result = self._collection.query(
                    query_embeddings=queries[start : start + _BATCH].astype(np.float32),
                    n_results=max(k, WIDEST) if widest else k,
                    where=condition,
                    include=[],
                )
                results += [ids[:k] for ids in result["ids"]]
        return results

    def describe(self, query: F64, k: int, condition: Any = None) -> Search:
        """Return what answers a query."""
        names = ("max_neighbors", "ef_construction", "ef_search")
        sizes = ", ".join(f"{name} {self._configuration[name]}" for name in names if name in self._configuration)
        return Search(
            f"{self._index.upper()} ({sizes})",
            f"asks for {WIDEST:,} results, which raises ef_search to this",
            "make the collection again and add all documents to it",
        )

    def close(self) -> None:
        """Close the client."""
        self._client.close()


@contextmanager
def _errors() -> Iterator[None]:
    """Within the block, an error of chroma becomes a StoreError."""
    chromadb = require_module("chromadb.errors", "chromadb")
    try:
        yield
    except (chromadb.ChromaError, ValueError, TypeError) as error:
        raise StoreError(f"chroma refused: {error}") from None
