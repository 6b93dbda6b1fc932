"""Haystack's documents as softkv keeps them, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from haystack import Document
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy

from softkv import Document as Row
from softkv.answers.answer import Answer
from softkv.answers.match import Match
from softkv.integrations.asking import Asking, vector_of
from softkv.integrations.content import text_of

# What has no field of its own in softkv is the document's value.
_KEPT = ("blob", "sparse_embedding")


def checked(documents: Any) -> list[Document]:
    """What was given to be written.

    Raises:
        ValueError: it is no list of documents.
    """
    if not isinstance(documents, Iterable) or isinstance(documents, str):
        raise ValueError(f"wanted a list of haystack.Document, got {type(documents).__name__}")
    found = list(documents)
    for place, each in enumerate(found):
        if not isinstance(each, Document):
            raise ValueError(f"documents/{place}: wanted a haystack.Document, got {type(each).__name__}")
    return found


def distinct(documents: Iterable[Document], policy: DuplicatePolicy) -> list[Document]:
    """The documents of a list as if they were written one after another.

    Raises:
        DuplicateDocumentError: an id comes twice, where that is a failure.
    """
    found: dict[str, Document] = {}
    for each in documents:
        if each.id not in found or policy is DuplicatePolicy.OVERWRITE:
            found[each.id] = each
        elif policy is not DuplicatePolicy.SKIP:
            raise DuplicateDocumentError(f"id {each.id!r} comes twice among these documents: write it once")
    return list(found.values())


def row(document: Document) -> Row:
    """A document on its way to the service: its text is the key, its embedding the key's vector."""
    fields: dict[str, Any] = {"metadata": document.meta}
    if document.content is not None:
        fields["key"] = document.content
    if document.embedding is not None:
        fields["key_vector"] = document.embedding
    kept = {name: each.to_dict() for name in _KEPT if (each := getattr(document, name)) is not None}
    if kept:
        fields["value"] = kept
    return Row(document.id, **fields)


def document(found: Row) -> Document:
    """A document that was read; one that others wrote has its value as content."""
    vector = None if found.key_vector is None else found.key_vector.tolist()
    return _document(found, meta=dict(found.metadata), embedding=vector)


def matched(asking: Asking, answer: Answer, match: Match) -> Document:
    """A document that an answer names."""
    return _document(
        match,
        meta=asking.metadata(answer, match),
        embedding=vector_of(match),
        score=asking.score_of(match),
    )


def _document(found: Row | Match, **others: Any) -> Document:
    value = found.value
    kept = value if isinstance(value, dict) and value and value.keys() <= set(_KEPT) else {}
    if "blob" in kept:
        others["blob"] = ByteStream.from_dict(kept["blob"])
    if "sparse_embedding" in kept:
        others["sparse_embedding"] = SparseEmbedding.from_dict(kept["sparse_embedding"])
    return Document(id=found.id, content=found.key if kept or value is None else text_of(found), **others)
