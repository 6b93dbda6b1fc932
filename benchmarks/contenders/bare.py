"""A server that answers every request with the same bytes: how many answers a second its callers can take."""

from __future__ import annotations

import multiprocessing
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.callers import AT_ONCE
from benchmarks.contenders.server import HOST
from benchmarks.contenders.wire import Address, Wire


@contextmanager
def answering(wire: Wire, answer: bytes) -> Iterator[Address]:
    """Such a server in a process of its own → where it listens."""
    with socket.create_server((HOST, 0), backlog=256) as listener:  # here: another could take a port that is free now
        serving = multiprocessing.get_context("spawn").Process
        process = serving(target=serve, args=(listener, wire, answer), daemon=True)
        process.start()
        try:
            yield listener.getsockname()
        finally:
            process.terminate()
            process.join()


def serve(listener: socket.socket, wire: Wire, answer: bytes) -> None:
    """Until the process is ended."""
    with listener, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        received: dict[socket.socket, bytes] = {}
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(connection, selectors.EVENT_READ)
                    received[connection] = b""
                else:
                    _answer(key.fileobj, wire, answer, received, selector)


def _answer(
    connection: socket.socket,
    wire: Wire,
    answer: bytes,
    received: dict[socket.socket, bytes],
    selector: selectors.BaseSelector,
) -> None:
    """Read on; where a request is whole, answer it."""
    try:
        data = connection.recv(AT_ONCE)
        so_far = received[connection] + data
        if data and wire.asked(so_far):
            connection.sendall(answer)
            so_far = b""
        received[connection] = so_far
    except OSError:
        data = b""
    if not data:
        selector.unregister(connection)
        connection.close()
        del received[connection]
