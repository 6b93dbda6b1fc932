"""Random events on servers whose clock the test moves: every answer is that of one process at its version.

An event may happen in the middle of another, before any message and before any call of a server to its store. What
happens follows from a seed.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extensions.cluster.tests.answers import check_covered, check_equal
from extensions.cluster.tests.conftest import make_shards_small
from extensions.cluster.tests.local_servers import LocalServers
from softkv_attention.lookup import Limits, Memory, Question, Rows, View, answers, cover_missing_rows
from softkv_cluster.roster import REFRESH_SECONDS
from softkv_cluster.service import Roster, Router, ShardedCatalogue, ShardServer, VersionGone, shard_start, shard_starts
from softkv_service.retrieval import SnapshotGone
from softkv_service.retrieval.collections import sealed
from softkv_service.storage import open_shared
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.errors import StoreUnavailable
from softkv_service.storage.records import DocumentRecord
from tests.postgres import PostgresServer
from tests.service.retrieval.sealing import make_batches_small

pytestmark = pytest.mark.postgres
WIDTH, SHARD_ROWS, EVENTS = 4, 16, 60
ODD = {"field": "metadata.odd", "operator": "==", "value": True}


class InterruptedStore:
    """A server's store: before each call other things happen, or the connection turns out to be lost."""

    def __init__(self, store: Any, name: str, events: Events) -> None:
        self._store, self._name, self._events = store, name, events

    def __getattr__(self, attribute: str) -> Any:
        method = getattr(self._store, attribute)

        def call(*arguments: Any, **options: Any) -> Any:
            if attribute != "close":
                self._events.interrupt(self._name)
                if self._name in self._events.cut:
                    raise StoreUnavailable("the connection is lost")
            return method(*arguments, **options)

        return call


class Events(LocalServers):
    """The servers, a coordinator, and a model of the collection at all versions.

    Attributes:
        troubled: whether a server failed since all of them were well.
        cut: servers without a connection to the store.
        counts: how often each thing happened.
    """

    def __init__(self, seed: int, address: str, folder: Path) -> None:
        self.random, self.now, self.counts = random.Random(seed), 0.0, Counter[str]()
        self.ahead, self.expires = 1e3, dict[int, int]()  # what the clock of expiry is ahead; instants, by row
        self.cut, self._busy, self._depth, self.troubled = set[str](), list[str](), 9, False
        super().__init__(address, clock=lambda: self.now, sealed=folder, limits=Limits(block_rows=SHARD_ROWS))
        self.roster, self._next_refresh = Roster(self.store, self), 0.0
        router = Router(self, self.roster, seconds=0.0, clock=lambda: self.now)
        catalogue = ShardedCatalogue(self.store, None, router, clock=self.clock)
        self.collection: Any = asyncio.run(catalogue.create("c", {"similarity": "cosine", "temperature": 0.1}))[0]
        self.number = self.collection.record.id
        self.version, self.next_row, self.keys = 0, 1, dict[int, np.ndarray]()
        self.documents = [dict[str, range]()]  # the row numbers of each document, by version
        self.resize()
        self._depth = 0

    def start(self, name: str) -> ShardServer:
        self._connect = lambda address: InterruptedStore(open_shared(address), name, self)  # type: ignore
        return super().start(name)

    def send(self, server: str, message: bytes) -> Future[bytes]:
        self.interrupt()
        if server in self.servers and server not in self.lost:
            self.step(server)  # a message for a newer version wakes it
        return super().send(server, message)

    def interrupt(self, server: str | None = None) -> None:
        """Let something happen in the middle of a server's call, or of a message."""
        if self._depth < 2 and self.random.random() < 0.1:
            self._depth += 1
            self._busy.append(server or "")
            self.happen()
            self._busy.pop()
            self._depth -= 1

    def happen(self, *, faults: bool = False) -> None:
        events = {self.write: 8, self.step_one: 14, self.tick: 10, self.probe: 10, self.resize: 1, self.retire: 1}
        if not self._depth:
            events |= {self.query: 12, self.set_clock: 1, self.sweep: 1}
            if faults:
                events |= {self.kill_one: 1, self.restart: 2, self.cut_one: 1, self.lose_one: 1, self.expire: 0.5}
        (event,) = self.random.choices(list(events), list(events.values()))
        event()

    def _choose(self) -> str | None:
        names = sorted(self.servers.keys() - set(self._busy))
        return self.random.choice(names) if names else None

    def write(self) -> None:
        """Write some documents, each with up to three keys, or delete some."""
        if self.random.random() < 0.1:
            with self.store._connection() as connection:
                skipped = self.random.choice([5, 2 * SHARD_ROWS])
                connection.execute("UPDATE softkv.collections SET next_row = next_row + %s", (skipped,))
            self.next_row += skipped
        before, after = self.documents[-1], dict(self.documents[-1])
        names = self.random.sample([f"{i}" for i in range(60)], self.random.randint(1, 6))
        with self.store.writing() as writer:
            if before and self.random.random() < 0.3:
                gone = [name for name in names if after.pop(name, None)]
                if not len(writer.delete_ids(self.number, gone)):
                    return
            else:
                records = []
                for name in names:
                    rows = after[name] = range(self.next_row, self.next_row + self.random.choice([1, 1, 1, 3]))
                    keys = np.random.default_rng(rows.start).standard_normal((len(rows), WIDTH)).astype(np.float32)
                    self.keys |= dict(zip(rows, keys, strict=True))
                    metadata, expires = {"odd": int(name) % 2 == 1}, self.choose_expiry()
                    records.append(DocumentRecord(name, None, name, keys, metadata=metadata, expires=expires))
                    if expires is not None:
                        self.expires[rows.start] = expires
                    self.next_row = rows.stop
                writer.upsert(self.number, records)
        self.version += 1
        self.documents.append(after)
        assert self.store.extents()[self.number] == (self.version, self.next_row)

    def clock(self) -> int:
        """Return the instant by which documents expire."""
        return round(1e6 * (self.now + self.ahead))

    def choose_expiry(self) -> int | None:
        lives = self.random.choice([None, None, -1.0, 0.0, 0.5, 2.0, 10.0])
        return None if lives is None else self.clock() + round(1e6 * lives)

    def set_clock(self) -> None:
        """Set the clock of expiry forwards or back."""
        self.ahead += self.random.choice([3.0, 1.0, -1.0, -3.0])

    def sweep(self) -> None:
        """Delete what has expired."""
        now, after = self.clock(), dict(self.documents[-1])
        with self.store.writing() as writer:
            removed = writer.delete_expired(self.number, now, 1000)
        if len(removed):
            expired = {name for name, rows in after.items() if self.expires.get(rows.start, now + 1) <= now}
            assert {after.pop(name).start for name in expired} == set(removed.tolist())
            self.version += 1
            self.documents.append(after)
            self.counts["sweeps"] += 1

    def step_one(self) -> None:
        if (name := self._choose()) is not None:
            self.step(name)

    def tick(self) -> None:
        self.now += self.random.choice([0.02, 0.1, 0.5])
        if self.now >= self._next_refresh:
            self._next_refresh = self.now + REFRESH_SECONDS
            self.roster.refresh()

    def resize(self) -> None:
        self.deploy(self.random.randint(1, 5), self.random.randint(1, 2))
        self.counts["plans"] += 1

    def retire(self) -> None:
        """End servers beyond the plan that hold nothing any more."""
        planned = set(self.store.cluster_plan().names) | set(self._busy)  # type: ignore[union-attr]
        for name in [name for name in self.servers if name not in planned and not self.servers[name].report.ready]:
            self.kill(name)

    def kill_one(self) -> None:
        if (name := self._choose()) is not None:
            self.kill(name)
            self.troubled = True

    def restart(self) -> None:
        for name in self.store.cluster_plan().names:  # type: ignore[union-attr]
            if name not in self.servers:
                self.start(name)
                self.counts["restarts"] += 1

    def cut_one(self) -> None:
        """Cut the connection of a server to the store, or restore all."""
        self.cut = set() if self.cut else {self._choose() or ""}
        self.troubled = True

    def lose_one(self) -> None:
        """Lose the connection of the coordinator to a server, or restore all."""
        self.lost = set() if self.lost else {self._choose() or ""}
        self.troubled = True

    def expire(self) -> None:
        """Let eleven minutes pass in the store, and delete old rows and the log of old versions."""
        with self.store._connection() as connection:
            connection.execute("UPDATE softkv.changes SET at = at - interval '11 minutes'")
        while self.store._collect_garbage():  # type: ignore[attr-defined]
            pass
        self.troubled = True

    def heal(self) -> None:
        """Restore everything, and wait until all servers hold exactly their shards."""
        self._depth += 9  # nothing else happens
        self.cut, self.lost = set(), set()
        self.restart()
        for _ in range(100):
            self.now += 0.5
            self.step()
            self.roster.refresh()
            if self.held() == self.placed() and self.roster.number > 3:
                break
        else:
            raise AssertionError((self.held(), self.placed()))
        self.now += 0.5
        self.roster.refresh()
        self.troubled = False
        self._depth -= 9

    def expected_rows(self, version: int, first_rows: list[int], *, odd: bool) -> list[int]:
        documents = self.documents[version].items()
        chosen = [
            rows for name, rows in documents if shard_start(rows.start) in first_rows and (int(name) % 2 or not odd)
        ]
        return sorted(row for rows in chosen for row in rows)

    def probe(self) -> None:
        """Ask one server for the rows of some version."""
        if (name := self._choose()) is None or not (starts := list(shard_starts(self.next_row))):
            return
        candidates = [row for _, row in sorted(self.servers[name].report.ready)] or starts
        first_rows = sorted(self.random.sample(candidates, self.random.randint(1, len(candidates))))
        version, odd = max(0, self.version + self.random.randint(-5, 1)), self.random.random() < 0.5
        reply = self.ask(name, self.number, version, first_rows, condition=ODD if odd else None)
        if isinstance(reply, list):
            assert reply == self.expected_rows(version, first_rows, odd=odd)
            self.counts["rows"] += 1
            return
        (kind,) = reply
        self.counts[kind] += 1
        assert {"gone": version <= self.version, "behind": True, "missing": True, "failed": self.troubled}[kind], reply

    def query(self) -> None:
        """Ask the coordinator, and compare its answer with that of one process."""
        key = np.array([self.random.gauss(0, 1) for _ in range(WIDTH)])
        question = Question(key, self.random.choice([0.0, 0.05, 0.5]), null=0.1, top_k=60)
        odd, coverage, began = self.random.random() < 0.3, None, self.clock()
        try:
            with self.collection.snapshot() as snapshot:
                mask = snapshot.mask(Comparison("metadata.odd", "==", True)) if odd else None
                masked = replace(question, mask=mask)
                (result,) = answers(snapshot.view, [masked])
                if snapshot.missing is not None:
                    result, coverage = cover_missing_rows(result, masked, snapshot.view.facts, snapshot.missing)
        except VersionGone:
            self.counts["retries"] += 1
            return
        except SnapshotGone as error:
            if not self.troubled:
                raise AssertionError(f"a query was refused though all servers were well: {error}") from error
            self.counts["refused"] += 1
            return
        documents = self.unexpired(snapshot.version, snapshot.expired_until)
        assert all(began < self.expires.get(rows.start, began + 1) for rows in documents.values())
        self.counts["expired"] += snapshot.expired_until is not None
        whole = self.whole(documents)
        mask = whole.mask(np.array([rows.start for name, rows in documents.items() if int(name) % 2], np.int64))
        (expected,) = answers(whole, [replace(question, mask=mask if odd else None)])
        self.counts["partial answers" if coverage else "answers"] += 1
        if coverage is None:
            check_equal(result, expected)
        else:
            assert self.troubled
            assert (coverage.documents, coverage.total) == (snapshot.view.documents, len(documents))
            check_covered(result, coverage, expected)

    def unexpired(self, version: int, until: int | None) -> dict[str, range]:
        """Return the documents of a version that have not expired at an instant."""
        return {
            name: rows
            for name, rows in self.documents[version].items()
            if until is None or self.expires.get(rows.start, until + 1) > until
        }

    def whole(self, documents: dict[str, range]) -> View:
        """Return a view of the keys of documents."""
        memory = Memory("cosine")
        pairs = [(row, rows.start) for rows in documents.values() for row in rows]
        if pairs:
            numbers, owners = np.array(sorted(pairs), dtype=np.int64).T
            keys = np.array([self.keys[row] for row in numbers.tolist()])
            memory.publish(add=Rows(numbers, keys, None, owners))
        return memory.view


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_batches_small(monkeypatch)
    make_shards_small(monkeypatch, SHARD_ROWS)
    monkeypatch.setattr(sealed, "_PAUSE_SECONDS", 0)


def run(seed: int, address: str, folder: Path) -> Counter[str]:
    """Let things happen: the plan changes, then servers fail as well, then all is well again. Return what happened."""
    with closing(Events(seed, address, folder)) as events:
        for faults in (False, True, False):
            for _ in range(EVENTS):
                events.happen(faults=faults)
            events.heal()
            for _ in range(3):
                events.query()
        return events.counts


@pytest.mark.parametrize("seed", [1, 2])
def test_some_random_events(seed: int, address: str, tmp_path: Path) -> None:
    counts = run(seed, address, tmp_path)
    assert counts["answers"] > 20
    assert counts["expired"] > 10
    assert counts["plans"] > 2


@pytest.mark.thorough
def test_many_random_events(postgres: PostgresServer, tmp_path: Path) -> None:
    counts = Counter[str]()
    for seed in range(3, 63):
        counts += run(seed, postgres.database(), tmp_path / f"{seed}")
    happened = (
        "rows",
        "gone",
        "behind",
        "missing",
        "failed",
        "retries",
        "refused",
        "partial answers",
        "restarts",
        "sweeps",
    )
    assert [name for name in happened if not counts[name]] == []
