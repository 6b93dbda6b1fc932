"""Messages about shards: the choice of a server for each shard, and one message to the servers of many shards."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import NamedTuple

from softkv_cluster.errors import ServerLost, ShardsLost, VersionGone
from softkv_cluster.lookup import Message, of_bytes, to_bytes
from softkv_cluster.roster import Roster, Transport

DEADLINE_SECONDS = 10.0
"""Time limit of an answer; a shard without an answer by then is lost."""
AVOID_SECONDS = 2.0
"""Time for which a server that did not answer is avoided."""
SILENT_SECONDS = 1.0
"""A server that is silent for this long while another answers is avoided."""
RECENT_CALLS, SLOW_QUANTILE = 100, 0.95
MIN_HEDGE_SECONDS = 0.05
"""A server is slow if it takes longer than this quantile of recent calls of its kind, and than MIN_HEDGE_SECONDS."""


class CollectionVersion(NamedTuple):
    """The number of a collection in the store, and the state of it that all messages of one query name.

    Attributes:
        expired_until: the last instant at which a document had expired; None if none had.
    """

    collection: int
    version: int
    expired_until: int | None = None


Reply = tuple[tuple[int, ...], Message]
"""The first rows of the shards that an answer is about, and the answer."""


class Router:
    """A router that chooses servers for shards and sends them messages; used by many threads.

    Args:
        roster: the servers, and the shards that they hold.
        seconds: the time limit of an answer.
    """

    def __init__(
        self,
        transport: Transport,
        roster: Roster,
        *,
        seconds: float = DEADLINE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds, self.roster, self.clock = seconds, roster, clock
        self._transport = transport
        self._durations: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT_CALLS))
        self._avoided: dict[str, float] = {}
        self._lost: dict[int, dict[int, int]] = {}  # collection, first row, and the round of reports before the loss

    def holders(self, collection: int, first_row: int) -> list[str]:
        """Return the servers to ask about a shard, best first; avoided servers are last."""
        return sorted(self.roster.holders((collection, first_row)), key=self.is_avoided)

    def is_avoided(self, server: str) -> bool:
        """Return whether a server did not answer in the last seconds."""
        return self._avoided.get(server, 0.0) > self.clock()

    def avoid(self, server: str) -> None:
        """Prefer other servers to this one for a while."""
        self._avoided[server] = self.clock() + AVOID_SECONDS

    def find_lost_shards(self, collection: int) -> frozenset[int]:
        """Return the first rows of a collection's shards that had no answer and that no server has reported since."""
        rounds = self._lost.get(collection)
        if not rounds:
            return frozenset()
        now = self.roster.number
        for first_row, since in list(rounds.items()):
            # The round that was under way at the loss may have asked before it.
            if now > since + 1 and self.roster.is_held((collection, first_row)):
                rounds.pop(first_row, None)
        return frozenset(rounds)

    def ask(
        self, version: CollectionVersion, first_rows: Sequence[int], message: Callable[[Sequence[int]], Message]
    ) -> list[Reply]:
        """Send a message to the servers that hold these shards, and return the replies.

        Each shard is covered by exactly one reply.

        Args:
            message: builds the message for a server from the first rows of its shards.

        Raises:
            VersionGone: a server has newer versions only.
            ShardsLost: no replica of a shard answered in time.
            StorageError: the plan has never been read.
        """
        gather, round_number = ScatterGather(self, version, message), self.roster.number
        try:
            try:
                return gather.run(first_rows)
            except ShardsLost as error:
                if gather.timed_out or not self._holders_changed(version.collection, error.first_rows, round_number):
                    raise
                return gather.run(first_rows)
        except ShardsLost as error:
            rounds = self._lost.setdefault(version.collection, {})
            rounds.update(dict.fromkeys(error.first_rows, self.roster.number))
            raise

    def _holders_changed(self, collection: int, first_rows: Iterable[int], round_number: int) -> bool:
        """Refresh the reports. Return whether other servers hold the shards than in this round, as by another plan."""
        shards = [(collection, first_row) for first_row in first_rows]
        changed, before = self.roster.number > round_number, [set(self.roster.holders(shard)) for shard in shards]
        self.roster.refresh()
        return changed or before != [set(self.roster.holders(shard)) for shard in shards]

    def send(
        self, server: str, version: CollectionVersion, first_rows: Sequence[int], message: Message, seconds: float
    ) -> Future[bytes]:
        """Send one message to one server, about these shards at a version; it may take some seconds."""
        fields, arrays = message
        header = {**version._asdict(), "ranges": list(first_rows), "seconds": seconds}
        return self._transport.send(server, to_bytes({"condition": None, **fields, **header}, arrays))

    def record_duration(self, call: str, seconds: float) -> None:
        """Record how long a call of this kind took, for `hedge_delay`."""
        self._durations[call].append(seconds)

    def hedge_delay(self, call: str) -> float:
        """Return the seconds after which a call of this kind counts as slow."""
        recent = sorted(self._durations[call])
        typical = recent[int(SLOW_QUANTILE * (len(recent) - 1))] if len(recent) == RECENT_CALLS else self.seconds / 4
        return max(typical, MIN_HEDGE_SECONDS)


@dataclass
class _Attempt:
    """One attempt to get answers for a group of shards: calls to servers that together cover all of them.

    Attributes:
        open: the number of unanswered calls.
        lost: whether some shard has no untried replica left.
    """

    replies: list[Reply] = field(default_factory=list)
    open: int = 0
    lost: bool = False


@dataclass
class _Group:
    """Shards for which the same server was asked first, with all later attempts to get answers for them.

    Attributes:
        tried: for each shard, the servers that received the message.
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
    server: str
    first_rows: tuple[int, ...]
    began: float


class ScatterGather:
    """One message about many shards, sent to the servers that hold them until every shard has an answer.

    If a server refuses, is lost or slow, another replica is asked.

    Attributes:
        timed_out: whether its time ended before every shard had an answer.
    """

    def __init__(self, router: Router, version: CollectionVersion, message: Callable[[Sequence[int]], Message]) -> None:
        self._router, self._version, self._message = router, version, message
        self._deadline = router.clock() + router.seconds
        self._calls: dict[Future[bytes], _Call]
        self._reasons: list[str]
        self._kind = ""
        self.timed_out = False

    def run(self, first_rows: Sequence[int]) -> list[Reply]:
        """Send the message about these shards, and return all replies. Each shard is covered by exactly one reply."""
        self._calls, self._reasons = {}, []
        groups = [
            _Group(tuple(rows), self._router.clock())
            for rows in self._group_by_server(first_rows, defaultdict(set)).values()
        ]
        for group in groups:
            self._attempt(group)
        while waiting := [group for group in groups if group.replies is None]:
            until = min([self._deadline, *(self._hedge_time(group) for group in waiting if len(group.attempts) < 2)])
            done, _ = wait(self._calls, max(0.0, until - self._router.clock()), FIRST_COMPLETED)
            for future in done:
                self._take(self._calls.pop(future), future)
            if self._router.clock() >= self._deadline and not done:
                self._give_up(waiting)
            for group in waiting:
                if (
                    len(group.attempts) < 2
                    and group.replies is None
                    and self._router.clock() >= self._hedge_time(group)
                ):
                    self._hedge(group)
        self._avoid_silent()
        return [reply for group in groups for reply in group.replies or ()]

    def _hedge_time(self, group: _Group) -> float:
        return group.began + self._router.hedge_delay(self._kind)

    def _attempt(self, group: _Group) -> None:
        """Send the message to replicas that were not tried yet, for all shards of a group, or raise ShardsLost."""
        attempt = _Attempt()
        group.attempts.append(attempt)
        self._send(group, attempt, group.first_rows)

    def _hedge(self, group: _Group) -> None:
        """Ask other replicas in addition, if all shards of a group have one that was not tried."""
        try:
            self._attempt(group)
        except ShardsLost:
            group.attempts[-1].lost = True

    def _send(self, group: _Group, attempt: _Attempt, first_rows: Sequence[int]) -> None:
        for server, rows in self._group_by_server(first_rows, group.tried).items():
            now, message = self._router.clock(), self._message(rows)
            self._kind = str(message[0].get("call"))
            future = self._router.send(server, self._version, rows, message, max(0.0, self._deadline - now) * 0.9)
            attempt.open += 1
            for first_row in rows:
                group.tried[first_row].add(server)
            self._calls[future] = _Call(group, attempt, server, tuple(rows), now)

    def _group_by_server(self, first_rows: Iterable[int], tried: Mapping[int, set[str]]) -> dict[str, list[int]]:
        """Choose a server that was not tried yet for each shard, and return the shards by server."""
        chosen, lost_shards = defaultdict[str, list[int]](list), list[int]()
        for first_row in first_rows:
            names = self._router.holders(self._version.collection, first_row)
            untried = [name for name in names if name not in tried[first_row]]
            if untried:
                chosen[untried[0]].append(first_row)
            else:
                lost_shards.append(first_row)
        if lost_shards:
            raise ShardsLost(lost_shards, self._reasons or ["no server holds them"])
        return chosen

    def _take(self, call: _Call, future: Future[bytes]) -> None:
        """Handle a server's answer; on a refusal or a loss, ask another replica."""
        try:
            fields, arrays = of_bytes(future.result())
        except ServerLost as error:
            self._router.avoid(call.server)
            self._retry(call, str(error))
            return
        if fields.get("gone"):
            raise VersionGone(self._version.version)
        if absent := set(fields.get("missing", ())).intersection(call.first_rows):
            for first_row in set(call.first_rows) - absent:  # the server may still answer about these
                call.group.tried[first_row].discard(call.server)
        if refusal := next((name for name in ("failed", "behind", "missing") if name in fields), None):
            self._retry(call, f"{call.server}: {refusal} {fields[refusal]}")
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

    def _avoid_silent(self) -> None:
        """Avoid servers that were silent while others answered: Ray notices a lost machine only later."""
        now = self._router.clock()
        for call in self._calls.values():
            if now - call.began >= SILENT_SECONDS:
                self._router.avoid(call.server)

    def _give_up(self, waiting: Sequence[_Group]) -> None:
        self.timed_out = True
        for call in self._calls.values():
            if call.group.replies is None:
                self._router.avoid(call.server)
                self._reasons.append(f"{call.server} took too long")
        raise ShardsLost([row for group in waiting for row in group.first_rows], self._reasons)
