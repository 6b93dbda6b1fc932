"""Conversion of documents from their JSON in requests to stored documents, and of documents and matches to JSON."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from orjson import Fragment

from softkv_attention.lookup import Answer
from softkv_service.retrieval.documents import SentDocument, Split
from softkv_service.retrieval.queries import BestKey, Document, Match
from softkv_service.retrieval.question import TEXTS, VECTORS
from softkv_service.schemas.compare import Row
from softkv_service.schemas.document import DocumentBody, DocumentPatch
from softkv_service.schemas.vector import write_vector
from softkv_service.storage.instants import format_instant
from softkv_service.storage.records import DocumentRecord, StoredDocument, TextSpan, Vector


def parse_document(document_id: str, body: DocumentBody | Row) -> SentDocument:
    """Convert the JSON model of a document to the document that is stored.

    Fields that the request lacks keep their defaults.
    """
    return SentDocument(document_id, **field_values(body, body.model_fields_set - {"id"}))


def field_values(body: DocumentBody | Row | DocumentPatch, fields: AbstractSet[str]) -> dict[str, Any]:
    """Return the values of these fields of a body, converted to the types in which documents are stored."""
    content = {field: getattr(body, field) for field in fields}
    if (split := content.get("split")) is not None:
        content["split"] = Split(split.tokens, split.overlap)
    if (parts := content.get("parts")) is not None:
        content["parts"] = tuple(TextSpan(part.start, part.end) for part in parts)
    return content


def shape(documents: Sequence[Document], include: Sequence[str], vector_format: str) -> list[dict[str, Any]]:
    """Return stored documents as JSON: the id and the included fields of each; see `shape_fields`."""
    fields = shape_fields(documents, [None] * len(documents), include, vector_format)
    return [{"id": document.id, **content} for document, content in zip(documents, fields, strict=True)]


def shape_fields(
    documents: Sequence[Document | None],
    best_keys: Sequence[BestKey | None],
    include: Sequence[str],
    vector_format: str,
) -> list[dict[str, Any]]:
    """Return the included fields of each stored document as JSON; none for a document that was not read.

    If any field is included, so is the instant at which the document expires, if it ever does.

    Args:
        documents: with their vectors if they are included.
        best_keys: the most similar of the keys of each, for a match with several keys.
        include: the names of the fields to return.
        vector_format: "numbers" or "base64".
    """
    names = [name for name in ("key", "value", "metadata") if name in include or name == "value"]
    has_value, has_sent_value = "value" in include, "sent_value" in include
    has_expiry = not (TEXTS | VECTORS).isdisjoint(include)
    shaped = list[dict[str, Any]]()
    for document, best_key in zip(documents, best_keys, strict=True):
        answer = dict[str, Any]()
        shaped.append(answer)
        if document is None:
            continue
        if best_key is not None:
            answer["part"] = {"index": best_key.index, **({} if best_key.part is None else best_key.part._asdict())}
        stored = isinstance(document, StoredDocument)  # its value and metadata are JSON already
        for name in names:
            if name != "value" or has_value or (has_sent_value and document.value_sent):
                content = getattr(document, name)
                answer[name] = Fragment(content) if stored and name != "key" else content
        if isinstance(document, DocumentRecord):
            if "key_vector" in include:
                answer |= _keys(document, vector_format)
            if "value_vector" in include:
                vector = _value_vector(document, best_key.index if best_key else 0)
                answer["value_vector"] = None if vector is None else write_vector(vector, vector_format)
        if has_expiry and document.expires is not None:
            answer["expires"] = format_instant(document.expires)
    return shaped


def _keys(document: DocumentRecord, vector_format: str) -> dict[str, Any]:
    """Return the JSON field with the keys of a document: `key_vector` for one key, `key_vectors` for several.

    `key_vector` is null if the document has no key.
    """
    keys = [write_vector(key, vector_format) for key in document.keys]
    if len(keys) < 2:
        return {"key_vector": keys[0] if keys else None}
    parts = {"parts": [part._asdict() for part in document.parts]} if document.parts else {}
    return {"key_vectors": keys, **parts}


def _value_vector(document: DocumentRecord, part: int) -> Vector | None:
    """Return the vector of a document's value, which answers blend; None if it has neither value nor key.

    Args:
        document: the document.
        part: the index of one of its keys, which is the value vector if the document has no other.
    """
    if document.value_vector is not None:
        return document.value_vector
    return document.keys[part] if len(document.keys) else None


def shape_matches(
    matches: Sequence[Match], lookup: Answer, include: Sequence[str], vector_format: str
) -> list[dict[str, Any]]:
    """Return the JSON of the matches of an answer: id, weight and other numbers, and the requested fields.

    Args:
        matches: the matches.
        lookup: the answer.
        include: the names of the fields to return.
        vector_format: "numbers" or "base64".
    """
    documents, best_keys = [match.document for match in matches], [match.spoke for match in matches]
    evidence, shaped = lookup.evidence, list[dict[str, Any]]()
    log_partition = evidence.log_partition
    for match, fields in zip(matches, shape_fields(documents, best_keys, include, vector_format), strict=True):
        answer = {"id": match.id, "similarity": match.similarity, "logit": match.logit, "weight": match.weight}
        if match.confidence is not None:
            answer["confidence"] = match.confidence
        answer |= fields
        if match.stands_for:
            answer["stands_for"] = [{"id": identity, "weight": weight} for identity, weight in match.stands_for]
        if "highlight" in include:
            answer["highlight"] = match.highlight and match.highlight._asdict()
        if "explanation" in include:
            other_parts = match.log_weight_of_other_parts
            answer["explanation"] = {
                "similarity": match.similarity,
                "temperature": evidence.temperature,
                "logit": match.logit,
                **({} if match.addends is None else {"addends": match.addends}),
                **({"log_weight_of_other_parts": other_parts} if match.spoke is not None or other_parts else {}),
                "log_partition": log_partition,
                "log_weight": None if log_partition is None else match.logit + other_parts - log_partition,
            }
        shaped.append(answer)
    return shaped


def shape_warnings(warnings: Sequence[str]) -> dict[str, Any]:
    """Return the field with the warnings about a request's filter; empty without warnings."""
    return {"warnings": list(warnings)} if warnings else {}
