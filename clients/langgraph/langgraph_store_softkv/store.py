"""A collection as LangGraph's store of long-term memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack

from langgraph.store.base import BaseStore, IndexConfig, Op, Result, TTLConfig, ensure_embeddings

from langgraph_store_softkv.conversion import ItemIndex
from langgraph_store_softkv.operations import NO_VECTORS, Batch, StoreSource, Vectors, prepare, run_batch
from softkv.integrations import Connection, Retrieval, RetrieverOptions

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from softkv.client import AsyncClient, Client


class SoftkvStore(BaseStore):
    """Items in a collection. Nothing is sent before the first operation, which creates the collection.

    A search by text returns nothing if no item is about the text. Each item that it returns is a `SoftkvSearchItem`.

    Args:
        collection: its name.
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out.
        client: an open client, used in place of `url` and `key`.
        async_client: an asynchronous client; derived from the other arguments if left out.
        index: LangGraph's configuration of searches by text, and all of it is optional. Without `embed` the service
            encodes the texts. Without `fields` the text is the whole value as JSON. `False` for no searches by text.
        ttl: LangGraph's configuration of times to live. An item that has expired is never returned.
        settings: arguments of the client's `create` for the collection, as `{"temperature": 0.1}`.
        options: `softkv.integrations.RetrieverOptions` for searches by text: the arguments of `attend`, `accept` and
            `score`. `null=False` or `accept="any"` returns items in any case.

    Raises:
        softkv.Invalid: the collection's name, the URL, a setting or an option is invalid.
    """

    supports_ttl = True

    def __init__(
        self,
        collection: str = "langgraph",
        *,
        url: str | None = None,
        key: str | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        index: IndexConfig | Literal[False] | None = None,
        ttl: TTLConfig | None = None,
        settings: Mapping[str, Any] | None = None,
        **options: Unpack[RetrieverOptions],
    ) -> None:
        connection = Connection(url, key, client, async_client)
        config = index or None
        embed = None if config is None else config.get("embed")
        self.ttl_config = ttl
        self.embeddings: Embeddings | None = None if embed is None else ensure_embeddings(embed)
        self._source = StoreSource(collection, lambda: connection, settings)
        self._source.index = None if index is False else ItemIndex.read(config)
        self._source.encodes = self.embeddings is None
        if config is not None and embed is not None:
            width = {"dimension": config["dims"]} if "dims" in config else {}
            self._source.defaults = {"encoder": None, "null": "auto", **width}
        self._source.retrieval = Retrieval(options)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run several operations: the reads, then the writes, of which the last one of each item counts.

        Returns:
            A result for each operation, in their order.

        Raises:
            InvalidInput: a filter is invalid.
        """
        batch = prepare(self._source, ops)
        return self._source.run(run_batch(self._source, batch, self._embed(batch)))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Run several operations asynchronously, as `batch` does."""
        batch = prepare(self._source, ops)
        return await self._source.run_async(run_batch(self._source, batch, await self._embed_async(batch)))

    def _embed(self, batch: Batch) -> Vectors:
        """Return the vectors of a batch's texts; none if the service encodes them."""
        if self.embeddings is None:
            return NO_VECTORS
        queries = {text: self.embeddings.embed_query(text) for text in batch.queries}
        texts = self.embeddings.embed_documents(batch.texts) if batch.texts else []
        return Vectors(queries, dict(zip(batch.texts, texts, strict=True)))

    async def _embed_async(self, batch: Batch) -> Vectors:
        if self.embeddings is None:
            return NO_VECTORS
        queries = list(dict.fromkeys(batch.queries))
        vectors = await asyncio.gather(*map(self.embeddings.aembed_query, queries))
        texts = await self.embeddings.aembed_documents(batch.texts) if batch.texts else []
        return Vectors(dict(zip(queries, vectors, strict=True)), dict(zip(batch.texts, texts, strict=True)))

    def __repr__(self) -> str:
        return f"<SoftkvStore {self._source.place.name} at {self._source.connection.url}>"
