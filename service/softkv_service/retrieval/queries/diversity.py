"""Diversity: documents whose keys are near to that of a heavier match share its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from softkv_attention.lookup import Answer
from softkv_service.retrieval.errors import InvalidContent
from softkv_service.retrieval.options import MAX_DIVERSE_HEAD, Options
from softkv_service.retrieval.queries.question import Array
from softkv_service.storage.records import CollectionRecord

ROUNDING = 1e-7
"""Cosine distances that differ by less are equal: keys are stored in float32."""


@dataclass(frozen=True, eq=False)
class Places:
    """The documents of a head that have a place among the matches, and those that share it.

    Attributes:
        matching: int64[k], the indices of the documents with a place among the best documents of the answer.
        members: ids and weights of the documents that share a place, the heaviest first, by the id of its document.
    """

    matching: Array
    members: Mapping[str, Sequence[tuple[str, float]]]

    @classmethod
    def of(
        cls,
        similarity: str,
        answer: Answer,
        options: Options,
        ids: Sequence[str],
        read_keys: Callable[[Array], Array],
    ) -> Places:
        """Return the places of an answer: each document, the heaviest first, shares that of the first one near to it.

        Args:
            similarity: the name of the collection's similarity.
            answer: the answer, whose head is as large as `options.head_size`.
            options: the options of the query, with `diversity`.
            ids: the ids of the best documents of the answer.
            read_keys: returns the keys float32[n, d] with the row numbers int64[n].
        """
        assert options.diversity is not None
        order = np.lexsort((np.array(ids, dtype=object), -answer.similarities, -answer.weights))[: answer.matches]
        leaders = share_places(similarity, options.diversity, read_keys(answer.parts[order]), options.places)
        members: dict[str, list[tuple[str, float]]] = {}
        for document, leader in zip(order, leaders.tolist(), strict=True):
            if leader < 0:
                continue
            of_leader = members.setdefault(ids[order[leader]], [])
            if order[leader] != document:
                of_leader.append((ids[document], float(answer.weights[document])))
        return cls(order[np.unique(leaders[leaders >= 0])], members)


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


def check_diversity(record: CollectionRecord, options: Options) -> None:
    """Raise InvalidContent for options, or a similarity, to which `diversity` does not apply."""
    assert options.diversity is not None
    for name, reason in (
        ("top_p", "counts documents by their own weight"),
        ("min_confidence", "is of a single document"),
    ):
        if getattr(options, name) is not None:
            raise InvalidContent.at(
                "/diversity", f"{name} {reason}, and diversity lets documents share a place: send one of the two"
            )
    if options.places > MAX_DIVERSE_HEAD:
        raise InvalidContent.at(
            "/top_k",
            f"top_k is {options.places:,}, and diversity looks at {MAX_DIVERSE_HEAD:,} documents: send a smaller one, "
            "or leave diversity out",
        )
    if record.settings.similarity == "gaussian" and options.diversity > 0:
        raise InvalidContent.at(
            "/diversity",
            "diversity compares directions, and a gaussian similarity compares distances: send 0, which merges equal "
            "keys, or leave it out",
        )
