"""A collection as LangChain's vector store: created, written, read and deleted."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from langchain_core.documents import Document
from typing_extensions import override

from langchain_softkv.inputs import convert_errors, convert_filter
from langchain_softkv.search import SearchableStore
from softkv.answers.documents import Report
from softkv.errors import Conflict, NotFound
from softkv.filters import Comparison
from softkv.integrations import document_text
from softkv.problems import COLLECTION_NOT_FOUND, invalid_value

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from softkv.answers.documents import Document as Stored
    from softkv.answers.documents import Report
    from softkv.answers.info import CollectionInfo


_EVERY_DOCUMENT = Comparison("id", "!=", "")


class SoftkvVectorStore(SearchableStore):
    """A collection as a vector store. Creating the object sends nothing; the first write creates the collection.

    Besides LangChain's arguments, a search takes those of `attend`: `temperature`, `effective_documents`, `top_p`,
    `filter`, `normaliser`, `null`, `max_error`, `full_text`, `bias`, `rerank`, `min_confidence`, `diversity`
    and `include`; and three more:

    - `score`: `"weight"`, the share of the answer from 0 to 1, or `"similarity"`.
    - `accept`: `"any"` returns the best documents in any case, `"several"` returns nothing if no document is about the
      query, `"one"` returns documents only if one stands out.
    - `evidence`: True adds the answer's evidence to the documents' metadata under `softkv`.

    Args:
        collection: its name; `langchain` if left out.
        embedding: encodes texts; the collection's own encoder if left out.
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out.
        client: an open client, used in place of `url` and `key`.
        async_client: an asynchronous client; derived from the other arguments if left out.
        settings: arguments of `create` for a new collection, as `{"similarity": "dot", "null": 0.2}`. With an
            `embedding` the defaults are no encoder and a null key of "auto".
        content: the text of a document: its `"value"`, or its `"key"`.
        split: how to make several keys of a long text, as `{"tokens": 200, "overlap": 20}`.

    Raises:
        InvalidInput: the collection's name or the URL is invalid.
    """

    def create(self) -> CollectionInfo:
        """Create the collection, or accept an existing one with these settings.

        Raises:
            softkv.Conflict: the collection exists with other settings.
        """
        with convert_errors():
            try:
                return self.collection.create(exist_ok=True, **self._defaults, **self._settings)
            except Conflict:
                if not self._defaults:
                    raise
            return self.collection.create(exist_ok=True, **self._settings)

    async def acreate(self) -> CollectionInfo:
        """Create the collection, or accept an existing one with these settings, asynchronously."""
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
        """Create a store and write texts; further arguments are those of the class."""
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
        """Create a store and write texts, asynchronously."""
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
        """Write any number of texts; return their ids. Of texts with the same id the last is stored.

        Args:
            kwargs: `on_conflict` and `progress` of the client's `upsert`. LangChain's `batch_size` is ignored.

        Raises:
            InvalidInput: texts were refused. All others are written, and the error's `report` lists the refused ones.
        """
        with convert_errors():
            documents = build_rows(texts, metadatas, ids)
            written_rows = deduplicate(documents)
            if self._embedding is not None and written_rows:
                written_rows = add_vectors(
                    written_rows, self._embedding.embed_documents([row["key"] for row in written_rows])
                )
            options = _upsert_options(kwargs)
            check_report(self._upsert([row | self._split for row in written_rows], options))
        return [row["id"] for row in documents]

    @override
    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Write any number of texts asynchronously; return their ids."""
        with convert_errors():
            documents = build_rows(texts, metadatas, ids)
            written_rows = deduplicate(documents)
            if self._embedding is not None and written_rows:
                written_rows = add_vectors(
                    written_rows, await self._embedding.aembed_documents([row["key"] for row in written_rows])
                )
            options = _upsert_options(kwargs)
            check_report(await self._aupsert([row | self._split for row in written_rows], options))
        return [row["id"] for row in documents]

    def _upsert(self, documents: Sequence[dict[str, Any]], options: Mapping[str, Any]) -> Report:
        try:
            info = self.collection.info()
        except NotFound as error:
            if error.code != COLLECTION_NOT_FOUND:
                raise
            info = self.create()
        if self._embedding is None:
            self._encoder(info.encoder, "/texts")
        return self.collection.upsert(documents, **options)

    async def _aupsert(self, documents: Sequence[dict[str, Any]], options: Mapping[str, Any]) -> Report:
        try:
            info = await self.async_collection.info()
        except NotFound as error:
            if error.code != COLLECTION_NOT_FOUND:
                raise
            info = await self.acreate()
        if self._embedding is None:
            self._encoder(info.encoder, "/texts")
        return await self.async_collection.upsert(documents, **options)

    @override
    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete the documents with these ids, or those that pass a `filter`; without arguments, all of them.

        Unknown ids are ignored. An empty filter is refused.
        """
        with convert_errors():
            selection = _delete_options(ids, kwargs)
            if selection.get("ids") != []:
                self.collection.delete(**selection)
        return True

    @override
    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents by id or by a `filter`, or without arguments all, asynchronously."""
        with convert_errors():
            selection = _delete_options(ids, kwargs)
            if selection.get("ids") != []:
                await self.async_collection.delete(**selection)
        return True

    @override
    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents with these ids in this order, without unknown ones."""
        with convert_errors():
            return self._documents(self.collection.get_many(ids))

    @override
    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents with these ids in this order, without unknown ones, asynchronously."""
        with convert_errors():
            return self._documents(await self.async_collection.get_many(ids))

    def _documents(self, documents: Sequence[Stored | None]) -> list[Document]:
        return [
            Document(
                id=document.id, page_content=document_text(document, self._content), metadata=dict(document.metadata)
            )
            for document in documents
            if document is not None
        ]


def _upsert_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the client's `upsert`.

    Raises:
        Invalid: an argument is unknown.
    """
    allowed = {name: option for name, option in options.items() if name != "batch_size"}
    if unknown := allowed.keys() - {"on_conflict", "progress"}:
        raise invalid_value(
            "", f"a write has no argument {', '.join(sorted(unknown))}: it has ids, on_conflict, progress"
        )
    return allowed


def _delete_options(ids: Sequence[str] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the client's `delete`.

    Raises:
        Invalid: an argument is unknown, both ids and a filter were given, or the filter is empty.
    """
    if unknown := options.keys() - {"filter"}:
        raise invalid_value("", f"delete has no argument {', '.join(sorted(unknown))}: it has ids, or filter")
    if ids is not None and "filter" in options:
        raise invalid_value(
            "", "wanted ids or a filter, got both: the documents of some ids that pass are two conditions"
        )
    if ids is not None:
        return {"ids": ids}
    if "filter" not in options:
        return {"where": _EVERY_DOCUMENT}
    condition = convert_filter(options["filter"])
    if condition is None:
        raise invalid_value(
            "/filter", f"Expected a filter with conditions, got {options['filter']!r}. To delete all, call delete()."
        )
    return {"where": condition}


def build_rows(
    texts: Iterable[str],
    metadatas: Sequence[Mapping[str, Any] | None] | None,
    ids: Sequence[str | None] | None,
) -> list[dict[str, Any]]:
    """Return texts with metadata and ids as documents without vectors.

    Raises:
        Invalid: the lists differ in length, or an item is not a text.
    """
    keys = list(texts)
    kinds = ["one text"] if isinstance(texts, str) else [type(key).__name__ for key in keys if not isinstance(key, str)]
    if kinds:
        raise invalid_value("/texts", f"wanted a list of texts, got {kinds[0]}")
    for name, column in (("metadatas", metadatas), ("ids", ids)):
        if column and len(column) != len(keys):
            raise invalid_value(f"/{name}", f"wanted as many {name} as texts, got {len(column)} of {len(keys)}")
    for row_id in ids or ():
        if not (row_id is None or isinstance(row_id, str)):
            raise invalid_value("/ids", f"wanted ids as texts, got {type(row_id).__name__} {row_id!r}")
    return [
        {
            "id": str(uuid.uuid4()) if name is None else name,
            "key": key,
            "metadata": {} if metadata is None else metadata,
        }
        for key, metadata, name in zip(keys, metadatas or [None] * len(keys), ids or [None] * len(keys), strict=True)
    ]


def deduplicate(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows, keeping the last of those with the same id."""
    return list({row["id"]: row for row in rows}.values())


def add_vectors(rows: Sequence[dict[str, Any]], vectors: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the rows with a key vector each.

    Raises:
        Invalid: the number of vectors differs from the number of rows.
    """
    if len(vectors) != len(rows):
        raise invalid_value(
            "", f"the embedding made {len(vectors)} vectors of {len(rows)} texts: it has to make one of each"
        )
    return [row | {"key_vector": vector} for row, vector in zip(rows, vectors, strict=True)]


def check_report(report: Report) -> None:
    """Raise for refused rows, and warn of truncated texts.

    Raises:
        Invalid: rows were refused. The error's `report` lists them; all others are written.
    """
    if report.refused:
        refusal, other_count = report.refused[0], len(report.refused) - 1
        suffix = f" (and {other_count} more, see report)" if other_count else ""
        error = invalid_value(f"/{refusal.row}", f"document {refusal.id!r} was refused: {refusal.detail}{suffix}")
        error.report = report
        raise error
    if report.truncated:
        warnings.warn(
            f"{len(report.truncated):,} texts are longer than the encoder reads, which looks at their beginning only, "
            f"as of {report.truncated[0]!r}: split them, or give the store split={{'tokens': 200, 'overlap': 20}}",
            stacklevel=3,
        )
