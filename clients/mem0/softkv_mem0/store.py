"""The vector store that mem0's provider `langchain` calls.

mem0 is not imported here, because its import starts its telemetry.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from langchain_core.documents import Document
from typing_extensions import override

from langchain_softkv import SoftkvVectorStore
from softkv.errors import NotFound
from softkv.filters import METADATA, Combination, Comparison, Filter, Where
from softkv.integrations import RetrieverOptions
from softkv.problems import COLLECTION_NOT_FOUND, invalid_value

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from softkv.answers.documents import Document as Stored
    from softkv.client import Client, Collection

T = TypeVar("T")
DEFAULT_COLLECTION = "mem0"
ENTITIES = "-entities"
"""The ending of the name of the collection of mem0's entities."""

_PAGE_SIZE = 1000
_COMPARISONS = {
    "eq": "==",
    "ne": "!=",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "in": "in",
    "nin": "not in",
    "contains": "contains",
    "icontains": "contains",
}
_IGNORES_CASE = "icontains"
_AND, _OR, _NOT = ("AND", "$and"), ("OR", "$or"), ("NOT", "$not")
_ANY_VALUE = "*"


class SoftkvMemoryStore(SoftkvVectorStore):
    """A collection as the vector store of mem0: `{"provider": "langchain", "config": {"client": store}}`.

    A search returns no memory if none is about the query. The first write creates the collection.

    Args:
        collection: its name; `mem0` if left out.
        embedding: encodes memories; the collection's own encoder if left out. mem0's embedder must be the same model.
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out.
        client: an open client, used in place of `url` and `key`.
        settings: arguments of `create` for a new collection.
        options: `softkv.integrations.RetrieverOptions`: the arguments of `attend`, `accept` and `score`, which is
            `"similarity"` if left out, as mem0's `threshold` expects.

    Raises:
        InvalidInput: the collection's name or the URL is invalid.
    """

    def __init__(
        self,
        collection: str = DEFAULT_COLLECTION,
        embedding: Embeddings | None = None,
        *,
        url: str | None = None,
        key: str | None = None,
        client: Client | None = None,
        settings: Mapping[str, Any] | None = None,
        **options: Unpack[RetrieverOptions],
    ) -> None:
        super().__init__(collection, embedding, url=url, key=key, client=client, settings=settings)
        self._search_options: dict[str, Any] = {"accept": "several", "score": "similarity", **options}

    @override
    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return memories about a query, given as its vector, with their scores.

        Args:
            embedding: the query's vector [d], of mem0's embedder.
            k: the number of memories.
            kwargs: `filter` in mem0's form, and arguments of `attend`.
        """
        options = self._search_options | kwargs | {"filter": convert_filter(kwargs.get("filter"))}
        search = super().similarity_search_with_score_by_vector
        return _empty_if_missing(lambda: search(embedding, k, **options), [])

    @override
    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the memories with these ids in this order, without unknown ones."""
        read = super().get_by_ids
        return _empty_if_missing(lambda: read(ids), [])

    @override
    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete the memories with these ids, or all."""
        delete = super().delete
        return _empty_if_missing(lambda: delete(ids, **kwargs), True)

    @property
    def _collection(self) -> _Listing:
        """The object that mem0 lists memories by, which is Chroma's elsewhere."""
        return _Listing(self.collection)

    def __deepcopy__(self, memo: dict[int, Any]) -> SoftkvMemoryStore:
        """Return a store of the collection for mem0's entities.

        mem0 copies its store to keep entities apart from memories, but its provider ignores the copy's new name.
        """
        store = SoftkvMemoryStore(
            f"{self._name}{ENTITIES}",
            self._embedding,
            client=self._connection.client,
            settings=self._settings,
        )
        store._search_options = self._search_options
        return store


class _Listing:
    """The part of Chroma's collection that mem0 lists memories by."""

    def __init__(self, collection: Collection) -> None:
        self._memories = collection

    def get(self, where: Mapping[str, Any] | None = None, limit: int | None = None) -> dict[str, list[Any]]:
        """Return ids and metadata of the memories that pass a filter of mem0's, ordered by id."""
        condition = convert_filter(where)
        documents: list[Stored] = _empty_if_missing(lambda: self._find(condition, limit), [])
        return {
            "ids": [document.id for document in documents],
            "metadatas": [document.metadata for document in documents],
        }

    def _find(self, condition: Where | None, limit: int | None) -> list[Stored]:
        page = min(limit or _PAGE_SIZE, _PAGE_SIZE)
        return list(itertools.islice(self._memories.find(where=condition, include=["metadata"], page=page), limit))


def _empty_if_missing(read: Callable[[], T], empty: T) -> T:
    """Return what `read` returns, or `empty` if there is no collection yet."""
    try:
        return read()
    except NotFound as error:
        if error.code != COLLECTION_NOT_FOUND:
            raise
        return empty


def convert_filter(condition: Mapping[str, Any] | None) -> Filter:
    """Convert a filter of mem0's.

    Args:
        condition: fields with the value that they equal, with a list of such values, with "*" for any value, or with
            comparisons, as `{"year": {"gte": 1970}}`. AND, OR and NOT join lists of such filters; all of a NOT are
            false.

    Raises:
        Invalid: an operator is unknown, or a list is missing.
    """
    return _conjunction([_convert(name, operand) for name, operand in (condition or {}).items()])


def _convert(name: str, operand: Any) -> Filter:
    if name in _AND + _OR + _NOT:
        if not isinstance(operand, Sequence) or isinstance(operand, str):
            raise invalid_value(f"/filters/{name}", f"{name} wants a list of filters, got {type(operand).__name__}")
        filters = [convert_filter(item) for item in operand]
        if name in _OR:
            return Combination("OR", tuple(filters))
        return _conjunction(filters if name in _AND else [~item for item in filters])
    if operand == _ANY_VALUE:
        return Comparison(METADATA + name, "!=", None)
    if isinstance(operand, list | tuple | set | frozenset):
        return Comparison(METADATA + name, "in", operand)
    if not isinstance(operand, Mapping):
        return Comparison(METADATA + name, "==", operand)
    if unknown := operand.keys() - _COMPARISONS.keys():
        operators = ", ".join(_COMPARISONS)
        raise invalid_value(
            f"/filters/{name}", f"wanted one of the operators {operators}, got {', '.join(sorted(unknown))}"
        )
    return _conjunction(
        [
            Comparison(METADATA + name, _COMPARISONS[operator], value, operator == _IGNORES_CASE)
            for operator, value in operand.items()
        ]
    )


def _conjunction(filters: Sequence[Filter]) -> Filter:
    return filters[0] if len(filters) == 1 else Combination("AND", tuple(filters))
