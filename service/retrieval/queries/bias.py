"""A bias, as it is sent → its terms, which say what a document's field adds to its logit."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from attention.dtypes import F64
from service.retrieval.errors import InvalidContent
from service.storage import (
    METADATA,
    Comparison,
    Condition,
    DistinctValues,
    EncodedValue,
    InvalidCondition,
    condition_digest,
    encode_value,
    parse_condition,
)

MAX_ADDEND = 1e30
"""No addend is larger in size: what would be is this, so that every sum of them is a number."""
MAX_TERMS, MAX_VALUES = 8, 1000

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")  # as JSON writes one


@dataclass(frozen=True)
class Recency:
    """Half the weight for each `half_life` that a number is away from the origin; `origin` None: from the largest."""

    field: str
    missing: float
    half_life: float
    origin: float | None
    gaussian: bool

    def of(self, values: DistinctValues, largest: float) -> F64:
        """float64[c], the addend of each value, NaN of what is no number; `largest` number that there is."""
        with np.errstate(over="ignore"):
            origin = largest if self.origin is None else self.origin
            # Halves, for a distance may be past float64 while so many half-lives are not.
            lives = np.abs(_numbers(values) / 2 - origin / 2) / self.half_life * 2
            return clip_addends(-math.log(2) * (lives * lives if self.gaussian else lives))


@dataclass(frozen=True)
class Linear:
    """A number, times a factor."""

    field: str
    missing: float
    factor: float

    def of(self, values: DistinctValues, largest: float) -> F64:
        """See `Recency.of`."""
        with np.errstate(over="ignore"):
            return clip_addends(self.factor * _numbers(values))


@dataclass(frozen=True)
class Prior:
    """The logarithm of a number, times a factor: so the weight is multiplied by a power of it, and none by 0."""

    field: str
    missing: float
    factor: float

    def of(self, values: DistinctValues, largest: float) -> F64:
        """See `Recency.of`; −∞ of 0, which forbids, and NaN of what has no logarithm."""
        numbers = _numbers(values)
        positive, zero = numbers > 0, numbers == 0
        found = np.full(len(numbers), np.nan)
        found[zero] = -np.inf if self.factor > 0 else 0.0 if self.factor == 0 else np.nan
        with np.errstate(over="ignore"):
            found[positive] = clip_addends(self.factor * np.log(numbers[positive]))
        return found


@dataclass(frozen=True)
class ValueWeights:
    """An addend for each of some values."""

    field: str
    missing: float
    weights: tuple[tuple[EncodedValue, float], ...]

    def of(self, values: DistinctValues, largest: float) -> F64:
        """See `Recency.of`; NaN of what is not listed."""
        found = np.full(len(values), np.nan)
        for value, weight in self.weights:
            found[values.equal(value)] = weight
        return clip_addends(found)


@dataclass(frozen=True)
class FilterTerm:
    """An addend for what passes a condition; `name` is what conditions of one meaning share."""

    condition: Condition = field(compare=False)
    name: bytes
    addend: float


FieldTerm: TypeAlias = Recency | Linear | Prior | ValueWeights
Term: TypeAlias = FieldTerm | FilterTerm


def clip_addends(addends: F64) -> F64:
    """The addends, none larger in size than MAX_ADDEND; NaN stays."""
    return np.clip(addends, -MAX_ADDEND, MAX_ADDEND) + 0.0  # which makes -0.0 a 0.0


def _numbers(values: DistinctValues) -> F64:
    """float64[c]: the values that are numbers, those past float64 as its largest; NaN of all others."""
    return np.clip(values.numbers(), -sys.float_info.max, sys.float_info.max)


def parse_bias(sent: Any) -> tuple[Term, ...]:
    """The terms that a bias says, none where nothing was sent.

    Raises:
        InvalidContent: it points at what is wrong in the request's `bias`.
    """
    if sent is None:
        return ()
    if not isinstance(sent, list):
        return (_parse_term(sent, "/bias"),)
    if len(sent) > MAX_TERMS:
        raise InvalidContent.at("/bias", f"a bias has at most {MAX_TERMS} terms, {len(sent)} came: leave some out")
    return tuple(_parse_term(each, f"/bias/{i}") for i, each in enumerate(sent))


_TERM_FIELDS = {
    "filter": ({"filter", "addend"}, set[str]()),
    "half_life": ({"field", "half_life"}, {"origin", "decay", "missing"}),
    "weights": ({"field", "weights"}, {"missing"}),
    "scale": ({"field", "scale"}, {"factor", "missing"}),
    "factor": ({"field", "factor"}, {"missing"}),
}
"""What a term of each form has to have, and what it may; the form is the first of these that it has."""


def _parse_term(sent: Any, at: str) -> Term:
    if not isinstance(sent, Mapping):
        raise InvalidContent.at(at, "a term of a bias is an object: send one, or a list of them")
    form = next((name for name in _TERM_FIELDS if name in sent), None)
    if form is None:
        raise InvalidContent.at(at, f"a term of a bias has one of {', '.join(_TERM_FIELDS)}: say what it adds")
    needed, may = _TERM_FIELDS[form]
    for name in sorted(sent.keys() - needed - may) + sorted(needed - sent.keys()):
        problem = "lacks" if name in needed else "has no use for"
        wants = ", ".join([*sorted(needed), *(f"{each} if wanted" for each in sorted(may))])
        raise InvalidContent.at(f"{at}/{_escape(name)}", f"a term with {form} {problem} {name!r}: it wants {wants}")
    if form == "filter":
        return _parse_filter_term(sent, at)
    named: dict[str, Any] = {"field": _parse_field(sent["field"], at), "missing": _parse_addend(sent, "missing", at)}
    if form == "half_life":
        return _parse_recency(sent, at, named)
    if form == "weights":
        return ValueWeights(**named, weights=_parse_weights(sent["weights"], f"{at}/weights"))
    if form == "factor":
        return Linear(**named, factor=_parse_number(sent, "factor", at))
    _parse_choice(sent["scale"], ("log",), f"{at}/scale")
    return Prior(**named, factor=_parse_number(sent, "factor", at, 1.0))


def _parse_recency(sent: Mapping[str, Any], at: str, named: Mapping[str, Any]) -> Recency:
    half_life = _parse_number(sent, "half_life", at)
    if half_life <= 0:
        raise InvalidContent.at(f"{at}/half_life", f"half_life is a number above 0, got {half_life:g}")
    decay = _parse_choice(sent.get("decay", "exponential"), ("exponential", "gaussian"), f"{at}/decay")
    origin = _parse_number(sent, "origin", at) if "origin" in sent else None
    return Recency(**named, half_life=half_life, origin=origin, gaussian=decay == "gaussian")


def _parse_filter_term(sent: Mapping[str, Any], at: str) -> FilterTerm:
    try:
        condition = parse_condition(sent["filter"])
    except InvalidCondition as error:
        raise InvalidContent.at(f"{at}/filter/{error.pointer}".rstrip("/"), error.message) from None
    return FilterTerm(condition, condition_digest(condition), _parse_addend(sent, "addend", at))


def _parse_field(sent: Any, at: str) -> str:
    """The name of a field of the metadata, as filters name it."""
    if not isinstance(sent, str) or not sent.startswith(METADATA):
        what = f"a bias is of a field of the metadata: wanted {METADATA} and its name, not {sent!r:.60}"
        raise InvalidContent.at(f"{at}/field", what)
    try:
        return Comparison(sent, "==", None).name
    except InvalidCondition as error:
        raise InvalidContent.at(f"{at}/field", error.message) from None


def _parse_weights(sent: Any, at: str) -> tuple[tuple[EncodedValue, float], ...]:
    if not isinstance(sent, Mapping) or not 1 <= len(sent) <= MAX_VALUES:
        raise InvalidContent.at(at, f"weights is an object of 1 to {MAX_VALUES} values, each with its addend")
    found: dict[EncodedValue, float] = {}
    for text in sent:
        addend = _parse_number(sent, text, at)
        for value in _parse_values(text):
            if value in found:
                raise InvalidContent.at(f"{at}/{_escape(text)}", f"{text!r} is another's number: say each value once")
            found[value] = addend
    return tuple(found.items())


def _parse_values(text: str) -> list[EncodedValue]:
    """What a name in `weights` stands for: that text, and the number or the truth that JSON writes so."""
    found = [encode_value(text)]
    if text in ("true", "false"):
        found.append(encode_value(text == "true"))
    elif _NUMBER.fullmatch(text) and len(text) < MAX_VALUES and math.isfinite(float(text)):
        found.append(encode_value(json.loads(text)))
    return found


def _parse_number(sent: Mapping[str, Any], name: str, at: str, otherwise: float | None = None) -> float:
    """A finite number under that name."""
    if name not in sent and otherwise is not None:
        return otherwise
    value, finite = sent[name], False
    if type(value) in (int, float):
        try:
            finite = math.isfinite(float(value))
        except OverflowError:
            finite = False
    if not finite:
        raise InvalidContent.at(f"{at}/{_escape(name)}", f"{name} is a finite number within float64, not {value!r:.60}")
    return float(value)


def _parse_addend(sent: Mapping[str, Any], name: str, at: str) -> float:
    return min(max(_parse_number(sent, name, at, 0.0), -MAX_ADDEND), MAX_ADDEND)


def _parse_choice(sent: Any, names: tuple[str, ...], at: str) -> str:
    if not isinstance(sent, str) or sent not in names:
        raise InvalidContent.at(at, f"{at.rpartition('/')[2]} is {' or '.join(names)}, not {sent!r:.60}")
    return sent


def _escape(name: str) -> str:
    """As a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
