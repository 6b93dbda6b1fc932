"""From documents as they are sent to documents that can be stored: texts encoded, widths checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from service.encoding import LoadingEncoder
from service.retrieval.collections import encoding_queue
from service.retrieval.errors import Flaw, InvalidContent
from service.storage import CollectionRecord, DocumentRecord, nested_too_much

Array = np.ndarray[Any, np.dtype[np.float32]]
MISSING: Any = object()


@dataclass(frozen=True)
class SentDocument:
    """A document as it came; `value` is MISSING where none was sent."""

    id: str
    key: str | None = None
    value: Any = MISSING
    metadata: dict[str, Any] = field(default_factory=dict)
    key_vector: Array | None = None
    value_vector: Array | None = None


@dataclass(frozen=True)
class Prepared:
    """Documents ready to be stored, and the ids of those whose text was longer than the encoder reads."""

    records: list[DocumentRecord]
    truncated: list[str]


async def prepare_documents(
    encoder: LoadingEncoder | None,
    record: CollectionRecord,
    documents: Sequence[SentDocument],
    pointers: Sequence[str],
    *,
    existing: frozenset[str] = frozenset(),
) -> Prepared:
    """Encode what is missing and check the rest; `pointers` say where each document stands in the request.

    Those whose ids are `existing` are left out before anything is encoded.

    Raises:
        InvalidContent: with every flaw of every document, or as the encoder is not the collection's.
        EncoderUnavailable: it is still loading, or has failed.
    """
    _refuse([flaw for document, at in zip(documents, pointers, strict=True) for flaw in _flaws(record, document, at)])
    _refuse([flaw for document, at in zip(documents, pointers, strict=True) for flaw in _nesting(document, at)])
    _refuse(_duplicates(documents, pointers))
    kept = [(document, at) for document, at in zip(documents, pointers, strict=True) if document.id not in existing]
    if not kept:
        return Prepared([], [])
    documents, pointers = zip(*kept, strict=True)
    texts = {text: None for document in documents for text in _texts(record, document)}
    vectors, truncated = await encode(encoder, record, list(texts))
    records = [_record(record, document, vectors) for document in documents]
    widths = _widths(record, records)
    _refuse(
        [flaw for made, at in zip(records, pointers, strict=True) for flaw in _vector_flaws(record, widths, made, at)]
    )
    cut = [d.id for d in documents if any(text in truncated for text in _texts(record, d))]
    return Prepared(records, cut)


async def encode(
    encoder: LoadingEncoder | None, record: CollectionRecord, texts: list[str]
) -> tuple[dict[str, Array], set[str]]:
    """The vector of each text of a document, and the texts that were cut; raises EncoderUnavailable."""
    if not texts:
        return {}, set()
    queue = await encoding_queue(encoder, record.settings)
    encoded = await queue.encode(texts, "document")
    truncated = {text for text, cut in zip(texts, encoded.truncated, strict=True) if cut}
    return dict(zip(texts, encoded.vectors, strict=True)), truncated


def _key_text(document: SentDocument) -> str | None:
    return document.key if document.key_vector is None else None


def _value(document: SentDocument) -> Any:
    return document.key if document.value is MISSING else document.value


def _value_text(record: CollectionRecord, document: SentDocument) -> str | None:
    """The text that the value vector is encoded from; None where it is given or is the key's."""
    if document.value_vector is not None or record.settings.encoder is None or record.settings.value_from == "key":
        return None
    value = _value(document)
    return value if isinstance(value, str) else None


def _texts(record: CollectionRecord, document: SentDocument) -> list[str]:
    return [text for text in (_key_text(document), _value_text(record, document)) if text is not None]


def _record(record: CollectionRecord, document: SentDocument, vectors: dict[str, Array]) -> DocumentRecord:
    key_text, value_text = _key_text(document), _value_text(record, document)
    key_vector = document.key_vector if key_text is None else vectors[key_text]
    assert key_vector is not None
    value_vector = document.value_vector if value_text is None else vectors[value_text]
    return DocumentRecord(
        id=document.id,
        key=document.key,
        value=_value(document),
        metadata=document.metadata,
        key_vector=key_vector,
        value_vector=value_vector,
    )


def _flaws(record: CollectionRecord, document: SentDocument, at: str) -> list[Flaw]:
    if document.key_vector is not None:
        return []
    if record.settings.encoder is None:
        return [Flaw(f"{at}/key_vector", f"collection {record.name!r} has no encoder: send a key_vector")]
    if document.key is None:
        return [Flaw(f"{at}/key", "a document needs a key: send its text, or a key_vector")]
    return []


def _nesting(document: SentDocument, at: str) -> list[Flaw]:
    excess = nested_too_much(document.metadata)
    return [] if excess is None else [Flaw(f"{at}/metadata", f"{excess}: put some of it into the value")]


def _duplicates(documents: Sequence[SentDocument], pointers: Sequence[str]) -> list[Flaw]:
    seen: set[str] = set()
    flaws = []
    for document, at in zip(documents, pointers, strict=True):
        if document.id in seen:
            flaws.append(Flaw(f"{at}/id", f"the id {document.id!r} is in this request twice: send each id once"))
        seen.add(document.id)
    return flaws


def _widths(record: CollectionRecord, records: Sequence[DocumentRecord]) -> tuple[int, int]:
    """The widths of key and value: the collection's, or what its first document will make them."""
    first, settings = records[0], record.settings
    value = first.key_vector if first.value_vector is None else first.value_vector
    return settings.dimension or len(first.key_vector), settings.value_dimension or len(value)


def _vector_flaws(record: CollectionRecord, widths: tuple[int, int], made: DocumentRecord, at: str) -> list[Flaw]:
    value = made.key_vector if made.value_vector is None else made.value_vector
    flaws = [
        Flaw(
            f"{at}/{name}",
            f"{name} has width {len(vector)}, collection {record.name!r} holds width {width}: "
            "use the model that its other documents were made with",
        )
        for name, vector, width in zip(("key_vector", "value_vector"), (made.key_vector, value), widths, strict=True)
        if len(vector) != width
    ]
    if record.settings.similarity == "cosine" and not made.key_vector.any():
        flaws.append(Flaw(f"{at}/key_vector", "a zero vector has no direction, so no cosine: leave the document out"))
    return flaws


def _refuse(flaws: list[Flaw]) -> None:
    if flaws:
        raise InvalidContent(flaws)
