"""One child process that scans, as the process that asks sees it."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from weakref import WeakKeyDictionary, finalize

from attention.lookup.memory.bits import Bits
from attention.lookup.memory.blocks import Block
from attention.lookup.memory.view import Mask, View
from attention.lookup.parts.gathered import Gathered
from attention.lookup.parts.processes.asked import Asked, heard
from attention.lookup.parts.processes.messages import packed, unpacked
from attention.lookup.parts.processes.shared_blocks import described
from attention.shared_memory import Array

PATIENCE = 60.0
"""Seconds that a process may take to hear a question, and to answer it; then it is ended."""


class ProcessLostError(Exception):
    """The process has ended, or cannot answer: who asks has to scan the part itself."""


class Process:
    """A child that maps blocks and scans them.

    Args:
        threads: in how many it scans.
        cores: which of the machine's it may use; empty for any.
        directory: where machine code is kept, see `attention.lookup.prepare`.
        lost: is told, once, why the process answers no more, in a thread of this object.

    Attributes:
        began: whether it ever was ready.
    """

    def __init__(self, threads: int, cores: Sequence[int], directory: Path | None, lost: Callable[[str], None]) -> None:
        mine, theirs = Pipe()
        options = [str(theirs.fileno()), str(threads), ",".join(map(str, cores)), str(directory or "")]
        command = [sys.executable, "-m", "attention.lookup.parts.processes.child", *options]
        with theirs:
            # In a session of its own: what ends this process, as Ctrl-C does, is for this one to tell.
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True
            )
        self._connection: Connection = mine
        _give_up_sending_after(mine, PATIENCE)
        self._told = _Told()
        self._waiting: dict[int, Future[bytes]] = {}
        self._turns = count()
        self._sending = Lock()
        self.began, self._over = False, False
        self._lost = lost
        Thread(target=self._listen, name="scan process", daemon=True).start()

    @property
    def ready(self) -> bool:
        """Whether it has its machine code, and answers."""
        return self.began and not self._over

    @property
    def pid(self) -> int:
        """The number that the system knows it by."""
        return self._child.pid

    def ask(self, view: View, mask: Mask | None, asked: Asked) -> Callable[[], Gathered]:
        """Have a part scanned → what waits for it.

        Args:
            view: whose blocks are all `described`.

        Raises:
            ProcessLostError: here, or as the answer is waited for.
        """
        answer = Future[bytes]()
        with self._sending:
            turn = next(self._turns)
            self._waiting[turn] = answer
            try:
                self._tell(view, mask)
                said, arrays = asked.message()
                numbers = {"view": self._told.number(view), "mask": None if mask is None else self._told.number(mask)}
                self._send({"call": "gather", "turn": turn, **numbers, **said}, arrays)
            except OSError as error:
                self._waiting.pop(turn, None)
                self.end()  # it may have half of a message
                raise ProcessLostError(str(error)) from None
        if self._over:  # nobody listens any more, and the answer was asked for behind the last look
            self._give_up("it has ended")

        def waited() -> Gathered:
            try:
                said, arrays = unpacked(answer.result(PATIENCE))
            except TimeoutError:
                self.end()
                raise ProcessLostError(f"no answer came in {PATIENCE:.0f} s") from None
            if "failed" in said:
                raise ProcessLostError("it could not scan its part, and wrote why to its standard error")
            return heard(Gathered, said, arrays)

        return waited

    def end(self) -> None:
        """Have it end now."""
        self._child.kill()

    def close(self) -> None:
        """Have it end, and wait until it has."""
        self._lost = _nobody
        self.end()
        self._child.wait()

    def _tell(self, view: View, mask: Mask | None) -> None:
        """Tell it of all that it has not heard of, and what is gone."""
        if gone := self._told.gone():
            self._send({"call": "forget", "numbers": gone}, {})
        if self._told.new(view):
            for segment in view.segments:
                if self._told.new(segment.block):
                    self._send_block(segment.block)
            self._send_view(view)
        if mask is not None and self._told.new(mask):
            arrays = {f"bits {index}": bits.packed for index, bits in enumerate(mask.bits) if bits is not None}
            self._send({"call": "mask", "number": self._told.number(mask), "view": self._told.number(view)}, arrays)

    def _send_block(self, block: Block) -> None:
        found = described(block)
        assert found is not None
        self._send({"call": "block", "number": self._told.number(block), **found.said}, {})
        for file in found.files:
            send_handle(self._connection, file.descriptor, self._child.pid)

    def _send_view(self, view: View) -> None:
        segments, arrays = [], {}
        for index, segment in enumerate(view.segments):
            segments.append((self._told.number(segment.block), segment.count, segment.live is not None))
            if segment.live is not None:
                arrays[f"live {index}"] = Bits.of(segment.live).packed
        said = {name: getattr(view, name) for name in ("similarity", "dimension", "value_dimension")}
        self._send({"call": "view", "number": self._told.number(view), "segments": segments, **said}, arrays)

    def _send(self, said: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        self._connection.send_bytes(packed(said, arrays))

    def _listen(self) -> None:
        """Until it has ended, hand its answers to those who wait."""
        with suppress(OSError, EOFError):
            while True:
                message = self._connection.recv_bytes()
                said, _ = unpacked(message)
                if "ready" in said:
                    self.began = True
                elif (answer := self._waiting.pop(said["turn"], None)) is not None:
                    answer.set_result(message)
        self._over = True
        self._child.wait()
        self._give_up(f"it has ended with {self._child.returncode}")
        self._lost(f"a process that scans has ended with {self._child.returncode}")

    def _give_up(self, reason: str) -> None:
        while self._waiting:
            with suppress(KeyError):
                _, answer = self._waiting.popitem()
                answer.set_exception(ProcessLostError(reason))


class _Told:
    """Which of the things that live here another process has heard of, and by which numbers."""

    def __init__(self) -> None:
        self._numbers: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        self._gone: deque[int] = deque()
        self._next = count()

    def new(self, thing: View | Mask | Block) -> bool:
        """Whether it has not heard of it until now."""
        if thing in self._numbers:
            return False
        self._numbers[thing] = next(self._next)
        finalize(thing, self._gone.append, self._numbers[thing]).atexit = False
        return True

    def number(self, thing: View | Mask | Block) -> int:
        """Of what it has heard of."""
        return self._numbers[thing]

    def gone(self) -> list[int]:
        """The numbers of what has gone since this was asked."""
        return [self._gone.popleft() for _ in range(len(self._gone))]


def _give_up_sending_after(connection: Connection, seconds: float) -> None:
    """Have what is sent fail where the other end takes nothing for so long."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        whole = int(seconds)
        most = struct.pack("@ll", whole, int(1e6 * (seconds - whole)))  # a timeval
        same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, most)


def _nobody(_: str) -> None:
    """To be told when nobody wants to know."""
