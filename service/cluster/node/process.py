"""What a slot's process holds: a shard over a store of its own, which goes on looking by itself."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread

import structlog

from attention.lookup import limit_workers
from service.cluster.node.messages import NodeReport
from service.cluster.node.node import Node
from service.retrieval.collections import MachineCode
from service.storage import SharedStore, StoreUnavailable, open_shared

log = structlog.get_logger("softkv")

AGAIN_SECONDS = 1.0
"""Between two tries to reach the database, where a slot begins while it is away."""


class NodeProcess:
    """A shard that begins with the process, from arguments that can be sent.

    Args:
        name, node: of the slot, and of the machine that it runs on.
        store: the address of a PostgreSQL.
        copies: how many slots hold each range.
        originals: a directory of this machine for float32 vectors; None keeps them in memory.
        sealed: one for files of the ranges, from which a later start has them; None for none.
        threads: in how many it scans; None for as many as there are cores, which slots of one machine share.
        cache: a directory where machine code is kept: until that is loaded, or made, NumPy answers, and more slowly;
            None leaves all to who made this object.
    """

    def __init__(
        self,
        name: str,
        node: str,
        store: str,
        copies: int,
        originals: str | None = None,
        sealed: str | None = None,
        threads: int | None = None,
        cache: str | None = None,
    ) -> None:
        if threads is not None:
            limit_workers(threads)
        if cache is not None:
            Thread(target=MachineCode(Path(cache), encodes=False).load, name="machine code", daemon=True).start()
        folders = [None if each is None else Path(each) for each in (originals, sealed)]
        self._shard = Node(name, node, _opened(store), copies, folders[0], sealed=folders[1])
        self._shard.start()

    def answer(self, message: bytes) -> bytes:
        """See `Node.answer`."""
        return self._shard.answer(message)

    def close(self) -> None:
        """See `Node.close`."""
        self._shard.close()

    def leave(self) -> None:
        """See `Node.leave`."""
        self._shard.leave()

    def left(self) -> bool:
        """See `Node.left`."""
        return self._shard.left

    def report(self) -> NodeReport:
        """See `Node.report`."""
        return self._shard.report


def _opened(address: str) -> SharedStore:
    """The store, as soon as its database is there: a slot that could not be made would be made no second time."""
    while True:
        try:
            return open_shared(address)
        except StoreUnavailable as error:
            log.warning("a slot waits for its database", reason=str(error))
            time.sleep(AGAIN_SECONDS)
