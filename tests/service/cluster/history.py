"""Random events of slots over a simulated store, drawn from a seed: one event may interrupt another."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attention.lookup import of_bytes, to_bytes
from service.cluster import SHARD_ROWS, place_shard, shard_starts
from service.storage import NodeRecord
from tests.service.cluster.linked import COPIES, Running
from tests.service.cluster.simulated import ODD, SimulatedStore

EVENTS = 120


class History:
    """One history; `counts` says how often what happened."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.folder = folder  # of the disk that all slots have
        self.random = random.Random(seed)
        self.now = 1000.0
        self.store = SimulatedStore(lambda: self.now)
        self.slots: dict[str, Running] = {}
        self.counts: dict[str, int] = {}
        self._depth = self._joined = 0
        self.quiet = False
        self.wild = self.chance(0.3)
        for _ in range(self.random.randint(1, 4)):
            self.join()
        self.store.create()

    def chance(self, of: float) -> bool:
        return not getattr(self, "quiet", False) and self.random.random() < of

    def count(self, event: str) -> None:
        self.counts[event] = self.counts.get(event, 0) + 1

    def meanwhile(self) -> None:
        if self._depth < 3 and self.chance(0.12):
            self._depth += 1
            for _ in range(self.random.randint(1, 2)):
                self.happen()
            self._depth -= 1

    def happen(self) -> None:
        happenings = [
            (self.write, 8), (self.look, 14), (self.work, 8), (self.pass_time, 8), (self.ask, 14), (self.clear, 1),
            (self.create, 0.4), (self.delete, 0.2), (self.join, 0.7), (self.leave, 0.5), (self.die, 0.4),
            (self.restart, 1), (self.cut, 0.6),
        ]  # fmt: skip
        (event,) = self.random.choices([name for name, _ in happenings], [weight for _, weight in happenings])
        event()

    def _some(self) -> Running:
        return self.slots[self.random.choice(sorted(self.slots))]

    def _collection(self) -> int | None:
        return self.random.choice(sorted(self.store.collections)) if self.store.collections else None

    def write(self) -> None:
        if (number := self._collection()) is None:
            return
        collection = self.store.collections[number]
        for _ in range(self.random.choice([1, 1, 1, 3, 80 if self.wild else 2])):
            keys = [self.random.choice([1, 1, 1, 3]) for _ in range(self.random.randint(0, 4))]
            living = [document.row for document in collection.documents if document.lives(collection.version)]
            removed = self.random.sample(living, min(len(living), self.random.randint(0, 2)))
            skipped = self.random.choice([0, 0, 0, 5000, 60_000, 131_070])
            if collection.next_row > 6 * SHARD_ROWS:
                skipped = 0
            collection.write(keys, removed, skipped=skipped if keys else 0, now=self.now)

    def look(self) -> None:
        self._some().step()

    def work(self) -> None:
        self._some().run_task()

    def pass_time(self) -> None:
        self.now += self.random.choice([0.01, 0.1, 0.3, 1.0, 4.0])
        if self._depth == 0 and self.wild and self.chance(0.1):
            self.pass_long()

    def pass_long(self) -> None:
        """Let enough time pass that deleted rows are cleared, and a slot that was offline cannot follow."""
        self._some().down_until = self.now + 690.0
        for _ in range(3):
            self.write()
            for _ in range(4):
                self.look()
        for _ in range(170):
            self.now += 4.0
            self.look()
        self.write()
        self.clear()
        for _ in range(20):
            self.ask()
        self.count("long")

    def clear(self) -> None:
        for collection in self.store.collections.values():
            collection.clear(self.now)

    def create(self) -> None:
        if len(self.store.collections) < 3:
            self.store.create()

    def delete(self) -> None:
        if (number := self._collection()) is not None:
            self.store.delete(number)

    def join(self) -> None:
        if len(self.slots) < 6:
            self._joined += 1
            name = f"slot-{self._joined}"
            self.slots[name] = Running(self, name, f"node-{self.random.randint(1, 3)}")

    def leave(self) -> None:
        if len(self.slots) > 1:
            self._some().shard.leave()

    def die(self) -> None:
        """Kill a slot without notice."""
        running = self._some()
        if len(self.slots) > 1 and not running.stepping:
            running.dead = True
            del self.slots[running.shard.name]

    def restart(self) -> None:
        """Kill a slot that has run for a while; another of its name returns at once, with its files."""
        if (running := self._some()).stepping:
            return
        for _ in range(3):
            running.step()
            while running.tasks:
                running.run_task()
        running.dead = True
        self.slots[running.shard.name] = Running(self, running.shard.name, running.shard.node)

    def cut(self) -> None:
        self._some().down_until = self.now + self.random.choice([1.0, 10.0, 60.0, 700.0 if self.wild else 5.0])

    def ask(self) -> None:
        """Ask any slot about any version of any ranges; check that it answers from that version, or refuses truly."""
        if (number := self._collection()) is None:
            return
        collection = self.store.collections[number]
        version = max(0, collection.version - self.random.choice([0, 0, 0, 1, 1, 2, 5, 70, -1]))
        first_rows = list(shard_starts(collection.next_row)) or [0]
        running = self._some()
        if held_rows := sorted(
            {row for collection_number, row in running.held if collection_number == number and self.chance(0.8)}
        ):
            first_rows = held_rows
        expected = self.random.sample(first_rows, self.random.randint(1, len(first_rows)))
        self.asked(running, number, version, expected, self.random.choice([None, ODD]))

    def asked(self, running: Running, number: int, version: int, expected: list[int], condition: str | None) -> Any:
        collection = self.store.collections[number]
        question = {"collection": number, "version": version, "ranges": expected, "condition": condition, "seconds": 0}
        reply, arrays = of_bytes(running.shard.answer(to_bytes(question, {})))
        if "rows" in arrays:
            assert version <= collection.version
            rows = [
                row
                for document in collection.ever
                if document.lives(version)
                and document.row - document.row % SHARD_ROWS in expected
                and (condition is None or document.odd)
                for row in document.rows
            ]
            assert arrays["rows"].tolist() == rows
            self.count("answered")
        elif "missing" in reply:
            assert set(reply["missing"]) <= set(expected)
            self.count("missing")
        elif "behind" in reply:
            assert reply["behind"] < version
            self.count("behind")
        else:
            assert reply == {"gone": True} or "Down" in reply["failed"] or "CollectionMissing" in reply["failed"], reply
            self.count("gone" if "gone" in reply else "failed")
        return arrays.get("rows")

    def check_given_up(self, number: int, first_row: int) -> None:
        """Check that enough other slots have announced the range, and that those between two looks hold it."""
        members = {member.name for member in self.store.members()}
        telling = {slot for slot, *shard in self.store.held if shard == [number, first_row] and slot in members}
        assert len(telling) >= min(COPIES, len(members)) > 0
        for name in telling & self.slots.keys():
            running = self.slots[name]
            if not running.stepping and running.shard._assignment._joined:
                told_now = (number, first_row) in running.shard._assignment._published
                assert (number, first_row) in running.held or not told_now
        self.count("given up")

    def check_lost(self, number: int, first_row: int) -> None:
        """Check that a slot loses a range only if it could not follow the log."""
        assert self.store.collections[number].cleared
        self.count("lost")

    def settle(self) -> None:
        """Stop all events: lines are up, and all slots run until nothing changes."""
        self.quiet = True
        for running in self.slots.values():
            running.down_until = 0.0
        for _ in range(25):
            self.now += 2.0
            for name, running in sorted(self.slots.items()):
                while running.tasks:
                    running.run_task()
                running.step()
                if running.shard.left:
                    self.store.register.pop(name, None)
        self.slots = {name: slot for name, slot in self.slots.items() if not slot.shard.left}
        self.clear()

    def check(self) -> None:
        """Check that exactly the assigned slots hold each range, and that they answer."""
        members = [NodeRecord(name, slot.shard.node) for name, slot in self.slots.items() if not slot.shard._leaving]
        assert {member.name for member in self.store.members()} == {member.name for member in members}
        for number, collection in self.store.collections.items():
            for first_row in shard_starts(collection.next_row):
                expected = set(place_shard(number, first_row, members, COPIES))
                holding = {name for name, slot in self.slots.items() if (number, first_row) in slot.held}
                registered = {
                    holder.node.name for holder in self.store.holders(number) if holder.first_row == first_row
                }
                if members:
                    assert holding == registered == expected
                for name in holding & expected:
                    for condition in (None, ODD):
                        result = self.asked(self.slots[name], number, collection.version, [first_row], condition)
                        assert result is not None
        existing = set(self.store.collections)
        assert all(number in existing for slot in self.slots.values() for number, _ in slot.held)


def lived(seed: int) -> History:
    with TemporaryDirectory() as folder:
        history = History(seed, Path(folder))
        for _ in range(EVENTS):
            history.happen()
        history.settle()
        history.check()
    return history
