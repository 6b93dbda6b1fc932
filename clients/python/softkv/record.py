"""Small immutable classes of named fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, dataclass_transform


@dataclass_transform(frozen_default=True)
class Record:
    """A frozen dataclass to whoever reads or checks it, made without generating code.

    A client has some thirty of them, and to generate the code of thirty dataclasses takes as long as importing all of
    the HTTP library. Defaults are what the class has under the field's name.
    """

    _names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = (name for name in vars(cls).get("__annotations__", ()) if not name.startswith("_"))
        cls._names = (*cls._names, *own)

    def __init__(self, *given: Any, **named: Any) -> None:
        cls = type(self)
        fields = dict(zip(self._names, given, strict=False))
        if len(given) > len(fields) or fields.keys() & named.keys() or not named.keys() <= set(self._names):
            raise TypeError(f"{cls.__name__} has the fields {', '.join(self._names)}: give each once")
        fields |= named
        if missing := [name for name in self._names if name not in fields and not hasattr(cls, name)]:
            raise TypeError(f"{cls.__name__} lacks {', '.join(missing)}")
        self.__dict__.update({name: fields[name] if name in fields else getattr(cls, name) for name in self._names})
        self._made()

    def _made(self) -> None:
        """Check the fields, or make those that follow from others."""

    @classmethod
    def read(cls, content: Mapping[str, Any], **others: Any) -> Self:
        """One from JSON with fields of its names; further fields are left, `others` take the place of some."""
        return cls(**{name: content[name] for name in cls._names if name in content} | others)

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
