"""Machines of a cluster, each a process with its own Ray node, like `softkv shard`.

`python -m tests.service.cluster.machines ADDRESS FOLDER SLOT…` joins, starts slots with an `Echo`, and reports that in
a line. Each line of its standard input is a question, `SLOT MESSAGE`, and each gets a line as its answer.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.cluster import ClusterError, join_cluster, open_transport
from tests.running import children_of

HOLDER = "tests.service.cluster.echo:Echo"


class Machine:
    """Starts one, and waits until its slots answer."""

    def __init__(self, address: str, folder: Path, *slots: str) -> None:
        command = [sys.executable, "-m", "tests.service.cluster.machines", address, str(folder), *slots]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the machine ended; its errors are above"
        message = json.loads(line)
        self.node: str = message["node"]
        self.address: str = message["address"]

    def asks(self, slot: str, message: str) -> dict[str, str]:
        """Let it ask a slot; return the answer or the error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{slot} {message}\n")
        self._process.stdin.flush()
        answered: dict[str, str] = json.loads(self._process.stdout.readline())
        return answered

    def runs(self) -> bool:
        return self._process.poll() is None

    def busy_seconds(self) -> float:
        """Return the processor seconds that it has used so far."""
        user, system = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def node_process(self) -> int:
        """Return the pid of its `ray start`, whose process group has all processes of Ray except the slots."""
        [pid] = children_of(self._process.pid, module="ray.scripts.scripts")
        return pid

    def kill_node(self) -> None:
        """Send SIGKILL to its whole node, like a power failure."""
        os.killpg(self.node_process(), signal.SIGKILL)

    def close(self) -> None:
        """Let it leave, or end it if it does not."""
        with suppress(BrokenPipeError):
            self._process.communicate(timeout=30)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def machine(address: str, folder: Path, *slots: str) -> Iterator[Machine]:
    """One for as long as the block runs."""
    made = Machine(address, folder, *slots)
    try:
        yield made
    finally:
        try:
            made.close()
        finally:
            made.kill()


def _serve(address: str, folder: str, *slots: str) -> None:
    membership = join_cluster(address, Path(folder))
    try:
        for slot in slots:
            membership.start(slot, HOLDER, {"name": slot})
        _say({"node": membership.node, "address": membership.address})
        asking = open_transport()
        for line in sys.stdin:
            slot, _, message = line.rstrip("\n").partition(" ")
            try:
                reply = {"answer": asking.send(slot, message.encode()).result(30).decode()}
            except (ClusterError, TimeoutError) as error:
                reply = {"error": f"{type(error).__name__}: {error}"}
            _say(reply)
    finally:
        membership.close()


def _say(message: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
