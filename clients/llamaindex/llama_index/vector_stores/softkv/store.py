"""A collection as LlamaIndex's vector store."""

from __future__ import annotations

from functools import partial
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.vector_stores.types import BasePydanticVectorStore

from llama_index.vector_stores.softkv import operations
from llama_index.vector_stores.softkv.conversion import as_value_error
from llama_index.vector_stores.softkv.operations import NodeSource
from softkv.client import AsyncClient, Client
from softkv.integrations import Connection, async_store_method, sync_store_method


class SoftkvVectorStore(BasePydanticVectorStore):
    """A LlamaIndex vector store that keeps nodes in a collection. Nothing is sent before the first operation.

    Args:
        collection: its name; it is created if it does not exist.
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out. A pickle has it, `to_json` does not.
        settings: arguments of `Collection.create` for the collection. Use `{"encoder": None}` for nodes with embeddings
            of a model that the service does not have.
        client: an open client, used in place of `url` and `key`; the caller closes it.
        async_client: an asynchronous client; if left out, each event loop gets one.
        is_embedding_query: whether an index embeds queries; `False` leaves that to the collection's encoder.

    Raises:
        ValueError: the collection's name or a setting is invalid.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    collection: str
    url: str | None = None
    settings: dict[str, Any] | None = None
    _source: NodeSource = PrivateAttr()

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
            self._source = NodeSource(collection, partial(Connection, url, key, client, async_client), settings)

    @classmethod
    def class_name(cls) -> str:
        """Return the name for serialisation."""
        return "SoftkvVectorStore"

    @property
    def client(self) -> Client:
        """The blocking client of the service."""
        return self._source.connection.client

    @property
    def async_client(self) -> AsyncClient:
        """The asynchronous client of the running event loop."""
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
