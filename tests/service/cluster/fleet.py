"""A database, a head, machines and services: a whole cluster of one machine's processes, and what it holds."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import httpx
import psycopg

from service.cluster import place_shard
from service.cluster.ray_node import RayNode, prepare
from service.storage import open_shared
from tests.meanwhile import Meanwhile
from tests.postgres import PostgresServer, running
from tests.service.cluster.asking import Asking
from tests.service.cluster.running import Api, Machine
from tests.service.cluster.shelf import Shelf
from tests.waiting import until

LOOK_SECONDS = 0.1


class Fleet:
    """A fleet; it starts and fills everything, and the end of the block ends it.

    Args:
        machines: the number of machines, each with the same number of slots.
        services: the number of `softkv serve` processes.

    Attributes:
        shelf: its documents.
    """

    postgres: PostgresServer
    head: RayNode
    shelf: Shelf

    def __init__(self, folder: Path, *, machines: int = 3, slots: int = 1, services: int = 2, copies: int = 2) -> None:
        self._folder, self._slots, self._copies = folder, slots, copies
        self._numbers = (machines, services)
        self.machines: list[Machine] = []
        self.services: list[Api] = []
        self._open = ExitStack()

    def __enter__(self) -> Fleet:
        with ExitStack() as stack:
            if "RAY_AUTH_TOKEN" not in os.environ:
                os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(16)
                stack.callback(os.environ.pop, "RAY_AUTH_TOKEN")
            prepare()
            self.postgres = stack.enter_context(running(durable=True))
            self._address = self.postgres.database()
            self.head = RayNode(None)
            stack.callback(self.head.close)
            machines, services = self._numbers
            self.services = [
                Api(f"api-{i}", self._address, self.head.address, self._folder, copies=self._copies)
                for i in range(services)
            ]
            # The tables are made by the first one.
            for service in self.services[:1]:
                stack.enter_context(service).wait_until_ready()
            self.machines = [self.another(f"m{i}") for i in range(machines)]
            for begun in (*self.machines, *self.services[1:]):
                stack.enter_context(begun)
            for waited in (*self.machines, *self.services[1:]):
                waited.wait_until_ready()
            self.shelf = Shelf(self._address)
            until(lambda: len(self.members()) == machines * self._slots)
            with httpx.Client(base_url=self.services[0].url, timeout=120, trust_env=False) as client:
                self.shelf.fill(client)
            self.wait_until_whole()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def another(self, name: str) -> Machine:
        """Return a machine that is not started yet; the caller that starts it also closes it."""
        return Machine(name, self._address, self.head.address, self._folder, slots=self._slots, copies=self._copies)

    def asking(self, *, writes: bool = True, temperature: float = 0.2) -> Asking:
        """Clients of all services."""
        return Asking(self.shelf, [service.url for service in self.services], writes=writes, temperature=temperature)

    def members(self) -> set[str]:
        """Return the names of the live slots that stay."""
        with psycopg.connect(self._address, autocommit=True) as connection:
            result = connection.execute(
                "SELECT name FROM slots WHERE NOT leaving AND seen > clock_timestamp() - interval '30 seconds'"
            )
            return {name for (name,) in result}

    def placed(self) -> set[tuple[str, int]]:
        """Return which slots should hold which ranges, given the live slots."""
        number, first_rows = self.shelf.ranges()
        store = open_shared(self._address)
        try:
            members = store.nodes.members()
        finally:
            store.close()
        return {
            (slot, first_row)
            for first_row in first_rows
            for slot in place_shard(number, first_row, members, self._copies)
        }

    def wait_until_slots(self, seconds: float = 120) -> None:
        """Wait until each running machine has all of its slots' processes."""
        until(lambda: all(len(machine.slots()) == self._slots for machine in self.machines), seconds)

    def wait_until_whole(self, seconds: float = 120) -> None:
        """Wait until all slots hold exactly their ranges."""
        until(lambda: self.shelf.held() == self.placed(), seconds, lambda: self.shelf.held() ^ self.placed())


class Moving(Meanwhile):
    """A record of ranges that slots take over during the block.

    Attributes:
        begun: the ranges that each slot held before.
        taken: the existing ranges that slots took over since.
    """

    def __init__(self, fleet: Fleet) -> None:
        super().__init__([self._look])
        self._shelf = fleet.shelf
        self.begun = set[tuple[str, int]]()
        self.taken = set[tuple[str, int]]()

    def __enter__(self) -> Self:
        self.begun = self._shelf.held()
        return super().__enter__()

    def told(self, before: set[tuple[str, int]], after: set[tuple[str, int]]) -> str:
        """Describe how many copies of ranges were read, and how many had to be, by placement before and afterwards."""
        first_rows = {first_row for _, first_row in self.begun}
        least = {replica for replica in after - before if replica[1] in first_rows}
        return f"{len(self.taken)} of {len(self.begun)} copies of ranges, {len(least)} had to be"

    def _look(self) -> None:
        first_rows = {first_row for _, first_row in self.begun}
        while not self.stop.wait(LOOK_SECONDS):
            self.taken |= {replica for replica in self._shelf.held() - self.begun if replica[1] in first_rows}
