"""Small immutable classes of named fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, dataclass_transform


class RenamedAttributes:
    """A class that says what to write in place of an attribute that it does not have."""

    _instead: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # to a type checker it would have every attribute

        def __getattr__(self, name: str) -> Any:
            if name in self._instead:
                raise AttributeError(self._instead[name])
            return super().__getattribute__(name)  # which raises as it is


@dataclass_transform(frozen_default=True)
class Record(RenamedAttributes):
    """A frozen dataclass to whoever reads or checks it, made without generating code.

    A client has some thirty of them, and to generate the code of thirty dataclasses takes as long as importing all of
    the HTTP library. Defaults are what the class has under the field's name.
    """

    _names: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = [name for name in vars(cls).get("__annotations__", ()) if not name.startswith("_")]
        cls._names = (*cls._names, *own)
        cls._defaults = cls._defaults | {name: vars(cls)[name] for name in own if name in vars(cls)}

    def __init__(self, *given: Any, **named: Any) -> None:
        names = self._names
        fields = {**self._defaults, **dict(zip(names, given, strict=False)), **named}
        known = len(given) <= len(names) and not any(name in named for name in names[: len(given)])
        if len(fields) != len(names) or not known:
            raise TypeError(self._wrong(given, named))
        self.__dict__.update(fields)
        self._made()

    def _wrong(self, given: tuple[Any, ...], named: Mapping[str, Any]) -> str:
        """What is the matter with the fields that it was to be made of."""
        kind, names = type(self).__name__, self._names
        missing = [name for name in names[len(given) :] if name not in named and name not in self._defaults]
        if missing and named.keys() <= set(names):
            return f"{kind} lacks {', '.join(missing)}"
        return f"{kind} has the fields {', '.join(names)}: give each once"

    def _made(self) -> None:
        """Check the fields, or make those that follow from others."""

    @classmethod
    def read(cls, content: Mapping[str, Any], **others: Any) -> Self:
        """One from JSON with fields of its names; further fields are left, `others` take the place of some."""
        return cls(**{name: each for name, each in content.items() if name in cls._names} | others)

    def replaced(self, **fields: Any) -> Self:
        """A copy with other fields."""
        return type(self)(**self.__dict__ | fields)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: {name} stays as it is")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]  # its fields may be lists

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={each!r}' for name, each in self._fields().items())})"

    def _fields(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self._names}
