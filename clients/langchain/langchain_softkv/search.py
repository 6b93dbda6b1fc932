"""Search in a collection with LangChain's arguments and documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from typing_extensions import override

from langchain_softkv.inputs import convert_errors, convert_filter
from softkv.calls.call import CollectionRef, ServiceCache
from softkv.integrations import (
    ACCEPTED_VERDICTS,
    EVIDENCE_FIELD,
    RETRIEVER_OPTIONS,
    Accept,
    Connection,
    Content,
    Score,
    confidence_fields,
    document_text,
    evidence_fields,
    select_by_mmr,
    select_key,
    show_warnings,
)
from softkv.problems import invalid_value, invalid_value_at
from softkv.wire import to_json_value

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStoreRetriever
    from numpy.typing import NDArray

    from softkv.answers.answer import Answer
    from softkv.answers.documents import Match
    from softkv.client import AsyncClient, AsyncCollection, Client, Collection


_SEARCH_DEFAULTS: dict[str, Any] = {"score": "weight", "accept": "any", "evidence": False}
ATTEND_OPTIONS = RETRIEVER_OPTIONS.keys() - _SEARCH_DEFAULTS.keys() | {"filter"}
"""The arguments of a search that `attend` has, too."""
_REQUIRED_FIELDS = ("key", "value", "metadata")


class SearchRequest(NamedTuple):
    """Options of a search besides its query.

    Attributes:
        how: the arguments of `attend`.
        score: the number of a match that is its score.
        accept: the verdicts whose matches are returned: "one"; "several", which includes "one"; or "any".
        evidence: whether the documents' metadata contains the answer's evidence.
        include: further fields of a match that the metadata contains.
    """

    how: dict[str, Any]
    score: Score
    accept: Accept
    evidence: bool
    include: tuple[str, ...]

    def with_keys(self, least: int) -> SearchRequest:
        """Return a copy of the request that returns at least this many matches, with their key vectors.

        Raises:
            Invalid: the number of matches of the search, which is not sent then, is not a number from 0 on.
        """
        if not isinstance(top_k := self.how["top_k"], int) or top_k < 0:
            raise invalid_value_at("/top_k", f"wanted a number from 0 on, got {top_k}")
        fields = tuple(dict.fromkeys([*self.how["include"], "key_vector"]))
        return self._replace(how=self.how | {"top_k": max(least, top_k), "include": fields})


def build_request(k: int | None, options: Mapping[str, Any]) -> SearchRequest:
    """Convert the arguments of a search to a request.

    Args:
        k: the number of documents if `options` has no `top_k`.

    Raises:
        Invalid: an option or its value is unknown.
    """
    if unknown := options.keys() - ATTEND_OPTIONS - _SEARCH_DEFAULTS.keys():
        arguments = ", ".join(sorted(ATTEND_OPTIONS | _SEARCH_DEFAULTS.keys()))
        raise invalid_value("", f"a search has no argument {', '.join(sorted(unknown))}: it has k, {arguments}")
    selected = _SEARCH_DEFAULTS | {name: option for name, option in options.items() if name in _SEARCH_DEFAULTS}
    for name, choices in (("score", Score), ("accept", Accept)):
        if selected[name] not in get_args(choices):
            raise invalid_value("", f"{name}: wanted one of {', '.join(get_args(choices))}, got {selected[name]!r}")
    arguments_of_attend = {
        name: option for name, option in options.items() if name in ATTEND_OPTIONS and option is not None
    }
    include = _field_names(arguments_of_attend.pop("include", ()))
    arguments_of_attend = {"top_k": k} | arguments_of_attend
    arguments_of_attend["include"] = tuple(dict.fromkeys([*_REQUIRED_FIELDS, *include]))
    if "filter" in arguments_of_attend:
        arguments_of_attend["where"] = convert_filter(arguments_of_attend.pop("filter"))
    return SearchRequest(arguments_of_attend, selected["score"], selected["accept"], selected["evidence"], include)


def to_documents(answer: Answer, request: SearchRequest, content: Content) -> list[tuple[Document, float]]:
    """Show the answer's warnings, and return its matches as LangChain documents with their scores."""
    show_warnings(answer)
    if answer.verdict not in ACCEPTED_VERDICTS[request.accept]:
        return []
    return [
        (_to_document(match, content, _match_details(answer, match, request)), _score(match, request.score))
        for match in answer.matches
    ]


def _to_document(match: Match, content: Content, details: Mapping[str, Any]) -> Document:
    metadata = dict(match.metadata or {})
    if details:
        metadata[EVIDENCE_FIELD] = dict(details)
    return Document(id=match.id, page_content=document_text(match, content), metadata=metadata)


def _score(match: Match, score: Score) -> float:
    score_value = match.weight if score == "weight" else match.similarity
    return 0.0 if score_value is None else score_value


def _match_details(answer: Answer, match: Match, request: SearchRequest) -> dict[str, Any]:
    """Return the requested fields of a match, and with `evidence` those of the answer."""
    arrays = {"output": answer.output, "key_vector": select_key(match)}
    details = {name: _to_json(arrays[name] if name in arrays else getattr(match, name)) for name in request.include}
    if not request.evidence:
        return details
    details |= {"weight": match.weight, "similarity": match.similarity, "logit": match.logit}
    return details | confidence_fields(match) | evidence_fields(answer)


def _to_json(value: Any) -> Any:
    """Convert a field of a match to JSON."""
    if value is None or isinstance(value, str | int | float | Mapping | list):
        return value
    fields = getattr(value, "_fields", None)
    return fields() if fields is not None else to_json_value(value)


def _field_names(include: Any) -> tuple[str, ...]:
    if isinstance(include, str) or not isinstance(include, Sequence):
        raise invalid_value("/include", f"wanted a list of fields, got {include!r}")
    return tuple(include)


DEFAULT_COLLECTION = "langchain"


class SearchableStore(VectorStore):
    """The search methods of `SoftkvVectorStore`. That class documents the arguments."""

    def __init__(
        self,
        collection: str = DEFAULT_COLLECTION,
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
        with convert_errors():
            if not isinstance(collection, str):
                first = "the first argument is the collection's name, an embedding is the second"
                raise invalid_value("", f"collection: wanted a name, got {type(collection).__name__}: {first}")
            self._connection = Connection(url, key, client, async_client)
            self._name = CollectionRef(collection, ServiceCache()).name
            if content not in ("value", "key"):
                raise invalid_value("", f"content: wanted 'value' or 'key', got {content!r}")
        self._embedding = embedding
        self._settings = ({} if embedding is None else {"encoder": None}) | dict(settings or {})
        # A collection without an encoder has no null key by default; with an embedding it gets one.
        self._defaults: dict[str, Any] = {} if embedding is None or "null" in self._settings else {"null": "auto"}
        self._content = content
        self._split = {} if split is None else {"split": split}

    @property
    def collection(self) -> Collection:
        """The collection, with blocking methods."""
        return self._connection.client.collection(self._name)

    @property
    def async_collection(self) -> AsyncCollection:
        """The collection, with awaited methods."""
        return self._connection.async_client.collection(self._name)

    @property
    @override
    def embeddings(self) -> Embeddings | None:
        return self._embedding

    def ask(self, query: str, request: SearchRequest) -> list[tuple[Document, float]]:
        """Run a search request; return the documents with their scores."""
        answer = self.collection.attend(self._encode_query(query), **request.how)
        return to_documents(answer, request, self._content)

    async def aask(self, query: str, request: SearchRequest) -> list[tuple[Document, float]]:
        """Run a search request asynchronously; return the documents with their scores."""
        answer = await self.async_collection.attend(await self._aencode_query(query), **request.how)
        return to_documents(answer, request, self._content)

    @override
    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    @override
    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in await self.asimilarity_search_with_score(query, k, **kwargs)]

    @override
    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> list[tuple[Document, float]]:
        """Return the `k` documents with the largest weights, and their scores.

        Args:
            query: the text to search for.
            k: the number of documents.
            kwargs: arguments of `attend`, and `score`, `accept` and `evidence`.
        """
        with convert_errors():
            return self.ask(query, build_request(k, kwargs))

    @override
    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the `k` documents with the largest weights, and their scores, asynchronously."""
        with convert_errors():
            return await self.aask(query, build_request(k, kwargs))

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the `k` documents with the largest weights for a vector [d], and their scores.

        Args:
            embedding: the query's vector.
            k: the number of documents.
            kwargs: arguments of `attend`, and `score`, `accept` and `evidence`.
        """
        with convert_errors():
            request = build_request(k, kwargs)
            return to_documents(self.collection.attend(embedding, **request.how), request, self._content)

    async def asimilarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the `k` documents with the largest weights for a vector [d], and their scores, asynchronously."""
        with convert_errors():
            request = build_request(k, kwargs)
            answer = await self.async_collection.attend(embedding, **request.how)
            return to_documents(answer, request, self._content)

    @override
    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score_by_vector(embedding, k, **kwargs)]

    @override
    async def asimilarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        results = await self.asimilarity_search_with_score_by_vector(embedding, k, **kwargs)
        return [document for document, _ in results]

    # Weights are between 0 and 1 already.
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
        with convert_errors():
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
        with convert_errors():
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
        """Return `k` of the `fetch_k` best documents that are relevant and diverse, by the cosines of their keys."""
        with convert_errors():
            request = build_request(k, kwargs)
            answer = self.collection.attend(embedding, **request.with_keys(fetch_k).how)
            return self._select_diverse(embedding, answer, request, lambda_mult)

    @override
    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float] | NDArray[Any],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **kwargs: Any,
    ) -> list[Document]:
        """Return `k` relevant and diverse documents of the `fetch_k` best ones, asynchronously."""
        with convert_errors():
            request = build_request(k, kwargs)
            answer = await self.async_collection.attend(embedding, **request.with_keys(fetch_k).how)
            return self._select_diverse(embedding, answer, request, lambda_mult)

    @override
    def as_retriever(self, **kwargs: Any) -> VectorStoreRetriever:
        """Return LangChain's retriever over this store. It returns nothing if no document is about the query.

        `search_kwargs={"accept": "any"}` makes it return the best documents in any case.
        """
        kwargs["search_kwargs"] = {"accept": "several"} | dict(kwargs.get("search_kwargs") or {})
        return super().as_retriever(**kwargs)

    def _select_diverse(self, query: Any, answer: Answer, request: SearchRequest, relevance: float) -> list[Document]:
        """Select relevant and diverse documents among the matches of an answer, by maximal marginal relevance."""
        results = to_documents(answer, request, self._content)
        keys = [select_key(match) for match in answer.matches][: len(results)]
        return [results[index][0] for index in select_by_mmr(query, keys, request.how["top_k"], relevance)]

    def _encoder(self, name: str | None, pointer: str = "/query") -> str:
        """Return the name of the collection's encoder; raise Invalid if it has none."""
        if name is None:
            advice = "give the store an embedding, which makes vectors of texts and of questions"
            raise invalid_value(pointer, f"collection {self._name!r} has no encoder: {advice}")
        return name

    def _encode_query(self, query: str) -> Any:
        """Return the text, or its vector if the store has an embedding."""
        return query if self._embedding is None else self._embedding.embed_query(query)

    async def _aencode_query(self, query: str) -> Any:
        """Return the text, or its vector if the store has an embedding."""
        return query if self._embedding is None else await self._embedding.aembed_query(query)
