"""ShardHosts of rows in this process, which receive and answer bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from softkv_attention.lookup import Bias, BlockStatistics, View
from softkv_cluster.lookup import (
    BIAS_ADDENDS,
    BIAS_DOCUMENTS,
    RemoteView,
    SampleKeys,
    join_statistics,
    of_bytes,
    respond,
    to_bytes,
    unpack_messages,
)


class Holder:
    """Holds some rows: a message of bytes in, one out.

    A condition is a list of numbers. Terms are two lists, documents and their addends, and the addend of all others.
    """

    def __init__(self, views):
        self.views = views
        first = views[0]
        segments = tuple(segment for view in views for segment in view.segments)
        self.view = View(first.similarity, segments, first.dimension, first.value_dimension, limits=first.limits)
        self.numbers = np.concatenate([segment.numbers for segment in segments])
        self.calls = []

    def answer(self, message):
        fields, arrays = of_bytes(message)
        self.calls.append(fields["call"])
        condition = fields.get("condition")
        mask = None if condition is None else self.view.mask(np.array(json.loads(condition), dtype=np.int64))
        if "forbidden by" in fields:
            mask = self._bias(fields["forbidden by"], {}).restrict(mask)
        bias = self._bias(fields["terms"], arrays) if "terms" in fields else None
        return to_bytes(*respond(self.views, mask, self.view, fields, arrays, bias))

    def _bias(self, terms, arrays):
        numbers, addends, elsewhere = ([], [], 0.0) if terms is None else json.loads(terms)
        total = dict(zip(numbers, map(float, addends), strict=True))
        for number, addend in zip(arrays.get(BIAS_DOCUMENTS, []), arrays.get(BIAS_ADDENDS, []), strict=True):
            assert number in self.numbers
            total[int(number)] = total.get(int(number), elsewhere) + addend
        return Bias.of(self.view, list(total), list(total.values()), elsewhere)


class InHand:
    """All rows in the hands of holders."""

    def __init__(self, holders):
        self.holders = holders

    def ask_all(self, message, document_arrays=None):
        return [self._ask(holder, message, document_arrays) for holder in self.holders]

    def ask_about(self, numbers, message, document_arrays=None):
        replies = []
        for holder in self.holders:
            indices = np.flatnonzero(np.isin(numbers, holder.numbers))
            if len(indices):
                replies.append((indices, self._ask(holder, message(indices), document_arrays)))
        return replies

    @staticmethod
    def _ask(holder, message, document_arrays):
        fields, arrays = message
        if document_arrays is not None:
            arrays = {
                **arrays,
                **document_arrays.at(np.flatnonzero(np.isin(document_arrays.documents, holder.numbers))),
            }
        return of_bytes(holder.answer(to_bytes(fields, arrays)))


@dataclass(frozen=True, eq=False)
class ByNumbers(RemoteView):
    """A view whose masks can be made of numbers, for its holders understand these as a condition."""

    def mask(self, numbers):
        if np.asarray(numbers).dtype == np.bool_:
            return super().mask(numbers)
        return self.where(json.dumps(np.asarray(numbers).tolist()))


def afar(views, *, sampled):
    """Return the views as one remote view."""
    views = [view for view in views if view.segments]
    if not views:
        return None
    random = np.random.default_rng(len(views))
    edges = np.unique(random.integers(1, len(views) + 1, 2)) if len(views) > 1 else np.array([1])
    groups = [group.tolist() for group in np.split(np.arange(len(views)), edges) if len(group)]
    holders = [Holder([views[i] for i in group]) for group in groups]
    hands = InHand(holders)
    statistics = [
        (join_statistics(message["facts"], arrays), message)
        for reply in hands.ask_all(({"call": "facts"}, {}))
        for message, arrays in unpack_messages(*reply)
    ]
    first = views[0]
    facts = BlockStatistics.merge(first.similarity, first.value_dimension, [facts for facts, _ in statistics])
    keys = [arrays["keys"] for _, arrays in hands.ask_all(({"call": "sample", "stride": 2}, {}))]
    return ByNumbers(
        first.similarity,
        first.dimension,
        first.value_dimension,
        hosts=hands,
        facts=facts,
        coded=all(message["coded"] for _, message in statistics),
        sample=SampleKeys(first.similarity, np.concatenate(keys)) if sampled else None,
        limits=first.limits,
    )
