"""Queries as vectors, and how much of each text the encoder can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention.lookup import HALF, Evidence, Verdict
from service.encoding import Content, LoadingEncoder
from service.retrieval.collections import get_encoding_queue
from service.retrieval.errors import Flaw, InvalidContent, NothingToRead
from service.storage import CollectionRecord

Array = np.ndarray[Any, Any]

MAX_SHOWN_CHARACTERS = 60
"""The number of characters of a text that an error repeats."""


@dataclass(frozen=True, eq=False)
class EncodedQuery:
    """A query as it is sent, and its vector [d].

    Attributes:
        unknown_tokens: tokens of the text that the model does not know; None of a query that is a vector.
        words_unknown: whether some are, and no token with a letter or a digit is known.
    """

    sent: str | Array
    vector: Array
    unknown_tokens: int | None = None
    words_unknown: bool = False

    def verdict(self, verdict: Verdict, evidence: Evidence, variation: float) -> Verdict:
        """Return the verdict of an answer to this query; if the model knows no word of it, "one" becomes "several".

        Args:
            verdict: the verdict of the weights.
            evidence: the evidence of the answer.
            variation: the bound on the total variation of its weights.
        """
        if not self.words_unknown or verdict.stands == "none":
            return verdict
        never_none = evidence.null_similarity is None or evidence.null_weight + variation < HALF
        return Verdict("several", never_none)


async def encode_queries(
    encoder: LoadingEncoder | None,
    record: CollectionRecord,
    queries: Sequence[str | Array],
    pointers: Sequence[str],
) -> list[EncodedQuery]:
    """Encode texts with the collection's encoder; vectors stay as they are.

    Args:
        pointers: where each query stands in the request, for errors.

    Raises:
        NothingToRead: the model can read nothing of some texts; at the pointer of each.
        RetrievalError: nothing makes vectors of texts.
    """
    texts = [query for query in queries if isinstance(query, str)]
    if not texts:
        return [EncodedQuery(query, query) for query in queries if not isinstance(query, str)]
    check_texts(record, queries, pointers)
    queue = await get_encoding_queue(encoder, record.settings)
    rows = iter((await queue.encode(texts, "query")).texts())
    encoded, flaws = list[EncodedQuery](), list[Flaw]()
    for query, pointer in zip(queries, pointers, strict=True):
        if not isinstance(query, str):
            encoded.append(EncodedQuery(query, query))
            continue
        text = next(rows)
        if text.content == Content.NOTHING:
            flaws.append(Flaw(pointer, _describe_unreadable(query, text.unknown_tokens, queue.encoder.name)))
        words_unknown = text.unknown_tokens > 0 and text.content < Content.WORDS
        encoded.append(EncodedQuery(query, text.vector, text.unknown_tokens, words_unknown))
    if flaws:
        raise NothingToRead(flaws)
    return encoded


async def check_readable(encoder: LoadingEncoder | None, query: str, pointer: str) -> None:
    """Refuse a text of which the service's encoder can read nothing; accept every text until an encoder is loaded.

    Raises:
        NothingToRead: at the pointer.
    """
    if encoder is None or encoder.encoder is None:
        return
    queue = await get_encoding_queue(encoder)
    (text,) = (await queue.encode([query], "query")).texts()  # the queue keeps it for the answer
    if text.content == Content.NOTHING:
        raise NothingToRead([Flaw(pointer, _describe_unreadable(query, text.unknown_tokens, queue.encoder.name))])


def check_texts(record: CollectionRecord, queries: Sequence[str | Array], pointers: Sequence[str]) -> None:
    """Refuse texts if the collection has no encoder."""
    if record.settings.encoder is None:
        for query, at in zip(queries, pointers, strict=True):
            if isinstance(query, str):
                raise InvalidContent.at(
                    at, f"the query is a text and collection {record.name!r} has no encoder: send the query as a vector"
                )


def _describe_unreadable(text: str, unknown: int, model: str) -> str:
    """Return the error for a text of which the model can read nothing."""
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
