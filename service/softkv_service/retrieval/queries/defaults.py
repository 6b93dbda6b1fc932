"""Defaults of a collection: options that its questions have unless they send their own."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from softkv.questions import Compare, Question, Rerank, Sweep
from softkv_service.retrieval.calibration import USUAL_LATE, Calibration
from softkv_service.retrieval.collections import Collection, get_known_facts
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.query_parts import find_words
from softkv_service.retrieval.queries.terms import DEFAULT_DEPTH, MAX_RERANK_QUERY, fits_full_text, most_documents
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.conditions import Combination, Condition, parse_condition
from softkv_service.storage.errors import InvalidCondition
from softkv_service.storage.records import CollectionRecord

DEFAULT_OPTIONS = ("filter", "bias", "full_text", "rerank", "top_k", "include")
"""The options for which a collection may have a default."""

CACHED_DEFAULTS = 256


@dataclass(frozen=True)
class AppliedDefaults:
    """The effect of a collection's defaults on one request.

    Attributes:
        options: the value of each option that the request has because of a default; a `filter` is joined to its own.
        applied: the defaults that had an effect, as the collection stores them.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    applied: Mapping[str, Any] = field(default_factory=dict)


def format_defaults(sent: Mapping[str, Any]) -> str | None:
    """Return defaults as JSON, in the form in which a collection stores them; None if no option has one.

    Args:
        sent: the valid default of each option; None counts as left out.
    """
    defaults = {name: sent[name] for name in DEFAULT_OPTIONS if sent.get(name) is not None}
    return json.dumps(defaults, sort_keys=True, ensure_ascii=False, separators=(",", ":")) if defaults else None


@lru_cache(CACHED_DEFAULTS)
def read_defaults(text: str) -> Mapping[str, Any]:
    """Return the stored defaults of a collection, by option. Callers share the object, so do not change it."""
    defaults = json.loads(text)
    return {name: defaults[name] for name in DEFAULT_OPTIONS if name in defaults}


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
    named = {name: getattr(question, name) for name in (*DEFAULT_OPTIONS, "temperature", "normaliser", "top_p")}
    sent = {name: value for name, value in named.items() if value is not None or name in question.ignore_defaults}
    effect = apply_defaults(collection, sent, vars(request), queries)
    options = dict(effect.options)
    if "rerank" in options:
        options["rerank"] = Rerank.read(options["rerank"])
    return question.copy_with(**options, defaults=frozenset(effect.applied)), effect.applied


def apply_defaults(
    collection: Collection, sent: Mapping[str, Any], taken: Container[str], queries: Sequence[Any]
) -> AppliedDefaults:
    """Return the options that a request has because of the collection's defaults, and of its setting `late`.

    An option of the request wins over the default, and None takes the default away. Only filters are joined. A default
    that the request's other options rule out has no effect.

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
    texts = [find_words(query) for query in queries]
    if _rules_out_terms(sent):
        options.pop("bias", None)
        options.pop("full_text", None)
        options.pop("rerank", None)
    if "full_text" in options and not _has_words(record, options["full_text"], texts):
        del options["full_text"]
    if "rerank" in options and not _may_rerank(options["rerank"], queries):
        del options["rerank"]
    if sent.get("top_p") is not None:
        options.pop("top_k", None)
    applied = dict(options)
    has_reranker = "rerank" not in taken or "rerank" in sent or "rerank" in stored
    if record.settings.late and not has_reranker and _may_compare_words(collection, {**options, **sent}, queries):
        options["rerank"] = {"model": USUAL_LATE.model, "depth": USUAL_LATE.depth}
    if "filter" in stored and sent.get("filter") is not None:
        applied = {"filter": stored["filter"], **applied}
        options["filter"] = _join_filters(stored["filter"], sent["filter"])
    return AppliedDefaults(options, applied)


def _rules_out_terms(sent: Mapping[str, Any]) -> bool:
    """Return whether the request's temperature or normaliser allows no terms in the logits."""
    return sent.get("temperature") == "auto" or sent.get("normaliser", "softmax") != "softmax"


def _may_rerank(default: Mapping[str, Any], queries: Sequence[Any]) -> bool:
    """Return whether a default of a reranker can read these queries."""
    depth = default.get("depth", DEFAULT_DEPTH)
    return _are_texts(queries) and len(queries) * depth <= most_documents(default.get("model"))


def _are_texts(queries: Sequence[Any]) -> bool:
    return all(isinstance(query, str) and len(query) <= MAX_RERANK_QUERY for query in queries)


def asks_with_late(
    collection: Collection, queries: Sequence[Any], temperature: float | Literal["auto"] | None = None
) -> bool:
    """Return whether these queries have late interaction unless they say otherwise, by the collection's settings alone.

    Args:
        collection: the collection.
        queries: texts, vectors [d], or weighted sums.
        temperature: that of the queries; None for the collection's.
    """
    settings = collection.record.settings
    is_cold = (settings.temperature if temperature is None else temperature) == 0
    if not settings.late or is_cold or not _are_texts(queries):
        return False
    facts = get_known_facts(collection.encoders, settings)
    return facts is None or facts.is_late


def _may_compare_words(collection: Collection, options: Mapping[str, Any], queries: Sequence[Any]) -> bool:
    """Return whether queries without `rerank` have late interaction, by the other options of the request, too.

    Late interaction divides all addends. So questions with a bias or full text are without, and these mean what they
    say. So are those to a collection whose calibration was fitted without it, and these keep their confidences.
    """
    if options.get("bias") or options.get("full_text") or _rules_out_terms(options):
        return False
    if not asks_with_late(collection, queries, options.get("temperature")):
        return False
    calibration = Calibration.read(collection.record.settings.calibration)
    return calibration is None or calibration.has_late


def _has_words(record: CollectionRecord, default: Any, queries: Sequence[Any]) -> bool:
    """Return whether a default of full text has an effect on these queries."""
    weight = default["weight"] if isinstance(default, Mapping) else default
    if weight == "auto" and Calibration.read(record.settings.calibration) is None:
        return False
    return weight is not default or all(isinstance(query, str) and fits_full_text(query) for query in queries)


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
