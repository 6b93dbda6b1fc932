"""A whole deployment in processes of this machine: PostgreSQL, a Ray cluster, shard servers and services."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import httpx

from extensions.cluster.tests.asking import Asking
from extensions.cluster.tests.machines import Machine, RayMachines
from extensions.cluster.tests.running import Process, Service, as_arguments, run
from extensions.cluster.tests.shelf import Shelf
from tests.postgres import PostgresServer, running
from tests.waiting import until

HOLD_SECONDS = 900


class Fleet:
    """A deployment with documents, which starts and ends with the block.

    Args:
        folder: a directory for logs and files.
        machines: the number of machines, of one processor each.
        servers: the number of shard servers; 0 deploys none.
        services: the number of services.
        far_keys: the number of further keys, far from every query.
        width: the number of dimensions.

    Attributes:
        shelf: the documents.
    """

    postgres: PostgresServer
    ray: RayMachines
    shelf: Shelf

    def __init__(
        self,
        folder: Path,
        *,
        machines: int = 4,
        servers: int = 3,
        services: int = 2,
        copies: int = 2,
        far_keys: int = 0,
        width: int = 16,
        vectors: str = "memory",
    ) -> None:
        self._folder, self._vectors = folder, vectors
        self._machine_count, self._service_count = machines, services
        self.servers, self.copies = servers, copies
        self._far_keys, self._width = far_keys, width
        self.services: list[Service] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.postgres = stack.enter_context(running(durable=True))
            self.store = self.postgres.database()
            self.ray = stack.enter_context(RayMachines(self._machine_count))
            if self.servers:
                self.up(self.servers, self.copies)
            for number in range(self._service_count):
                self.services.append(stack.enter_context(self.service(f"service-{number}")))
            for service in self.services:
                service.wait_until_ready()
            self.shelf = Shelf(self.store, far_keys=self._far_keys, width=self._width)
            with self.client() as client:
                self.shelf.fill(client)
            if self.servers:
                self.wait_until_whole()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def machines(self) -> list[Machine]:
        return self.ray.machines

    def client(self) -> httpx.Client:
        """Return a client of the first service."""
        return httpx.Client(base_url=self.services[0].url, timeout=120, trust_env=False)

    def service(self, name: str) -> Service:
        """Return a service that has not started yet."""
        return Service(self.ray.environment, self._folder / f"{name}.log", self.store, self.ray.address)

    def command(self, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `softkv cluster NAME`."""
        return run(self.ray.environment | environment, *self._arguments(name, *arguments))

    def process(self, log: str, *arguments: str) -> Process:
        """Return `softkv cluster up` as a process that has not started yet."""
        return Process(self.ray.environment, self._folder / f"{log}.log", *self._arguments("up", *arguments))

    def up_arguments(self, servers: int, copies: int) -> list[str]:
        """Return the options of `softkv cluster up` for these numbers."""
        return as_arguments({"servers": str(servers), "copies": str(copies), "vector-storage": self._vectors})

    def up(self, servers: int, copies: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `softkv cluster up`, and check that it succeeds."""
        done = self.command("up", *self.up_arguments(servers, copies), *arguments)
        assert done.returncode == 0, done.stderr
        return done

    def asking(self) -> Asking:
        """Return clients of all services, which ask while a block runs."""
        return Asking(self.shelf, [service.url for service in self.services])

    def is_whole(self) -> bool:
        """Return whether every service says that each shard has all of its copies."""
        return all(
            (status := service.status()) is not None
            and status["ranges"] is not None
            and status["whole"] == status["ranges"]
            for service in self.services
        )

    def wait_until_whole(self) -> None:
        """Wait until each shard has all of its copies."""
        until(self.is_whole, HOLD_SECONDS, lambda: [service.status() for service in self.services])

    def wait_until_whole_again(self) -> None:
        """Wait until the services have noticed that copies are lost, and until each shard has all of them again."""
        until(lambda: not self.is_whole(), 60)
        self.wait_until_whole()

    def restart_machines(self) -> None:
        """Start the machines again that have ended, and wait for them."""
        ended = [machine for machine in self.machines if not machine.runs]
        for machine in ended:
            machine.kill()
            machine.start()
        for machine in ended:
            machine.wait_until_started()

    def _arguments(self, name: str, *arguments: str) -> list[str]:
        return ["cluster", name, "--store", self.store, "--shards", self.ray.address, *arguments]
