"""A server that answers every request with the same bytes: how many answers a second its callers can take."""

from __future__ import annotations

import multiprocessing
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.callers import AT_ONCE
from benchmarks.contenders.server import HOST, free_port
from benchmarks.contenders.store import until_answered
from benchmarks.contenders.wire import Address, Wire


@contextmanager
def answering(wire: Wire, answer: bytes) -> Iterator[Address]:
    """Such a server in a process of its own → where it listens."""
    address = (HOST, free_port())
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(address, wire, answer), daemon=True)
    process.start()
    try:
        until_answered(lambda: socket.create_connection(address).close(), seconds=60)
        yield address
    finally:
        process.terminate()
        process.join()


def serve(address: Address, wire: Wire, answer: bytes) -> None:
    """Until the process is ended."""
    with socket.create_server(address, backlog=256) as listener, selectors.DefaultSelector() as selector:
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
