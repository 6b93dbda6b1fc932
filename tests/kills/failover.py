"""Two services on one PostgreSQL, whichever of the three is killed under writers, and what is there after it."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.running import Service
from softkv_service.retrieval.collections import read_clock
from softkv_service.storage import open_shared
from softkv_service.storage.conditions import Visibility
from tests.kills.either import Acknowledged, Either, put_off
from tests.kills.killing import held, wait_for_keys
from tests.kills.writers import PATH, WIDTH, State, Writer, number_of, vector
from tests.postgres import PostgresServer

WRITERS = 8
KINDS = ("one replica", "the other replica", "both replicas", "PostgreSQL", "one process of PostgreSQL")
PATIENCE_SECONDS = 120
_WHOLE = ["key", "value", "metadata", "key_vector"]


class Failover:
    """A run that kills services and checks the remaining data; the end of the block stops the services.

    Half of the writers repeat an unanswered write under its Idempotency-Key until it is answered, and go on. The others
    leave it, which shows whether it was done as a whole or not at all.

    Args:
        directory: for the services' files.
        server: the database, which is killed in its turn.
        most_seconds: the longest time before a kill.
    """

    def __init__(
        self, directory: Path, server: PostgresServer, chosen: random.Random, *, most_seconds: float = 1.5
    ) -> None:
        self._server, self._chosen, self._most_seconds = server, chosen, most_seconds
        self._address = server.database()
        self.services = pair(directory, self._address)
        self._lock, self._last = threading.Lock(), 0
        self._writers = [
            Writer(f"w{number}", random.Random(chosen.random()), iter(self._number, None)) for number in range(WRITERS)
        ]
        self._seconds: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        self._seen: Counter[str] = Counter()
        self._repeated = self._documents = 0
        self._open = ExitStack()

    def __enter__(self) -> Failover:
        with ExitStack() as stack:
            for service in self.services:
                wait_for_keys(stack.enter_context(service))
            self._store = open_shared(self._address)
            stack.callback(self._store.close)
            with self.services[0].client() as client:
                client.put(PATH, json={"encoder": None, "dimension": WIDTH}).raise_for_status()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _number(self) -> int:
        with self._lock:
            self._last += 1
            return self._last

    def once(self, kind: str) -> None:
        """Write, kill at a random moment, start again at once, write on through both, and see what is there."""
        stop, acknowledged = threading.Event(), list[Acknowledged]()
        with ThreadPoolExecutor(WRITERS) as pool:
            try:
                writing = [
                    pool.submit(self._write, writer, stop, acknowledged, repeats=number % 2 == 0)
                    for number, writer in enumerate(self._writers)
                ]
                time.sleep(self._chosen.uniform(0.1, self._most_seconds))
                killed = time.monotonic()
                self._kill(kind)
                first = _first_through_both(acknowledged, killed, writing)
            finally:
                stop.set()
            for process in writing:
                process.result()
        self._seconds[kind].append((min(first) - killed, max(first) - killed))
        self._see()

    def _kill(self, kind: str) -> None:
        """Kill, and start what does not start again by itself."""
        if kind == "PostgreSQL":
            self._server.crash()
            self._server.start()
            return
        if kind == "one process of PostgreSQL":
            self._server.kill_connection(self._chosen)
            return
        victims = {"one replica": self.services[:1], "the other replica": self.services[1:]}.get(kind, self.services)
        for victim in victims:
            victim.kill()
        for victim in victims:
            victim.start()

    def _write(self, writer: Writer, stop: threading.Event, acknowledged: list[Acknowledged], *, repeats: bool) -> None:
        """Write until the end, or until a write is not answered, and ask the other replica for what was written."""
        urls = [service.url for service in self.services]
        either = Either(urls, random.Random(writer.chosen.random()), acknowledged, stop, repeats=repeats)
        with ExitStack() as stack:
            client = stack.enter_context(httpx.Client(transport=either, base_url=urls[0], timeout=60))
            clients = [stack.enter_context(service.client()) for service in self.services]
            # A stream has no Idempotency-Key.
            while not stop.is_set() and writer.once(client, streams=not repeats):
                self._ask(writer, clients[1 - either.last])
        self._repeated += either.repeated

    def _ask(self, writer: Writer, other: httpx.Client) -> None:
        """Hold what the other replica has of a writer against what it was acknowledged, in one of three ways."""
        documents = {each: number for each, number in writer.known.items() if number is not None}
        condition = {"field": "metadata.writer", "operator": "==", "value": writer.name}
        way = writer.chosen.choice(("documents", "attended", "attended", "one", "one"))
        body: dict[str, Any] = {"filter": condition, "limit": 1000, "include": _WHOLE}
        if way == "attended":
            body = {"filter": condition, "query": vector(0), "top_k": 1000, "include": _WHOLE, "null": False}
        elif way == "one":
            if not writer.known:
                return
            identity = writer.chosen.choice(list(writer.known))
            body = {"ids": [identity], "include": _WHOLE}
            documents = {identity: documents[identity]} if identity in documents else {}
        try:
            answer = other.post(f"{PATH}/attend" if way == "attended" else f"{PATH}/documents/query", json=body)
        except httpx.TimeoutException:
            raise AssertionError(f"a replica did not answer {way} in time") from None
        except httpx.TransportError:
            return
        if put_off(answer):
            return
        assert answer.status_code == 200, answer.text
        numbers = {
            each["id"]: number_of(each) for each in answer.json()["matches" if way == "attended" else "documents"]
        }
        assert numbers == documents, f"{writer.name} asked the other replica: {_differing(numbers, documents)} differ"
        self._seen[way] += 1

    def _see(self) -> None:
        """See that both replicas and the database hold the same, and that it is what the writers know."""
        both = []
        for service in self.services:
            wait_for_keys(service)
            with service.client() as client:
                both.append(_held_at_last(client))
        assert both[0] == both[1], f"the replicas differ in {_differing(*both)}"
        state = both[0]
        for writer in self._writers:
            writer.settle(state)
        with self._store.reading() as reader:
            record = reader.collection("c")
            rows = reader.rows_where(record.id)
            assert record.documents == len(rows) == sum(len(vector.numbers) for vector in reader.vectors(record.id))
            present = reader.seeing(Visibility(instant=read_clock())).rows_where(record.id)
            assert set(reader.ids(record.id, present)) == state.keys()
        self._documents = len(state)

    def check_rows(self) -> None:
        """Read everything that the database has, and hold it against its checksums."""
        assert list(self._store.check()) == []

    @property
    def acknowledged(self) -> int:
        """Return the number of acknowledged writes."""
        return sum(sum(writer.acknowledged.values()) for writer in self._writers)

    def report(self) -> str:
        """Describe the work so far, and the seconds of recovery from each kind of kill."""
        total = sum((writer.acknowledged for writer in self._writers), Counter[str]())
        kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(total.items()))
        lines = [
            f"{self.acknowledged:,} writes acknowledged ({kinds}); {self._repeated:,} sent again after no answer; "
            f"{sum(self._seen.values()):,} looks through the other replica; {self._documents} documents at last",
            f"{'killed':26} times   first acknowledgement after, s   and through both, s   (median, most)",
        ]
        for kind, seconds in self._seconds.items():
            one, two = zip(*seconds, strict=True)
            first, both = (f"{median(counts):.2f}, {max(counts):.2f}" for counts in (one, two))
            lines.append(f"{kind:26} {len(seconds):5}   {first:>30}   {both:>19}")
        return "\n".join(lines)


def pair(directory: Path, address: str) -> list[Service]:
    """Two services, not started yet, on the database at an address; each logs into a file of the directory."""
    options = ("--encoder", "none", "--slow-request-ms", "0", "--store", address)
    return [Service(directory / name, *options, log=directory / f"{name}.log") for name in ("one", "two")]


def _first_through_both(acknowledged: list[Acknowledged], killed: float, writing: list[Future[None]]) -> list[float]:
    """When each replica first acknowledged a write that was sent after the kill."""
    while time.monotonic() < killed + PATIENCE_SECONDS:
        if failed := next((writer for writer in writing if writer.done() and writer.exception()), None):
            failed.result()
        since = [writer for writer in list(acknowledged) if writer.began >= killed]
        first = [
            min((writer.ended for writer in since if writer.replica == replica), default=None) for replica in (0, 1)
        ]
        if (errors := [writer for writer in first if writer is not None]) and len(errors) == len(first):
            return errors
        time.sleep(0.01)
    raise AssertionError(f"a replica acknowledged nothing for {PATIENCE_SECONDS} s after a kill")


def _held_at_last(client: httpx.Client) -> State:
    """Return the contents of a service, once it has its database again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while put_off(answer := client.get(PATH)):
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.02)
    return held(client)


def _differing(one: State, other: State) -> set[str]:
    return {identity for identity in one | other if one.get(identity) != other.get(identity)}
