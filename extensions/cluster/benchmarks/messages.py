"""The messages to shard servers and back: their number, their length, and the time of the servers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from statistics import median

from attention.lookup import View
from softkv_cluster.lookup import Message, of_bytes, respond
from softkv_cluster.service import Transport

LISTED = 2
"""Turns in which one holder of all is asked, too: it takes as long as all servers together."""


@dataclass(frozen=True)
class Call:
    """One message and what came back.

    Attributes:
        seconds: that the server took for itself.
        length: bytes, there and back.
        listed: rows, of all questions of the message; 0 where none were asked for.
    """

    server: str
    message: Message
    seconds: float
    length: int
    listed: int


@dataclass
class Counted:
    """A transport that keeps what went through it."""

    inner: Transport
    kept: list[tuple[str, bytes, Future[bytes]]] = field(default_factory=list)

    def send(self, server: str, message: bytes) -> Future[bytes]:
        """See `Transport`."""
        answered = self.inner.send(server, message)
        self.kept.append((server, message, answered))
        return answered

    def report(self, server: str) -> Future[bytes]:
        """See `Transport`."""
        return self.inner.report(server)

    def taken(self) -> list[Call]:
        """Return the calls since the last call of this function."""
        messages, self.kept = self.kept, []
        calls = []
        for server, message, answered in messages:
            reply = answered.result()
            fields, arrays = of_bytes(reply)
            length, listed = len(message) + len(reply), len(arrays.get("rows", ()))
            calls.append(Call(server, of_bytes(message), fields["seconds"], length, listed))
        return calls


@dataclass
class Measured:
    """The measurements of a number of questions together, turn by turn.

    Attributes:
        alone, servers, slowest: seconds of the one process, of the servers with everything around them, and of the
            slowest server by itself.
        calls: the number of calls of the busiest server.
        sizes: bytes a server and question.
        listed, listed_alone: rows a question, by all servers in each turn, and by one holder of all in the first ones.
        rates: products of bytes a second, of all servers that scan at the same time; for one question, the bytes of
            codes that are read.
    """

    alone: list[float] = field(default_factory=list)
    servers: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    listed: list[float] = field(default_factory=list)
    listed_alone: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def note(self, calls: Sequence[Call], count: int, view: View) -> None:
        """Record the servers' calls for a number of questions, and the view of all rows."""
        by_server = defaultdict[str, list[Call]](list)
        for call in calls:
            by_server[call.server].append(call)
        self.slowest.append(max(sum(call.seconds for call in server_calls) for server_calls in by_server.values()))
        self.calls.append(max(map(len, by_server.values())))
        self.sizes.append(sum(call.length for call in calls) / len(by_server) / count)
        self.listed.append(sum(call.listed for call in calls) / count)
        if len(self.listed_alone) < LISTED:
            gathering = next(call.message for call in calls if call.listed)
            _, arrays = respond([view], None, view, *gathering)
            self.listed_alone.append(len(arrays["rows"]) / count)
        seconds = sum(call.seconds for call in calls) / len(by_server)
        self.rates.append(view.n * (view.dimension or 0) * count / seconds)

    def cells(self, count: int) -> list[str]:
        """Return the cells of a row of the table."""
        beyond = [whole - slowest for whole, slowest in zip(self.servers, self.slowest, strict=True)]
        times = [1000 * median(seconds) for seconds in (self.alone, self.servers, self.slowest, beyond)]
        once = 100 * sum(call == 1 for call in self.calls) / len(self.calls)
        return [
            *(f"{time:.1f}" for time in times),
            f"{times[-1] / count:.2f}",
            f"{max(self.calls)} at most, 1 in {once:.0f} %",
            f"{median(self.sizes):,.0f}",
            f"{median(self.listed):,.0f} · {median(self.listed_alone):,.0f}",
            f"{median(self.rates) / 1e9:.1f}",
        ]
