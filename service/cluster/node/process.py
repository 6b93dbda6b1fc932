"""A node's process: a node with its own connection to the store, which syncs in a thread."""

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

CONNECT_RETRY_SECONDS = 1.0
"""Interval between two attempts to reach the database when a node starts."""


class NodeProcess:
    """A node that starts with its process; its arguments can be pickled.

    Args:
        name: the node's name.
        node: the machine's name.
        store: the address of a PostgreSQL database.
        copies: the number of nodes that hold each shard.
        originals: a directory of this machine for float32 vectors; None keeps them in memory.
        sealed: a directory for replica files, which make the next start faster; None writes no files.
        threads: threads to scan with; None for all cores, which the nodes of one machine share.
        cache: a directory for machine code. NumPy answers, more slowly, until the code is loaded or compiled.
            None loads no machine code.
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
        folders = [None if folder is None else Path(folder) for folder in (originals, sealed)]
        self._node = Node(name, node, _open_store(store), copies, folders[0], sealed=folders[1])
        self._node.start()

    def answer(self, message: bytes) -> bytes:
        """Answer a message from the version, shards and documents that it names, or refuse it, as `Node.answer`."""
        return self._node.answer(message)

    def close(self) -> None:
        """Stop syncing with the store, and wait for a running sync."""
        self._node.close()

    def leave(self) -> None:
        """Start to leave: other nodes take over the replicas from the next sync on."""
        self._node.leave()

    def left(self) -> bool:
        """Return whether the node is leaving and holds no replicas any more."""
        return self._node.left

    def report(self) -> NodeReport:
        """Return the node's report about itself."""
        return self._node.report


def _open_store(address: str) -> SharedStore:
    """Open the store, and retry until its database is reachable.

    If this raised instead, Ray would not create the node again.
    """
    while True:
        try:
            return open_shared(address)
        except StoreUnavailable as error:
            log.warning("node waits for its database", reason=str(error))
            time.sleep(CONNECT_RETRY_SECONDS)
