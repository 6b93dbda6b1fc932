"""What a coordinator knows of a collection that slots hold: of each range its facts, at one version of all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from attention.lookup import SAMPLED, Afar, AfarMask, Facts, SampleKeys, each_of, facts_heard
from service.cluster.calling import Asked, Calling
from service.cluster.cover import Cover, ToldRange
from service.cluster.placement import RANGE_ROWS, range_of, ranges_of
from service.storage import CollectionRecord, Condition, Extent, Logged, SharedStore, canonical

RENEWED = 1 / 8
"""The sample of keys is drawn anew where the number of rows has changed by this part of it."""


@dataclass(frozen=True, eq=False)
class Known:
    """A collection at one version.

    Attributes:
        view: its rows, in the hands of slots.
        masks: of the view, by the canonical names of their conditions; as they were asked for.
    """

    version: int
    view: Afar
    masks: dict[bytes, AfarMask] = field(default_factory=dict)

    def mask(self, condition: Condition) -> AfarMask:
        """Which rows pass; the same object for the same condition, so that its questions share a scan."""
        name = canonical(condition)
        if name not in self.masks:
            self.masks[name] = self.view.where(json.dumps(condition.tree))
        return self.masks[name]


class Knowledge:
    """What is known of one collection; brought to a newer version by one thread at a time.

    After a write only those slots are asked whose ranges it changed, which the store's log tells.
    """

    def __init__(self, store: SharedStore, calling: Calling) -> None:
        self._store, self._calling = store, calling
        self._told: dict[int, ToldRange] = {}
        self._version = 0
        self._sample: tuple[int, SampleKeys] | None = None

    def at(self, record: CollectionRecord, extent: Extent) -> Known:
        """The collection at the version that it has now.

        Raises:
            SnapshotGone: a slot has newer versions only, or somebody does not answer.
            StorageError: the store cannot be asked.
        """
        asked, first_rows = Asked(record.id, extent.version), list(ranges_of(extent.next_row))
        if extent.version != self._version:
            changed = _changed(self._store.log(record.id, self._version), first_rows)
            self._told = {row: told for row, told in self._told.items() if row not in changed}
            self._version = extent.version
        self._ask([row for row in first_rows if row not in self._told], asked)
        there = {row: self._told[row] for row in first_rows if self._told[row].facts.n}
        return Known(extent.version, self._view(record, asked, there))

    def _ask(self, first_rows: Sequence[int], asked: Asked) -> None:
        if not first_rows:
            return
        for rows, answer in self._calling.ask(asked, first_rows, lambda _: ({"call": "facts"}, {})):
            for first_row, (said, arrays) in zip(rows, each_of(*answer), strict=True):
                facts = facts_heard(said["facts"], arrays)
                self._told[first_row] = ToldRange(facts, said["dimension"], said["end"], said["coded"])

    def _view(self, record: CollectionRecord, asked: Asked, told: dict[int, ToldRange]) -> Afar:
        similarity, each = record.settings.similarity, [told[row] for row in sorted(told)]
        widths = [(own.dimension, own.facts.value_dimension) for own in each if own.dimension is not None]
        dimension, value_dimension = widths[0] if widths else (None, None)
        facts = Facts.joined(similarity, value_dimension, [own.facts for own in each])
        cover = Cover(self._calling, asked, told)
        return Afar(
            similarity,
            (),
            dimension,
            value_dimension,
            holders=cover,
            told=facts,
            coded=all(own.coded for own in each),
            sample=self._sampled(similarity, facts.n, cover),
        )

    def _sampled(self, similarity: str, n: int, cover: Cover) -> SampleKeys | None:
        if not n:
            return None
        if self._sample is None or abs(self._sample[0] - n) > RENEWED * self._sample[0]:
            answers = cover.every(({"call": "sample", "stride": max(1, n // SAMPLED)}, {}))
            self._sample = n, SampleKeys(similarity, np.concatenate([arrays["keys"] for _, arrays in answers]))
        return self._sample[1]


def _changed(log: Sequence[Logged] | None, first_rows: Iterable[int]) -> set[int]:
    """The ranges that a log changed; all of them where it does not go back so far."""
    if log is None:
        return set(first_rows)
    changed = set[int]()
    for each in log:
        if each.count:
            changed.update(range(range_of(each.first), each.first + each.count, RANGE_ROWS))
        changed.update(map(range_of, each.removed.tolist()))
    return changed
