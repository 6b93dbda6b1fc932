"""Encoding of queries, as callers send them, and checks of what a query and its options may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softkv_attention.lookup import AnyMask
from softkv_service.encoding import Content, Encoders, TextRefused
from softkv_service.retrieval.collections import Snapshot, get_encoding_queue, parse_filter
from softkv_service.retrieval.errors import Flaw, InvalidContent, NothingToRead, ShardsMissing
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.records import CollectionRecord

Array = np.ndarray[Any, Any]

MAX_SHOWN_CHARACTERS = 60
"""The number of characters of a text that an error repeats."""


@dataclass(frozen=True, eq=False)
class EncodedQuery:
    """A query as the caller sent it, and its vector [d].

    Attributes:
        unknown_tokens: the number of tokens of the text that the model does not know; None for a query that is a
            vector, or if the encoder does not tell.
        words_unknown: whether some tokens are unknown, and no token with a letter or a digit is known.
        is_sum: whether the vector is a weighted sum, which the caller sent as a list of parts.
    """

    sent: str | Array
    vector: Array
    unknown_tokens: int | None = None
    words_unknown: bool = False
    is_sum: bool = False


async def encode_queries(
    encoders: Encoders,
    record: CollectionRecord,
    queries: Sequence[str | Array],
    pointers: Sequence[str],
) -> list[EncodedQuery]:
    """Encode texts with the collection's encoder; vectors stay as they are.

    Args:
        pointers: the position of each query in the request, for errors.

    Raises:
        NothingToRead: the model knows no token of some texts; the error has the pointer of each.
        InvalidContent: the model's provider refuses some texts; the error has the pointer of each.
        RetrievalError: the collection or the service has no encoder.
    """
    texts = [query for query in queries if isinstance(query, str)]
    if not texts:
        return [EncodedQuery(query, query) for query in queries if not isinstance(query, str)]
    check_texts(record, queries, pointers)
    queue = await get_encoding_queue(encoders, record.settings)
    try:
        rows = iter(await queue.encode_each(texts, "query"))
    except TextRefused as error:
        of_texts = [pointer for query, pointer in zip(queries, pointers, strict=True) if isinstance(query, str)]
        raise InvalidContent.of_texts(error, of_texts) from None
    encoded, flaws = list[EncodedQuery](), list[Flaw]()
    for query, pointer in zip(queries, pointers, strict=True):
        if not isinstance(query, str):
            encoded.append(EncodedQuery(query, query))
            continue
        text = next(rows)
        if text.content == Content.NOTHING:
            flaws.append(Flaw(pointer, _describe_unreadable(query, text.unknown_tokens, queue.encoder.name)))
        words_unknown = bool(text.unknown_tokens) and text.content < Content.WORDS
        encoded.append(EncodedQuery(query, text.vector, text.unknown_tokens, words_unknown))
    if flaws:
        raise NothingToRead(flaws)
    return encoded


async def check_readable(encoders: Encoders, query: str, pointer: str) -> None:
    """Raise an error for a text of which the service's encoder knows no token.

    Every text is accepted until an encoder is loaded.

    Raises:
        NothingToRead: the encoder knows no token of the text; the error has this pointer.
        InvalidContent: the encoder's provider refuses it; the error has this pointer.
    """
    if encoders.default is None or encoders.default.encoder is None:
        return
    queue = await get_encoding_queue(encoders)
    try:
        (text,) = await queue.encode_each([query], "query")  # the queue keeps it for the answer
    except TextRefused as error:
        raise InvalidContent.of_texts(error, [pointer]) from None
    if text.content == Content.NOTHING:
        raise NothingToRead([Flaw(pointer, _describe_unreadable(query, text.unknown_tokens, queue.encoder.name))])


def check_texts(record: CollectionRecord, queries: Sequence[str | Array], pointers: Sequence[str]) -> None:
    """Raise an error if a query is a text and the collection has no encoder."""
    if record.settings.encoder is None:
        for query, pointer in zip(queries, pointers, strict=True):
            if isinstance(query, str):
                raise InvalidContent.at(
                    pointer,
                    f"the query is a text and collection {record.name!r} has no encoder: send the query as a vector",
                )


def _describe_unreadable(text: str, unknown: int | None, model: str) -> str:
    """Return the message of the error for a text of which the model knows no token."""
    shown = repr(text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…")
    if not text:
        seen = "an empty text"
    elif not text.strip():
        seen = f"white space alone, {shown}"
    elif unknown:
        seen = f"{shown}, of which {model} knows no token ({unknown} unknown)"
    else:
        seen = f"{shown}, in which {model} finds special tokens alone, or none"
    return f"Expected a question with something to read, got {seen}. Ask in words that the model knows."


def check_complete(snapshot: Snapshot) -> None:
    """Raise ShardsMissing if documents of the collection are unavailable now."""
    if snapshot.missing is not None:
        if snapshot.restriction is not None:  # the numbers are of all documents
            raise ShardsMissing(snapshot.record.name)
        documents = snapshot.view.documents
        raise ShardsMissing(snapshot.record.name, documents, documents + snapshot.missing.documents)


def check_queries(record: CollectionRecord, vectors: Sequence[Array], pointers: Sequence[str]) -> None:
    """Raise InvalidContent for a query whose width differs from the keys', or a zero vector under cosine."""
    dimension = record.settings.dimension
    for vector, pointer in zip(vectors, pointers, strict=True):
        if dimension is not None and len(vector) != dimension:
            raise InvalidContent.at(
                pointer,
                f"query has width {len(vector)}, the keys of {record.name!r} have width {dimension}: "
                "encode both with the same model",
            )
        if record.settings.similarity == "cosine" and not np.count_nonzero(vector):
            raise InvalidContent.at(pointer, "a zero vector has no direction, so no cosine: send another query")
        if record.settings.projection is not None and not np.isfinite(vector).all():
            raise InvalidContent.at(
                pointer, "the projection maps the query to numbers beyond float32: send a shorter vector"
            )


def build_mask(snapshot: Snapshot, question: CollectionQuestion) -> AnyMask | None:
    """Return the mask of a question's filter: which rows of the snapshot pass; None for all rows."""
    return snapshot.passing(parse_filter(question.filter, question.now))
