"""Conversion between LangGraph and softkv: namespaces, items and their texts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from langgraph.store.base import IndexConfig, InvalidNamespaceError, Item, SearchItem, get_text_at_path, tokenize_path

from softkv.answers.documents import Document, Match
from softkv.errors import Invalid
from softkv.filters import METADATA, Combination, Comparison, Filter
from softkv.integrations import document_text
from softkv.problems import INVALID_CONTENT
from softkv.validation import check_document_id
from softkv.wire import encode_json

NAMESPACE, KEY, VALUE, CREATED, UPDATED, TTL, INDEXED = (
    "namespace",
    "key",
    "value",
    "created_at",
    "updated_at",
    "ttl",
    "indexed",
)
"""The metadata fields of an item's document."""
_SEPARATOR = "."
_AFTER_SEPARATOR = chr(ord(_SEPARATOR) + 1)
_INVALID_IN_LABEL = re.compile("[.\0\ud800-\udfff]")  # the separator, and what no text in the service has
_UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


class InvalidInput(Invalid, ValueError):
    """The input is invalid. Code that catches a ValueError, as LangGraph's own stores raise it, catches this error."""

    @classmethod
    def of(cls, detail: str) -> InvalidInput:
        """Return the error with this message."""
        return cls(detail, code=INVALID_CONTENT, status=422)


class SoftkvSearchItem(SearchItem):
    """An item that a search returned, with all numbers of its match.

    Attributes:
        weight: the item's share of the answer, from 0 to 1; None without a query, and for an item without an embedding.
        similarity: the similarity of the item's best text and the query; None if `weight` is None.
        confidence: the probability that this is the right item; None unless the collection is calibrated and the search
            reads all of it.
    """

    __slots__ = ("confidence", "similarity", "weight")

    def __init__(
        self,
        namespace: tuple[str, ...],
        key: str,
        value: dict[str, Any],
        created_at: datetime,
        updated_at: datetime,
        score: float | None = None,
        weight: float | None = None,
        similarity: float | None = None,
        confidence: float | None = None,
    ) -> None:
        super().__init__(namespace, key, value, created_at, updated_at, score)
        self.weight = weight
        self.similarity = similarity
        self.confidence = confidence

    def dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary, with times in ISO 8601."""
        numbers = {"weight": self.weight, "similarity": self.similarity, "confidence": self.confidence}
        return {**super().dict(), **numbers}


def check_namespace(labels: Sequence[str]) -> None:
    """Check the labels of a namespace or of a pattern of namespaces.

    Raises:
        InvalidNamespaceError: a label is empty, is not a text, or contains a period, NUL or a lone surrogate.
    """
    for label in labels:
        if not isinstance(label, str) or not label or _INVALID_IN_LABEL.search(label):
            raise InvalidNamespaceError(
                "Expected labels that are texts without periods, NUL and lone surrogates, "
                f"got {label!r} in {tuple(labels)!r}."
            )


def item_name(namespace: Sequence[str], key: str) -> str:
    """Return what an error calls an item."""
    return f"item {key!r} of {tuple(namespace)!r}"


def document_id(namespace: Sequence[str], key: str) -> str:
    """Return the id of an item's document: its namespace and key, or their hash if an id cannot contain them.

    No label is empty or contains a period. So the first two periods end the namespace, and no two items share an id.
    The empty namespace has the documents of other programs, by their ids.
    """
    readable = f"{_SEPARATOR.join(namespace)}{_SEPARATOR * 2}{key}" if namespace else key
    if not any(check_document_id(readable, "")):
        return readable
    return f"sha256-{hashlib.sha256(readable.encode(errors='surrogatepass')).hexdigest()}"


def within(prefix: Sequence[str]) -> Filter | None:
    """Return the filter for items whose namespace begins with these labels; None for all items.

    Texts that begin with "users." are those from "users." up to "users/", since "/" follows the period.
    """
    if not prefix:
        return None
    field, namespace = METADATA + NAMESPACE, _SEPARATOR.join(prefix)
    below = Combination(
        "AND",
        (
            Comparison(field, ">=", namespace + _SEPARATOR),
            Comparison(field, "<", namespace + _AFTER_SEPARATOR),
        ),
    )
    return Combination("OR", (Comparison(field, "==", namespace), below))


def split_namespace(namespace: str) -> tuple[str, ...]:
    """Return the labels of a stored namespace."""
    return tuple(namespace.split(_SEPARATOR))


def escape_name(name: str) -> str:
    """Percent-encode the period of a name, since filters read a name with a period as a path."""
    return name.replace("%", "%25").replace(_SEPARATOR, "%2E")


def _unescape_name(name: str) -> str:
    return name.replace("%2E", _SEPARATOR).replace("%25", "%")


def _escape_names(value: Any) -> Any:
    """Return a value whose objects have names that filters can read."""
    if isinstance(value, Mapping):
        return {
            escape_name(name) if isinstance(name, str) else name: _escape_names(item) for name, item in value.items()
        }
    return list(map(_escape_names, value)) if isinstance(value, list | tuple) else value


def _unescape_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {_unescape_name(name): _unescape_names(item) for name, item in value.items()}
    return list(map(_unescape_names, value)) if isinstance(value, list) else value


def to_stored_value(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a value as it is stored: as JSON, with dates in ISO 8601.

    Args:
        name: what an error calls the item.

    Raises:
        InvalidInput: a part of the value has no JSON form, or a text has a NUL.
    """
    try:
        stored: dict[str, Any] = json.loads(encode_json(dict(value)))
    except Invalid as error:
        raise InvalidInput.of(f"{name}, value: {error.detail}") from error
    if _has_nul(stored):
        raise InvalidInput.of(f"{name}, value: a text holds a NUL (U+0000), which no store keeps: leave it out.")
    return stored


def _has_nul(value: Any) -> bool:
    """Return whether a text of a JSON value has a NUL."""
    if isinstance(value, dict):
        return any("\0" in name or _has_nul(item) for name, item in value.items())
    return any(map(_has_nul, value)) if isinstance(value, list) else isinstance(value, str) and "\0" in value


class ItemIndex(NamedTuple):
    """The paths of the texts that are embedded.

    Attributes:
        fields: each path as tokens of LangGraph's; "$" is the whole value as JSON.
    """

    fields: tuple[str | list[str], ...]

    @classmethod
    def of(cls, fields: Iterable[str] | None) -> ItemIndex:
        """Return the index of these paths: of the whole value if left out, of nothing if the list is empty.

        Raises:
            InvalidInput: one text in place of a list.
        """
        if isinstance(fields, str):
            raise InvalidInput.of(f"Expected a list of paths of texts, got {fields!r}. Write [{fields!r}].")
        paths = ("$",) if fields is None else fields
        return cls(tuple("$" if path == "$" else tokenize_path(path) for path in paths))

    @classmethod
    def read(cls, config: IndexConfig | None) -> ItemIndex:
        """Return the index that a store was configured with.

        Without paths it is that of the whole value, as in LangGraph's stores.
        """
        return cls.of((None if config is None else config.get("fields")) or None)

    def texts(self, value: Mapping[str, Any], override: Literal[False] | Iterable[str] | None) -> list[str]:
        """Return the texts of an item's value that are embedded.

        Args:
            override: the paths of this item alone; False and an empty list for no text.
        """
        if override is False:
            return []
        fields = self.fields if override is None else ItemIndex.of(override).fields
        return [text for field in fields for text in get_text_at_path(value, field)]


class NewItem(NamedTuple):
    """An item to write.

    Attributes:
        ttl: minutes until it expires; None for an item without a time to live.
        texts: the texts that are embedded.
    """

    namespace: tuple[str, ...]
    key: str
    value: Mapping[str, Any]
    ttl: float | None
    texts: list[str]

    @property
    def id(self) -> str:
        """The id of the item's document."""
        return document_id(self.namespace, self.key)

    def document(self, created: str, now: datetime, vectors: Sequence[Any] | None) -> dict[str, Any]:
        """Return the item as the fields of a document.

        Args:
            created: when the item was first written, in ISO 8601.
            now: when it is written.
            vectors: a vector for each text; None for one text that the service encodes.
        """
        metadata: dict[str, Any] = {
            NAMESPACE: _SEPARATOR.join(self.namespace),
            KEY: self.key,
            VALUE: _escape_names(self.value),
            CREATED: created,
            UPDATED: to_text(now),
        }
        fields: dict[str, Any] = {"id": self.id, "metadata": metadata}
        if self.ttl is not None:
            metadata[TTL] = self.ttl
            fields["expires"] = expiry(now, self.ttl)
        if not self.texts:
            metadata[INDEXED] = False
            return fields
        fields["key"] = "\n".join(self.texts)
        if vectors is not None and len(vectors) == 1:
            fields["key_vector"] = vectors[0]
        elif vectors is not None:
            fields |= {"key_vectors": vectors, "parts": _parts(self.texts)}
        return fields


def _parts(texts: Sequence[str]) -> list[dict[str, int]]:
    """Return where each text is in the key text, which has one text a line."""
    parts, start = [], 0
    for text in texts:
        parts.append({"start": start, "end": start + len(text)})
        start += len(text) + 1
    return parts


def to_text(time: datetime) -> str:
    """Return a time in UTC as ISO 8601, in one form, so that texts are in the order of their times."""
    return time.isoformat(timespec="microseconds")


def expiry(now: datetime, ttl: float) -> str:
    """Return the instant at which an item expires.

    Args:
        ttl: minutes.
    """
    return to_text(now + timedelta(minutes=ttl))


def check_ttl(now: datetime, ttl: float, name: str) -> None:
    """Check that an item expires at an instant that has a date.

    Args:
        ttl: minutes.
        name: what an error calls the item.

    Raises:
        InvalidInput: it would expire after the year 9999, or the time to live is not a number.
    """
    try:
        expiry(now, ttl)
    except (OverflowError, TypeError, ValueError):
        raise InvalidInput.of(
            f"{name}, ttl: expected minutes until an instant before the year 10000, got {ttl!r}. "
            "For an item that never expires, say ttl=None."
        ) from None


class StoredItem(NamedTuple):
    """The fields of an item as its document has them."""

    id: str
    namespace: tuple[str, ...]
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    ttl: float | None

    @classmethod
    def read(cls, document: Document | Match) -> StoredItem:
        """Read the item of a document.

        A document of another program is an item of the empty namespace. Its key is the id, and its value has the
        document's text and metadata.
        """
        metadata = document.metadata or {}
        namespace, value = metadata.get(NAMESPACE), metadata.get(VALUE)
        if not (isinstance(namespace, str) and isinstance(value, dict) and CREATED in metadata):
            foreign = {"text": document_text(document), "metadata": dict(metadata)}
            return cls(document.id, (), document.id, foreign, _UNKNOWN_TIME, _UNKNOWN_TIME, None)
        created, updated = (datetime.fromisoformat(metadata[name]) for name in (CREATED, UPDATED))
        labels = split_namespace(namespace)
        return cls(document.id, labels, metadata[KEY], _unescape_names(value), created, updated, metadata.get(TTL))

    def item(self) -> Item:
        """Return LangGraph's item."""
        return Item(
            namespace=self.namespace,
            key=self.key,
            value=self.value,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    def search_item(
        self,
        score: float | None = None,
        weight: float | None = None,
        similarity: float | None = None,
        confidence: float | None = None,
    ) -> SoftkvSearchItem:
        """Return the item of a search, with its numbers."""
        times = (self.created_at, self.updated_at)
        return SoftkvSearchItem(self.namespace, self.key, self.value, *times, score, weight, similarity, confidence)


def in_order(items: Iterable[StoredItem]) -> list[StoredItem]:
    """Return items as LangGraph's stores list them: by namespace, oldest first, and in each the oldest item first."""
    by_age = sorted(items, key=lambda item: (item.created_at, item.id))
    position: dict[tuple[str, ...], int] = {}
    for item in by_age:
        position.setdefault(item.namespace, len(position))
    return sorted(by_age, key=lambda item: position[item.namespace])
