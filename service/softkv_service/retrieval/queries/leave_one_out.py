"""Leave-one-out: how similar a row is to a question without each of its words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import category

import numpy as np

from softkv_attention.lookup import Memory, Question, answers
from softkv_service.encoding import Content, EncodedText, Encoders, TextRefused
from softkv_service.retrieval.collections import build_rows, get_encoding_queue, resolve_settings
from softkv_service.retrieval.documents import SentDocument, prepare_documents
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.scheduling import ARRAYS
from softkv_service.storage.records import CollectionRecord

MAX_WORDS = 32
"""The most words of a question that are left out; each is one more text to encode."""

_IDEOGRAPH = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Vowel signs, accents and joiners: in Hindi, they are within words, and no letters to `re`.
_MARKS = "\u200c\u200d" + "".join(sign for sign in map(chr, range(0x300, 0x1D00)) if category(sign).startswith("M"))
_LETTERS = rf"(?:(?![{_IDEOGRAPH}])\w[{_MARKS}]*)+"
WORD = re.compile(rf"[{_IDEOGRAPH}]|{_LETTERS}(?:['’-]{_LETTERS})*")


@dataclass(frozen=True)
class QuestionWord:
    """A word of a question, the piece from character `start` up to `end`.

    Attributes:
        similarity: the similarity of the row to the question without this word; None if the rest has nothing to read.
    """

    text: str
    start: int
    end: int
    similarity: float | None


@dataclass(frozen=True)
class RowWords:
    """The similarity of a row to a whole question, and to the question without each of its words."""

    similarity: float
    words: Sequence[QuestionWord]


async def leave_words_out(encoders: Encoders, row: SentDocument, query: str) -> RowWords:
    """Leave each of the first MAX_WORDS words out of a question, and compare the rest with a row.

    The similarity is that of `compare_rows`: of a new collection with the service's encoder.

    Raises:
        RetrievalError: the service has no encoder, or the row has no key.
        AttentionError: a question cannot be compared with the key.
    """
    queue = await get_encoding_queue(encoders)
    record = CollectionRecord(0, "rows", await resolve_settings(encoders, {}), documents=1)
    (document,) = (await prepare_documents(encoders, record, [row], ["/row"])).records
    words = list(WORD.finditer(query))[:MAX_WORDS]
    rests = [" ".join(f"{query[: word.start()]} {query[word.end() :]}".split()) for word in words]
    try:
        query_text, *encoded = await queue.encode_each([query, *filter(None, rests)], "query")
    except TextRefused as error:
        raise InvalidContent.of_texts(error, ["/query"] * (1 + len(rests))) from None
    unread = iter(encoded)
    parts = [next(unread) if rest else None for rest in rests]  # providers refuse the empty text

    def is_readable(text: EncodedText) -> bool:
        return text.content != Content.NOTHING

    def compare() -> list[float]:
        memory = Memory(record.settings.similarity)
        memory.publish(add=build_rows(np.arange(1), [document]))
        readable = [query_text, *filter(is_readable, encoded)]
        questions = [Question(query=text.vector, temperature=1.0, top_k=1) for text in readable]
        return [float(answer.similarities[0]) for answer in answers(memory.view, questions)]

    similarity, *similarities = await ARRAYS.run(compare)
    remaining = iter(similarities)
    return RowWords(
        similarity,
        [
            QuestionWord(
                word.group(), word.start(), word.end(), next(remaining) if part and is_readable(part) else None
            )
            for word, part in zip(words, parts, strict=True)
        ],
    )
