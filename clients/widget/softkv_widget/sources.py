"""Sources of the weights of a `Lookup`: a collection of a service, keys in this process, or one answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from softkv import Answer, Collection, Match
from softkv_attention.lookup import Answer as CoreAnswer
from softkv_attention.lookup import Background, Memory, Question, View, answer, sweep

HOTTEST = 1e300
"""The temperature that stands for ∞ in JSON, as on the page: every weight is equal to the last digit."""
_COLDEST, _DECADES, _STEPS = 1e-3, 5, 399
_ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10)


def _knob_temperatures() -> list[float]:
    """Return the temperatures between 0 and ∞ at which the clamp stops, as in web/shared/scale.js of the service."""
    exact = np.geomspace(_COLDEST, _COLDEST * 10**_DECADES, _STEPS)
    numbers = np.multiply.outer(10.0 ** np.floor(np.log10(exact)), _ROUND)
    distances = abs(np.log10(numbers / exact[:, None]))
    nearest = numbers[np.arange(_STEPS), distances.argmin(axis=1)]
    rounded = np.where(distances.min(axis=1) < _DECADES / (_STEPS - 1) / 2, nearest, exact)
    return [float(f"{temperature:.3g}") for temperature in rounded]


TEMPERATURES = [0.0, 1e-4, *_knob_temperatures(), HOTTEST]
"""The temperatures of a picture's weights; between these, it interpolates their logarithms along 1/T."""
LONGEST = 200

Picture = dict[str, Any]
"""The rows of a query and their weights at some temperatures: web/widget/lookup.js of the service describes them."""
Null = float | str | None


class Source(Protocol):
    """Answers to queries at any temperature.

    Attributes:
        live: whether the temperature and the null key can move.
        asks: whether it answers queries that are texts.
    """

    live: bool
    asks: bool

    def picture(self, query: Any, null: Null) -> Picture:
        """Return the most similar rows, and their weights at several temperatures."""

    def answer(self, query: Any, temperature: float, null: Null) -> Answer | CoreAnswer:
        """Return the answer at one temperature."""


class CollectionSource:
    """A collection of a service.

    Args:
        collection: the collection.
        rows: how many documents are drawn one by one.
        options: further arguments of `Collection.sweep` and `Collection.attend`, such as `where`.
    """

    live = asks = True

    def __init__(self, collection: Collection, rows: int, options: Mapping[str, Any]) -> None:
        self._collection = collection
        self._rows = rows
        self._options = options

    def picture(self, query: Any, null: Null) -> Picture:
        """Return the documents with their weights, from one reading of the keys."""
        swept = self._collection.sweep(query, TEMPERATURES, include=["key", "value"], **self._arguments(null))
        weights, rest = swept.weights.tolist(), swept.rest_weights.tolist()
        moments = [_moment(*moment) for moment in zip(TEMPERATURES, weights, rest, swept.evidence, strict=True)]
        return _picture(query, [_row(match) for match in swept.matches], swept.matches, swept.documents, moments)

    def answer(self, query: Any, temperature: float, null: Null) -> Answer:
        """Return the service's answer, without late interaction, which the picture does not have."""
        arguments = self._arguments(null)
        ignored = arguments.pop("ignore_defaults", None) or []
        attended: Answer = self._collection.attend(
            query,
            temperature=min(temperature, HOTTEST),
            ignore_defaults=ignored is True or [*ignored, "rerank"],
            **arguments,
        )
        return attended

    def _arguments(self, null: Null) -> dict[str, Any]:
        return {"top_k": self._rows, "null": False if null is None else null, **self._options}


class AnswerSource:
    """One answer of a client, at its own temperature."""

    live = asks = False

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def picture(self, query: Any, null: Null) -> Picture:
        """Return the matches as they are; the null key is that of the answer."""
        still = self._answer
        moments = [_moment(still.temperature, still.weights.tolist(), still.rest_weight, still.evidence)]
        return _picture(query, [_row(match) for match in still], still.matches, still.documents, moments)

    def answer(self, query: Any, temperature: float, null: Null) -> Answer:
        """Return the answer."""
        return self._answer


class MemorySource:
    """Keys in this process.

    Args:
        memory: the keys with their values.
        rows: how many keys are drawn one by one.
        labels: a text for each key, by its number.
        shown: a text for each value, by its number.
        background: what the null key named "auto" follows from.
        encode: makes a query of a text.
    """

    live = True

    def __init__(
        self,
        memory: Memory | View,
        rows: int,
        labels: Sequence[str] | None,
        shown: Sequence[str] | None,
        background: Background | None,
        encode: Callable[[str], Any] | None,
    ) -> None:
        self._view = memory.view if isinstance(memory, Memory) else memory
        for name, texts in (("labels", labels), ("values", shown)):
            if texts is not None and len(texts) != self._view.n:
                raise ValueError(f"{name} must have one text for each of {self._view.n:,} keys, got {len(texts):,}")
        self._rows, self._labels, self._shown = rows, labels, shown
        self._background = background
        self._encode = encode
        self.asks = encode is not None

    def picture(self, query: Any, null: Null) -> Picture:
        """Return the keys with their weights, from one reading."""
        swept = sweep(self._view, self._vector(query), TEMPERATURES, null=self._null(null), top_k=self._rows)
        numbers = swept.numbers[: self._rows].tolist()
        weights = swept.weights[:, : self._rows].tolist()
        rest = swept.rest_weights + swept.weights[:, self._rows :].sum(axis=1)  # all that tie with the last are listed
        columns = (TEMPERATURES, weights, rest.tolist(), swept.evidence)
        moments = [_moment(*moment) for moment in zip(*columns, strict=True)]
        rows = [{"key": _text(self._labels, i, "key"), "value": _text(self._shown, i, "value")} for i in numbers]
        return _picture(query, rows, swept.similarities[: self._rows].tolist(), swept.documents, moments)

    def answer(self, query: Any, temperature: float, null: Null) -> CoreAnswer:
        """Return the core's answer."""
        return answer(self._view, Question(self._vector(query), temperature, self._null(null), top_k=self._rows))

    def _vector(self, query: Any) -> Any:
        if not isinstance(query, str):
            return query
        if self._encode is None:
            raise ValueError(f"query is the text {query!r}, which nothing encodes: pass encode=, a function of a text")
        return self._encode(query)

    def _null(self, null: Null) -> float | Background | None:
        if not isinstance(null, str):
            return null
        if null != "auto" or self._background is None:
            raise ValueError(f'null must be a similarity or None, got {null!r}: "auto" takes null=Background(…) first')
        return self._background


def _picture(
    query: Any, rows: list[dict[str, str]], matches: Sequence[Match | float], documents: int, moments: list[Picture]
) -> Picture:
    similarities = [match.similarity if isinstance(match, Match) else match for match in matches]
    return {
        "query": query if isinstance(query, str) else "query",
        "rows": rows,
        "similarities": similarities,
        "documents": documents,
        "temperatures": moments,
    }


def _moment(temperature: float, weights: list[float], rest: float, evidence: Any) -> Picture:
    """Return the weights at one temperature; JSON has no infinite numbers."""
    numbers = {name: getattr(evidence, name) for name in ("null_weight", "null_similarity", "log_partition")}
    finite = {
        name: None if number is None or not math.isfinite(number) else _short(number)
        for name, number in numbers.items()
    }
    shares = {"weights": [*map(_short, weights)], "rest_weight": _short(rest)}
    return {"temperature": min(temperature, HOTTEST), **shares, **finite}


def _short(number: float) -> float:
    """Return a number in nine digits, which is half as long in JSON."""
    return float(f"{number:.9g}")


def _text(texts: Sequence[str] | None, number: int, kind: str) -> str:
    return f"{kind} {number}" if texts is None else _line(texts[number])


def _row(match: Match) -> dict[str, str]:
    return {"key": _line(match.id if match.key is None else match.key), "value": _line(match.value)}


def _line(content: Any) -> str:
    """Return a text, or other content as JSON, in one line."""
    text = content if isinstance(content, str) else "" if content is None else json.dumps(content, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
