"""The replicas of one collection on a server, each at its newest versions, and views over several of them."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeAlias

import numpy as np

from softkv_attention.aligned import Array
from softkv_attention.arrays import I64
from softkv_attention.errors import AttentionError
from softkv_attention.lookup import Mask, SealedError, View
from softkv_cluster.lookup import BIAS_ADDENDS, BIAS_DOCUMENTS, Message
from softkv_cluster.placement import shard_stop
from softkv_cluster.server.files import ReplicaFiles
from softkv_cluster.server.replica import FieldTooLarge, LogStep, Replica, VersionCleared, plan_steps, read_written_rows
from softkv_cluster.server.terms import BiasCache, ReplicaFields, find_forbidden, parse_terms
from softkv_service.logs import log
from softkv_service.retrieval.collections import KeyStorage
from softkv_service.retrieval.terms import EXPLAIN_CALL, ORIGINS_CALL, Explanation
from softkv_service.retrieval.verdict import SAMPLE_CALL, choose_documents
from softkv_service.storage import SharedStore
from softkv_service.storage.conditions import parse_condition
from softkv_service.storage.records import CollectionRecord, Extent

Respond: TypeAlias = Callable[..., Message]
"""The signature of `softkv_attention.lookup.respond`."""

MAX_COMBINATIONS = 8
"""Sets of shards whose combined views are cached, so that the next query can use their masks."""
VERSIONS_PER_COMBINATION = 4
MASKS_PER_VIEW = 64


class CombinedShards:
    """Several shards combined to one view, which has the segments of all of them in order; used by many threads.

    Attributes:
        views: the view of each shard.
        view: the combined view.
    """

    def __init__(self, ranges: Sequence[Replica], views: Sequence[View], before: View, biases: BiasCache) -> None:
        self.views = tuple(views)
        widths = [(view.dimension, view.value_dimension) for view in views if view.dimension is not None]
        segments = tuple(segment for view in views for segment in view.segments)
        self.view = before.with_segments(segments, *(widths[0] if widths else (None, None)))
        self._ranges = tuple(ranges)
        self._biases = biases
        self._masks: OrderedDict[tuple[str | None, str | None], Mask] = OrderedDict()
        self._lock = Lock()

    def respond(
        self, store: SharedStore, version: int, fields: Mapping[str, Any], arrays: Mapping[str, Array], respond: Respond
    ) -> Message:
        """Return the reply to a message about these shards.

        A bias of a field that takes too much memory is refused in the reply, because no other server can evaluate it.

        Args:
            version: a version at which all shards have these views.
            respond: answers messages of the lookup, see `softkv_attention.lookup.respond`.

        Raises:
            StorageError: the condition is invalid, or the store cannot be reached.
            SealedError: a file of the rows was cut.
        """
        self.view.check_files()
        try:
            return self._respond(store, version, fields, arrays, respond)
        except FieldTooLarge as error:
            return {"refused": str(error)}, {}

    def _respond(
        self, store: SharedStore, version: int, fields: Mapping[str, Any], arrays: Mapping[str, Array], respond: Respond
    ) -> Message:
        sources = self._sources(store, version)
        if fields.get("call") == ORIGINS_CALL:
            return {"origins": self._find_origins(sources, fields["terms"], fields.get("condition"))}, {}
        if fields.get("call") == EXPLAIN_CALL:
            return {"explanations": self._explain(sources, fields["terms"], arrays["numbers"])}, {}
        condition, forbidden_by, bias = fields.get("condition"), fields.get("forbidden by"), None
        mask = self.mask(store, version, condition, forbidden_by)
        if fields.get("call") == SAMPLE_CALL:
            return {}, {"documents": choose_documents(self.view.document_numbers(mask))}
        if "terms" in fields:
            documents = arrays.get(BIAS_DOCUMENTS, np.empty(0, dtype=np.int64))
            addends = arrays.get(BIAS_ADDENDS, np.empty(0))
            bias = self._biases.of(self.view, sources, fields["terms"], documents, addends)
        return respond(self.views, mask, self.view, fields, arrays, bias)

    def mask(
        self, store: SharedStore, version: int, condition: str | None, forbidden_by: str | None = None
    ) -> Mask | None:
        """Return the mask of the rows that pass a JSON condition, and that the terms of a bias do not forbid.

        Equal texts share one object. Return None if all rows pass.

        Args:
            version: a version at which all shards have these views.

        Raises:
            StorageError: the condition is invalid, or the store cannot be reached.
        """
        if condition is None and forbidden_by is None:
            return None
        name = condition, forbidden_by
        with self._lock:
            if (cached := self._masks.get(name)) is not None:
                self._masks.move_to_end(name)
                return cached
        if forbidden_by is None:
            assert condition is not None
            mask = self._evaluate(self._sources(store, version), condition)
        else:
            mask = ~self.view.mask(find_forbidden(self._sources(store, version), forbidden_by))
            if (passing := self.mask(store, version, condition)) is not None:
                mask = mask & passing
        with self._lock:
            mask = self._masks.setdefault(name, mask)
            while len(self._masks) > MASKS_PER_VIEW:
                self._masks.popitem(last=False)
            return mask

    def _evaluate(self, sources: Sequence[ReplicaFields], condition: str) -> Mask:
        parsed = parse_condition(json.loads(condition))
        shard_masks = [source.mask(parsed) for source in sources]
        return Mask(self.view, tuple(bits for shard_mask in shard_masks for bits in shard_mask.bits))

    def _sources(self, store: SharedStore, version: int) -> list[ReplicaFields]:
        pairs = zip(self._ranges, self.views, strict=True)
        return [ReplicaFields(replica, store, version, view) for replica, view in pairs]

    @staticmethod
    def _find_origins(sources: Sequence[ReplicaFields], text: str, condition: str | None) -> list[float | None]:
        """Return the largest of the shards' default origins, for each term; None without one.

        Args:
            condition: only documents that pass this condition, as JSON, count; None for all documents.
        """
        terms, passing = parse_terms(text), None if condition is None else parse_condition(json.loads(condition))
        columns = zip(*(source.find_origins(terms, passing) for source in sources), strict=True)
        return [max((origin for origin in origins if origin is not None), default=None) for origins in columns]

    @staticmethod
    def _explain(sources: Sequence[ReplicaFields], text: str, rows: I64) -> list[list[Explanation]]:
        """Return the explanations of these documents, which may be in any order, in the shards that have them."""
        terms, explanations = parse_terms(text), [list[Explanation]() for _ in range(len(rows))]
        for source in sources:
            first_row = source.replica.first_row
            positions = np.flatnonzero((rows >= first_row) & (rows < shard_stop(first_row)))
            if len(positions):
                for position, lines in zip(positions.tolist(), source.explain(terms, rows[positions]), strict=True):
                    explanations[position] = lines
        return explanations


class CollectionReplicas:
    """The replicas of one collection; one thread makes them follow the store, many threads read them.

    Args:
        storage: the place of the keys.
        files: the server's replica files.
    """

    def __init__(self, record: CollectionRecord, store: SharedStore, storage: KeyStorage, files: ReplicaFiles) -> None:
        self.record = record
        self._store = store
        self._storage, self._files = storage, files
        self._ranges: dict[int, Replica] = {}  # replaced as a whole, so that it can be read without the lock
        self._combined: OrderedDict[tuple[int, ...], list[CombinedShards]] = OrderedDict()
        self._biases = BiasCache()
        self._lock = Lock()

    @property
    def ranges(self) -> dict[int, Replica]:
        """The server's replicas of this collection, by the first rows of their shards."""
        return self._ranges

    def read(self, first_row: int) -> None:
        """Load the replica of a shard from its files and the store, and keep it."""
        sealed = self._files.of(self._store, self.record.id, first_row)
        replica = Replica.read(self._store, self.record, first_row, self._storage, sealed)
        with self._lock:
            self._ranges = {**self._ranges, first_row: replica}

    def drop(self, first_row: int, only: Replica | None = None) -> None:
        """Drop the replica of a shard; its files stay for a while.

        With `only`, drop it only if it is still that object.
        """
        with self._lock:
            dropped = self._ranges.get(first_row)
            if dropped is None or only not in (None, dropped):
                return
            dropped.release_files()
            self._ranges = {key: replica for key, replica in self._ranges.items() if key != first_row}
            for first_rows in [key for key in self._combined if first_row in key]:
                del self._combined[first_rows]

    def discard(self, error: SealedError) -> None:
        """Handle an invalid file: drop the replica that has rows of the file.

        It is then loaded again without the file.
        """
        for replica in self._ranges.values():
            if replica.discard(error.path):
                self._drop_for_reload([replica], str(error))

    def follow(self, extent: Extent, clock: Callable[[], float]) -> None:
        """Bring all replicas to at least this version; drop those that cannot be brought there.

        Raises StorageError; replicas may then be at different versions.
        """
        by_version = defaultdict[int, list[Replica]](list)
        for replica in self._ranges.values():
            if replica.versions.newest < extent.version:
                by_version[replica.versions.newest].append(replica)
        for version, group in by_version.items():
            now = clock()
            log_entries = self._store.change_log(self.record.id, version)
            if log_entries is None:
                self._drop_for_reload(group, "the change log does not reach back to its version")
            elif log_entries:
                steps = plan_steps(log_entries, now)
                for replica in group:
                    self._follow(replica, steps)
        for replica in self._ranges.values():
            replica.versions.forget(clock())
            if replica.versions.newest >= extent.version and extent.next_row >= shard_stop(replica.first_row):
                replica.complete = True

    def _follow(self, replica: Replica, steps: Sequence[LogStep]) -> None:
        try:
            written = read_written_rows(self._store, self.record.id, replica.first_row, steps, replica.note)
            replica.follow(steps, written)
        except SealedError as error:  # adding to a block copies the rows of its file, which are invalid
            replica.discard(error.path)
            self._drop_for_reload([replica], str(error))
        except (MemoryError, AttentionError, VersionCleared) as error:
            self._drop_for_reload([replica], f"{type(error).__name__}: {error}")

    def _drop_for_reload(self, group: Sequence[Replica], reason: str) -> None:
        for replica in group:
            log.error(
                "replica is loaded again", collection=self.record.name, first_row=replica.first_row, reason=reason
            )
            self.drop(replica.first_row, replica)

    def combine(
        self, version: int, first_rows: tuple[int, ...], expired_until: int | None = None
    ) -> CombinedShards | None:
        """Return these shards at a version as one view, without the documents that expire until an instant.

        Return None if this server lacks a replica of a shard, or that version of it.

        Calls for the same views of the same shards return the same object.
        """
        ranges, views = [], []
        for first_row in first_rows:
            replica = self._ranges.get(first_row)
            view = None if replica is None else replica.view_at(version, expired_until)
            if replica is None or view is None:
                return None
            ranges.append(replica)
            views.append(view)
        with self._lock:
            cached = self._combined.setdefault(first_rows, [])
            self._combined.move_to_end(first_rows)
            for combination in cached:
                if all(old is new for old, new in zip(combination.views, views, strict=True)):
                    return combination
            empty = View(self.record.settings.similarity, limits=self._storage.limits)
            combination = CombinedShards(ranges, views, cached[-1].view if cached else empty, self._biases)
            cached.append(combination)
            del cached[:-VERSIONS_PER_COMBINATION]
            while len(self._combined) > MAX_COMBINATIONS:
                self._combined.popitem(last=False)
            return combination
