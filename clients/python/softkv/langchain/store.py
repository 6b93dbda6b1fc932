"""A collection as LangChain's vector store: made, written, read and deleted; `searching.py` has what is asked of it."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from langchain_core.documents import Document
from typing_extensions import override

from softkv.answers.writes import Report
from softkv.errors import Conflict, NotFound
from softkv.integrations.retrieval import document_text
from softkv.langchain import store
from softkv.langchain.inputs import convert_errors, convert_filter
from softkv.langchain.search import SearchableStore
from softkv.problems import invalid_value

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from softkv.answers.documents import Document as Stored
    from softkv.answers.info import CollectionInfo
    from softkv.answers.writes import Report


_MATCH_ALL: Mapping[str, Any] = {"operator": "AND", "conditions": []}
_COLLECTION_NOT_FOUND = "collection_not_found"


class SoftkvVectorStore(SearchableStore):
    """A collection of softkv; nothing is sent before something is asked of it, and the first write makes it.

    A search takes, besides LangChain's arguments, those of `attend`: `temperature`, `effective_documents`, `top_p`,
    `filter`, `normaliser`, `null`, `max_error`, `full_text`, `bias`, `min_confidence`, `conformal`,
    `include`; and three of its own:

    - `score`: `"weight"`, the share of the answer, from 0 to 1, or `"similarity"`.
    - `accept`: `"any"` for the best whatever the verdict, `"several"` for none where nothing is about the question,
      `"one"` for some only where one stands out.
    - `evidence`: True for how much the collection knew, in the documents' metadata under `softkv`.

    Args:
        collection: its name; left out, `langchain`.
        embedding: what makes vectors of texts; left out, the collection's own encoder does.
        url: of the service; left out, `SOFTKV_URL`, or http://127.0.0.1:8000.
        key: to call it with; left out, `SOFTKV_KEY`, or none.
        client: in place of both.
        async_client: the same, awaited; left out, it follows from these.
        settings: what the collection is made with, as `{"similarity": "dot", "null": 0.2}`: arguments of `create`. With
            an `embedding` they are an encoder of None and a null key of "auto", if nothing else is said.
        content: what a document's text is: its `"value"`, or its `"key"`.
        split: how to make several keys of a long text, as `{"tokens": 200, "overlap": 20}`.

    Raises:
        InvalidInput: no collection can be called so, or that is no address.
    """

    def create(self) -> CollectionInfo:
        """Make the collection, or take one that is there and has these settings.

        Raises:
            softkv.Conflict: it is there with others.
        """
        with convert_errors():
            try:
                return self.collection.create(exist_ok=True, **self._defaults, **self._settings)
            except Conflict:
                if not self._defaults:
                    raise
            return self.collection.create(exist_ok=True, **self._settings)

    async def acreate(self) -> CollectionInfo:
        """As `create`, awaited."""
        with convert_errors():
            try:
                return await self.async_collection.create(exist_ok=True, **self._defaults, **self._settings)
            except Conflict:
                if not self._defaults:
                    raise
            return await self.async_collection.create(exist_ok=True, **self._settings)

    @classmethod
    @override
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store of these texts; `collection` and the other arguments are those of the class."""
        store = cls(embedding=embedding, **kwargs)
        store.create()
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    @override
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """As `from_texts`, awaited."""
        store = cls(embedding=embedding, **kwargs)
        await store.acreate()
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store

    @override
    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Write texts of any number → their ids; of those with the same id the last stays.

        Args:
            kwargs: `on_conflict` and `progress` of the client's `upsert`. `batch_size` is LangChain's, and not needed.

        Raises:
            InvalidInput: some were refused; all others are written, and the error's `report` has each.
        """
        with convert_errors():
            found = store.build_rows(texts, metadatas, ids)
            sent = store.deduplicate(found)
            if self._embedding is not None and sent:
                sent = store.add_vectors(sent, self._embedding.embed_documents([row["key"] for row in sent]))
            how = _upsert_options(kwargs)
            store.check_report(self._upsert([row | self._split for row in sent], how))
        return [row["id"] for row in found]

    @override
    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """As `add_texts`, awaited."""
        with convert_errors():
            found = store.build_rows(texts, metadatas, ids)
            sent = store.deduplicate(found)
            if self._embedding is not None and sent:
                sent = store.add_vectors(sent, await self._embedding.aembed_documents([row["key"] for row in sent]))
            how = _upsert_options(kwargs)
            store.check_report(await self._aupsert([row | self._split for row in sent], how))
        return [row["id"] for row in found]

    def _upsert(self, sent: Sequence[dict[str, Any]], how: Mapping[str, Any]) -> Report:
        try:
            return self.collection.upsert(sent, **how)
        except NotFound as error:
            if error.code != _COLLECTION_NOT_FOUND:
                raise
        self.create()
        return self.collection.upsert(sent, **how)

    async def _aupsert(self, sent: Sequence[dict[str, Any]], how: Mapping[str, Any]) -> Report:
        try:
            return await self.async_collection.upsert(sent, **how)
        except NotFound as error:
            if error.code != _COLLECTION_NOT_FOUND:
                raise
        await self.acreate()
        return await self.async_collection.upsert(sent, **how)

    @override
    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete the documents of these ids, or all that pass a `filter`, or all; unknown ids are silent."""
        with convert_errors():
            which = _delete_options(ids, kwargs)
            if which.get("ids") != []:
                self.collection.delete(**which)
        return True

    @override
    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """As `delete`, awaited."""
        with convert_errors():
            which = _delete_options(ids, kwargs)
            if which.get("ids") != []:
                await self.async_collection.delete(**which)
        return True

    @override
    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of these ids, in this order; unknown ones are left out."""
        with convert_errors():
            return self._documents(self.collection.get_many(ids))

    @override
    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """As `get_by_ids`, awaited."""
        with convert_errors():
            return self._documents(await self.async_collection.get_many(ids))

    def _documents(self, found: Sequence[Stored | None]) -> list[Document]:
        return [
            Document(id=each.id, page_content=document_text(each, self._content), metadata=dict(each.metadata))
            for each in found
            if each is not None
        ]


def _upsert_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Which options of a write the client takes."""
    how = {name: each for name, each in options.items() if name != "batch_size"}
    if unknown := how.keys() - {"on_conflict", "progress"}:
        raise invalid_value(
            "", f"a write has no argument {', '.join(sorted(unknown))}: it has ids, on_conflict, progress"
        )
    return how


def _delete_options(ids: Sequence[str] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the client's `delete`."""
    if unknown := options.keys() - {"filter"}:
        raise invalid_value("", f"delete has no argument {', '.join(sorted(unknown))}: it has ids, or filter")
    if ids is not None and "filter" in options:
        raise invalid_value(
            "", "wanted ids or a filter, got both: the documents of some ids that pass are two conditions"
        )
    passing = convert_filter(options.get("filter"))
    return {"ids": ids} if ids is not None else {"where": _MATCH_ALL if passing is None else passing}


def build_rows(
    texts: Iterable[str],
    metadatas: Sequence[Mapping[str, Any] | None] | None,
    ids: Sequence[str | None] | None,
) -> list[dict[str, Any]]:
    """Texts, and as many metadata and ids, → documents without vectors.

    Raises:
        Invalid: there are not as many of each, or one of the texts is none.
    """
    keys = list(texts)
    kinds = (
        ["one text"] if isinstance(texts, str) else [type(each).__name__ for each in keys if not isinstance(each, str)]
    )
    if kinds:
        raise invalid_value("/texts", f"wanted a list of texts, got {kinds[0]}")
    for name, given in (("metadatas", metadatas), ("ids", ids)):
        if given and len(given) != len(keys):
            raise invalid_value(f"/{name}", f"wanted as many {name} as texts, got {len(given)} of {len(keys)}")
    return [
        {
            "id": str(uuid.uuid4()) if name is None else name,
            "key": key,
            "metadata": {} if metadata is None else metadata,
        }
        for key, metadata, name in zip(keys, metadatas or [None] * len(keys), ids or [None] * len(keys), strict=True)
    ]


def deduplicate(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, of those with the same id the last: so a mapping would have it, and so it is written."""
    return list({row["id"]: row for row in rows}.values())


def add_vectors(rows: Sequence[dict[str, Any]], vectors: Sequence[Any]) -> list[dict[str, Any]]:
    """The same with a key vector each.

    Raises:
        Invalid: there are not as many.
    """
    if len(vectors) != len(rows):
        raise invalid_value(
            "", f"the embedding made {len(vectors)} vectors of {len(rows)} texts: it has to make one of each"
        )
    return [row | {"key_vector": vector} for row, vector in zip(rows, vectors, strict=True)]


def check_report(report: Report) -> None:
    """Raise for what was refused, and warn of what was cut.

    Raises:
        Invalid: at least one was refused; the error's `report` says which, and all others are written.
    """
    if report.refused:
        first, more = report.refused[0], len(report.refused) - 1
        others = f" (and {more} more, see report)" if more else ""
        error = invalid_value(f"/{first.row}", f"document {first.id!r} was refused: {first.detail}{others}")
        error.report = report
        raise error
    if report.truncated:
        warnings.warn(
            f"{len(report.truncated):,} texts are longer than the encoder reads, which looks at their beginning only, "
            f"as of {report.truncated[0]!r}: split them, or give the store split={{'tokens': 200, 'overlap': 20}}",
            stacklevel=3,
        )
