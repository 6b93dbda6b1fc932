"""A collection as LangChain's retriever, which returns nothing if no document is about the query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import AliasChoices, ConfigDict, Field, PrivateAttr, SecretStr, create_model
from typing_extensions import override

from langchain_softkv.inputs import convert_errors
from langchain_softkv.search import ATTEND_OPTIONS, SearchRequest, build_request
from langchain_softkv.store import SoftkvVectorStore
from softkv.client import AsyncClient, Client
from softkv.filters import Filter
from softkv.integrations import RETRIEVER_OPTIONS, Accept, Content
from softkv.problems import invalid_value

if TYPE_CHECKING:
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun

_FIELD_NAMES = ATTEND_OPTIONS - {"filter"}
_ALIASES = {"k": "top_k"}

if TYPE_CHECKING:
    _AttendFields = BaseRetriever
else:
    _AttendFields = create_model(
        "_AttendFields",
        __base__=BaseRetriever,
        __doc__="A retriever with a field for each option of `attend`, as `configurable_fields` needs them.",
        **{
            name: (RETRIEVER_OPTIONS[name] | None, None)
            for name in RETRIEVER_OPTIONS
            if name in _FIELD_NAMES and name != "top_k"
        },
        top_k=(int | None, Field(default=None, validation_alias=AliasChoices("top_k", "k"))),
    )


class SoftkvRetriever(_AttendFields):
    """A retriever over a collection. Every argument of `attend` is an attribute, and may be passed to `invoke`, too.

    Attributes:
        collection: its name; or pass a `store` in place of it and of the connection.
        embedding: encodes queries; the collection's own encoder if left out.
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out.
        client: an open client, used in place of `url` and `key`.
        async_client: an asynchronous client; derived from the other arguments if left out.
        content: the text of a document: its `"value"`, or its `"key"`.
        top_k: the largest number of documents, 10 if left out; `k` is an alias.
        filter: which documents may be attended to: an expression of `softkv.F`, or an object.
        accept: which verdicts give documents: `"one"`; `"several"`, which includes "one"; or `"any"`.
        evidence: True adds the answer's evidence to the documents' metadata under `softkv`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    collection: str | None = None
    store: SoftkvVectorStore | None = None
    embedding: Embeddings | None = None
    url: str | None = None
    key: SecretStr | None = None
    client: Client | None = None
    async_client: AsyncClient | None = None
    content: Content = "value"

    filter: Filter | Mapping[str, Any] | None = None
    accept: Accept = "several"
    evidence: bool = False

    _store: SoftkvVectorStore = PrivateAttr()

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        with convert_errors():
            self._store = self._resolve_store()
            self._build_request({})

    @override
    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        with convert_errors():
            return [document for document, _ in self._store.ask(query, self._build_request(kwargs))]

    @override
    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        with convert_errors():
            return [document for document, _ in await self._store.aask(query, self._build_request(kwargs))]

    def _resolve_store(self) -> SoftkvVectorStore:
        """Return the store that is searched."""
        if (self.store is None) == (self.collection is None):
            raise invalid_value("", "wanted the name of a collection, or a store, one of the two")
        if self.collection is not None:
            return SoftkvVectorStore(
                self.collection,
                self.embedding,
                url=self.url,
                key=None if self.key is None else self.key.get_secret_value(),
                client=self.client,
                async_client=self.async_client,
                content=self.content,
            )
        connection = (self.embedding, self.url, self.key, self.client, self.async_client)
        if any(argument is not None for argument in connection):
            raise invalid_value(
                "", "a store has a connection and an embedding of its own: leave out those of the retriever"
            )
        assert self.store is not None
        return self.store

    def _build_request(self, options: Mapping[str, Any]) -> SearchRequest:
        """Return the search request for these arguments of `invoke`."""
        defaults = {name: getattr(self, name) for name in (*ATTEND_OPTIONS, "accept", "evidence")}
        overrides = {_ALIASES.get(name, name): option for name, option in options.items()}
        return build_request(None, defaults | overrides)
