"""Messages to nodes: the choice of a node for each shard, and the distribution of one message over the nodes of many
shards.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from attention.lookup import Message, of_bytes, to_bytes
from service.cluster.errors import NodeLost, ShardsLost, VersionGone
from service.cluster.placement import place_shard
from service.storage import NodeRecord, NodeRegistry, StorageError

DEADLINE_SECONDS = 10.0
"""Time limit of an answer; a shard without an answer by then is lost."""
HOLDERS_SECONDS = 0.5
"""Interval between two reads of the node registry."""
AVOID_SECONDS = 2.0
"""Time for which a node that did not answer is avoided, and an unanswered shard counts as lost."""
RECENT_CALLS, SLOW_QUANTILE = 100, 0.95
MIN_HEDGE_SECONDS = 0.05
"""A node is slow if it takes longer than this quantile of recent calls of its kind, and than MIN_HEDGE_SECONDS."""


class Transport(Protocol):
    """A transport that carries messages to nodes and brings back their answers."""

    def send(self, node: str, message: bytes) -> Future[bytes]:
        """Send a message to a node and return its answer; the future fails with NodeLost if the node is gone."""


class Router:
    """A router that chooses nodes for shards and sends them messages; used by many threads.

    Args:
        registry: the nodes and the shards that they hold.
        copies: the number of nodes that hold each shard.
    """

    def __init__(
        self,
        transport: Transport,
        registry: NodeRegistry,
        copies: int,
        *,
        seconds: float = DEADLINE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self.transport, self._registry, self.copies, self._clock = transport, registry, copies, clock
        self._durations: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT_CALLS))
        self._avoided: dict[str, float] = {}
        self._lost: dict[int, dict[int, float]] = {}
        self._snapshot = _RegistrySnapshot({}, (), float("-inf"))
        self._refresh_lock = Lock()

    def holders(self, collection: int, first_row: int) -> list[str]:
        """Return the nodes to ask about a shard, best first: nodes whose replica is ready, then nodes that should load
        one.

        Raises:
            StorageError: the registry has never been read, and the store cannot be reached.
        """
        snapshot = self._read_registry()
        names = snapshot.names.get((collection, first_row))
        if names is None:
            ready = snapshot.ready.get((collection, first_row), ())
            placed = place_shard(collection, first_row, snapshot.members, self.copies)
            names = [name for name in placed if name in ready] + [name for name in ready if name not in placed]
            names += [name for name in placed if name not in ready]
            snapshot.names[collection, first_row] = names
        now = self._clock()
        return sorted(names, key=lambda name: self._avoided.get(name, 0.0) > now)

    def lost_shards(self, collection: int) -> frozenset[int]:
        """Return the first rows of a collection's shards for which no node answered in the last seconds."""
        lost = self._lost.get(collection)
        if not lost:
            return frozenset()
        now = self._clock()
        return frozenset(first_row for first_row, until in list(lost.items()) if until > now)

    def _all_avoided(self, collection: int, first_row: int) -> bool:
        now = self._clock()
        return all(self._avoided.get(name, 0.0) > now for name in self.holders(collection, first_row))

    def avoid(self, node: str) -> None:
        """Prefer other nodes to this one for a while."""
        self._avoided[node] = self._clock() + AVOID_SECONDS

    def ask(
        self, version: CollectionVersion, first_rows: Sequence[int], message: Callable[[Sequence[int]], Message]
    ) -> list[Reply]:
        """Send a message to the nodes that hold these shards, and return the replies.

        Each shard is covered by exactly one reply.

        Args:
            message: builds the message for a node from the first rows of its shards.

        Raises:
            VersionGone: a node has newer versions only.
            ShardsLost: no replica of a shard answered in time.
            StorageError: the registry has never been read.
        """
        try:
            return ScatterGather(self, version, message, self._clock() + self.seconds).run(first_rows)
        except ShardsLost as error:
            now = self._clock()
            lost = {*error.first_rows, *(row for row in first_rows if self._all_avoided(version.collection, row))}
            earlier = {row: until for row, until in self._lost.get(version.collection, {}).items() if until > now}
            self._lost[version.collection] = {**earlier, **dict.fromkeys(lost, now + AVOID_SECONDS)}
            raise

    def send(
        self, node: str, version: CollectionVersion, first_rows: Sequence[int], message: Message, left: float
    ) -> Future[bytes]:
        """Send one message to one node, about these shards at a version; `left` is how many seconds it may take."""
        fields, arrays = message
        header = {
            "collection": version.collection,
            "version": version.version,
            "ranges": list(first_rows),
            "seconds": left,
        }
        return self.transport.send(node, to_bytes({"condition": None, **fields, **header}, arrays))

    def record_duration(self, call: str, seconds: float) -> None:
        """Record how long a call of this kind took, for `hedge_delay`."""
        self._durations[call].append(seconds)

    def hedge_delay(self, call: str) -> float:
        """Return the seconds after which a call of this kind counts as slow."""
        recent = sorted(self._durations[call])
        typical = recent[int(SLOW_QUANTILE * (len(recent) - 1))] if len(recent) == RECENT_CALLS else self.seconds / 4
        return max(typical, MIN_HEDGE_SECONDS)

    def clock(self) -> float:
        """Return the time in seconds, by a monotonic clock."""
        return self._clock()

    def _read_registry(self) -> _RegistrySnapshot:
        snapshot = self._snapshot
        if self._clock() < snapshot.until or not self._refresh_lock.acquire(blocking=not snapshot.members):
            return snapshot
        try:
            ready = defaultdict[tuple[int, int], list[str]](list)
            for replica in self._registry.holders():
                ready[replica.collection, replica.first_row].append(replica.node.name)
            until = self._clock() + HOLDERS_SECONDS
            self._snapshot = _RegistrySnapshot(ready, tuple(self._registry.members()), until)
        except StorageError:
            if not snapshot.members:
                raise
        finally:
            self._refresh_lock.release()
        return self._snapshot


@dataclass(frozen=True)
class _RegistrySnapshot:
    """The contents of the node registry at one moment.

    Attributes:
        ready: for each shard, the names of the nodes that have a replica ready.
        until: the time at which the registry is read again.
        names: cached results of `Router.holders`.
    """

    ready: Mapping[tuple[int, int], Sequence[str]]
    members: Sequence[NodeRecord]
    until: float
    names: dict[tuple[int, int], list[str]] = field(default_factory=dict)


SILENT_SECONDS = 1.0
"""A node that is silent for this long while another answers is deprioritised."""


@dataclass(frozen=True)
class CollectionVersion:
    """The collection and the version that all messages of one query name.

    Attributes:
        collection: the number of the collection in the store.
        version: the version to answer from.
    """

    collection: int
    version: int


Reply = tuple[tuple[int, ...], Message]
"""The first rows of the shards that an answer is about, and the answer."""


@dataclass
class _Attempt:
    """One attempt to get answers for a group of shards: calls to several nodes that together cover all of them.

    Attributes:
        replies: the answers so far.
        open: the number of unanswered calls.
        lost: whether some shard has no untried replica left.
    """

    replies: list[Reply] = field(default_factory=list)
    open: int = 0
    lost: bool = False


@dataclass
class _Group:
    """Shards for which the same node was asked first, with all later attempts to get answers for them.

    Attributes:
        tried: for each shard, the nodes that received the message.
        attempts: the first one, and a second one if the first was slow.
    """

    first_rows: tuple[int, ...]
    began: float
    tried: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    attempts: list[_Attempt] = field(default_factory=list)

    @property
    def replies(self) -> list[Reply] | None:
        """All replies of the first attempt that is complete; None until then."""
        return next((attempt.replies for attempt in self.attempts if not (attempt.open or attempt.lost)), None)


@dataclass(frozen=True)
class _Call:
    group: _Group
    attempt: _Attempt
    node: str
    first_rows: tuple[int, ...]
    began: float


class ScatterGather:
    """One message about many shards.

    It is sent to the nodes that hold them, and to other replicas until every shard has an answer.
    """

    def __init__(
        self,
        router: Router,
        version: CollectionVersion,
        message: Callable[[Sequence[int]], Message],
        deadline: float,
    ) -> None:
        self._router, self._version, self._message, self._deadline = router, version, message, deadline
        self._calls: dict[Future[bytes], _Call] = {}
        self._reasons: list[str] = []
        self._kind = ""

    def run(self, first_rows: Sequence[int]) -> list[Reply]:
        """Send the message about these shards, and return all replies. Each shard is covered by exactly one reply."""
        now, groups = self._router.clock(), list[_Group]()
        for shard_rows in self._group_by_node(first_rows, defaultdict(set)).values():
            group = _Group(tuple(shard_rows), now)
            groups.append(group)
            self._attempt(group)
        while waiting := [group for group in groups if group.replies is None]:
            slow = min((group.began for group in waiting if len(group.attempts) < 2), default=None)
            until = self._deadline
            if slow is not None:
                until = min(until, slow + self._router.hedge_delay(self._kind))
            done, _ = wait(self._calls, max(0.0, until - self._router.clock()), FIRST_COMPLETED)
            for future in done:
                self._take(self._calls.pop(future), future)
            if self._router.clock() >= self._deadline and not done:
                self._give_up(waiting)
            for group in waiting:
                self._hedge(group)
        self._avoid_silent()
        return [reply for group in groups for reply in group.replies or ()]

    def _attempt(self, group: _Group) -> None:
        """Send the message to replicas that were not tried yet, for all shards of a group.

        Raise ShardsLost if a shard has none left.
        """
        attempt = _Attempt()
        group.attempts.append(attempt)
        self._send(group, attempt, group.first_rows)

    def _send(self, group: _Group, attempt: _Attempt, first_rows: Sequence[int]) -> None:
        for node, shard_rows in self._group_by_node(first_rows, group.tried).items():
            now, message = self._router.clock(), self._message(shard_rows)
            self._kind = str(message[0].get("call"))
            future = self._router.send(node, self._version, shard_rows, message, max(0.0, self._deadline - now) * 0.9)
            attempt.open += 1
            for first_row in shard_rows:
                group.tried[first_row].add(node)
            self._calls[future] = _Call(group, attempt, node, tuple(shard_rows), now)

    def _group_by_node(self, first_rows: Iterable[int], tried: Mapping[int, set[str]]) -> dict[str, list[int]]:
        """Choose a node that was not tried yet for each shard, and return the shards by node."""
        chosen, lost = defaultdict[str, list[int]](list), list[int]()
        for first_row in first_rows:
            names = self._router.holders(self._version.collection, first_row)
            untried = [name for name in names if name not in tried[first_row]]
            if untried:
                chosen[untried[0]].append(first_row)
            else:
                lost.append(first_row)
        if lost:
            raise ShardsLost(lost, self._reasons or ["no node holds them"])
        return chosen

    def _take(self, call: _Call, future: Future[bytes]) -> None:
        """Handle a node's answer; on a refusal or a loss, ask another replica."""
        try:
            fields, arrays = of_bytes(future.result())
        except NodeLost as error:
            self._router.avoid(call.node)
            self._retry(call, str(error))
            return
        if fields.get("gone"):
            raise VersionGone(self._version.version)
        if "missing" in fields or "behind" in fields or "failed" in fields:
            reason = next(
                f"{call.node}: {name} {fields[name]}" for name in ("failed", "behind", "missing") if name in fields
            )
            self._retry(call, reason)
            return
        self._router.record_duration(self._kind, self._router.clock() - call.began)
        call.attempt.replies.append((call.first_rows, (fields, arrays)))
        call.attempt.open -= 1

    def _retry(self, call: _Call, reason: str) -> None:
        """Ask other replicas about the shards of a call that got no answer, unless the group is answered already."""
        self._reasons.append(reason)
        if call.group.replies is not None:
            return
        try:
            self._send(call.group, call.attempt, call.first_rows)
            call.attempt.open -= 1
        except ShardsLost:
            call.attempt.lost = True
            if all(attempt.lost for attempt in call.group.attempts):
                raise

    def _hedge(self, group: _Group) -> None:
        """Ask other replicas in addition, if the first node of a group is slow and all its shards have replicas that
        were not tried.
        """
        slow = self._router.clock() >= group.began + self._router.hedge_delay(self._kind)
        if len(group.attempts) < 2 and slow and group.replies is None:
            try:
                self._attempt(group)
            except ShardsLost:
                group.attempts[-1].lost = True

    def _avoid_silent(self) -> None:
        """Avoid nodes that were silent while others answered, because Ray itself notices a dead node only later."""
        now = self._router.clock()
        for call in self._calls.values():
            if now - call.began >= SILENT_SECONDS:
                self._router.avoid(call.node)

    def _give_up(self, waiting: Sequence[_Group]) -> None:
        for call in self._calls.values():
            if call.group.replies is None:
                self._router.avoid(call.node)
                self._reasons.append(f"{call.node} took too long")
        raise ShardsLost([row for group in waiting for row in group.first_rows], self._reasons)
