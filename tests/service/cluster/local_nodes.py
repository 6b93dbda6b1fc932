"""Slots in this process, asked as others' would be: bytes in, bytes out, in threads; one can be lost, or slow."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from service.cluster import Node, NodeLost
from service.storage import open_shared


class LocalNodes:
    """Some shards on one store, as a transport.

    Attributes:
        lost: slots that answer nothing.
        slow: how many seconds later a slot answers.
        calls: of every message that was sent, the slot and how many bytes.
    """

    def __init__(self, address: str, names: list[str], copies: int) -> None:
        self.shards: dict[str, Node] = {}
        self.lost, self.slow = set[str](), dict[str, float]()
        self.calls = list[tuple[str, int]]()
        self._address, self._copies = address, copies
        self._stores: dict[str, Any] = {}
        self._threads = ThreadPoolExecutor(16)
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Add a slot on a new node."""
        store = self._stores[name] = open_shared(self._address)
        self.shards[name] = Node(name, f"node of {name}", store, self._copies)
        self.shards[name].start()

    def remove(self, name: str) -> None:
        """Remove a slot without any notice to others."""
        self.shards.pop(name).close()
        self._stores.pop(name).close()

    def send(self, node: str, message: bytes) -> Future[bytes]:
        self.calls.append((node, len(message)))
        return self._threads.submit(self._answer, node, message)

    def close(self) -> None:
        for name in list(self.shards):
            self.remove(name)
        self._threads.shutdown()

    def _answer(self, slot: str, message: bytes) -> bytes:
        if slot in self.lost or slot not in self.shards:
            raise NodeLost(f"{slot} is lost")
        time.sleep(self.slow.get(slot, 0.0))
        return self.shards[slot].answer(message)
