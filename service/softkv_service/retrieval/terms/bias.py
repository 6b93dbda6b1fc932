"""Biases: terms that compute an addend to a document's logit from the document's metadata."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from softkv_attention.arrays import F64
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.storage.conditions import (
    METADATA,
    Comparison,
    Condition,
    DistinctValues,
    condition_digest,
    parse_condition,
)
from softkv_service.storage.errors import InvalidCondition
from softkv_service.storage.fields import EncodedValue, encode_value
from softkv_service.storage.instants import Instant, parse_duration

MAX_ADDEND = 1e30
"""The largest size of an addend; larger ones are clipped, so that every sum is finite."""
MAX_TERMS, MAX_VALUES = 8, 1000

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")  # as JSON writes one


@dataclass(frozen=True)
class Recency:
    """A term (a number added to a document's logit) that prefers documents whose field is near an origin.

    It halves a document's weight for each `half_life` of the distance.

    Attributes:
        origin: the number, or the instant, from which distance counts; None for the largest number, or the latest
            date, of the field.
        dates: whether the field's dates count, in microseconds, rather than its numbers.
    """

    field: str
    missing: float
    half_life: float
    origin: float | Instant | None
    gaussian: bool
    dates: bool = False

    def of(self, values: DistinctValues, largest: float) -> F64:
        """Return float64[c], the number to add to the logit for each value of the field; NaN if it is not a number.

        Args:
            values: the c distinct values of the field.
            largest: the largest number, or the latest date, of the field, which is the default origin.
        """
        origin = largest if self.origin is None else self.origin
        with np.errstate(over="ignore"):
            if self.dates:
                distances = np.full(len(values), np.nan)
                origin = origin.absolute if isinstance(origin, Instant) else int(origin)
                distances[values.dates.codes] = np.abs(values.dates.instants - origin)
                lives = distances / self.half_life
            else:
                assert not isinstance(origin, Instant)
                # Compute with halves: a distance may exceed float64 although its number of half-lives does not.
                lives = np.abs(_numbers(values) / 2 - origin / 2) / self.half_life * 2
            return clip_addends(-math.log(2) * (lives * lives if self.gaussian else lives))


@dataclass(frozen=True)
class Linear:
    """A term that adds a number of the document's metadata, times a factor, to its logit."""

    field: str
    missing: float
    factor: float

    def of(self, values: DistinctValues, largest: float) -> F64:
        """Return float64[c], the number to add to the logit for each value of the field; NaN if it is not a number.

        Args:
            values: the c distinct values of the field.
            largest: not used.
        """
        with np.errstate(over="ignore"):
            return clip_addends(self.factor * _numbers(values))


@dataclass(frozen=True)
class Prior:
    """A term that adds the logarithm of a number of the document's metadata, times a factor, to its logit.

    It multiplies the weight by a power of the number.
    """

    field: str
    missing: float
    factor: float

    def of(self, values: DistinctValues, largest: float) -> F64:
        """Return float64[c], the number to add to the logit for each value of the field.

        It is −∞ for 0, which excludes a document, and NaN for a value without a logarithm.

        Args:
            values: the c distinct values of the field.
            largest: not used.
        """
        numbers = _numbers(values)
        positive, zero = numbers > 0, numbers == 0
        addends = np.full(len(numbers), np.nan)
        addends[zero] = -np.inf if self.factor > 0 else 0.0 if self.factor == 0 else np.nan
        with np.errstate(over="ignore"):
            addends[positive] = clip_addends(self.factor * np.log(numbers[positive]))
        return addends


@dataclass(frozen=True)
class ValueWeights:
    """A term that adds a number to the document's logit, which depends on the value of a metadata field."""

    field: str
    missing: float
    weights: tuple[tuple[EncodedValue, float], ...]

    def of(self, values: DistinctValues, largest: float) -> F64:
        """Return float64[c], the number to add to the logit for each value of the field; NaN if the value is not
        listed.

        Args:
            values: the c distinct values of the field.
            largest: not used.
        """
        addends = np.full(len(values), np.nan)
        for value, weight in self.weights:
            addends[values.equal(value)] = weight
        return clip_addends(addends)


@dataclass(frozen=True)
class FilterTerm:
    """A term that adds a number to the logits of documents that pass a condition.

    Equivalent conditions have the same `name`.
    """

    condition: Condition = field(compare=False)
    name: bytes
    addend: float


FieldTerm: TypeAlias = Recency | Linear | Prior | ValueWeights
Term: TypeAlias = FieldTerm | FilterTerm


def clip_addends(addends: F64) -> F64:
    """Clip addends (numbers to add to logits) to ±MAX_ADDEND; NaN stays."""
    return np.clip(addends, -MAX_ADDEND, MAX_ADDEND) + 0.0  # + 0.0 turns -0.0 into 0.0


def _numbers(values: DistinctValues) -> F64:
    """Return float64[c], the numbers among the values, clipped to float64; NaN for all others."""
    return np.clip(values.numbers(), -sys.float_info.max, sys.float_info.max)


def parse_bias(sent: Any, now: int | None = None) -> tuple[Term, ...]:
    """Parse a bias as a request has it into terms, which add numbers to documents' logits; empty without a bias.

    Args:
        sent: the bias as it was sent.
        now: the start of the request, in microseconds of Unix time, at which relative instants count; None leaves
            them relative, for a bias that is only checked.

    Raises:
        InvalidContent: the bias is invalid; it points at the flaw in the request's `bias`.
    """
    if sent is None:
        return ()
    if not isinstance(sent, list):
        return (_parse_term(sent, "/bias", now),)
    if len(sent) > MAX_TERMS:
        raise InvalidContent.at("/bias", f"a bias has at most {MAX_TERMS} terms, {len(sent)} came: leave some out")
    return tuple(_parse_term(term, f"/bias/{i}", now) for i, term in enumerate(sent))


def format_bias(sent: Any, terms: Sequence[Term], origins: Sequence[float | None]) -> str:
    """Return a valid bias as JSON, in which every recency term has its origin, and all instants are absolute.

    Args:
        sent: the bias as it was sent.
        terms: the bias as it was parsed.
        origins: the origin of each recency term that was sent without one; None for 0, and for every other term.
    """
    trees = sent if isinstance(sent, list) else [sent]
    return json.dumps([_format_term(*parts) for parts in zip(trees, terms, origins, strict=True)])


def _format_term(tree: Mapping[str, Any], term: Term, origin: float | None) -> Mapping[str, Any]:
    if isinstance(term, FilterTerm):
        return {**tree, "filter": term.condition.tree}
    if not isinstance(term, Recency):
        return tree
    if term.dates:
        instant = term.origin if isinstance(term.origin, Instant) else Instant(int(origin or 0))
        return {**tree, "origin": instant.tree}
    return {**tree, "origin": (origin or 0.0) if term.origin is None else term.origin}


_TERM_FIELDS = {
    "filter": ({"filter", "addend"}, set[str]()),
    "half_life": ({"field", "half_life"}, {"origin", "decay", "missing"}),
    "weights": ({"field", "weights"}, {"missing"}),
    "scale": ({"field", "scale"}, {"factor", "missing"}),
    "factor": ({"field", "factor"}, {"missing"}),
}
"""The required and the optional fields of each form of a term; its form is the first of these fields that it has."""


def _parse_term(sent: Any, pointer: str, now: int | None) -> Term:
    if not isinstance(sent, Mapping):
        raise InvalidContent.at(pointer, "a term of a bias is an object: send one, or a list of them")
    form = next((name for name in _TERM_FIELDS if name in sent), None)
    if form is None:
        raise InvalidContent.at(pointer, f"a term of a bias has one of {', '.join(_TERM_FIELDS)}: say what it adds")
    needed, optional = _TERM_FIELDS[form]
    for name in sorted(sent.keys() - needed - optional) + sorted(needed - sent.keys()):
        problem = "lacks" if name in needed else "has no use for"
        wants = ", ".join([*sorted(needed), *(f"{name} if wanted" for name in sorted(optional))])
        raise InvalidContent.at(
            f"{pointer}/{_escape(name)}", f"a term with {form} {problem} {name!r}: it wants {wants}"
        )
    if form == "filter":
        return _parse_filter_term(sent, pointer, now)
    named: dict[str, Any] = {
        "field": _parse_field(sent["field"], pointer),
        "missing": _parse_addend(sent, "missing", pointer),
    }
    if form == "half_life":
        return _parse_recency(sent, pointer, named, now)
    if form == "weights":
        return ValueWeights(**named, weights=_parse_weights(sent["weights"], f"{pointer}/weights"))
    if form == "factor":
        return Linear(**named, factor=_parse_number(sent, "factor", pointer))
    _parse_choice(sent["scale"], ("log",), f"{pointer}/scale")
    return Prior(**named, factor=_parse_number(sent, "factor", pointer, 1.0))


def _parse_recency(sent: Mapping[str, Any], pointer: str, named: Mapping[str, Any], now: int | None) -> Recency:
    dates = isinstance(sent["half_life"], str)
    duration = parse_duration(sent["half_life"]) if dates else None
    if dates and not duration:
        raise InvalidContent.at(
            f"{pointer}/half_life",
            "half_life is a number above 0, or for dates a duration such as 30d or 12h (units s m h d w, at most 1,000 "
            f"years), not {sent['half_life']!r:.60}",
        )
    half_life = _parse_number(sent, "half_life", pointer) if duration is None else float(duration)
    if half_life <= 0:
        raise InvalidContent.at(f"{pointer}/half_life", f"half_life is a number above 0, got {half_life:g}")
    decay = _parse_choice(sent.get("decay", "exponential"), ("exponential", "gaussian"), f"{pointer}/decay")
    origin: float | Instant | None = None
    if "origin" in sent:
        origin = _parse_date(sent["origin"], f"{pointer}/origin", now) if dates else _parse_origin(sent, pointer)
    return Recency(**named, half_life=half_life, origin=origin, gaussian=decay == "gaussian", dates=dates)


def _parse_origin(sent: Mapping[str, Any], pointer: str) -> float:
    if isinstance(sent["origin"], str | Mapping):
        raise InvalidContent.at(
            f"{pointer}/origin",
            "origin is a date, but half_life is a number: send half_life as a duration such as 30d, or origin as a "
            "number",
        )
    return _parse_number(sent, "origin", pointer)


def _parse_date(sent: Any, pointer: str, now: int | None) -> Instant:
    """Return the origin of a term of dates: a text, or an object as in a filter."""
    text = sent["datetime"] if isinstance(sent, Mapping) and sent.keys() == {"datetime"} else sent
    instant = Instant.parse(text) if isinstance(text, str) else None
    if instant is None:
        raise InvalidContent.at(
            pointer,
            "half_life is a duration, so origin is an ISO 8601 date or time such as 2026-11-01T00:00:00Z, or now, "
            f"now-7d or now+1h, not {sent!r:.60}",
        )
    return instant if now is None else instant.at(now)


def _parse_filter_term(sent: Mapping[str, Any], pointer: str, now: int | None) -> FilterTerm:
    try:
        condition = parse_condition(sent["filter"])
        condition = condition if now is None else condition.at(now)
    except InvalidCondition as error:
        raise InvalidContent.at(f"{pointer}/filter/{error.pointer}".rstrip("/"), error.message) from None
    return FilterTerm(condition, condition_digest(condition), _parse_addend(sent, "addend", pointer))


def _parse_field(sent: Any, pointer: str) -> str:
    """Return the name of a metadata field without its prefix `metadata.`."""
    if not isinstance(sent, str) or not sent.startswith(METADATA):
        advice = f": write {METADATA}{sent:.60}" if isinstance(sent, str) and sent else ""
        problem = f"a bias is of a field of the metadata: wanted {METADATA} and its name, not {sent!r:.60}{advice}"
        raise InvalidContent.at(f"{pointer}/field", problem)
    try:
        return Comparison(sent, "==", None).name
    except InvalidCondition as error:
        raise InvalidContent.at(f"{pointer}/field", error.message) from None


def _parse_weights(sent: Any, pointer: str) -> tuple[tuple[EncodedValue, float], ...]:
    if not isinstance(sent, Mapping) or not 1 <= len(sent) <= MAX_VALUES:
        raise InvalidContent.at(pointer, f"weights is an object of 1 to {MAX_VALUES} values, each with its addend")
    weights: dict[EncodedValue, float] = {}
    for text in sent:
        addend = _parse_number(sent, text, pointer)
        for value in _parse_values(text):
            if value in weights:
                raise InvalidContent.at(
                    f"{pointer}/{_escape(text)}", f"{text!r} is another's number: say each value once"
                )
            weights[value] = addend
    return tuple(weights.items())


def _parse_values(text: str) -> list[EncodedValue]:
    """Return the values that a name in a term's `weights` stands for.

    These are the text itself, and the number or boolean whose JSON is that text.
    """
    values = [encode_value(text)]
    if text in ("true", "false"):
        values.append(encode_value(text == "true"))
    elif _NUMBER.fullmatch(text) and len(text) < MAX_VALUES and math.isfinite(float(text)):
        values.append(encode_value(json.loads(text)))
    return values


def _parse_number(sent: Mapping[str, Any], name: str, pointer: str, default: float | None = None) -> float:
    """Return the finite number of that name, or the default if it is missing."""
    if name not in sent and default is not None:
        return default
    value, finite = sent[name], False
    if type(value) in (int, float):
        try:
            finite = math.isfinite(float(value))
        except OverflowError:
            finite = False
    if not finite:
        raise InvalidContent.at(
            f"{pointer}/{_escape(name)}", f"{name} is a finite number within float64, not {value!r:.60}"
        )
    return float(value)


def _parse_addend(sent: Mapping[str, Any], name: str, pointer: str) -> float:
    return min(max(_parse_number(sent, name, pointer, 0.0), -MAX_ADDEND), MAX_ADDEND)


def _parse_choice(sent: Any, names: tuple[str, ...], pointer: str) -> str:
    if not isinstance(sent, str) or sent not in names:
        raise InvalidContent.at(pointer, f"{pointer.rpartition('/')[2]} is {' or '.join(names)}, not {sent!r:.60}")
    return sent


def _escape(name: str) -> str:
    """Escape a name for a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
