"""Filters as trees of frozen dataclasses, which are checked when they are built; and a digest that is the same for
equivalent filters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, TypeAlias

from softkv_service.storage.errors import InvalidCondition
from softkv_service.storage.fields import EncodedValue, Kind, encode_value, is_scalar, is_utf8
from softkv_service.storage.instants import Instant

ORDERING = (">", ">=", "<", "<=")
MEMBERSHIP = ("in", "not in")
COMPARISONS = ("==", "!=", *ORDERING, *MEMBERSHIP, "contains")
COMBINATIONS = ("AND", "OR", "NOT")
METADATA = "metadata."
TEXTS = ("id", "key")  # the other fields that can be compared, with texts only

# SQLite's parser keeps a stack of 100 and takes 32,766 parameters: these stay well below both.
MAX_DEPTH = 32
MAX_OPERANDS = 5000
OPERANDS_OF_CONTAINS = 100  # a text that is looked for inside all texts of a field takes as long as 100 other operands
MAX_COMPARED_FIELDS = 64  # each field of a filter is read, and kept in memory, on its own


@dataclass(frozen=True)
class Comparison:
    """A comparison of one field with an operand, as in `Comparison("metadata.year", ">=", 2000)`.

    `field` is `id`, `key` (the document's key text) or `metadata.` and the exact name of a metadata field. A missing
    field and a missing key text read as null. `ignore_case`, for `contains` only, compares texts after Unicode case
    folding. Raises InvalidCondition if the operand fits no value of the field.

    An `Instant` is equal to, or ordered with, the texts of metadata that are ISO 8601 dates, and no other values. `!=`
    and `not in` are the complements of `==` and `in`, so all other values pass them.
    """

    field: str
    operator: str
    value: Any
    ignore_case: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.field, str) or not (self.field in TEXTS or self.in_metadata):
            meant = f"write {METADATA}{self.field[:60]}, or " if isinstance(self.field, str) and self.field else "use "
            raise InvalidCondition(
                f"there is no field {_repr(self.field)}: {meant}id, key, or metadata. and a name", "field"
            )
        if self.operator not in COMPARISONS:
            raise InvalidCondition(
                f"a comparison has no operator {_repr(self.operator)}: use one of {', '.join(COMPARISONS)}",
                "operator",
            )
        if not isinstance(self.ignore_case, bool):
            raise InvalidCondition(f"ignore_case is true or false, not {_repr(self.ignore_case)}", "ignore_case")
        if self.ignore_case and self.operator != "contains":
            raise InvalidCondition(f"{self.operator} compares case: only contains takes ignore_case", "ignore_case")
        expected, fits = ("a text", _is_text) if self.ignore_case else _operand(self.operator, self.field)
        if not fits(self.value):
            how = f"{self.operator} with ignore_case" if self.ignore_case else self.operator
            raise InvalidCondition(f"{how} on {self.field} wants {expected}, not {_repr(self.value)}", "value")
        for part in ("field", "value"):
            if not _is_utf8(getattr(self, part)):
                raise InvalidCondition(f"the {part} holds half of a surrogate pair, which no text does", part)

    @property
    def in_metadata(self) -> bool:
        """Whether a metadata field is compared, rather than the document's id or key."""
        return self.field.startswith(METADATA)

    @property
    def name(self) -> str:
        """The name of the metadata field, without the prefix `metadata.`."""
        return self.field.removeprefix(METADATA)

    @property
    def depth(self) -> int:
        """The number of nested combinations in this condition: 0."""
        return 0

    @property
    def operands(self) -> int:
        """The number of values with which this condition compares the field.

        A text that other texts contain counts as OPERANDS_OF_CONTAINS.
        """
        if self.operator == "contains" and isinstance(self.value, str):
            return OPERANDS_OF_CONTAINS
        return max(1, len(self.value)) if self.operator in MEMBERSHIP else 1

    @property
    def comparisons(self) -> int:
        """The number of comparisons in this condition: 1."""
        return 1

    @property
    def fields(self) -> frozenset[str]:
        """The field that is compared."""
        return frozenset((self.field,))

    @property
    def relative(self) -> bool:
        """Whether an operand is an instant relative to the time of the request."""
        values = self.value if self.operator in MEMBERSHIP else [self.value]
        return any(isinstance(value, Instant) and value.relative for value in values)

    def at(self, now: int) -> Comparison:
        """Return the comparison for a request that started at `now`, in microseconds of Unix time."""
        if not self.relative:
            return self
        if isinstance(self.value, Instant):
            return replace(self, value=self.value.at(now))
        return replace(self, value=[value.at(now) if isinstance(value, Instant) else value for value in self.value])

    @property
    def tree(self) -> dict[str, Any]:
        """The condition as the JSON object that `parse_condition` parses."""
        case = {"ignore_case": True} if self.ignore_case else {}
        return {"field": self.field, "operator": self.operator, "value": _value_tree(self.value), **case}


@dataclass(frozen=True)
class Combination:
    """A combination of conditions: AND (all of them), OR (any of them) or NOT (not all of them).

    Without conditions, AND is true, and OR and NOT are false.
    """

    operator: str
    conditions: tuple[Condition, ...]
    depth: int = field(init=False, repr=False, compare=False)
    operands: int = field(init=False, repr=False, compare=False)
    comparisons: int = field(init=False, repr=False, compare=False)
    fields: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.operator not in COMBINATIONS:
            raise InvalidCondition(
                f"conditions are not joined by {_repr(self.operator)}: use one of {', '.join(COMBINATIONS)}",
                "operator",
            )
        object.__setattr__(self, "conditions", tuple(self.conditions))
        object.__setattr__(self, "depth", 1 + max((condition.depth for condition in self.conditions), default=0))
        object.__setattr__(self, "operands", sum(condition.operands for condition in self.conditions))
        object.__setattr__(self, "comparisons", sum(condition.comparisons for condition in self.conditions))
        object.__setattr__(
            self, "fields", frozenset(field for condition in self.conditions for field in condition.fields)
        )
        if self.depth > MAX_DEPTH:
            raise InvalidCondition(f"conditions nest at most {MAX_DEPTH} deep: flatten them", "conditions")
        if self.operands > MAX_OPERANDS:
            raise InvalidCondition(
                f"a filter compares with at most {MAX_OPERANDS} values, not {self.operands} (a text of contains counts "
                f"as {OPERANDS_OF_CONTAINS}): split it",
                "conditions",
            )
        if len(self.fields) > MAX_COMPARED_FIELDS:
            raise InvalidCondition(
                f"a filter compares at most {MAX_COMPARED_FIELDS} different fields, not {len(self.fields)}: split it",
                "conditions",
            )

    @property
    def relative(self) -> bool:
        """Whether a comparison is with an instant relative to the time of the request."""
        return any(condition.relative for condition in self.conditions)

    def at(self, now: int) -> Combination:
        """Return the combination for a request that started at `now`, in microseconds of Unix time."""
        if not self.relative:
            return self
        return Combination(self.operator, tuple(condition.at(now) for condition in self.conditions))

    @property
    def tree(self) -> dict[str, Any]:
        """The condition as the JSON object that `parse_condition` parses."""
        return {"operator": self.operator, "conditions": [condition.tree for condition in self.conditions]}


Condition: TypeAlias = Comparison | Combination


def constant_result(condition: Condition) -> bool | None:
    """Return True if every document passes, False if none does, whatever their fields; None if the fields decide.

    >>> constant_result(Combination("AND", ()))
    True
    """
    if isinstance(condition, Comparison):
        if condition.operator in MEMBERSHIP and not condition.value:
            return condition.operator == "not in"
        # Each document has an id, and each text contains the empty one.
        return True if (condition.field, condition.operator, condition.value) == ("id", "contains", "") else None
    results = [constant_result(part) for part in condition.conditions]
    decisive = condition.operator == "OR"  # one True decides OR, and one False decides AND and NOT
    joined = decisive if decisive in results else None if None in results else not decisive
    return not joined if condition.operator == "NOT" and joined is not None else joined


def parse_condition(tree: Any) -> Condition:
    """Parse a condition from a JSON object; the pointer of InvalidCondition is relative to that object.

    >>> parse_condition({"operator": "NOT", "conditions": [{"field": "id", "operator": "==", "value": "a"}]}).operator
    'NOT'
    """
    return _parse(tree, "", MAX_DEPTH)


def _parse(tree: Any, pointer: str, levels: int) -> Condition:
    if not isinstance(tree, Mapping):
        raise InvalidCondition(f"a condition is an object, not {_repr(tree)}", pointer.rstrip("/"))
    combined = "conditions" in tree
    names = {"operator", "conditions"} if combined else {"field", "operator", "value"}
    for name in sorted((names ^ tree.keys()) - (set() if combined else {"ignore_case"})):
        problem = "lacks" if name in names else "has no use for"
        raise InvalidCondition(
            f"this condition {problem} {name!r}: it wants {', '.join(sorted(names))}", pointer + name
        )
    children: list[Condition] = []
    if combined:
        if not isinstance(tree["conditions"], list):
            raise InvalidCondition("conditions is a list of conditions", f"{pointer}conditions")
        if levels == 0:
            raise InvalidCondition(f"conditions nest at most {MAX_DEPTH} deep: flatten them", f"{pointer}conditions")
        children = [
            _parse(child, f"{pointer}conditions/{i}/", levels - 1) for i, child in enumerate(tree["conditions"])
        ]
    try:
        if combined:
            return Combination(tree["operator"], tuple(children))
        value = _parse_value(tree["value"], "value")
        return Comparison(tree["field"], tree["operator"], value, tree.get("ignore_case", False))
    except InvalidCondition as error:
        raise InvalidCondition(error.message, pointer + error.pointer) from None


def _parse_value(value: Any, pointer: str) -> Any:
    """Return the operand of a comparison, in which objects such as `{"datetime": "now-7d"}` are instants."""
    if isinstance(value, list):
        return [
            _parse_value(element, f"{pointer}/{i}") if isinstance(element, Mapping) else element
            for i, element in enumerate(value)
        ]
    if not isinstance(value, Mapping):
        return value
    if value.keys() != {"datetime"}:
        raise InvalidCondition('an object as a value is {"datetime": …} and has no other field', pointer)
    instant = Instant.parse(value["datetime"]) if isinstance(value["datetime"], str) else None
    if instant is None:
        raise InvalidCondition(
            f"datetime wants an ISO 8601 date or time such as 2026-11-01T00:00:00Z, or now, now-7d or now+1h (units "
            f"s m h d w, at most 1,000 years), not {_repr(value['datetime'])}",
            f"{pointer}/datetime",
        )
    return instant


def _value_tree(value: Any) -> Any:
    """Return an operand as JSON has it."""
    if isinstance(value, Instant):
        return value.tree
    return list(map(_value_tree, value)) if _is_list(value) else value


def _operand(operator: str, field: str) -> tuple[str, Callable[[Any], bool]]:
    """Return the operands that an operator takes on a field: their description in words, and a function that
    tests one.
    """
    if operator in MEMBERSHIP:
        kind, fits = {"id": ("texts", _is_text), "key": ("texts and nulls", _is_text_or_null)}.get(
            field, ("scalars and datetimes", lambda value: is_scalar(value) or isinstance(value, Instant))
        )
        return (
            f"a list of at most {MAX_OPERANDS} {kind}",
            lambda value: _is_list(value) and len(value) <= MAX_OPERANDS and all(map(fits, value)),
        )
    if field == "key" and operator in ("==", "!="):
        return "a text or null", _is_text_or_null
    if field in TEXTS:
        return "a text", _is_text
    if operator in ORDERING:
        return (
            "a number, a text or a datetime",
            lambda value: isinstance(value, Instant) or (is_scalar(value) and not isinstance(value, bool | None)),
        )
    if operator == "contains":
        return "a scalar", is_scalar
    return (
        "a scalar, a list of scalars or a datetime",
        lambda value: all(map(is_scalar, value)) if _is_list(value) else is_scalar(value) or isinstance(value, Instant),
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_utf8(value: Any) -> bool:
    if isinstance(value, str):
        return is_utf8(value)
    return not _is_list(value) or all(map(_is_utf8, value))


def _repr(value: Any) -> str:
    text = repr(_value_tree(value))
    return text if len(text) <= 60 else f"{text[:57]}…"


def condition_digest(condition: Condition) -> bytes:
    """Return a digest of 32 bytes that equivalent conditions share.

    Equivalent are conditions that differ only in order, in repetition, in 1 for 1.0, in how an instant is written, or
    in a case that they ignore.

    >>> condition_digest(Comparison("metadata.x", "==", 1)) == condition_digest(Comparison("metadata.x", "==", 1.0))
    True
    >>> condition_digest(Comparison("metadata.x", "==", 1)) == condition_digest(Comparison("metadata.x", "==", True))
    False
    """
    if isinstance(condition, Comparison):
        if condition.ignore_case:
            return _digest("comparison", condition.field, "contains, case ignored", condition.value.casefold())
        values = condition.value if condition.operator in MEMBERSHIP else [condition.value]
        operands = {repr(value) if isinstance(value, Instant) else _canonical(encode_value(value)) for value in values}
        return _digest("comparison", condition.field, condition.operator, *sorted(operands))
    return _combination_digest(condition)


def _combination_digest(combination: Combination) -> bytes:
    digests = sorted({condition_digest(condition) for condition in combination.conditions})
    if len(digests) == 1 and combination.operator != "NOT":
        return digests[0]
    return _digest("combination", combination.operator, *digests)


def _canonical(operand: EncodedValue) -> str:
    kind, value = operand
    if kind is Kind.NUMBER and isinstance(value, float) and value.is_integer():
        value = int(value)
    return repr((int(kind), value))


def _digest(*parts: Any) -> bytes:
    return blake2b(repr(parts).encode(), digest_size=32).digest()
