"""Defaults of a collection: options that its questions have unless they send their own."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from functools import lru_cache
from typing import Any

from softkv.questions import Compare, Defaults, Question, Sweep
from softkv_service.retrieval.collections import Collection
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.terms import find_late, keep_terms, read_terms
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.conditions import Combination, Condition, parse_condition
from softkv_service.storage.errors import InvalidCondition

CACHED_DEFAULTS = 256


def format_defaults(sent: Defaults) -> str | None:
    """Return defaults as JSON, in the form in which a collection stores them; None if no option has one.

    Args:
        sent: the valid default of each option; None counts as left out.
    """
    defaults = {name: default for name, default in sent._fields().items() if default is not None}
    return json.dumps(defaults, sort_keys=True, ensure_ascii=False, separators=(",", ":")) if defaults else None


@lru_cache(CACHED_DEFAULTS)
def read_defaults(text: str) -> Mapping[str, Any]:
    """Return the stored defaults of a collection, by option. Callers share the object, so do not change it."""
    defaults = json.loads(text)
    return {name: defaults[name] for name in Defaults._names if name in defaults}


def complete_question(
    collection: Collection, request: Question | Sweep | Compare, queries: Sequence[Any], now: int
) -> tuple[CollectionQuestion, Mapping[str, Any]]:
    """Return a question with what the collection settles that it does not override, and the defaults among this.

    Args:
        collection: the collection.
        request: the question as it was sent.
        queries: its queries: texts, vectors [d], or weighted sums.
        now: the start of the request in microseconds of Unix time.

    Raises:
        InvalidContent: its filter is too large together with the default.
    """
    question, settings = CollectionQuestion.of(request, now), collection.record.settings
    if settings.defaults is None and not settings.late:
        return question, {}
    named = {name: getattr(question, name) for name in (*Defaults._names, "temperature", "normaliser", "top_p")}
    sent = {name: value for name, value in named.items() if value is not None or name in question.ignore_defaults}
    options, applied = apply_defaults(collection, sent, vars(request), queries)
    return question.copy_with(**read_terms(options), defaults=frozenset(applied)), applied


def apply_defaults(
    collection: Collection, sent: Mapping[str, Any], taken: Container[str], queries: Sequence[Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the options that a request has because of the collection's defaults, and of its setting `late`.

    Return also the defaults that have an effect, as the collection stores them. An option of the request wins over the
    default, and None takes the default away. Only filters are joined. A default that the request's other options rule
    out has no effect.

    Args:
        collection: the collection.
        sent: the options that the request has, None included.
        taken: the options that a request of this kind may have.
        queries: its queries: texts, vectors [d], or weighted sums.

    Raises:
        InvalidContent: the filter is too large together with the default.
    """
    record = collection.record
    stored = {} if record.settings.defaults is None else read_defaults(record.settings.defaults)
    options = {name: default for name, default in stored.items() if name in taken and name not in sent}
    options = keep_terms(record, options, sent, queries)
    if sent.get("top_p") is not None:
        options.pop("top_k", None)
    applied = dict(options)
    if record.settings.late:
        options |= find_late(collection, {**stored, **sent}, {**options, **sent}, taken, queries)
    if "filter" in stored and sent.get("filter") is not None:
        applied = {"filter": stored["filter"], **applied}
        options["filter"] = _join_filters(stored["filter"], sent["filter"])
    return options, applied


def _join_filters(default: Any, sent: Condition) -> Condition:
    """Return the filter that a default, in its JSON form, and the request's own filter hold.

    Raises:
        InvalidContent: the request's filter is too large together with the default.
    """
    try:
        return Combination("AND", (parse_condition(default), sent))
    except InvalidCondition as error:
        raise InvalidContent.at(
            "/filter",
            f"the filter is joined to the default filter of the collection, and {error}: send a smaller one, or send "
            "it to a collection without a default",
        ) from None
