"""Asking nodes about shards: which nodes hold a shard, and one message sent to all of them."""

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
"""How long an answer may take; what is not there then is lost."""
HOLDERS_SECONDS = 0.5
"""Between two looks at who holds what."""
AVOIDED_SECONDS = 2.0
"""How long a slot that did not answer is asked last, and a range that nobody answered for is taken to be lost."""
RECENT, SLOW = 100, 0.95
LEAST_PATIENCE = 0.05
"""A slot is slow that takes longer than this part of the last calls of its kind, and than so many seconds."""


class Transport(Protocol):
    """Brings messages to slots."""

    def send(self, node: str, message: bytes) -> Future[bytes]:
        """What a node answers; the future fails with NodeLost where it is gone, or is not there."""


class Router:
    """Asks slots for ranges; for many threads.

    Args:
        register: which slots there are, and what they hold.
        copies: how many slots hold a range.
    """

    def __init__(
        self,
        transport: Transport,
        register: NodeRegistry,
        copies: int,
        *,
        seconds: float = DEADLINE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self.transport, self._register, self.copies, self._clock = transport, register, copies, clock
        self._took: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._avoided: dict[str, float] = {}
        self._lost: dict[int, dict[int, float]] = {}
        self._known = _RegisterSnapshot({}, (), float("-inf"))
        self._looking = Lock()

    def holders(self, collection: int, first_row: int) -> list[str]:
        """Who can be asked for a range, the first choice first: who has it ready, then who is to hold it.

        Raises:
            StorageError: nobody knows, since the store could not be asked yet.
        """
        known = self._look()
        names = known.names.get((collection, first_row))
        if names is None:
            ready = known.ready.get((collection, first_row), ())
            placed = place_shard(collection, first_row, known.members, self.copies)
            names = [name for name in placed if name in ready] + [name for name in ready if name not in placed]
            names += [name for name in placed if name not in ready]
            known.names[collection, first_row] = names
        now = self._clock()
        return sorted(names, key=lambda name: self._avoided.get(name, 0.0) > now)

    def lost(self, collection: int) -> frozenset[int]:
        """The ranges of a collection that nobody answered for a moment ago."""
        lost = self._lost.get(collection)
        if not lost:
            return frozenset()
        now = self._clock()
        return frozenset(first_row for first_row, until in list(lost.items()) if until > now)

    def _all_avoided(self, collection: int, first_row: int) -> bool:
        now = self._clock()
        return all(self._avoided.get(name, 0.0) > now for name in self.holders(collection, first_row))

    def avoid(self, slot: str) -> None:
        """Ask a slot last for a while."""
        self._avoided[slot] = self._clock() + AVOIDED_SECONDS

    def ask(
        self, asked: CollectionVersion, first_rows: Sequence[int], message: Callable[[Sequence[int]], Message]
    ) -> list[Reply]:
        """Ask about ranges: each is in one of the answers.

        Args:
            message: what is asked of those who are asked about some of the ranges.

        Raises:
            VersionGone, ShardsLost: there is no such answer.
            StorageError: nobody knows whom to ask.
        """
        try:
            return ScatterGather(self, asked, message, self._clock() + self.seconds).of(first_rows)
        except ShardsLost as error:
            now = self._clock()
            lost = {*error.first_rows, *(row for row in first_rows if self._all_avoided(asked.collection, row))}
            earlier = {row: until for row, until in self._lost.get(asked.collection, {}).items() if until > now}
            self._lost[asked.collection] = {**earlier, **dict.fromkeys(lost, now + AVOIDED_SECONDS)}
            raise

    def begin(
        self, slot: str, asked: CollectionVersion, first_rows: Sequence[int], message: Message, left: float
    ) -> Future[bytes]:
        """Send a slot one message."""
        said, arrays = message
        head = {"collection": asked.collection, "version": asked.version, "ranges": list(first_rows), "seconds": left}
        return self.transport.send(slot, to_bytes({"condition": None, **said, **head}, arrays))

    def took(self, call: str, seconds: float) -> None:
        """So long a call took that was answered."""
        self._took[call].append(seconds)

    def patience(self, call: str) -> float:
        """Seconds after which a call is slow."""
        recent = sorted(self._took[call])
        usual = recent[int(SLOW * (len(recent) - 1))] if len(recent) == RECENT else self.seconds / 4
        return max(usual, LEAST_PATIENCE)

    def clock(self) -> float:
        """Seconds, ascending."""
        return self._clock()

    def _look(self) -> _RegisterSnapshot:
        known = self._known
        if self._clock() < known.until or not self._looking.acquire(blocking=not known.members):
            return known
        try:
            ready = defaultdict[tuple[int, int], list[str]](list)
            for each in self._register.holders():
                ready[each.collection, each.first_row].append(each.node.name)
            until = self._clock() + HOLDERS_SECONDS
            self._known = _RegisterSnapshot(ready, tuple(self._register.members()), until)
        except StorageError:
            if not known.members:
                raise
        finally:
            self._looking.release()
        return self._known


@dataclass(frozen=True)
class _RegisterSnapshot:
    """What the register said.

    Attributes:
        ready: the names of the slots that have a range.
        until: when it is asked again.
        names: who can be asked for a range, as that was found.
    """

    ready: Mapping[tuple[int, int], Sequence[str]]
    members: Sequence[NodeRecord]
    until: float
    names: dict[tuple[int, int], list[str]] = field(default_factory=dict)


SILENT_SECONDS = 1.0
"""Without a word of a slot, while another one has answered: after that it is asked last for a while."""


@dataclass(frozen=True)
class CollectionVersion:
    """What every message of one answer says.

    Attributes:
        collection: its number in the store.
        version: the one that is to be answered from.
    """

    collection: int
    version: int


Reply = tuple[tuple[int, ...], Message]
"""The ranges, by their first rows, that an answer is about, and the answer."""


class Askable(Protocol):
    """Slots that can be asked, see `Router`."""

    def holders(self, collection: int, first_row: int) -> list[str]:
        """Who can be asked for a range, the first choice first."""

    def begin(
        self, slot: str, asked: CollectionVersion, first_rows: Sequence[int], message: Message, left: float
    ) -> Future[bytes]:
        """Send a slot one message."""

    def avoid(self, slot: str) -> None:
        """Ask a slot last for a while."""

    def took(self, call: str, seconds: float) -> None:
        """So long a call took that was answered."""

    def patience(self, call: str) -> float:
        """Seconds after which a call is slow."""

    def clock(self) -> float:
        """Seconds, ascending."""


@dataclass
class _Attempt:
    """Calls that are to answer for the same ranges, each for some of them.

    Attributes:
        replies: to those that were answered.
        open: how many are not.
        lost: whether nobody is left to answer one of them.
    """

    replies: list[Reply] = field(default_factory=list)
    open: int = 0
    lost: bool = False


@dataclass
class _Group:
    """Ranges that one slot was asked for first, and everybody else who was asked for them since.

    Attributes:
        tried: for each range who was asked.
        attempts: the first one, and the one that was begun because that was slow.
    """

    first_rows: tuple[int, ...]
    began: float
    tried: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    attempts: list[_Attempt] = field(default_factory=list)

    @property
    def found(self) -> list[Reply] | None:
        """All answers, as soon as one attempt has them."""
        return next((each.replies for each in self.attempts if not (each.open or each.lost)), None)


@dataclass(frozen=True)
class _Call:
    group: _Group
    attempt: _Attempt
    slot: str
    first_rows: tuple[int, ...]
    began: float


class ScatterGather:
    """One question to whoever holds some ranges, until all are answered for."""

    def __init__(
        self, calling: Askable, asked: CollectionVersion, message: Callable[[Sequence[int]], Message], deadline: float
    ) -> None:
        self._calling, self._asked, self._message, self._deadline = calling, asked, message, deadline
        self._calls: dict[Future[bytes], _Call] = {}
        self._reasons: list[str] = []
        self._kind = ""

    def of(self, first_rows: Sequence[int]) -> list[Reply]:
        """See `Router.ask`."""
        now, groups = self._calling.clock(), list[_Group]()
        for some in self._by_slot(first_rows, defaultdict(set)).values():
            group = _Group(tuple(some), now)
            groups.append(group)
            self._attempt(group)
        while waiting := [group for group in groups if group.found is None]:
            slow = min((each.began for each in waiting if len(each.attempts) < 2), default=None)
            until = self._deadline
            if slow is not None:
                until = min(until, slow + self._calling.patience(self._kind))
            done, _ = wait(self._calls, max(0.0, until - self._calling.clock()), FIRST_COMPLETED)
            for future in done:
                self._take(self._calls.pop(future), future)
            if self._calling.clock() >= self._deadline and not done:
                self._give_up(waiting)
            for group in waiting:
                self._hedge(group)
        self._avoid_silent()
        return [reply for group in groups for reply in group.found or ()]

    def _attempt(self, group: _Group) -> None:
        """Ask for all of a group's ranges whom nobody has asked yet; ShardsLost where one has nobody left."""
        attempt = _Attempt()
        group.attempts.append(attempt)
        self._send(group, attempt, group.first_rows)

    def _send(self, group: _Group, attempt: _Attempt, first_rows: Sequence[int]) -> None:
        for slot, some in self._by_slot(first_rows, group.tried).items():
            now, message = self._calling.clock(), self._message(some)
            self._kind = str(message[0].get("call"))
            future = self._calling.begin(slot, self._asked, some, message, max(0.0, self._deadline - now) * 0.9)
            attempt.open += 1
            for first_row in some:
                group.tried[first_row].add(slot)
            self._calls[future] = _Call(group, attempt, slot, tuple(some), now)

    def _by_slot(self, first_rows: Iterable[int], tried: Mapping[int, set[str]]) -> dict[str, list[int]]:
        """Whom to ask for each range, who was not asked yet."""
        chosen, lost = defaultdict[str, list[int]](list), list[int]()
        for first_row in first_rows:
            names = self._calling.holders(self._asked.collection, first_row)
            others = [name for name in names if name not in tried[first_row]]
            if others:
                chosen[others[0]].append(first_row)
            else:
                lost.append(first_row)
        if lost:
            raise ShardsLost(lost, self._reasons or ["no slot holds them"])
        return chosen

    def _take(self, call: _Call, future: Future[bytes]) -> None:
        """What one slot answered; where that is nothing, others are asked."""
        try:
            said, arrays = of_bytes(future.result())
        except NodeLost as error:
            self._calling.avoid(call.slot)
            self._instead(call, str(error))
            return
        if said.get("gone"):
            raise VersionGone(self._asked.version)
        if "missing" in said or "behind" in said or "failed" in said:
            reason = next(
                f"{call.slot}: {name} {said[name]}" for name in ("failed", "behind", "missing") if name in said
            )
            self._instead(call, reason)
            return
        self._calling.took(self._kind, self._calling.clock() - call.began)
        call.attempt.replies.append((call.first_rows, (said, arrays)))
        call.attempt.open -= 1

    def _instead(self, call: _Call, reason: str) -> None:
        """Ask others in place of one who has no answer, where the group is not answered for already."""
        self._reasons.append(reason)
        if call.group.found is not None:
            return
        try:
            self._send(call.group, call.attempt, call.first_rows)
            call.attempt.open -= 1
        except ShardsLost:
            call.attempt.lost = True
            if all(each.lost for each in call.group.attempts):
                raise

    def _hedge(self, group: _Group) -> None:
        """Ask others, too, where a group's first slot is slow and all of its ranges have others."""
        slow = self._calling.clock() >= group.began + self._calling.patience(self._kind)
        if len(group.attempts) < 2 and slow and group.found is None:
            try:
                self._attempt(group)
            except ShardsLost:
                group.attempts[-1].lost = True

    def _avoid_silent(self) -> None:
        """Who says nothing, where others have answered since, may be gone; Ray knows that only after a while."""
        now = self._calling.clock()
        for call in self._calls.values():
            if now - call.began >= SILENT_SECONDS:
                self._calling.avoid(call.slot)

    def _give_up(self, waiting: Sequence[_Group]) -> None:
        for call in self._calls.values():
            if call.group.found is None:
                self._calling.avoid(call.slot)
                self._reasons.append(f"{call.slot} took too long")
        raise ShardsLost([row for group in waiting for row in group.first_rows], self._reasons)
