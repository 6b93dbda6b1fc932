"""Prepare sent documents for storage: split and encode their texts, check their vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import numpy as np

from service.encoding import Encoder, LoadingEncoder
from service.retrieval.collections import get_encoding_queue
from service.retrieval.errors import Flaw, InvalidContent
from service.scheduling import BODIES, TEXTS
from service.storage import CollectionRecord, DocumentRecord, TextSpan, find_nul, nesting_problem

MAX_KEYS = 10_000
"""That one document may have."""

OVERLAP_DIVISOR = 8  # of so many tokens of a part one is the part's before too, where nothing is said


@dataclass(frozen=True)
class Split:
    """How a key text is to be split.

    Attributes:
        tokens: of a part, as the encoder counts them, special ones included; None for as many as it reads.
        overlap: how many of them a part shares with the one before it; None for an eighth.
    """

    tokens: int | None = None
    overlap: int | None = None


async def split_texts(
    encoder: LoadingEncoder | None, record: CollectionRecord, texts: Mapping[str, tuple[str, Split]]
) -> dict[str, tuple[TextSpan, ...]]:
    """The parts of each text that is longer than one, by where its document stands in the request.

    Args:
        texts: by these pointers.

    Raises:
        InvalidContent: a split that the encoder cannot do, or into too many parts; or it is not the collection's.
        EncoderUnavailable: it is still loading, or has failed.
    """
    if not texts:
        return {}
    model = (await get_encoding_queue(encoder, record.settings)).encoder
    alike = defaultdict[Split, list[str]](list)
    for at, (_, split) in texts.items():
        alike[split].append(at)
    flaws = [
        Flaw(f"{at}/split{flaw.pointer}", flaw.detail)
        for split, pointers in alike.items()
        if (flaw := _flaw(model, split))
        for at in pointers
    ]
    if flaws:
        raise InvalidContent(flaws)
    found: dict[str, tuple[TextSpan, ...]] = {}
    for split, pointers in alike.items():
        some = [texts[at][0] for at in pointers]
        spans = await TEXTS.run(model.windows, some, *_numbers(model, split), MAX_KEYS, "document")
        found |= {at: tuple(TextSpan(*span) for span in each) for at, each in zip(pointers, spans, strict=True)}
    _refuse_too_many(found)
    return {at: parts for at, parts in found.items() if len(parts) > 1}


def _numbers(model: Encoder, split: Split) -> tuple[int, int]:
    """Tokens and overlap, with what was left out."""
    tokens = split.tokens or model.max_tokens or 0
    return tokens, tokens // OVERLAP_DIVISOR if split.overlap is None else split.overlap


def _flaw(model: Encoder, split: Split) -> Flaw | None:
    most = model.max_tokens
    if split.tokens is None and most is None:
        return Flaw("/tokens", f"{model.name} reads texts of any length: say how many tokens a part has")
    tokens, overlap = _numbers(model, split)
    least = tokens - model.room(tokens, "document") + 1
    if tokens < least or (most is not None and tokens > most):
        upto = "" if most is None else f" and at most {most}, as many as it reads"
        return Flaw("/tokens", f"a part for {model.name} has at least {least} tokens{upto}; got {tokens}")
    if overlap > tokens - least:
        return Flaw("/overlap", f"parts of {tokens} tokens can share at most {tokens - least}, got {overlap}")
    return None


def _refuse_too_many(found: Mapping[str, Sequence[TextSpan]]) -> None:
    flaws = [
        Flaw(
            f"{at}/split",
            f"the text would be split into more parts than the {MAX_KEYS} that a document has at most: "
            "send it as several documents, or let parts have more tokens, or share fewer",
        )
        for at, parts in found.items()
        if not parts
    ]
    if flaws:
        raise InvalidContent(flaws)


Array = np.ndarray[Any, np.dtype[np.float32]]
MISSING: Any = object()
MAX_INLINE_DOCUMENTS = 256  # documents that are no work for the event loop
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class SentDocument:
    """A document as it came; `value` is MISSING where none was sent.

    Attributes:
        key_vector, key_vectors: one key, or several; at most one of the two.
        parts: what part of the key text each of the `key_vectors` is of; empty where each is of all of it.
        split: how the key text is to be split into parts, each of which becomes a key.
    """

    id: str
    key: str | None = None
    value: Any = MISSING
    metadata: dict[str, Any] = field(default_factory=dict)
    key_vector: Array | None = None
    value_vector: Array | None = None
    key_vectors: Sequence[Array] | None = None
    split: Split | None = None
    parts: tuple[TextSpan, ...] = ()

    @property
    def vectors(self) -> Sequence[Array] | None:
        """The keys that were sent; None where they have to be encoded, or there are none."""
        return self.key_vectors if self.key_vector is None else [self.key_vector]


@dataclass(frozen=True)
class PreparedDocuments:
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
) -> PreparedDocuments:
    """Encode what is missing and check the rest; `pointers` say where each document stands in the request.

    Those whose ids are `existing` are left out before anything is encoded.

    Raises:
        InvalidContent: with every flaw of every document, or as the encoder is not the collection's.
        EncoderUnavailable: it is still loading, or has failed.
    """
    many = len(documents) > MAX_INLINE_DOCUMENTS
    await _done(many, _check, record, documents, pointers)
    kept = {at: document for document, at in zip(documents, pointers, strict=True) if document.id not in existing}
    split = {at: (d.key, d.split) for at, d in kept.items() if d.key is not None and d.split is not None}
    parts = await split_texts(encoder, record, split)
    drafts = [_Draft(record, document, at, parts.get(at, document.parts)) for at, document in kept.items()]
    texts = {text: None for draft in drafts for text in draft.texts}
    vectors, truncated = await encode(encoder, record, list(texts))
    await _done(many, lambda: _refuse(list(_vector_flaws(record, drafts, vectors))))
    cut = [draft.document.id for draft in drafts if not truncated.isdisjoint(draft.texts)]
    return PreparedDocuments(await _done(many, lambda: [draft.record(vectors) for draft in drafts]), cut)


def _check(record: CollectionRecord, documents: Sequence[SentDocument], pointers: Sequence[str]) -> None:
    _refuse([flaw for document, at in zip(documents, pointers, strict=True) for flaw in _flaws(record, document, at)])
    _refuse([flaw for document, at in zip(documents, pointers, strict=True) for flaw in _nesting(document, at)])
    _refuse([flaw for document, at in zip(documents, pointers, strict=True) for flaw in _nul(document, at)])
    _refuse(_duplicates(documents, pointers))


async def _done(many: bool, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What the work gives; off the event loop where it is about many documents."""
    return await BODIES.run(work, *arguments, **named) if many else work(*arguments, **named)


async def encode(
    encoder: LoadingEncoder | None, record: CollectionRecord, texts: list[str]
) -> tuple[dict[str, Array], set[str]]:
    """The vector of each text of a document, and the texts that were cut; raises EncoderUnavailable."""
    if not texts:
        return {}, set()
    queue = await get_encoding_queue(encoder, record.settings)
    encoded = await queue.encode(texts, "document")
    truncated = {text for text, cut in zip(texts, encoded.truncated, strict=True) if cut}
    return dict(zip(texts, encoded.vectors, strict=True)), truncated


@dataclass(frozen=True)
class _Draft:
    """A document on its way: what has to be encoded of it is known."""

    of: CollectionRecord
    document: SentDocument
    at: str
    parts: tuple[TextSpan, ...]

    @property
    def value(self) -> Any:
        return self.document.key if self.document.value is MISSING else self.document.value

    @property
    def key_texts(self) -> list[str]:
        """The texts that become its keys; none where they were sent, or where it is keyless."""
        key = self.document.key
        if key is None or self.document.vectors is not None or self.of.settings.encoder is None:
            return []
        return [key[part.start : part.end] for part in self.parts] or [key]

    @property
    def value_text(self) -> str | None:
        """The text that the value vector is encoded from; None where it is given, is each key's, or means nothing."""
        settings = self.of.settings
        if self.document.value_vector is not None or settings.encoder is None or settings.value_from == "key":
            return None
        if not isinstance(self.value, str) or not (self.key_texts or self.document.vectors):
            return None
        # The parts of a text that is its own value say together what its beginning alone would not.
        return None if len(self.parts) > 1 and self.value == self.document.key else self.value

    @property
    def texts(self) -> list[str]:
        return [*self.key_texts, *([] if self.value_text is None else [self.value_text])]

    def keys(self, vectors: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """Its keys, and where each stands in the request."""
        sent = self.document
        if sent.key_vector is not None:
            yield f"{self.at}/key_vector", sent.key_vector
        elif sent.key_vectors is not None:
            yield from ((f"{self.at}/key_vectors/{i}", vector) for i, vector in enumerate(sent.key_vectors))
        else:
            yield from ((f"{self.at}/key_vector", vectors[text]) for text in self.key_texts)

    def value_vector(self, vectors: Mapping[str, Array]) -> Array | None:
        return self.document.value_vector if self.value_text is None else vectors[self.value_text]

    def record(self, vectors: Mapping[str, Array]) -> DocumentRecord:
        keys = [vector for _, vector in self.keys(vectors)]
        return DocumentRecord(
            id=self.document.id,
            key=self.document.key,
            value=self.value,
            metadata=self.document.metadata,
            keys=np.stack(keys) if keys else np.empty((0, 0), dtype=np.float32),
            value_vector=self.value_vector(vectors),
            parts=self.parts,
            value_sent=self.document.value is not MISSING,
        )


def _flaws(record: CollectionRecord, document: SentDocument, at: str) -> list[Flaw]:
    keys = [name for name in ("key_vector", "key_vectors", "split") if getattr(document, name) is not None]
    if len(keys) > 1:
        return [Flaw(f"{at}/{keys[1]}", f"{' and '.join(keys)} came: send one of them")]
    if document.key_vectors is not None and not 1 <= len(document.key_vectors) <= MAX_KEYS:
        wanted = f"wanted 1 to {MAX_KEYS} vectors, got {len(document.key_vectors)}"
        return [Flaw(f"{at}/key_vectors", f"{wanted}: leave it out for a document without a key")]
    if document.parts:
        return _part_flaws(document, at)
    if document.split is None:
        return []
    if record.settings.encoder is None:
        return [Flaw(f"{at}/split", f"collection {record.name!r} has no encoder that parts could be read by")]
    if document.key is None:
        return [Flaw(f"{at}/split", "there is no key text to split: send one, or leave split out")]
    return []


def _part_flaws(document: SentDocument, at: str) -> list[Flaw]:
    if len(document.parts) != len(document.key_vectors or ()):
        detail = (
            f"{len(document.parts)} parts came for {len(document.key_vectors or ())} key_vectors: send one for each"
        )
        return [Flaw(f"{at}/parts", detail)]
    length = len(document.key or "")
    return [
        Flaw(f"{at}/parts/{i}", f"wanted 0 <= start < end <= {length}, the length of the key text; got {start}, {end}")
        for i, (start, end) in enumerate(document.parts)
        if not start < end <= length
    ]


def _nesting(document: SentDocument, at: str) -> list[Flaw]:
    excess = nesting_problem(document.metadata)
    return [] if excess is None else [Flaw(f"{at}/metadata", f"{excess}: put some of it into the value")]


def _nul(document: SentDocument, at: str) -> list[Flaw]:
    where = find_nul(document.key, document.metadata)
    detail = f"the {where} holds a NUL (U+0000), which no store keeps: leave it out, or put it into the value"
    return [] if where is None else [Flaw(f"{at}/{where}", detail)]


def _duplicates(documents: Sequence[SentDocument], pointers: Sequence[str]) -> list[Flaw]:
    seen: set[str] = set()
    flaws = []
    for document, at in zip(documents, pointers, strict=True):
        if document.id in seen:
            flaws.append(Flaw(f"{at}/id", f"the id {document.id!r} is in this request twice: send each id once"))
        seen.add(document.id)
    return flaws


def _vector_flaws(record: CollectionRecord, drafts: Sequence[_Draft], vectors: Mapping[str, Array]) -> Iterator[Flaw]:
    """Of widths, the collection's or those that its first document will set, and of keys without a direction."""
    dimension, value_dimension = record.settings.dimension, record.settings.value_dimension
    for draft in drafts:
        value, name = draft.value_vector(vectors), "value_vector"
        for at, key in draft.keys(vectors):
            dimension = dimension or len(key)
            yield from _width_flaws(record, at, "key_vector", key, dimension)
            if record.settings.similarity == "cosine" and not key.any():
                detail = "a zero vector has no direction, so no cosine: leave it out, and the document is keyless"
                yield Flaw(at, detail)
            if value is None and len(key) == dimension:
                value, name = key, "the key vector, which is the value vector too where none is sent,"
        if value is not None:
            value_dimension = value_dimension or len(value)
            yield from _width_flaws(record, f"{draft.at}/value_vector", name, value, value_dimension)


def _width_flaws(record: CollectionRecord, at: str, name: str, vector: Array, width: int) -> Iterator[Flaw]:
    if len(vector) != width:
        yield Flaw(
            at,
            f"{name} has width {len(vector)}, collection {record.name!r} holds width {width}: "
            "use the model that its other documents were made with",
        )


def _refuse(flaws: list[Flaw]) -> None:
    if flaws:
        raise InvalidContent(flaws)
