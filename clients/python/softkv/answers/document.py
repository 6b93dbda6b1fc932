"""A document: as it is written, and as it is read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softkv.problems import misfit
from softkv.wire.body import OMITTED, LeftOut
from softkv.wire.vectors import incoming, maybe_incoming, outgoing

if TYPE_CHECKING:
    from softkv.wire.vectors import Array, Vector

_VECTORS, _SEVERAL = ("key_vector", "value_vector"), "key_vectors"


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
        key: str | LeftOut | None = OMITTED,
        value: Any = OMITTED,
        metadata: Mapping[str, Any] | LeftOut = OMITTED,
        *,
        key_vector: Vector | LeftOut | None = OMITTED,
        key_vectors: Sequence[Vector] | LeftOut = OMITTED,
        parts: Sequence[Mapping[str, int]] | LeftOut = OMITTED,
        split: Mapping[str, int] | LeftOut = OMITTED,
        value_vector: Vector | LeftOut | None = OMITTED,
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
        return isinstance(other, Document) and (self.id, wire_fields(self.fields)) == (
            other.id,
            wire_fields(other.fields),
        )

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        shown = [f"{name}={short(each)}" for name, each in self.fields.items() if name in ("key", "value", "metadata")]
        return f"Document({', '.join([repr(self.id), *shown])})"


def document(content: Mapping[str, Any]) -> Document:
    """A document from the wire."""
    fields = dict(content)
    for name in _VECTORS:
        if name in fields:
            fields[name] = maybe_incoming(fields[name])
    if _SEVERAL in fields:
        fields[_SEVERAL] = [incoming(each) for each in fields[_SEVERAL]]
    return Document(**fields)


def wire_fields(fields: Mapping[str, Any], pointer: str = "") -> dict[str, Any]:
    """Fields of a document on their way to the service: their vectors in base64.

    Raises:
        Invalid: one of its vectors is none.
    """
    content = dict(fields)
    for name in _VECTORS:
        if content.get(name) is not None:
            content[name] = _vector(content[name], f"{pointer}/{name}")
    if (several := content.get(_SEVERAL)) is not None:
        if not isinstance(several, Iterable) or isinstance(several, str | Mapping):
            raise misfit(f"{pointer}/{_SEVERAL}", f"wanted a list of vectors, got {type(several).__name__}")
        content[_SEVERAL] = [_vector(each, f"{pointer}/{_SEVERAL}/{place}") for place, each in enumerate(several)]
    return content


def wire_document(given: Document | Mapping[str, Any], pointer: str = "") -> dict[str, Any]:
    """A document, or an object with its fields, on its way to the service.

    Raises:
        Invalid: one of its vectors is none.
    """
    fields = {"id": given.id, **given.fields} if isinstance(given, Document) else given
    return wire_fields(fields, pointer)


def short(given: Any, most: int = 40) -> str:
    """A value in so many characters."""
    text = repr(given)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _vector(given: Any, pointer: str) -> Any:
    """A vector in base64; what is in that form already stays."""
    return given if isinstance(given, Mapping) else outgoing(given, pointer)
