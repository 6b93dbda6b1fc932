"""A collection as Haystack's document store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haystack import default_from_dict, default_to_dict
from haystack.utils import Secret

from haystack_integrations.document_stores.softkv import operations
from haystack_integrations.document_stores.softkv.operations import DocumentSource
from softkv.client import Client
from softkv.integrations import Connection, async_store_method, sync_store_method


class SoftkvDocumentStore:
    """Documents in a collection. Nothing is sent before the first operation.

    A document's content is its key text, its meta the metadata, and its embedding the key vector.

    Args:
        collection: its name; it is created if it does not exist.
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out.
        settings: arguments of `Collection.create` for the collection. Use `{"encoder": None}` for documents with
            embeddings of a model that the service does not have.
        return_embedding: whether documents are read with their embeddings; if left out, they are if the collection has
            no encoder.
        timeout: seconds without a byte from the service. If left out: one minute for queries, ten for writes.
        retries: the largest number of repetitions of a call, where repeating is safe.

    Raises:
        Invalid: the collection's name or a setting is invalid.
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
        """Return the store as a dictionary, for serialisation.

        If its API key comes from the environment, only the variable's name is saved.

        Raises:
            ValueError: the key is a token, which is never serialised.
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
        """Create a store from the dictionary that `to_dict` returned."""
        parameters = dict(data.get("init_parameters", {}))
        if isinstance(parameters.get("key"), dict):
            parameters["key"] = Secret.from_dict(parameters["key"])
        return default_from_dict(cls, {**data, "init_parameters": parameters})

    def _connection(self) -> Connection:
        key = self.key.resolve_value() if self.key else None
        return Connection(client=Client(self.url, key=key, timeout=self.timeout, retries=self.retries))

    def __repr__(self) -> str:
        return f"<SoftkvDocumentStore {self.collection} at {self._source.connection.url}>"
