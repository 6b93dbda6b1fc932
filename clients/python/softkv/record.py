"""Small immutable classes of named fields."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    NamedTuple,
    Self,
    dataclass_transform,
    get_origin,
    get_type_hints,
)

# Marks in annotations, of the JSON that the service sends. Without them, a field with a default may be left out and is
# never null, and any other field is always there. A class in place of a mapping has its fields.
ALWAYS_SENT: Final = "always sent"
"""The mark of a field with a default that the service sends in every answer."""
LEFT_OUT: Final = "left out"
"""The mark of a field without a default that the service may leave out: the client fills it in."""
OR_NULL: Final = "left out or null"
"""The mark of a field with a default that may be null, too."""
VECTOR: Final = "vector"
"""The mark of an array of one dimension."""
VECTORS: Final = "vectors"
"""The mark of an array of two dimensions, which the service sends as a list of vectors."""


class Keyword(NamedTuple):
    """The mark of a field with one more keyword of its JSON schema."""

    name: str
    value: Any


class Range(NamedTuple):
    """The mark of a number with bounds; `above` and `below` are excluded."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def __str__(self) -> str:
        """Return the bounds as people write them: from 0 to 1, above 0 and at most 1, at least 1."""
        if self.least is not None and self.most is not None:
            return f"from {self.least:,} to {self.most:,}"
        words = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        return " and ".join(f"{word} {bound:,}" for word, bound in words.items() if bound is not None)


class Length(NamedTuple):
    """The mark of a list with bounds of its number of items, or of a text with bounds of its characters."""

    least: int
    most: int | None = None


class LeftOut(NamedTuple):
    """The mark of a field of a question that is never null, and what holds if it is left out and no other decides."""

    value: Any


NOT_SENT: Final = "not sent"
"""The mark of a field that is not part of the JSON."""
ONE_OF: Final = "one of"
"""The mark of a union of which every value is of exactly one type."""
INSTANT: Final = Keyword("format", "date-time")
NAME: Final = Keyword("pattern", "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
COUNT: Final = Keyword("minimum", 0.0)


class Named(NamedTuple):
    """The mark of a type by the name that it has in the description of the API."""

    name: str


@dataclass_transform(frozen_default=True)
class Record:
    """The base of small immutable classes with named fields: a frozen dataclass without generated code.

    The client has about a hundred records. Generating the code of thirty dataclasses takes as long as importing the
    HTTP library. A default is the class attribute with the field's name.

    Records declare questions to the service and its answers: its description of the API is made of their annotations,
    of the first paragraph of their docstrings, and of "Attributes:". So are its checks of questions.

    Args:
        schema: the name of the record in that description; that of the class if left out.
        sent: the fields with another name in JSON, as this name by that of the field.
        kw_only: whether type checkers take its fields by their names alone.
        closed: whether it has no other fields, as far as the description says.
    """

    _schema: ClassVar[str] = ""
    _sent: ClassVar[Mapping[str, str]] = {}
    _closed: ClassVar[bool] = True

    _names: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}
    _instead: ClassVar[Mapping[str, str]] = {}
    """Messages for attributes of other libraries, each of which names the record's own."""

    if not TYPE_CHECKING:  # otherwise a type checker would accept every attribute

        def __getattr__(self, name: str) -> Any:
            if name in self._instead:
                raise AttributeError(self._instead[name])
            return super().__getattribute__(name)  # raises Python's own AttributeError

    def __init_subclass__(
        cls,
        schema: str | None = None,
        sent: Mapping[str, str] | None = None,
        *,
        closed: bool = True,
        kw_only: bool = False,
    ) -> None:
        super().__init_subclass__()
        cls._schema, cls._sent, cls._closed = schema or cls.__name__, sent or cls._sent, closed
        declared = [name for name in vars(cls).get("__annotations__", ()) if not name.startswith("_")]
        bases = [base for base in cls.__bases__ if issubclass(base, Record)]
        cls._names = (*(name for base in bases for name in base._names), *declared)
        cls._defaults = {name: default for base in reversed(bases) for name, default in base._defaults.items()}
        cls._defaults |= {name: vars(cls)[name] for name in declared if name in vars(cls)}

    def __init__(self, *positional: Any, **named: Any) -> None:
        names = self._names
        fields = {**self._defaults, **dict(zip(names, positional, strict=False)), **named}
        is_valid = len(positional) <= len(names) and not any(name in named for name in names[: len(positional)])
        if len(fields) != len(names) or not is_valid:
            raise TypeError(self._wrong(positional, named))
        self.__dict__.update(fields)
        self._post_init()

    def _wrong(self, positional: tuple[Any, ...], named: Mapping[str, Any]) -> str:
        """Return the message of the TypeError for wrong constructor arguments."""
        kind, names = type(self).__name__, self._names
        missing = [name for name in names[len(positional) :] if name not in named and name not in self._defaults]
        if missing and named.keys() <= set(names):
            return f"{kind} lacks {', '.join(missing)}"
        return f"{kind} has the fields {', '.join(names)}: give each once"

    def _post_init(self) -> None:
        """Check the fields, or compute fields that depend on others."""

    @classmethod
    def read(cls, content: Mapping[str, Any], **replaced: Any) -> Self:
        """Build a record from a JSON object; ignore unknown fields, and let `replaced` override fields."""
        renamed = {name: content[sent] for name, sent in cls._sent.items() if sent in content}
        return cls(**{name: field for name, field in content.items() if name in cls._names} | renamed | replaced)

    def copy_with(self, **fields: Any) -> Self:
        """Return a copy in which these fields have other values."""
        return type(self)(**self._fields() | fields)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: {name} stays as it is")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]  # its fields may be lists

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={field!r}' for name, field in self._fields().items())})"

    def _fields(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self._names}


_ENTRY = re.compile(r"^([\w, ]+): (.*(?:\n +.*)*)", re.MULTILINE)


def read_docstring(kind: Any) -> tuple[str, dict[str, str]]:
    """Return the first paragraph of a class's docstring, and the words of its fields with those of its bases.

    Each is one line, as it is written: a field's words begin with a small letter. `python -OO` removes docstrings.
    """
    summary, _, attributes = (inspect.getdoc(kind) or "").partition("\nAttributes:\n")
    words = dict[str, str]()
    for base in reversed(kind.__mro__[1:]):
        if issubclass(base, Record) and base is not Record:
            words |= read_docstring(base)[1]
    for names, text in _ENTRY.findall(inspect.cleandoc("\n" + attributes.partition("\n\n")[0])):
        words |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return " ".join(summary.split("\n\n")[0].split()), words


def sentence(words: str) -> str:
    """Return words with a capital at their beginning."""
    return words[:1].upper() + words[1:]


class RecordField(NamedTuple):
    """A field of a record as its declaration has it.

    Attributes:
        sent: its name in JSON.
        type: its type without marks.
        words: what the docstring says of it, as it is written.
        marks: the marks of its annotation.
        default: its default; None without one.
    """

    name: str
    sent: str
    type: Any
    words: str
    marks: tuple[Any, ...]
    default: Any

    @property
    def range(self) -> Range:
        """The bounds of a number."""
        return next((mark for mark in self.marks if isinstance(mark, Range)), Range())

    @property
    def summary(self) -> str:
        """The first sentence of the words, without its full stop."""
        return re.split(r"\.(?:\s|$)", self.words)[0]

    @property
    def fallback(self) -> str:
        """The value of a field that is left out, in the words of the docstring or as its default; or an empty text."""
        if stated := re.search(r"Left out: ([^.]*(?:\.\w[^.]*)*)\.", self.words):
            return stated[1]
        value = next((mark.value for mark in self.marks if isinstance(mark, LeftOut)), self.default)
        return "" if value in (None, False, ()) else str(value).removesuffix(".0")

    @property
    def limits(self) -> str:
        """The bounds of a number, and a default that the words leave out, as sentences behind them; or nothing."""
        bounds, default = str(self.range), "" if "Left out:" in self.words else self.fallback
        return (f" {sentence(bounds)}." if bounds else "") + (f" Left out: {default}." if default else "")


def fields_of(record: type[Record]) -> list[RecordField]:
    """Return the fields of a record that are part of its JSON."""
    words, types, hints = read_docstring(record)[1], get_type_hints(record), get_type_hints(record, include_extras=True)
    marks = {name: hint.__metadata__ if get_origin(hint) is Annotated else () for name, hint in hints.items()}
    return [
        RecordField(
            name,
            record._sent.get(name, name),
            types[name],
            words.get(name, ""),
            marks[name],
            record._defaults.get(name),
        )
        for name in record._names
        if NOT_SENT not in marks[name]
    ]
