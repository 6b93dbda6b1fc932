"""A collection as LangChain's retriever, which finds nothing where the collection does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import AliasChoices, ConfigDict, Field, PrivateAttr, SecretStr
from typing_extensions import override

from softkv.calls.collections import Null
from softkv.calls.queries import Bias, MatchField, Normaliser
from softkv.client import AsyncClient, Client
from softkv.filters import Filter
from softkv.integrations.retrieval import Accept, Content
from softkv.langchain.inputs import convert_errors
from softkv.langchain.search import ATTEND_OPTIONS, SearchRequest, build_request
from softkv.langchain.store import SoftkvVectorStore
from softkv.problems import invalid_value

if TYPE_CHECKING:
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun

_SEARCH_OPTIONS = (*ATTEND_OPTIONS, "accept", "evidence")
_ALIASES = {"k": "top_k"}


class SoftkvRetriever(BaseRetriever):
    """A collection that is asked; every argument of `attend` is one of its, and may be given to `invoke` too.

    Attributes:
        collection: its name; or in its place, and that of the connection, a `store`.
        embedding: what makes vectors of questions; left out, the collection's own encoder does.
        url: of the service; left out, `SOFTKV_URL`, or http://127.0.0.1:8000.
        key: to call it with; left out, `SOFTKV_KEY`, or none.
        client: in place of both.
        async_client: the same, awaited; left out, it follows from these.
        content: what a document's text is: its `"value"`, or its `"key"`.
        top_k: how many documents at most, 10 if left out; `k` is the same.
        filter: which documents may be attended to: an expression of `softkv.F`, or an object.
        accept: when documents are found: where `"one"` stands out; where one does or `"several"` share the weight, so
            not where "none of these" has half of it; or the best with `"any"` verdict.
        evidence: True for how much the collection knew, in the documents' metadata under `softkv`.
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

    temperature: float | Literal["auto"] | None = None
    effective_documents: float | None = None
    top_k: int | None = Field(default=None, validation_alias=AliasChoices("top_k", "k"))
    top_p: float | None = None
    filter: Filter | Mapping[str, Any] | None = None
    normaliser: Normaliser | None = None
    null: Null | None = None
    max_error: float | None = None
    full_text: float | Literal["auto"] | None = None
    bias: Bias | None = None
    min_confidence: float | None = None
    conformal: float | None = None
    include: Sequence[MatchField] = ()

    accept: Accept = "several"
    evidence: bool = False

    _store: SoftkvVectorStore = PrivateAttr()

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        with convert_errors():
            self._store = self._asked_store()
            self._asked({})

    @override
    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        with convert_errors():
            return [document for document, _ in self._store.ask(query, self._asked(kwargs))]

    @override
    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        with convert_errors():
            return [document for document, _ in await self._store.aask(query, self._asked(kwargs))]

    def _asked_store(self) -> SoftkvVectorStore:
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
        ways = (self.embedding, self.url, self.key, self.client, self.async_client)
        if any(each is not None for each in ways):
            raise invalid_value(
                "", "a store has a connection and an embedding of its own: leave out those of the retriever"
            )
        assert self.store is not None
        return self.store

    def _asked(self, options: Mapping[str, Any]) -> SearchRequest:
        """What is asked where `invoke` was given these besides the query."""
        own = {name: getattr(self, name) for name in _SEARCH_OPTIONS}
        given = {_ALIASES.get(name, name): each for name, each in options.items()}
        return build_request(None, own | given)
