"""A softkv collection as a document store of Haystack's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haystack import default_from_dict, default_to_dict
from haystack.utils import Secret

from softkv.client import Client
from softkv.haystack import operations
from softkv.haystack.operations import DocumentSource
from softkv.integrations.connection import Connection, async_store_method, sync_store_method


class SoftkvDocumentStore:
    """Documents in a collection of softkv's; nothing is sent before the first of them is written or asked for.

    A document's content is its key text, its meta the metadata, its embedding the vector of its key.

    Args:
        collection: its name; it is made where it is not there.
        url: of the service; left out, `SOFTKV_URL`, or http://127.0.0.1:8000.
        key: to call it with; left out, `SOFTKV_KEY`, or none.
        settings: arguments of `Collection.create`: what the collection has, or is made with. For documents that bring
            embeddings of another model than the service's, `{"encoder": None}`.
        return_embedding: whether documents that are read bring their embeddings; left out, where the collection has no
            encoder, and so they came with them.
        timeout: seconds without a sign of the service; left out, a minute for questions, ten for writes.
        retries: how often a call is sent again at most, where that is safe.

    Raises:
        Invalid: no collection can be called so, or have such settings.
    """

    def __init__(
        self,
        collection: str,
        *,
        url: str | None = None,
        key: Secret | None = Secret.from_env_var("SOFTKV_KEY", strict=False),  # noqa: B008  # it is immutable
        settings: Mapping[str, Any] | None = None,
        return_embedding: bool | None = None,
        timeout: float | None = None,
        retries: int = 2,
    ) -> None:
        self.collection = collection
        self.url = url
        self.key = key
        self.settings = None if settings is None else dict(settings)
        self.return_embedding = return_embedding
        self.timeout = timeout
        self.retries = retries
        self._source = DocumentSource(collection, self._connection, settings)
        self._source.return_embedding = return_embedding

    count_documents = sync_store_method(operations.count_documents)
    filter_documents = sync_store_method(operations.filter_documents)
    write_documents = sync_store_method(operations.write_documents)
    delete_documents = sync_store_method(operations.delete_documents)
    delete_all_documents = sync_store_method(operations.delete_all_documents)
    delete_by_filter = sync_store_method(operations.delete_by_filter)
    update_by_filter = sync_store_method(operations.update_by_filter)
    count_documents_by_filter = sync_store_method(operations.count_documents_by_filter)
    count_unique_metadata_by_filter = sync_store_method(operations.count_unique_metadata_by_filter)
    get_metadata_fields_info = sync_store_method(operations.get_metadata_fields_info)
    get_metadata_field_min_max = sync_store_method(operations.get_metadata_field_min_max)
    get_metadata_field_unique_values = sync_store_method(operations.get_metadata_field_unique_values)

    count_documents_async = async_store_method(operations.count_documents)
    filter_documents_async = async_store_method(operations.filter_documents)
    write_documents_async = async_store_method(operations.write_documents)
    delete_documents_async = async_store_method(operations.delete_documents)
    delete_all_documents_async = async_store_method(operations.delete_all_documents)
    delete_by_filter_async = async_store_method(operations.delete_by_filter)
    update_by_filter_async = async_store_method(operations.update_by_filter)
    count_documents_by_filter_async = async_store_method(operations.count_documents_by_filter)
    count_unique_metadata_by_filter_async = async_store_method(operations.count_unique_metadata_by_filter)
    get_metadata_fields_info_async = async_store_method(operations.get_metadata_fields_info)
    get_metadata_field_min_max_async = async_store_method(operations.get_metadata_field_min_max)
    get_metadata_field_unique_values_async = async_store_method(operations.get_metadata_field_unique_values)

    def to_dict(self) -> dict[str, Any]:
        """The store as a pipeline writes it down; of a key that stands in the environment, where.

        Raises:
            ValueError: the key is a token, which is written nowhere.
        """
        return default_to_dict(
            self,
            collection=self.collection,
            url=self.url,
            key=None if self.key is None else self.key.to_dict(),
            settings=self.settings,
            return_embedding=self.return_embedding,
            timeout=self.timeout,
            retries=self.retries,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SoftkvDocumentStore:
        """The store that was written down."""
        given = dict(data.get("init_parameters", {}))
        if isinstance(given.get("key"), dict):
            given["key"] = Secret.from_dict(given["key"])
        return default_from_dict(cls, {**data, "init_parameters": given})

    def _connection(self) -> Connection:
        key = self.key.resolve_value() if self.key else None
        return Connection(client=Client(self.url, key=key, timeout=self.timeout, retries=self.retries))

    def __repr__(self) -> str:
        return f"<SoftkvDocumentStore {self.collection} at {self._source.connection.url}>"
