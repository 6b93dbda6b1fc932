"""Readers: what describes an answer, and changes no weight of it.

A reader is made of an option of the question. For the answers of a version of the collection it returns readings, which
know their JSON. `groups.py` and `fields.py` have one each; `highlight.py` reads the matches of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.readers.fields import FieldReader
from softkv_service.retrieval.queries.readers.groups import MAX_ANSWER_GROUPS, GroupReader
from softkv_service.retrieval.queries.readers.highlight import MAX_SENTENCES, check_highlight, highlight_matches
from softkv_service.retrieval.queries.results import Answered, Reading
from softkv_service.retrieval.question import CollectionQuestion


class Reader(Protocol):
    """A reader of answers, by the weights of all documents that pass."""

    @property
    def name(self) -> str:
        """The option of a question, and the field of the answer."""

    @property
    def weighs_all(self) -> bool:
        """Whether the answer must list the weight of every document."""

    def read(self, answered: Answered) -> Sequence[Reading]:
        """Return what it says of each answer."""


def choose_readers(question: CollectionQuestion, queries: int) -> list[Reader]:
    """Return the readers of a question.

    Args:
        question: the question.
        queries: the number of its queries.

    Raises:
        InvalidContent: the option of a reader is invalid, or it is not for a part of the collection.
    """
    readers = list[Reader]()
    if question.read is not None:
        readers.append(FieldReader.of(question.read))
    if question.group_by is not None:
        readers.append(GroupReader.of(question.group_by, queries))
    if question.allow_missing and readers:
        name = readers[0].name
        raise InvalidContent.at(f"/{name}", f"a field is read of all documents: leave allow_missing out, or {name}")
    return readers
