"""A collection as LangChain asks it: each search waited for, and awaited under its name with an `a`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from typing_extensions import override

from softkv.calls.place import Known, Place
from softkv.integrations.connection import Connection
from softkv.integrations.content import Content
from softkv.integrations.mmr import key_of, marginally_relevant
from softkv.langchain.asking import Question, documents, question
from softkv.langchain.errors import inputs_checked
from softkv.problems import flawed

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStoreRetriever
    from numpy.typing import NDArray

    from softkv.answers.answer import Answer
    from softkv.client import AsyncClient, Client
    from softkv.collection import AsyncCollection, Collection

COLLECTION = "langchain"


class Searching(VectorStore):
    """What `SoftkvVectorStore` is made of besides writing; its arguments are told of there."""

    def __init__(
        self,
        collection: str = COLLECTION,
        embedding: Embeddings | None = None,
        *,
        url: str | None = None,
        key: str | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        settings: Mapping[str, Any] | None = None,
        content: Content = "value",
        split: Mapping[str, int] | None = None,
    ) -> None:
        with inputs_checked():
            if not isinstance(collection, str):
                first = "the first argument is the collection's name, an embedding is the second"
                raise flawed("", f"collection: wanted a name, got {type(collection).__name__}: {first}")
            self._connection = Connection(url, key, client, async_client)
            self._name = Place(collection, Known()).name
            if content not in ("value", "key"):
                raise flawed("", f"content: wanted 'value' or 'key', got {content!r}")
        self._embedding = embedding
        self._settings = ({} if embedding is None else {"encoder": None}) | dict(settings or {})
        # Vectors from elsewhere have a null key too, which a collection without an encoder is not made with.
        self._defaults: dict[str, Any] = {} if embedding is None or "null" in self._settings else {"null": "auto"}
        self._content = content
        self._split = {} if split is None else {"split": split}

    @property
    def collection(self) -> Collection:
        """The collection, for whoever waits."""
        return self._connection.client.collection(self._name)

    @property
    def async_collection(self) -> AsyncCollection:
        """The collection, for whoever awaits."""
        return self._connection.async_client.collection(self._name)

    @property
    @override
    def embeddings(self) -> Embeddings | None:
        return self._embedding

    def ask(self, query: str, asked: Question) -> list[tuple[Document, float]]:
        """The documents and scores for a question that is put together already."""
        answer = self.collection.attend(self._embedded(query), **asked.how)
        return documents(answer, asked, self._content)

    async def aask(self, query: str, asked: Question) -> list[tuple[Document, float]]:
        """As `ask`, awaited."""
        answer = await self.async_collection.attend(await self._aembedded(query), **asked.how)
        return documents(answer, asked, self._content)

    @override
    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    @override
    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in await self.asimilarity_search_with_score(query, k, **kwargs)]

    @override
    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> list[tuple[Document, float]]:
        """The `k` best, each with its score: its weight, or with `score="similarity"` that."""
        with inputs_checked():
            return self.ask(query, question(k, kwargs))

    @override
    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search_with_score`, awaited."""
        with inputs_checked():
            return await self.aask(query, question(k, kwargs))

    @override
    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        with inputs_checked():
            asked = question(k, kwargs)
            found = documents(self.collection.attend(embedding, **asked.how), asked, self._content)
        return [document for document, _ in found]

    @override
    async def asimilarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        with inputs_checked():
            asked = question(k, kwargs)
            found = documents(await self.async_collection.attend(embedding, **asked.how), asked, self._content)
        return [document for document, _ in found]

    # Weights are from 0 to 1, so nothing has to be made of them.
    @override
    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        return self.similarity_search_with_score(query, k, **kwargs)

    @override
    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        return await self.asimilarity_search_with_score(query, k, **kwargs)

    @override
    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        with inputs_checked():
            if self._embedding is not None:
                vector: Any = self._embedding.embed_query(query)
            else:
                model = self._encoder(self.collection.info().encoder)
                vector = self._connection.client.encode([query], model=model, purpose="query")[0]
        return self.max_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, **kwargs)

    @override
    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        with inputs_checked():
            if self._embedding is not None:
                vector: Any = await self._embedding.aembed_query(query)
            else:
                model = self._encoder((await self.async_collection.info()).encoder)
                vector = (await self._connection.async_client.encode([query], model=model, purpose="query"))[0]
        return await self.amax_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, **kwargs)

    @override
    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float] | NDArray[Any],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """Of the `fetch_k` best `k` that are relevant and unlike each other, by the cosines of their keys."""
        with inputs_checked():
            asked = question(k, kwargs)
            answer = self.collection.attend(embedding, **asked.with_keys(fetch_k).how)
            return self._unlike(embedding, answer, asked, lambda_mult)

    @override
    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float] | NDArray[Any],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """As `max_marginal_relevance_search_by_vector`, awaited."""
        with inputs_checked():
            asked = question(k, kwargs)
            answer = await self.async_collection.attend(embedding, **asked.with_keys(fetch_k).how)
            return self._unlike(embedding, answer, asked, lambda_mult)

    @override
    def as_retriever(self, **kwargs: Any) -> VectorStoreRetriever:
        """LangChain's retriever over this store; where nothing is about the question, it finds nothing.

        `search_kwargs={"accept": "any"}` has it return the best all the same.
        """
        kwargs["search_kwargs"] = {"accept": "several"} | dict(kwargs.get("search_kwargs") or {})
        return super().as_retriever(**kwargs)

    def _unlike(self, query: Any, answer: Answer, asked: Question, relevance: float) -> list[Document]:
        found = documents(answer, asked, self._content)
        keys = [key_of(match) for match in answer.matches][: len(found)]
        return [found[place][0] for place in marginally_relevant(query, keys, asked.how["top_k"], relevance)]

    def _encoder(self, name: str | None) -> str:
        if name is None:
            wanted = "give the store an embedding, which makes vectors of questions too"
            raise flawed("/query", f"collection {self._name!r} has no encoder: {wanted}")
        return name

    def _embedded(self, query: str) -> Any:
        """The query as the collection takes it: a text where it has an encoder of its own."""
        return query if self._embedding is None else self._embedding.embed_query(query)

    async def _aembedded(self, query: str) -> Any:
        return query if self._embedding is None else await self._embedding.aembed_query(query)
