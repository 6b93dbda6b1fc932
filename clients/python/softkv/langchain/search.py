"""How a collection is asked, in words of LangChain's, and its answer as LangChain's documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from typing_extensions import override

from softkv import validation
from softkv.calls.call import CollectionRef, ServiceCache
from softkv.calls.queries import AttendOptions
from softkv.integrations.connection import Connection
from softkv.integrations.retrieval import (
    ACCEPTED_VERDICTS,
    Accept,
    Content,
    confidence_fields,
    document_text,
    matched_key,
    select_by_mmr,
)
from softkv.langchain.inputs import convert_errors, convert_filter
from softkv.problems import invalid_value, raise_flaws
from softkv.wire import to_json_value

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStoreRetriever
    from numpy.typing import NDArray

    from softkv.answers.answer import Answer
    from softkv.answers.documents import Match
    from softkv.client import AsyncClient, AsyncCollection, Client, Collection


Score: TypeAlias = Literal["weight", "similarity"]
EVIDENCE_FIELD = "softkv"
"""Under which field of a document's metadata stands what the service said of it."""

ATTEND_OPTIONS = frozenset(AttendOptions.__annotations__) - {"where", "allow_missing", "read"} | {"filter"}
_SEARCH_DEFAULTS: dict[str, Any] = {"score": "weight", "accept": "any", "evidence": False}
_REQUIRED_FIELDS = ("key", "value", "metadata")


class SearchRequest(NamedTuple):
    """What is asked besides the query.

    Attributes:
        how: the arguments of `attend`.
        score: which number of a match is its score.
        accept: with which verdict documents come back: where "one" stands out, where "several" share too, with "any".
        evidence: whether documents have in their metadata how much the collection knew.
        include: what else of a match they have there.
    """

    how: dict[str, Any]
    score: Score
    accept: Accept
    evidence: bool
    include: tuple[str, ...]

    def with_keys(self, many: int) -> SearchRequest:
        """The same for at least so many matches, which bring their keys along."""
        fields = tuple(dict.fromkeys([*self.how["include"], "key_vector"]))
        return self._replace(how=self.how | {"top_k": max(many, self.how["top_k"]), "include": fields})


def build_request(k: int | None, options: Mapping[str, Any]) -> SearchRequest:
    """Arguments of a search → what is asked.

    Args:
        k: how many documents, where `options` have no `top_k`.

    Raises:
        Invalid: there is no such option, or a choice has no such word.
    """
    if unknown := options.keys() - ATTEND_OPTIONS - _SEARCH_DEFAULTS.keys():
        known = ", ".join(sorted(ATTEND_OPTIONS | _SEARCH_DEFAULTS.keys()))
        raise invalid_value("", f"a search has no argument {', '.join(sorted(unknown))}: it has k, {known}")
    own = _SEARCH_DEFAULTS | {name: each for name, each in options.items() if name in _SEARCH_DEFAULTS}
    for name, choices in (("score", Score), ("accept", Accept)):
        if own[name] not in get_args(choices):
            raise invalid_value("", f"{name}: wanted one of {', '.join(get_args(choices))}, got {own[name]!r}")
    how = {name: each for name, each in options.items() if name in ATTEND_OPTIONS and each is not None}
    include = _field_names(how.pop("include", ()))
    how = {"top_k": k} | how
    raise_flaws(validation.check_top_k(how["top_k"]))
    how["include"] = tuple(dict.fromkeys([*_REQUIRED_FIELDS, *include]))
    if "filter" in how:
        how["where"] = convert_filter(how.pop("filter"))
    return SearchRequest(how, own["score"], own["accept"], own["evidence"], include)


def to_documents(answer: Answer, asked: SearchRequest, content: Content) -> list[tuple[Document, float]]:
    """The matches as LangChain's documents, each with its score."""
    if answer.verdict not in ACCEPTED_VERDICTS[asked.accept]:
        return []
    return [
        (_to_document(match, content, _match_details(answer, match, asked)), _score(match, asked.score))
        for match in answer.matches
    ]


def _to_document(match: Match, content: Content, told: Mapping[str, Any]) -> Document:
    metadata = dict(match.metadata or {})
    if told:
        metadata[EVIDENCE_FIELD] = dict(told)
    return Document(id=match.id, page_content=document_text(match, content), metadata=metadata)


def _score(match: Match, score: Score) -> float:
    found = match.weight if score == "weight" else match.similarity
    return 0.0 if found is None else found


def _match_details(answer: Answer, match: Match, asked: SearchRequest) -> dict[str, Any]:
    """What was asked for of a match, and with `evidence` what the service says of the answer."""
    said = answer.to_dict()
    others = {"output": answer.output, "key_vector": matched_key(match)}
    told = {name: _to_json(others[name] if name in others else getattr(match, name)) for name in asked.include}
    if not asked.evidence:
        return told
    told |= {"weight": match.weight, "similarity": match.similarity, "logit": match.logit} | confidence_fields(match)
    told |= {name: said[name] for name in ("rest_weight", "complete", "temperature", "documents", "keys")}
    return told | dict(said["evidence"]) | {"certificate": said["certificate"]}


def _to_json(given: Any) -> Any:
    """A field of a match as JSON has it."""
    if given is None or isinstance(given, str | int | float | Mapping | list):
        return given
    fields = getattr(given, "_fields", None)
    return fields() if fields is not None else to_json_value(given)


def _field_names(include: Any) -> tuple[str, ...]:
    if isinstance(include, str) or not isinstance(include, Sequence):
        raise invalid_value("/include", f"wanted a list of fields, got {include!r}")
    return tuple(include)


DEFAULT_COLLECTION = "langchain"


class SearchableStore(VectorStore):
    """What `SoftkvVectorStore` is made of besides writing; its arguments are told of there."""

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

    def ask(self, query: str, asked: SearchRequest) -> list[tuple[Document, float]]:
        """The documents and scores for a question that is put together already."""
        answer = self.collection.attend(self._embedded(query), **asked.how)
        return to_documents(answer, asked, self._content)

    async def aask(self, query: str, asked: SearchRequest) -> list[tuple[Document, float]]:
        """As `ask`, awaited."""
        answer = await self.async_collection.attend(await self._aembedded(query), **asked.how)
        return to_documents(answer, asked, self._content)

    @override
    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    @override
    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return [document for document, _ in await self.asimilarity_search_with_score(query, k, **kwargs)]

    @override
    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> list[tuple[Document, float]]:
        """The `k` best, each with its score: its weight, or with `score="similarity"` that."""
        with convert_errors():
            return self.ask(query, build_request(k, kwargs))

    @override
    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search_with_score`, awaited."""
        with convert_errors():
            return await self.aask(query, build_request(k, kwargs))

    @override
    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        with convert_errors():
            asked = build_request(k, kwargs)
            found = to_documents(self.collection.attend(embedding, **asked.how), asked, self._content)
        return [document for document, _ in found]

    @override
    async def asimilarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        with convert_errors():
            asked = build_request(k, kwargs)
            found = to_documents(await self.async_collection.attend(embedding, **asked.how), asked, self._content)
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
        """Of the `fetch_k` best `k` that are relevant and unlike each other, by the cosines of their keys."""
        with convert_errors():
            asked = build_request(k, kwargs)
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
        with convert_errors():
            asked = build_request(k, kwargs)
            answer = await self.async_collection.attend(embedding, **asked.with_keys(fetch_k).how)
            return self._unlike(embedding, answer, asked, lambda_mult)

    @override
    def as_retriever(self, **kwargs: Any) -> VectorStoreRetriever:
        """LangChain's retriever over this store; where nothing is about the question, it finds nothing.

        `search_kwargs={"accept": "any"}` has it return the best all the same.
        """
        kwargs["search_kwargs"] = {"accept": "several"} | dict(kwargs.get("search_kwargs") or {})
        return super().as_retriever(**kwargs)

    def _unlike(self, query: Any, answer: Answer, asked: SearchRequest, relevance: float) -> list[Document]:
        found = to_documents(answer, asked, self._content)
        keys = [matched_key(match) for match in answer.matches][: len(found)]
        return [found[place][0] for place in select_by_mmr(query, keys, asked.how["top_k"], relevance)]

    def _encoder(self, name: str | None) -> str:
        if name is None:
            wanted = "give the store an embedding, which makes vectors of questions too"
            raise invalid_value("/query", f"collection {self._name!r} has no encoder: {wanted}")
        return name

    def _embedded(self, query: str) -> Any:
        """The query as the collection takes it: a text where it has an encoder of its own."""
        return query if self._embedding is None else self._embedding.embed_query(query)

    async def _aembedded(self, query: str) -> Any:
        return query if self._embedding is None else await self._embedding.aembed_query(query)
