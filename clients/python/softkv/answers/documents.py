"""A document: as it is written, and as it is read back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softkv.problems import invalid_value_at
from softkv.record import Record
from softkv.wire import OMITTED, OmittedType, decode_array, decode_optional_array, encode_vector

if TYPE_CHECKING:
    from softkv.wire import Array, Vector


_VECTOR_FIELDS, _KEY_VECTORS = ("key_vector", "value_vector"), "key_vectors"


class Document:
    """An id, a value, metadata, and the key by which it is found.

    A field that was not given, or not asked for in `include`, is None; `fields` are those that it has.

    Args:
        id: 1 to 256 characters.
        key: the text that queries are compared with.
        value: what is found there, any JSON; left out, the key text.
        metadata: an object, for filters.
        key_vector: what queries are compared with; left out, it is encoded from the key.
        key_vectors: several keys, in its place, and under `parts` which part of the key text each is of.
        split: how to make several keys of a long text, as `{"tokens": 200, "overlap": 20}`.
        value_vector: what an answer's output blends.
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
    ) -> None:
        self.id = id
        given = {"key": key, "value": value, "metadata": metadata, "key_vector": key_vector, "key_vectors": key_vectors}
        given |= {"parts": parts, "split": split, "value_vector": value_vector}
        self.fields: dict[str, Any] = {name: each for name, each in given.items() if each is not OMITTED}

    @property
    def key(self) -> str | None:
        """The text that queries are compared with."""
        return self.fields.get("key")

    @property
    def value(self) -> Any:
        """What is found there."""
        return self.fields.get("value")

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What filters compare."""
        return self.fields.get("metadata") or {}

    @property
    def key_vector(self) -> Array | None:
        """The vector that queries are compared with; None also of a document that has several, or none."""
        return self.fields.get("key_vector")

    @property
    def key_vectors(self) -> list[Array] | None:
        """Several of them."""
        return self.fields.get("key_vectors")

    @property
    def parts(self) -> list[Mapping[str, int]] | None:
        """Which part of the key text each of them is of."""
        return self.fields.get("parts")

    @property
    def value_vector(self) -> Array | None:
        """What an answer's output blends."""
        return self.fields.get("value_vector")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Document) and (self.id, encode_fields(self.fields)) == (
            other.id,
            encode_fields(other.fields),
        )

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        shown = [
            f"{name}={shorten(each)}" for name, each in self.fields.items() if name in ("key", "value", "metadata")
        ]
        return f"Document({', '.join([repr(self.id), *shown])})"


def parse_document(content: Mapping[str, Any]) -> Document:
    """A document from the wire."""
    fields = dict(content)
    for name in _VECTOR_FIELDS:
        if name in fields:
            fields[name] = decode_optional_array(fields[name])
    if _KEY_VECTORS in fields:
        fields[_KEY_VECTORS] = [decode_array(each) for each in fields[_KEY_VECTORS]]
    return Document(**fields)


def encode_fields(fields: Mapping[str, Any], pointer: str = "") -> dict[str, Any]:
    """Fields of a document on their way to the service: their vectors in base64.

    Raises:
        Invalid: one of its vectors is none.
    """
    content = dict(fields)
    for name in _VECTOR_FIELDS:
        if content.get(name) is not None:
            content[name] = _encode_vector_field(content[name], f"{pointer}/{name}")
    if (several := content.get(_KEY_VECTORS)) is not None:
        if not isinstance(several, Iterable) or isinstance(several, str | Mapping):
            raise invalid_value_at(
                f"{pointer}/{_KEY_VECTORS}", f"wanted a list of vectors, got {type(several).__name__}"
            )
        content[_KEY_VECTORS] = [
            _encode_vector_field(each, f"{pointer}/{_KEY_VECTORS}/{place}") for place, each in enumerate(several)
        ]
    return content


def encode_document(given: Document | Mapping[str, Any], pointer: str = "") -> dict[str, Any]:
    """A document, or an object with its fields, on its way to the service.

    Raises:
        Invalid: one of its vectors is none.
    """
    fields = {"id": given.id, **given.fields} if isinstance(given, Document) else given
    return encode_fields(fields, pointer)


def shorten(given: Any, most: int = 40) -> str:
    """A value in so many characters."""
    text = repr(given)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _encode_vector_field(given: Any, pointer: str) -> Any:
    """A vector in base64; what is in that form already stays."""
    return given if isinstance(given, Mapping) else encode_vector(given, pointer)


_ABSENT_ATTRIBUTES = {
    "score": "a match has no score: write weight, its share of the answer, or similarity",
    "text": "a match has no text: write key, by which it was found, or value",
}
_SHOWN_FIELDS = ("id", "weight", "similarity", "key", "value")


class Part(Record):
    """Which key of a document spoke, and of which part of its text: characters from `start` up to `end`."""

    index: int
    start: int | None = None
    end: int | None = None


class Explanation(Record):
    """How it came: similarity / temperature + Σ addends = logit, logit + log_parts − log_partition = log_weight.

    Attributes:
        addends: what words and each term of a bias added, in the words of the wire; None where nothing was asked.
    """

    similarity: float
    temperature: float
    logit: float | None
    log_partition: float | None
    log_weight: float | None
    log_parts: float | None = None
    addends: list[Mapping[str, Any]] | None = None


class Match(Record):
    """A document and its share of the answer; fields that `include` did not ask for are None.

    Attributes:
        logit: similarity / temperature, and what was added; minus infinity where there is no weight at temperature 0;
            None where matches have no temperature, as those of a sweep.
        weight: its share, 0 to 1; None where matches have none.
        confidence: the chance that it is the right one, where the collection is calibrated and asked as it was.
        part: of a document of several keys, the one that is most similar.
    """

    _instead = _ABSENT_ATTRIBUTES

    id: str
    similarity: float
    logit: float | None = None
    weight: float | None = None
    confidence: float | None = None
    part: Part | None = None
    key: str | None = None
    value: Any = None
    metadata: Mapping[str, Any] | None = None
    key_vector: Array | None = None
    key_vectors: list[Array] | None = None
    parts: list[Mapping[str, int]] | None = None
    value_vector: Array | None = None
    explanation: Explanation | None = None

    def __repr__(self) -> str:
        shown = {name: each for name, each in self._fields().items() if name in _SHOWN_FIELDS and each is not None}
        return f"Match({', '.join(f'{name}={shorten(each)}' for name, each in shown.items())})"


_MATCH_FIELDS = frozenset(Match.__annotations__)


def parse_match(content: Mapping[str, Any]) -> Match:
    """A match from the wire."""
    fields = {name: each for name, each in content.items() if name in _MATCH_FIELDS}
    if "logit" in fields and fields["logit"] is None:
        fields["logit"] = -math.inf
    if "part" in fields:
        fields["part"] = Part.read(fields["part"])
    if "explanation" in fields:
        fields["explanation"] = Explanation.read(fields["explanation"])
    for name in ("key_vector", "value_vector"):
        if name in fields:
            fields[name] = decode_optional_array(fields[name])
    if "key_vectors" in fields:
        fields["key_vectors"] = [decode_array(each) for each in fields["key_vectors"]]
    return Match(**fields)
