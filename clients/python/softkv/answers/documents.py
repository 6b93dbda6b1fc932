"""Documents as they are written and read, documents as matches of a query, and results of uploads and backups."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NotRequired, TypeAlias, TypedDict

from softkv.errors import Flaw
from softkv.problems import invalid_value_at, raise_flaws
from softkv.record import ALWAYS_SENT, COUNT, INSTANT, OR_NULL, VECTOR, Named, Record
from softkv.wire import OMITTED, Instant, OmittedType, decode_array, decode_optional_array, encode_vector

if TYPE_CHECKING:
    from softkv.wire import Array, Vector


_VECTOR_FIELDS, _KEY_VECTORS = ("key_vector", "value_vector"), "key_vectors"


class Document:
    """A document of a collection: an id, a key that queries are compared with, a value, and metadata.

    A field that was not given, or not requested by `include`, is None. `fields` has only the fields that exist.

    Args:
        id: 1 to 256 characters.
        key: the text that queries are compared with.
        value: any JSON value; the key text if left out.
        metadata: a JSON object, whose fields filters can test.
        key_vector: the vector that queries are compared with; encoded from `key` if left out.
        key_vectors: several keys in place of `key_vector`.
        parts: for each of `key_vectors`, the part of the key text that it encodes.
        split: how to make several keys of a long text, as `{"tokens": 200, "overlap": 20}`.
        value_vector: the vector that an answer's output sums up.
        expires: the instant from which on the document is absent: a datetime with a zone, a text of RFC 3339, or
            seconds since 1970. `None`: never.

    Example:
        >>> Document("cats", "pets that purr", metadata={"year": 1930})
    """

    __slots__ = ("fields", "id")

    def __init__(
        self,
        id: str,  # noqa: A002  # the wire's name
        key: str | OmittedType | None = OMITTED,
        value: Any = OMITTED,
        metadata: Mapping[str, Any] | OmittedType = OMITTED,
        *,
        key_vector: Vector | OmittedType | None = OMITTED,
        key_vectors: Sequence[Vector] | OmittedType = OMITTED,
        parts: Sequence[Mapping[str, int]] | OmittedType = OMITTED,
        split: Mapping[str, int] | OmittedType = OMITTED,
        value_vector: Vector | OmittedType | None = OMITTED,
        expires: Instant | OmittedType | None = OMITTED,
    ) -> None:
        self.id = id
        arguments = {
            "key": key,
            "value": value,
            "metadata": metadata,
            "key_vector": key_vector,
            "key_vectors": key_vectors,
        }
        arguments |= {"parts": parts, "split": split, "value_vector": value_vector, "expires": expires}
        self.fields: dict[str, Any] = {
            name: argument for name, argument in arguments.items() if argument is not OMITTED
        }

    @property
    def key(self) -> str | None:
        """The text that queries are compared with."""
        return self.fields.get("key")

    @property
    def value(self) -> Any:
        """The value that is stored with the key."""
        return self.fields.get("value")

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The object that filters read."""
        return self.fields.get("metadata") or {}

    @property
    def key_vector(self) -> Array | None:
        """The vector that queries are compared with; None for a document with several keys or without a key."""
        return self.fields.get("key_vector")

    @property
    def key_vectors(self) -> list[Array] | None:
        """The vectors of a document with several keys."""
        return self.fields.get("key_vectors")

    @property
    def parts(self) -> list[Mapping[str, int]] | None:
        """The part of the key text that each of `key_vectors` encodes."""
        return self.fields.get("parts")

    @property
    def value_vector(self) -> Array | None:
        """The vector that an answer's output sums up."""
        return self.fields.get("value_vector")

    @property
    def expires(self) -> str | float | None:
        """The instant from which on it is absent, as a text of RFC 3339 or as it was given; None for never."""
        return self.fields.get("expires")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Document) and (self.id, encode_fields(self.fields)) == (
            other.id,
            encode_fields(other.fields),
        )

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        shown = [
            f"{name}={shorten(field)}" for name, field in self.fields.items() if name in ("key", "value", "metadata")
        ]
        return f"Document({', '.join([repr(self.id), *shown])})"


class DocumentAnswer(TypedDict):
    """A stored document: its id and the requested fields.

    Attributes:
        key_vector: the vector of the key; None for a document without a key.
        key_vectors: the vectors of several keys, instead of `key_vector`.
        parts: with `key_vectors`: the part of the key text of each.
        value_vector: the vector that the output blends; None for a document with neither a key nor a value vector
            of its own.
        expires: the instant from which on the document is absent, in UTC (RFC 3339), beside any other field of the
            document. Left out if it never expires.
    """

    id: str
    key: NotRequired[Annotated[str | None, OR_NULL]]
    value: NotRequired[Any]
    metadata: NotRequired[Annotated[Mapping[str, Any], Named("Metadata")]]
    key_vector: NotRequired[Annotated[Annotated[Array, VECTOR] | None, OR_NULL]]
    key_vectors: NotRequired[list[Annotated[Array, VECTOR]]]
    parts: NotRequired[list[Annotated[Mapping[str, int], Named("Part")]]]
    value_vector: NotRequired[Annotated[Annotated[Array, VECTOR] | None, OR_NULL]]
    expires: NotRequired[Annotated[str, INSTANT]]


class DocumentPage(Record):
    """One page of a list of documents, and the cursor of the next page.

    Attributes:
        next_cursor: the position of the next page; None at the end, and with a limit of 0.
        count: the number of all documents that pass; None without `count` in the request.
        warnings: a sentence for each ordering (`>`, `>=`, `<`, `<=`) of the filter with a type that some texts or
            numbers of its field do not have, or all of its values. If no document passes, also one for each
            comparison with a field that no document has, or that always has another type. Left out otherwise.
    """

    documents: list[DocumentAnswer]
    next_cursor: str | None
    count: int | None
    warnings: list[str] | None = None


class Deleted(Record):
    """The number of documents that were deleted.

    Attributes:
        warnings: a sentence for each ordering (`>`, `>=`, `<`, `<=`) of the filter with a type that some texts or
            numbers of its field do not have, or all of its values. If no document passes, also one for each
            comparison with a field that no document has, or that always has another type. Left out otherwise.
    """

    deleted: int
    warnings: list[str] | None = None


class Updated(Record):
    """The number of documents that were changed.

    Attributes:
        warnings: a sentence for each ordering (`>`, `>=`, `<`, `<=`) of the filter with a type that some texts or
            numbers of its field do not have, or all of its values. If no document passes, also one for each
            comparison with a field that no document has, or that always has another type. Left out otherwise.
    """

    updated: int
    warnings: list[str] | None = None


def parse_document(content: Mapping[str, Any]) -> Document:
    """Parse the JSON of a document."""
    fields = dict(content)
    for name in _VECTOR_FIELDS:
        if name in fields:
            fields[name] = decode_optional_array(fields[name])
    if _KEY_VECTORS in fields:
        fields[_KEY_VECTORS] = [decode_array(vector) for vector in fields[_KEY_VECTORS]]
    return Document(**fields)


def encode_fields(fields: Mapping[str, Any], pointer: str = "") -> dict[str, Any]:
    """Return a document's fields with its vectors in base64.

    Raises:
        Invalid: a vector is invalid.
    """
    content = dict(fields)
    for name in _VECTOR_FIELDS:
        if content.get(name) is not None:
            content[name] = _encode_vector_field(content[name], f"{pointer}/{name}")
    if (vectors := content.get(_KEY_VECTORS)) is not None:
        if not isinstance(vectors, Iterable) or isinstance(vectors, str | Mapping):
            raise invalid_value_at(
                f"{pointer}/{_KEY_VECTORS}", f"wanted a list of vectors, got {type(vectors).__name__}"
            )
        content[_KEY_VECTORS] = [
            _encode_vector_field(vector, f"{pointer}/{_KEY_VECTORS}/{index}") for index, vector in enumerate(vectors)
        ]
    return content


def seconds_of(instant: Any) -> float | None:
    """Return the seconds since 1970 of an instant as a document has it; None if it is something else."""
    if isinstance(instant, str):
        try:
            instant = datetime.fromisoformat(instant)
        except ValueError:
            return None
    if isinstance(instant, datetime):
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    return float(instant) if isinstance(instant, int | float) and not isinstance(instant, bool) else None


def encode_document(document: Document | Mapping[str, Any], pointer: str = "") -> dict[str, Any]:
    """Return a document, or a mapping with its fields, as a JSON object.

    Raises:
        Invalid: a vector is invalid.
    """
    fields = {"id": document.id, **document.fields} if isinstance(document, Document) else document
    return encode_fields(fields, pointer)


def shorten(value: Any, max_characters: int = 40) -> str:
    """Return the repr of a value in at most 40 characters."""
    text = repr(value)
    return text if len(text) <= max_characters else f"{text[: max_characters - 1]}…"


def _encode_vector_field(vector: Any, pointer: str) -> Any:
    """Encode a vector as base64; return a text unchanged, since it is encoded already."""
    return vector if isinstance(vector, Mapping) else encode_vector(vector, pointer)


_ABSENT_ATTRIBUTES = {
    "score": "a match has no score: write weight, its share of the answer, or similarity",
    "text": "a match has no text: write key, by which it was found, or value",
}
_SHOWN_FIELDS = ("id", "similarity", "weight", "key", "value")


class Part(Record, schema="MatchPart"):
    """The key of a document that matched best, and the part of the key text that it encodes: characters `start` to
    `end` (exclusive).

    Attributes:
        index: the index of the key in `key_vectors`, from 0.
        start: the number of characters before the part.
        end: the number of characters up to its end.
    """

    index: Annotated[int, COUNT]
    start: Annotated[int | None, COUNT] = None
    end: Annotated[int | None, COUNT] = None


class Highlight(Record):
    """A sentence of a key text: its characters from `start` up to, but not including, `end`.

    Example:
        >>> match.key[match.highlight.start : match.highlight.end]
    """

    start: int
    end: int


class WordsAddend(TypedDict):
    """The number that the words of the query (full text) add to the logit of one document.

    Attributes:
        rank: the full-text rank: larger is better, 0 if the document contains none of the words.
        addend: λ · rank.
    """

    of: Literal["full_text"]
    rank: float
    addend: float


class FieldAddend(TypedDict):
    """The number that a term of the bias adds to the logit of one document, because of a metadata field.

    Attributes:
        field: the field, as in the request.
        value: the value of the field; None if it is missing, a list or an object.
    """

    of: Literal["bias"]
    field: str
    value: str | float | bool | None
    addend: float


class FilterAddend(TypedDict):
    """The number that a soft filter (a term of the bias) adds to the logit of one document if it passes.

    Attributes:
        passes: whether the document passes the filter.
    """

    of: Literal["bias"]
    passes: bool
    addend: float


class RerankAddend(TypedDict):
    """The number that a reranker adds to the logit of one document.

    Attributes:
        logit: the reranker's logit; None for a document that it did not read.
        addend: weight · logit.
    """

    of: Literal["rerank"]
    logit: float | None
    addend: float


class WordPair(TypedDict):
    """A word of the question, and the word of a document's key that is the most similar to it.

    Attributes:
        start, end: the characters of the found word in the key.
        cosine: the cosine of their vectors in the encoder's last layer.
        share: how much the word counts among those of the question, by its rarity; all shares sum to one.
    """

    word: str
    found: str
    start: int
    end: int
    cosine: float
    share: float


class LateAddend(TypedDict):
    """The number that late interaction adds to the logit of one document.

    The new logit is (logit + words) / divisor + shift, so that the addend is the new logit minus the old one. All but
    `addend` and `pairs` are None for a document that it did not read.

    Attributes:
        similarity: the mean of the pairs' cosines, by their shares.
        words: similarity · weight / temperature.
        shift: equal for all documents, so that they keep their mass together; greater for one that would fall behind
            a document that was not read.
    """

    of: Literal["late"]
    similarity: float | None
    words: float | None
    divisor: float | None
    shift: float | None
    addend: float
    pairs: list[WordPair]


AddendLine: TypeAlias = Annotated[
    WordsAddend | FieldAddend | FilterAddend | RerankAddend | LateAddend, Named("AddendLine")
]


class Explanation(Record):
    """The steps of the computation from a match's similarity to its weight.

    similarity / temperature + Σ addends = logit, and logit + log_weight_of_other_parts − log_partition =
    log_weight.

    Attributes:
        logit: the logit; None for minus infinity.
        log_partition: equal to that of the evidence.
        log_weight: the logarithm of the weight; None if the weight is 0, and without a log_partition.
        log_weight_of_other_parts: for a document with several keys: ln(weight of the document / weight of the most
            similar key), the contribution of the other keys. At temperature 0, it includes the addends. None for a
            weight below the range of float64.
        addends: the terms that full-text search and the bias added, as the service names them; None if neither was
            requested.
    """

    similarity: float
    temperature: float
    logit: float | None
    log_partition: float | None
    log_weight: float | None
    log_weight_of_other_parts: Annotated[float | None, OR_NULL] = None
    addends: list[AddendLine] | None = None


class StandsFor(Record):
    """A document that shares the place of a match, because its key is near to that of the match.

    Attributes:
        weight: its own share of the answer, which the weight of the match has, too.
    """

    id: str
    weight: float


class SweptMatch(Record):
    """A document among the matches of a sweep over temperatures. Its similarity is the same at every temperature.

    Attributes:
        part: for a document with several keys: the most similar key, to which `similarity` and `logit` belong.
        expires: the instant from which on the document is absent, in UTC (RFC 3339), beside any other field of the
            document. Left out if it never expires.
    """

    _instead = _ABSENT_ATTRIBUTES

    id: str
    similarity: float
    part: Part | None = None
    key: Annotated[str | None, OR_NULL] = None
    value: Any = None
    metadata: Mapping[str, Any] | None = None
    key_vector: Annotated[Array, VECTOR] | None = None
    value_vector: Annotated[Array, VECTOR] | None = None
    expires: Annotated[str | None, INSTANT] = None


class Match(SweptMatch):
    """A document among the matches of a query, with its weight. Fields that `include` did not request are None.

    Attributes:
        logit: similarity / temperature plus the added terms. It is −inf without weight at temperature 0, and None
            for matches without a temperature, as in a sweep.
        weight: the share of the document in the answer, 0 to 1; for a document with several keys, the sum of their
            weights. With `diversity`, the weights of the documents in `stands_for` are added.
        stands_for: with `diversity`: the documents that share the place of this match, the heaviest first; left out
            if no document does. `similarity`, `logit`, `confidence` and `explanation` are of the match without
            them.
        confidence: the probability that this document is the right one. Present if the collection is calibrated and
            the request uses the settings of the calibration.
        highlight: the sentence of `key` that is most similar to the query, in characters; of a document with parts,
            among the sentences of the most similar part. None without a key text.
    """

    logit: Annotated[float | None, ALWAYS_SENT] = None
    weight: Annotated[float | None, float, ALWAYS_SENT] = None
    stands_for: list[StandsFor] | None = None
    confidence: float | None = None
    key_vectors: list[Annotated[Array, VECTOR]] | None = None
    parts: list[Annotated[Mapping[str, int], Named("Part")]] | None = None
    explanation: Explanation | None = None
    highlight: Annotated[Annotated[Highlight, Named("Part")] | None, OR_NULL] = None

    def __repr__(self) -> str:
        shown = {name: value for name in _SHOWN_FIELDS if (value := getattr(self, name)) is not None}
        return f"Match({', '.join(f'{name}={shorten(value)}' for name, value in shown.items())})"


_MATCH_FIELDS = frozenset(Match._names)


def parse_match(content: Mapping[str, Any]) -> Match:
    """Parse the JSON of a match."""
    fields = {name: value for name, value in content.items() if name in _MATCH_FIELDS}
    if "logit" in fields and fields["logit"] is None:
        fields["logit"] = -math.inf
    if "stands_for" in fields:
        fields["stands_for"] = [StandsFor.read(shared) for shared in fields["stands_for"]]
    if "part" in fields:
        fields["part"] = Part.read(fields["part"])
    if fields.get("highlight") is not None:
        fields["highlight"] = Highlight.read(fields["highlight"])
    if "explanation" in fields:
        fields["explanation"] = Explanation.read(fields["explanation"])
    for name in ("key_vector", "value_vector"):
        if name in fields:
            fields[name] = decode_optional_array(fields[name])
    if "key_vectors" in fields:
        fields["key_vectors"] = [decode_array(value) for value in fields["key_vectors"]]
    return Match(**fields)


_WORD = re.compile(r"\w+")


class Refusal(NamedTuple):
    """A row of an upload that was not written, with the reason.

    Attributes:
        row: the index of the row, from 0.
        id: the document's id; None if it has none.
        line: the number of the line or row in the file that the row was read from; None for other rows.
    """

    row: int
    id: str | None
    detail: str
    errors: tuple[Flaw, ...]
    line: int | None = None

    @classmethod
    def of(cls, row: int, document_id: str | None, flaws: Sequence[Flaw], line: int | None = None) -> Refusal:
        """Return the refusal of a row for these flaws; its detail names the first flaw's field."""
        pointer, detail = flaws[0]
        is_named = pointer.rpartition("/")[2] in ("", *_WORD.findall(detail))
        return cls(row, document_id, detail if is_named else f"{pointer}: {detail}", tuple(flaws), line)


class TableRow(NamedTuple):
    """A row of a table: a document, or the reason for its refusal.

    Attributes:
        number: its number in the file, from 1; of a record of several lines, the first.
        document: the document; None if the row cannot be one.
        flaw: the reason why the row cannot be a document; empty if it is one.
        id: the document's id; None if it has none.
    """

    number: int
    document: dict[str, Any] | None
    flaw: str
    id: str | None


class Report:
    """The result of an upload. In a condition, a report is false if a row was refused.

    To continue an interrupted upload, pass the report to `upsert` as `resume`; the continued upload adds to it.

    Attributes:
        rows: the number of rows that were read.
        acknowledged: the number of rows, from the first on, whose result the service has reported.
        upserted: the number of rows that were written.
        expired: the number of written rows whose instant of expiry was over: these documents are absent at once.
        skipped: the ids that existed already, with `on_conflict="skip"`.
        refused: the rows that were not written, with the reason, in their order.
        truncated: the ids of documents whose text is longer than the encoder reads; empty if the encoder does not tell.
        values_waiting: the number of values of the collection that were still to be encoded when the upload ended.
        notices: sentences about the table that was uploaded, such as of cells without a value; empty for other rows.
        id: the upload's name, with which no part of it is written twice.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.acknowledged = 0
        self.upserted = 0
        self.expired = 0
        self.skipped: list[str] = []
        self.refused: list[Refusal] = []
        self.truncated: list[str] = []
        self.values_waiting = 0
        self.notices: list[str] = []
        self.id = os.urandom(8).hex()

    def raise_for_refused(self) -> Report:
        """Raise Invalid if a row was refused; otherwise return this report.

        Returns:
            The report itself.

        Raises:
            Invalid: a row was refused; `errors` has each.

        Example:
            >>> collection.upsert(rows).raise_for_refused()
        """
        if self.refused:
            raise_flaws(Flaw(f"/{refusal.row}", refusal.detail) for refusal in self.refused)
        return self

    def __bool__(self) -> bool:
        """Return whether no row was refused."""
        return not self.refused

    def __repr__(self) -> str:
        counts = [(self.expired, "expired")] if self.expired else []
        counts += [(len(ids), name) for name in ("skipped", "refused", "truncated") if (ids := getattr(self, name))]
        parts = [f"{self.upserted:,} of {self.rows:,} rows written", *(f"{count:,} {name}" for count, name in counts)]
        if self.acknowledged < self.rows:
            parts.append(f"{self.acknowledged:,} acknowledged")
        reason = f"; row {self.refused[0].row}: {self.refused[0].detail}" if self.refused else ""
        return f"<Report {', '.join(parts)}{reason}{''.join(f'; {notice}' for notice in self.notices)}>"


class Backup(Record):
    """A backup that was saved, and whose checksum was verified.

    Attributes:
        made: the time in UTC (ISO 8601).
        length: the size of the database in bytes.
        sha256: the checksum of the database, in hexadecimal.
    """

    made: str
    length: int
    sha256: str
