"""Prepare sent documents for storage: split and encode their texts, check their vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import numpy as np

from softkv_service.encoding import MAX_CACHED_REQUEST, EncodedText, Encoder, Encoders, TextRefused, read_part
from softkv_service.retrieval.collections import find_words_queue, get_encoding_queue
from softkv_service.retrieval.errors import Flaw, InvalidContent
from softkv_service.scheduling import BODIES, TEXTS
from softkv_service.storage import find_nul
from softkv_service.storage.fields import nesting_problem
from softkv_service.storage.records import CollectionRecord, DocumentRecord, TextSpan

MAX_KEYS = 10_000
"""The most keys that one document may have."""

OVERLAP_DIVISOR = 8  # by default a part shares an eighth of its tokens with the previous part


@dataclass(frozen=True)
class Split:
    """Options to split a key text.

    Attributes:
        tokens: the tokens of a part, including special tokens; None for the most that the encoder reads.
        overlap: the number of tokens that a part shares with the one before it; None for an eighth.
    """

    tokens: int | None = None
    overlap: int | None = None


async def split_texts(
    encoders: Encoders, record: CollectionRecord, texts: Mapping[str, tuple[str, Split]]
) -> dict[str, tuple[TextSpan, ...]]:
    """Split texts into parts.

    Return the parts of each text that is longer than one part, by the pointer of its document.

    Args:
        texts: the texts to split, by the pointers of their documents.

    Raises:
        InvalidContent: a split that the encoder cannot do, too many parts, or another encoder than the collection's.
        EncoderUnavailable: the encoder is still loading, or has failed.
    """
    if not texts:
        return {}
    model = (await get_encoding_queue(encoders, record.settings)).encoder
    pointers_by_split = defaultdict[Split, list[str]](list)
    for pointer, (_, split) in texts.items():
        pointers_by_split[split].append(pointer)
    flaws = [
        Flaw(f"{pointer}/split{flaw.pointer}", flaw.detail)
        for split, pointers in pointers_by_split.items()
        if (flaw := _flaw(model, split))
        for pointer in pointers
    ]
    if flaws:
        raise InvalidContent(flaws)
    parts_by_pointer: dict[str, tuple[TextSpan, ...]] = {}
    for split, pointers in pointers_by_split.items():
        batch = [texts[pointer][0] for pointer in pointers]
        spans = await TEXTS.run(model.windows, batch, *_numbers(model, split), MAX_KEYS, "document")
        parts_by_pointer |= {
            pointer: tuple(TextSpan(*span) for span in text_spans)
            for pointer, text_spans in zip(pointers, spans, strict=True)
        }
    _refuse_too_many(parts_by_pointer)
    return {pointer: parts for pointer, parts in parts_by_pointer.items() if len(parts) > 1}


def _numbers(model: Encoder, split: Split) -> tuple[int, int]:
    """Return the tokens and the overlap of a split, with defaults for missing ones."""
    tokens = split.tokens or model.max_tokens or 0
    return tokens, tokens // OVERLAP_DIVISOR if split.overlap is None else split.overlap


def _flaw(model: Encoder, split: Split) -> Flaw | None:
    if not model.knows_tokens:
        detail = f"encoder {model.name!r} is behind a URL, which does not tell tokens: split the text yourself"
        return Flaw("", f"{detail}, and send a document for each part")
    max_tokens = model.max_tokens
    if split.tokens is None and max_tokens is None:
        return Flaw("/tokens", f"{model.name} reads texts of any length: say how many tokens a part has")
    tokens, overlap = _numbers(model, split)
    min_tokens = tokens - model.room(tokens, "document") + 1
    if tokens < min_tokens or (max_tokens is not None and tokens > max_tokens):
        limit = "" if max_tokens is None else f" and at most {max_tokens}, as many as it reads"
        return Flaw("/tokens", f"a part for {model.name} has at least {min_tokens} tokens{limit}; got {tokens}")
    if overlap > tokens - min_tokens:
        return Flaw("/overlap", f"parts of {tokens} tokens can share at most {tokens - min_tokens}, got {overlap}")
    return None


def _refuse_too_many(parts_by_pointer: Mapping[str, Sequence[TextSpan]]) -> None:
    flaws = [
        Flaw(
            f"{pointer}/split",
            f"the text would be split into more parts than the {MAX_KEYS} that a document has at most: "
            "send it as several documents, or let parts have more tokens, or share fewer",
        )
        for pointer, parts in parts_by_pointer.items()
        if not parts
    ]
    if flaws:
        raise InvalidContent(flaws)


Array = np.ndarray[Any, np.dtype[np.float32]]
MISSING: Any = object()
MAX_INLINE_DOCUMENTS = 256  # more documents are checked off the event loop
P = ParamSpec("P")
T = TypeVar("T")


@dataclass  # not frozen, which takes three times as long to make
class SentDocument:
    """A document as it was sent; `value` is MISSING if none was sent.

    Attributes:
        key_vector, key_vectors: one key, or several; at most one of the two.
        parts: the part of the key text that each of the `key_vectors` encodes; empty if each encodes the whole text.
        split: how to split the key text into parts, each of which becomes a key.
        expires: the instant of expiry, in microseconds of Unix time; None for never, MISSING if none was sent.
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
    expires: Any = MISSING

    @property
    def vectors(self) -> Sequence[Array] | None:
        """The key vectors that were sent; None if they have to be encoded, or the document has no key."""
        return self.key_vectors if self.key_vector is None else [self.key_vector]


@dataclass(frozen=True)
class PreparedDocuments:
    """Documents ready to be stored, and the ids of those whose text was longer than the encoder reads.

    The ids are None if the encoder does not tell.
    """

    records: list[DocumentRecord]
    truncated: list[str] | None


async def prepare_documents(
    encoders: Encoders,
    record: CollectionRecord,
    documents: Sequence[SentDocument],
    pointers: Sequence[str],
    *,
    existing: frozenset[str] = frozenset(),
    values_later: bool = False,
) -> PreparedDocuments:
    """Encode missing vectors and check the others; documents with ids in `existing` are left out before encoding.

    Args:
        pointers: the position of each document in the request, for errors.
        values_later: whether values that are texts wait for the worker, unless their vectors are known.

    Raises:
        InvalidContent: some documents have flaws, all of which the error has; or the encoder is not the collection's.
        EncoderUnavailable: the encoder is still loading, or has failed.
    """
    many = len(documents) > MAX_INLINE_DOCUMENTS
    await _run(many, _check, record, documents, pointers)
    documents_by_pointer = {
        pointer: document for document, pointer in zip(documents, pointers, strict=True) if document.id not in existing
    }
    split = {
        pointer: (d.key, d.split)
        for pointer, d in documents_by_pointer.items()
        if d.key is not None and d.split is not None
    }
    parts = await split_texts(encoders, record, split)
    drafts = [
        _Draft.of(record, document, pointer, parts.get(pointer, document.parts))
        for pointer, document in documents_by_pointer.items()
    ]
    texts = [] if record.settings.encoder is None else list({text: None for draft in drafts for text in draft.texts})
    key_texts = dict.fromkeys(text for draft in drafts for text in draft.key_texts)
    waiting, waiting_cut = dict[str, Array](), None
    if values_later:
        values = list(dict.fromkeys(text for draft in drafts for text in draft.texts if text not in key_texts))
        waiting, waiting_cut = await leave_values(encoders, record, values)
        texts = [text for text in texts if text not in waiting]
    words = await encode_words(encoders, record, list(key_texts))
    try:
        vectors, truncated = await encode(encoders, record, [text for text in texts if text not in words])
    except TextRefused as error:
        reasons = {texts[i]: reason for i, reason in error.messages.items()}
        raise InvalidContent([flaw for draft in drafts for flaw in draft.text_flaws(reasons)]) from None
    vectors |= waiting | {text: encoded.vector for text, encoded in words.items()}
    if truncated is not None:
        truncated |= {text for text, encoded in words.items() if encoded.truncated}
    if waiting and truncated is not None:
        truncated = None if waiting_cut is None else truncated | waiting_cut
    await _run(many, lambda: _refuse(list(_vector_flaws(record, drafts, vectors))))
    cut = None
    if truncated is not None:
        cut = [draft.document.id for draft in drafts if truncated and not truncated.isdisjoint(draft.texts)]
    records = await _run(many, lambda: [draft.record(vectors, words, waiting) for draft in drafts])
    return PreparedDocuments(records, cut)


def _check(record: CollectionRecord, documents: Sequence[SentDocument], pointers: Sequence[str]) -> None:
    _refuse(
        [
            flaw
            for document, pointer in zip(documents, pointers, strict=True)
            for flaw in _flaws(record, document, pointer)
        ]
    )
    _refuse(
        [
            Flaw(f"{pointer}/metadata", f"{excess}: put some of it into the value")
            for document, pointer in zip(documents, pointers, strict=True)
            if (excess := nesting_problem(document.metadata)) is not None
        ]
    )
    _refuse(
        [
            Flaw(
                f"{pointer}/{field_name}",
                f"the {field_name} holds a NUL (U+0000), which no store keeps: leave it out, or put it into the value",
            )
            for document, pointer in zip(documents, pointers, strict=True)
            if (field_name := find_nul(document.key, document.metadata)) is not None
        ]
    )
    _refuse(_duplicates(documents, pointers))


async def _run(many: bool, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Return the result of `work`, which is called with these arguments.

    If there are many documents, it runs in a thread, off the event loop.
    """
    return await BODIES.run(work, *arguments, **named) if many else work(*arguments, **named)


async def encode(
    encoders: Encoders, record: CollectionRecord, texts: list[str]
) -> tuple[dict[str, Array], set[str] | None]:
    """Return the vector of each text of documents, and the texts that were cut because the encoder reads no more.

    These texts are None if the encoder does not tell.

    Raises:
        EncoderUnavailable: the encoder is still loading, or has failed.
        TextRefused: the encoder's provider refuses some of the texts.
    """
    if not texts:
        return {}, set()
    queue = await get_encoding_queue(encoders, record.settings)
    encoded = dict(zip(texts, await queue.encode_each(texts, "document"), strict=True))
    vectors: dict[str, Array] = {text: row.vector for text, row in encoded.items()}
    if any(row.truncated is None for row in encoded.values()):
        return vectors, None
    return vectors, {text for text, row in encoded.items() if row.truncated}


async def leave_values(
    encoders: Encoders, record: CollectionRecord, texts: list[str]
) -> tuple[dict[str, Array], set[str] | None]:
    """Check texts of values that are to be encoded later, except those whose vectors are in the encoder's cache.

    Return zeros [d_v] for each, and those that the encoder will cut; None for these if the encoder does not tell.

    Raises:
        InvalidText: a text has a lone surrogate.
        EncoderUnavailable: the encoder is still loading, or has failed.
    """
    if not texts:
        return {}, set()
    queue = await get_encoding_queue(encoders, record.settings)
    cached = queue.cache.find(texts, "document") if len(texts) <= MAX_CACHED_REQUEST else {}
    texts = [text for text in texts if text not in cached]
    zeros = np.zeros(queue.encoder.dimension, dtype=np.float32)
    return dict.fromkeys(texts, zeros), await queue.find_truncated(texts, "document")


async def encode_words(encoders: Encoders, record: CollectionRecord, texts: list[str]) -> dict[str, EncodedText]:
    """Return each text of documents with its vector and its words, of one pass; none if the collection keeps no words.

    Raises:
        EncoderUnavailable: the encoder is still loading, or has failed.
    """
    queue = await find_words_queue(encoders, record.settings) if texts else None
    if queue is None:
        return {}
    return dict(zip(texts, await queue.encode_each(texts, "document"), strict=True))


def pack_words(texts: Sequence[str], encoded: Mapping[str, EncodedText]) -> tuple[bytes, ...]:
    """Return the words of each text in bytes; none if those of one are unknown."""
    words = [encoded[text].words for text in texts if text in encoded]
    blobs = tuple(one.vectors.tobytes() for one in words if one is not None)
    return blobs if len(blobs) == len(texts) else ()


def draft_again(record: CollectionRecord, document: DocumentRecord, *, sent_vectors: bool) -> _Draft:
    """Return the draft of a stored document for a collection with another encoder.

    Vectors that no encoder made are kept, and so are the parts into which the key text was split.

    Args:
        record: the other collection.
        document: the stored document.
        sent_vectors: whether callers sent all its vectors, because its collection has no encoder.
    """
    settings, several = record.settings, document.n_keys > 1 and not document.parts
    own_keys = document.n_keys > 0 and (sent_vectors or document.key is None or several)
    own_value = sent_vectors or not (settings.value_from == "value" and isinstance(document.value, str))
    sent = SentDocument(
        document.id,
        document.key,
        document.value if document.value_sent else MISSING,
        document.metadata,
        key_vectors=list(document.keys) if own_keys else None,
        value_vector=document.value_vector if own_value else None,
        parts=document.parts if own_keys else (),
        expires=document.expires,
    )
    return _Draft.of(record, sent, "", document.parts)


@dataclass(eq=False)  # not frozen, as for `SentDocument`
class _Draft:
    """A document that is being prepared for storage, and which of its texts have to be encoded.

    Attributes:
        pointer: the position of the document in the request, for errors.
        parts: the parts into which its key text was split; empty if it is one.
        vectors: the key vectors that were sent; None without any.
        value: the value that was sent, or else the key text.
        key_texts: the texts to encode as its keys; empty if keys were sent, or the document has no key.
        value_text: the text to encode as the value vector; None if that was sent, equals the key's, or would have no
            meaning.
        texts: the key texts, and the text of the value.
    """

    document: SentDocument
    pointer: str
    parts: tuple[TextSpan, ...]
    vectors: Sequence[Array] | None
    value: Any
    key_texts: list[str]
    value_text: str | None
    texts: list[str]

    @classmethod
    def of(cls, record: CollectionRecord, document: SentDocument, pointer: str, parts: tuple[TextSpan, ...]) -> _Draft:
        """Return the draft of a document for a collection with this record."""
        settings, key, vectors = record.settings, document.key, document.vectors
        value = key if document.value is MISSING else document.value
        key_texts, value_text = list[str](), None
        if settings.encoder is not None:
            if key is not None and vectors is None:
                key_texts = [read_part(key, part, parts[0])[0] for part in parts] or [key]
            # If a split key text is the value, too, its parts together represent it better than its truncated start.
            has_own_text = isinstance(value, str) and not (len(parts) > 1 and value == key)
            if has_own_text and (key_texts or vectors) and document.value_vector is None:
                value_text = None if settings.value_from == "key" else value
        texts = key_texts if value_text is None else [*key_texts, value_text]
        return cls(document, pointer, parts, vectors, value, key_texts, value_text, texts)

    def text_flaws(self, reasons: Mapping[str, str]) -> list[Flaw]:
        """Return a flaw for each of the document's texts that the encoder's provider refuses.

        Args:
            reasons: the reasons of the refusals, by text.
        """
        key_texts, value_text = self.key_texts, self.value_text
        flaws = list[Flaw]()
        for number, text in enumerate(key_texts, 1):
            if text in reasons:
                part = f"part {number} of {len(key_texts)}: " if len(key_texts) > 1 else ""
                flaws.append(Flaw(f"{self.pointer}/key", part + reasons[text]))
        if value_text is not None and value_text in reasons and value_text not in key_texts:
            field_name = "key" if self.document.value is MISSING else "value"
            flaws.append(Flaw(f"{self.pointer}/{field_name}", reasons[value_text]))
        return flaws

    def keys(self, vectors: Mapping[str, Array]) -> Sequence[Array]:
        """Return the document's key vectors.

        Args:
            vectors: the vectors of encoded texts, by text.
        """
        return [vectors[text] for text in self.key_texts] if self.vectors is None else self.vectors

    def key_pointer(self, index: int) -> str:
        """Return the position of a key vector in the request."""
        field_name = "key_vector" if self.document.key_vectors is None else f"key_vectors/{index}"
        return f"{self.pointer}/{field_name}"

    def value_vector(self, vectors: Mapping[str, Array]) -> Array | None:
        return self.document.value_vector if self.value_text is None else vectors[self.value_text]

    def record(
        self,
        vectors: Mapping[str, Array],
        words: Mapping[str, EncodedText] = {},
        waiting: Container[str] = (),
    ) -> DocumentRecord:
        """Return the document for the store.

        Args:
            vectors: the vectors of encoded texts, by text; zeros for a value that waits.
            words: the words of key texts.
            waiting: the texts of values that wait.
        """
        keys = self.keys(vectors)
        return DocumentRecord(
            id=self.document.id,
            key=self.document.key,
            value=self.value,
            metadata=self.document.metadata,
            keys=np.stack(keys) if len(keys) > 1 else keys[0][None] if keys else np.empty((0, 0), dtype=np.float32),
            value_vector=self.value_vector(vectors),
            parts=self.parts,
            value_sent=self.document.value is not MISSING,
            expires=None if self.document.expires is MISSING else self.document.expires,
            expires_sent=self.document.expires is not MISSING,
            words=pack_words(self.key_texts, words),
            value_waits=self.value_text is not None and self.value_text in waiting,
        )


def _flaws(record: CollectionRecord, document: SentDocument, pointer: str) -> list[Flaw]:
    keys = [name for name in ("key_vector", "key_vectors", "split") if getattr(document, name) is not None]
    if len(keys) > 1:
        return [Flaw(f"{pointer}/{keys[1]}", f"{' and '.join(keys)} came: send one of them")]
    if document.key_vectors is not None and not 1 <= len(document.key_vectors) <= MAX_KEYS:
        expected = f"wanted 1 to {MAX_KEYS} vectors, got {len(document.key_vectors)}"
        return [Flaw(f"{pointer}/key_vectors", f"{expected}: leave it out for a document without a key")]
    if document.parts:
        return _part_flaws(document, pointer)
    if document.split is None:
        return []
    if record.settings.encoder is None:
        return [Flaw(f"{pointer}/split", f"collection {record.name!r} has no encoder that parts could be read by")]
    if document.key is None:
        return [Flaw(f"{pointer}/split", "there is no key text to split: send one, or leave split out")]
    return []


def _part_flaws(document: SentDocument, pointer: str) -> list[Flaw]:
    if len(document.parts) != len(document.key_vectors or ()):
        detail = (
            f"{len(document.parts)} parts came for {len(document.key_vectors or ())} key_vectors: send one for each"
        )
        return [Flaw(f"{pointer}/parts", detail)]
    length = len(document.key or "")
    return [
        Flaw(
            f"{pointer}/parts/{i}",
            f"wanted 0 <= start < end <= {length}, the length of the key text; got {start}, {end}",
        )
        for i, (start, end) in enumerate(document.parts)
        if not start < end <= length
    ]


def _duplicates(documents: Sequence[SentDocument], pointers: Sequence[str]) -> list[Flaw]:
    seen: set[str] = set()
    flaws = []
    for document, pointer in zip(documents, pointers, strict=True):
        if document.id in seen:
            flaws.append(Flaw(f"{pointer}/id", f"the id {document.id!r} is in this request twice: send each id once"))
        seen.add(document.id)
    return flaws


def _vector_flaws(record: CollectionRecord, drafts: Sequence[_Draft], vectors: Mapping[str, Array]) -> Iterator[Flaw]:
    """Yield a flaw for each vector of the wrong width, and for each zero key under cosine similarity.

    All vectors must be as wide as the collection's; in an empty collection, as wide as the first document's.
    """
    dimension, value_dimension = record.settings.dimension, record.settings.value_dimension
    for draft in drafts:
        value, name = draft.value_vector(vectors), "value_vector"
        for index, key in enumerate(draft.keys(vectors)):
            dimension = dimension or len(key)
            if len(key) != dimension:
                yield _width_flaw(record, draft.key_pointer(index), "key_vector", key, dimension)
            if record.settings.similarity == "cosine" and not np.count_nonzero(key):
                detail = "a zero vector has no direction, so no cosine: leave it out, and the document is keyless"
                yield Flaw(draft.key_pointer(index), detail)
            if value is None and len(key) == dimension:
                value, name = key, "the key vector, which is the value vector too where none is sent,"
        if value is not None:
            value_dimension = value_dimension or len(value)
            if len(value) != value_dimension:
                yield _width_flaw(record, f"{draft.pointer}/value_vector", name, value, value_dimension)


def _width_flaw(record: CollectionRecord, pointer: str, name: str, vector: Array, width: int) -> Flaw:
    return Flaw(
        pointer,
        f"{name} has width {len(vector)}, collection {record.name!r} holds width {width}: "
        "use the model that its other documents were made with",
    )


def _refuse(flaws: list[Flaw]) -> None:
    if flaws:
        raise InvalidContent(flaws)
