"""The places of matches: how many an answer has, and with `diversity` which documents share that of a heavier one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from softkv_attention.lookup import Answer
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.queries.documents import DocumentReader
from softkv_service.retrieval.queries.encoded import Array
from softkv_service.retrieval.question import DEFAULT_TOP_K, MAX_DIVERSE_HEAD, CollectionQuestion
from softkv_service.storage.records import CollectionRecord

ROUNDING = 1e-7
"""Cosine distances that differ by less are equal: keys are stored in float32."""
MAX_SET_SIZE = 1000
"""The most matches of a set with `top_p` if `top_k` is not sent."""
MAX_MATCHES = 10_000
"""The matches of all queries of a request together, because an answer is built in memory."""


def check_matches(question: CollectionQuestion, queries: int) -> None:
    """Raise InvalidContent if the answers to all queries together may have more matches than one answer holds."""
    size = question.head
    if size is None:
        size = MAX_SET_SIZE if question.top_p is not None else DEFAULT_TOP_K
    if queries * size > MAX_MATCHES:
        shown = "matches each" if question.diversity is None else "documents each for their matches"
        raise InvalidContent.at(
            "/queries",
            f"{queries} queries came, with up to {size} {shown}, and an answer holds {MAX_MATCHES} in all: send "
            f"the queries in parts of {max(1, MAX_MATCHES // size)}, or a smaller top_k",
        )


@dataclass(frozen=True, eq=False)
class Places:
    """The documents of a head that have a place among the matches, and those that share it.

    Attributes:
        matching: int64[k], the indices of the documents with a place among the best documents of the answer.
        members: ids and weights of the documents that share a place, the heaviest first, by the id of its document.
    """

    matching: Array
    members: Mapping[str, Sequence[tuple[str, float]]]


def find_places(
    record: CollectionRecord, question: CollectionQuestion, answer: Answer, documents: DocumentReader
) -> Places:
    """Return the places of an answer: each document, the heaviest first, shares that of the first one near to it.

    Args:
        record: the collection's record.
        question: the question, with `diversity`.
        answer: the answer, whose head is as large as the question says.
        documents: reads the best documents of the answer.
    """
    assert question.diversity is not None
    ids = documents.ids(answer.numbers)
    order = np.lexsort((np.array(ids, dtype=object), -answer.similarities, -answer.weights))[: answer.matches]
    size = DEFAULT_TOP_K if question.top_k is None else question.top_k
    leaders = share_places(record.settings.similarity, question.diversity, documents.keys(answer.parts[order]), size)
    members: dict[str, list[tuple[str, float]]] = {}
    for document, leader in zip(order, leaders.tolist(), strict=True):
        if leader < 0:
            continue
        of_leader = members.setdefault(ids[order[leader]], [])
        if order[leader] != document:
            of_leader.append((ids[document], float(answer.weights[document])))
    return Places(order[np.unique(leaders[leaders >= 0])], members)


def share_places(similarity: str, diversity: float, keys: Array, size: int) -> Array:
    """Return int64[n], for each document the index of the one whose place it has or shares; −1 for no place.

    A document whose key is near to none before it gets a place of its own, until there are `size` places.

    Args:
        similarity: the name of the collection's similarity. Gaussian compares distances, so only equal keys are near.
        diversity: the largest cosine distance of keys that are near; a zero key is near to none.
        keys: float32[n, d], the keys of the documents, the heaviest first.
        size: the number of places.
    """
    lengths = np.linalg.norm(keys.astype(np.float64), axis=1, keepdims=True)
    units = keys / np.where(lengths > 0, lengths, 1.0)
    leaders, index = np.full(len(keys), -1), 0
    for _ in range(size):
        while index < len(keys) and leaders[index] >= 0:
            index += 1
        if index == len(keys):
            break
        if similarity == "gaussian":
            near = (keys == keys[index]).all(axis=1)
        else:
            near = (units @ units[index] >= 1 - diversity - ROUNDING) & (lengths[:, 0] > 0) & (lengths[index] > 0)
        leaders[near & (leaders < 0)] = index
        leaders[index] = index
    return leaders


def check_places(record: CollectionRecord, question: CollectionQuestion, of_first: str | None) -> None:
    """Raise InvalidContent for a question, or a similarity, to which its `diversity` does not apply.

    Args:
        record: the collection's record.
        question: the question.
        of_first: the option by which the verdict is on the first match alone; None without one.
    """
    assert question.diversity is not None
    for name, reason in (
        (None if question.top_p is None else "top_p", "counts documents by their own weight"),
        (of_first, "is of a single document"),
    ):
        if name is not None:
            raise InvalidContent.at(
                "/diversity", f"{name} {reason}, and diversity lets documents share a place: send one of the two"
            )
    if question.top_k is not None and question.top_k > MAX_DIVERSE_HEAD:
        raise InvalidContent.at(
            "/top_k",
            f"top_k is {question.top_k:,}, and diversity looks at {MAX_DIVERSE_HEAD:,} documents: send a smaller one, "
            "or leave diversity out",
        )
    if record.settings.similarity == "gaussian" and question.diversity > 0:
        raise InvalidContent.at(
            "/diversity",
            "diversity compares directions, and a gaussian similarity compares distances: send 0, which merges equal "
            "keys, or leave it out",
        )
