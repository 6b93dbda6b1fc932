"""Readers: what describes an answer, and changes no weight of it.

A reader is made of an option of the question. For the answers of a version of the collection it returns readings, which
advise the judge, add to the matches, and know their JSON. `confidence.py`, `fields.py`, `groups.py` and `highlight.py`
have one each.
"""

from __future__ import annotations

from collections.abc import Sequence

from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.query_parts import Query
from softkv_service.retrieval.queries.readers.confidence import LOST_CALIBRATION, ConfidenceReader
from softkv_service.retrieval.queries.readers.fields import FieldReader
from softkv_service.retrieval.queries.readers.groups import MAX_ANSWER_GROUPS, GroupReader
from softkv_service.retrieval.queries.readers.highlight import MAX_SENTENCES, HighlightReader
from softkv_service.retrieval.queries.readers.reader import Reader
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.records import CollectionRecord


def choose_readers(record: CollectionRecord, question: CollectionQuestion, queries: Sequence[Query]) -> list[Reader]:
    """Return the readers of a question, in the order in which they read.

    Args:
        record: the collection's record.
        question: the question.
        queries: its queries.

    Raises:
        InvalidContent: the option of a reader is invalid, or it is not for this collection, or for a part of it.
    """
    readers = list[Reader]()
    if question.read is not None:
        readers.append(FieldReader.of(question.read))
    if question.group_by is not None:
        readers.append(GroupReader.of(question.group_by, len(queries)))
    if question.allow_missing and readers:
        name = readers[0].name
        raise InvalidContent.at(f"/{name}", f"a field is read of all documents: leave allow_missing out, or {name}")
    if record.settings.calibration is not None or question.min_confidence is not None:
        readers.insert(0, ConfidenceReader.of(record, question, queries))
    if "highlight" in question.fields:
        readers.append(HighlightReader.of(record))
    return readers
