"""The terms that a question has by default: those of the collection's defaults, and late interaction by a setting."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, Literal

from softkv.questions import Rerank
from softkv_service.retrieval.calibration import USUAL_LATE, Calibration
from softkv_service.retrieval.collections import Collection, get_known_facts
from softkv_service.retrieval.queries.query_parts import find_words
from softkv_service.retrieval.queries.terms.reranker import are_texts, may_read
from softkv_service.retrieval.queries.terms.words import may_rank
from softkv_service.storage.records import CollectionRecord


def keep_terms(
    record: CollectionRecord, defaults: Mapping[str, Any], sent: Mapping[str, Any], queries: Sequence[Any]
) -> dict[str, Any]:
    """Return a collection's defaults without the terms that a request cannot have.

    Args:
        record: the collection's record.
        defaults: the defaults that the request does not override.
        sent: the options that the request has.
        queries: its queries: texts, vectors [d], or weighted sums.
    """
    options = dict(defaults)
    if _rules_out_terms(sent):
        options.pop("bias", None)
        options.pop("full_text", None)
        options.pop("rerank", None)
    if "full_text" in options and not may_rank(record, options["full_text"], [find_words(query) for query in queries]):
        del options["full_text"]
    if "rerank" in options and not may_read(options["rerank"], queries):
        del options["rerank"]
    return options


def find_late(
    collection: Collection,
    named: Container[str],
    options: Mapping[str, Any],
    taken: Container[str],
    queries: Sequence[Any],
) -> dict[str, Any]:
    """Return late interaction as an option of questions that name no reranker; empty if they are asked without it.

    Late interaction divides all addends. So questions with a bias or full text are without, and these mean what they
    say. So are those to a collection whose calibration was fitted without it, and these keep their confidences.

    Args:
        collection: the collection, which has the setting `late`.
        named: the options that the request or the collection's defaults name.
        options: the options of the request with the defaults that it has.
        taken: the options that a request of this kind may have.
        queries: its queries: texts, vectors [d], or weighted sums.
    """
    if "rerank" not in taken or "rerank" in named:
        return {}
    if options.get("bias") or options.get("full_text") or _rules_out_terms(options):
        return {}
    if not asks_with_late(collection, queries, options.get("temperature")):
        return {}
    calibration = Calibration.read(collection.record.settings.calibration)
    if calibration is not None and not calibration.has_late:
        return {}
    return {"rerank": {"model": USUAL_LATE.model, "depth": USUAL_LATE.depth}}


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
    if not settings.late or is_cold or not are_texts(queries):
        return False
    facts = get_known_facts(collection.encoders, settings)
    return facts is None or facts.is_late


def read_terms(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options from JSON with the record of a reranker."""
    return {name: Rerank.read(option) if name == "rerank" else option for name, option in options.items()}


def _rules_out_terms(options: Mapping[str, Any]) -> bool:
    """Return whether the temperature or the normaliser allows no terms in the logits."""
    return options.get("temperature") == "auto" or options.get("normaliser", "softmax") != "softmax"
