"""The terms of a question: which ones its options ask for, and what these may be beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from softkv_service.encoding import LATE
from softkv_service.retrieval.collections import Collection
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.query_parts import Query
from softkv_service.retrieval.queries.terms.bias import BiasTerm
from softkv_service.retrieval.queries.terms.late import LateTerm
from softkv_service.retrieval.queries.terms.reranker import RerankerTerm, check_reranked, settle_reranker
from softkv_service.retrieval.queries.terms.term import QueryTerm
from softkv_service.retrieval.queries.terms.words import WordsTerm, resolve_words
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.retrieval.terms import parse_bias


def choose_terms(
    collection: Collection, queries: Sequence[Query], question: CollectionQuestion, pointers: Sequence[str]
) -> tuple[CollectionQuestion, list[QueryTerm]]:
    """Return a question with the weights of its terms and the null key that comes with them, and its terms.

    Args:
        collection: the collection, whose calibration has weights.
        queries: the queries.
        question: the question.
        pointers: the position of each query in the request, for errors.

    Raises:
        InvalidContent: "auto" is sent for a collection that is not calibrated; and as `terms_of`.
    """
    if question.full_text is not None:
        question = resolve_words(collection.record, question)
    if question.rerank is not None or question.reranker is not None:
        question = settle_reranker(collection, question)
    return question, terms_of(queries, question, pointers)


def terms_of(queries: Sequence[Query], question: CollectionQuestion, pointers: Sequence[str] = ()) -> list[QueryTerm]:
    """Return the terms of a question, in the order in which an explanation names them.

    Args:
        queries: the queries.
        question: the question, whose terms have numbers as their weights.
        pointers: the position of each query in the request, for errors.

    Raises:
        InvalidContent: an invalid term, a query that the term cannot read, or options that do not allow terms.
    """
    terms = list[QueryTerm]()
    if question.full_text:
        terms.append(WordsTerm.of(queries, question))
    if question.bias is not None and (metadata := parse_bias(question.bias, question.now)):
        terms.append(BiasTerm(metadata, question.bias))
    if terms:
        _check_options(question, "full_text" if question.full_text else "bias")
    if question.reranker is not None:
        texts = check_reranked(queries, question, pointers)
        is_late = question.reranker.model == LATE
        terms.append(LateTerm.of(texts, question) if is_late else RerankerTerm(texts, pointers, question.reranker))
    return terms


def _check_options(question: CollectionQuestion, name: str) -> None:
    """Raise InvalidContent if the options of a question do not allow the term of this name."""
    if question.temperature == "auto":
        reason = f'temperature "auto" is not for a question with {name}, whose weights need not spread as it rises'
        raise InvalidContent.at("/temperature", f"{reason}: give a number")
    if question.normaliser != "softmax":
        raise InvalidContent.at(
            "/normaliser", f"{name} is for softmax, got {question.normaliser}: leave one of the two out"
        )
