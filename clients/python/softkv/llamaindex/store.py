"""A softkv collection as a vector store of LlamaIndex's."""

from __future__ import annotations

from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.vector_stores.types import BasePydanticVectorStore

from softkv.client import AsyncClient, Client
from softkv.integrations.connection import CollectionSource, Connection, async_store_method, sync_store_method
from softkv.llamaindex import operations
from softkv.llamaindex.conversion import as_value_error


class SoftkvVectorStore(BasePydanticVectorStore):
    """Nodes in a collection of softkv's; nothing is sent before the first of them is written or asked for.

    Args:
        collection: its name; it is made where it is not there.
        url: of the service; left out, `SOFTKV_URL`, or http://127.0.0.1:8000.
        key: to call it with; left out, `SOFTKV_KEY`, or none. It is written nowhere.
        settings: arguments of `Collection.create`: what the collection has, or is made with. For nodes that bring
            embeddings of another model than the service's, `{"encoder": None}`.
        client: in place of an address and a key; whoever made it closes it.
        async_client: the same, awaited; left out, it follows from these, one for each event loop.
        is_embedding_query: whether an index embeds questions; `False` leaves that to the collection's encoder.

    Raises:
        ValueError: no collection can be called so, or have such settings.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    collection: str
    url: str | None = None
    settings: dict[str, Any] | None = None
    _source: CollectionSource = PrivateAttr()

    def __init__(
        self,
        collection: str,
        *,
        url: str | None = None,
        key: str | None = None,
        settings: dict[str, Any] | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        is_embedding_query: bool = True,
        **fields: Any,
    ) -> None:
        fields |= {"collection": collection, "url": url, "settings": settings, "is_embedding_query": is_embedding_query}
        super().__init__(**fields)
        with as_value_error():
            self._source = CollectionSource(collection, lambda: Connection(url, key, client, async_client), settings)

    @classmethod
    def class_name(cls) -> str:
        """What it is called where it is written down."""
        return "SoftkvVectorStore"

    @property
    def client(self) -> Client:
        """The client that is waited for."""
        return self._source.connection.client

    @property
    def async_client(self) -> AsyncClient:
        """The client of the event loop that runs."""
        return self._source.connection.async_client

    add = sync_store_method(operations.add)
    delete = sync_store_method(operations.delete)
    delete_nodes = sync_store_method(operations.delete_nodes)
    get_nodes = sync_store_method(operations.get_nodes)
    clear = sync_store_method(operations.clear)
    query = sync_store_method(operations.query)

    async_add = async_store_method(operations.add)
    adelete = async_store_method(operations.delete)
    adelete_nodes = async_store_method(operations.delete_nodes)
    aget_nodes = async_store_method(operations.get_nodes)
    aclear = async_store_method(operations.clear)
    aquery = async_store_method(operations.query)
