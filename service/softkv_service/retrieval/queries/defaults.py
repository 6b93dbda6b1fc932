"""Defaults of a collection: options that its questions have unless they send their own."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from softkv_service.encoding import LATE
from softkv_service.retrieval.calibration import Calibration, Rerank
from softkv_service.retrieval.collections import COMPARED_BY
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.query_parts import find_words
from softkv_service.retrieval.queries.question import fits_full_text
from softkv_service.retrieval.queries.rerank import LATE_DEPTH, MAX_RERANK_QUERY, most_documents
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


def apply_defaults(
    record: CollectionRecord,
    sent: Mapping[str, Any],
    taken: Collection[str],
    queries: Sequence[Any],
    *,
    compares_words: bool = True,
) -> AppliedDefaults:
    """Return the options that a request has because of the collection's defaults.

    An option of the request wins over the default, and None takes the default away. Only filters are joined. A default
    that the request's other options rule out has no effect.

    Args:
        record: the collection's record.
        sent: the options that the request has, None included.
        taken: the options that a request of this kind may have.
        queries: its queries: texts, vectors [d], or weighted sums.
        compares_words: whether late interaction is for the encoder of the collection, as far as it is known.

    Raises:
        InvalidContent: the filter is too large together with the default.
    """
    if record.settings.defaults is None:
        return AppliedDefaults()
    stored = read_defaults(record.settings.defaults)
    options = {name: default for name, default in stored.items() if name in taken and name not in sent}
    if _rules_out_terms(sent):
        options.pop("bias", None)
        options.pop("full_text", None)
        options.pop("rerank", None)
    if "rerank" in options and not _may_rerank(record, sent, options["rerank"], queries, compares_words):
        del options["rerank"]
    queries = [find_words(query) for query in queries]
    if "full_text" in options and not _has_words(record, options["full_text"], queries):
        del options["full_text"]
    if sent.get("top_p") is not None:
        options.pop("top_k", None)
    applied = dict(options)
    if "filter" in stored and sent.get("filter") is not None:
        applied = {"filter": stored["filter"], **applied}
        options["filter"] = _join_filters(stored["filter"], sent["filter"])
    return AppliedDefaults(options, applied)


def _rules_out_terms(sent: Mapping[str, Any]) -> bool:
    """Return whether the request's temperature or normaliser allows no terms in the logits."""
    return sent.get("temperature") == "auto" or sent.get("normaliser", "softmax") != "softmax"


def _may_rerank(
    record: CollectionRecord,
    sent: Mapping[str, Any],
    default: Mapping[str, Any],
    queries: Sequence[Any],
    compares_words: bool,
) -> bool:
    """Return whether a default of a reranker, or of late interaction, can read these queries."""
    rerank = Rerank(default.get("model"), default.get("depth", LATE_DEPTH))
    if not all(isinstance(query, str) and len(query) <= MAX_RERANK_QUERY for query in queries):
        return False
    if len(queries) * rerank.depth > most_documents(rerank):
        return False
    if rerank.model != LATE:
        return True
    temperature = sent.get("temperature")
    is_cold = (record.settings.temperature if temperature is None else temperature) == 0
    return compares_words and not is_cold and record.settings.similarity in COMPARED_BY


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
