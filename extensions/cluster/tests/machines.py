"""An operator's Ray cluster on this machine: a head and machines, of which each can be killed as by a power failure.

`python -m extensions.cluster.tests.machines COMMAND` runs `ray start …`, adopts all processes that this starts, and
kills them when its standard input closes. So nothing is left behind, even if the tests themselves are killed.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Self

from benchmarks.running import free_port
from tests.waiting import until

ROOT = Path(__file__).parents[3]
RAY = (sys.executable, "-m", "ray.scripts.scripts", "start")
# Free ports, because this machine has several Ray nodes.
OPTIONS = (
    "--object-store-memory=100000000",
    "--include-log-monitor=false",
    "--min-worker-port=0",
    "--max-worker-port=0",
    "--dashboard-agent-listen-port=0",
    "--disable-usage-stats",
)
PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h
START_SECONDS = 240


class Machine:
    """A Ray node with all of its processes; the constructor starts it and does not wait.

    Args:
        folder: Ray's temporary directory; its path has to be short.
        arguments: further options of `ray start`.
    """

    def __init__(self, name: str, folder: Path, environment: dict[str, str], *arguments: str) -> None:
        # A home directory of its own, as if it had a disk of its own.
        self.name, self._environment = name, environment | {"HOME": str(folder / name)}
        self._log = folder / f"{name}.log"
        self._command = [*RAY, *OPTIONS, f"--temp-dir={folder / name}", *arguments]
        self.start()

    def start(self) -> None:
        """Start the machine, or start it again after `kill`."""
        command = [sys.executable, "-m", __spec__.name, *self._command]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                cwd=ROOT,
                start_new_session=True,
            )

    def wait_until_started(self) -> None:
        """Wait until Ray runs."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"started\n", self._log.read_text()

    def processes(self, word: str) -> list[int]:
        """Return the machine's processes whose command line contains a word, in ascending order."""
        return sorted(pid for pid in descendants(self._process.pid) if word in command_of(pid))

    @property
    def servers(self) -> list[int]:
        """The processes of shard servers."""
        return self.processes("ray::_ServerActor")

    @property
    def runs(self) -> bool:
        """Whether its Ray node runs."""
        return bool(self.processes("raylet/raylet"))

    def kill(self) -> None:
        """Send SIGKILL to all processes of the machine."""
        kill_all(self._process.pid)
        self.close()

    def close(self) -> None:
        """End the machine, if it runs."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()


class RayMachines:
    """A head and machines of one processor each while the block runs; the head's state survives its process.

    Processes that join on this host connect to the Ray node of the head. So `kill_head` kills only the head's server,
    as if these processes were on machines of their own.

    Attributes:
        address: `HOST:PORT` of the head.
        environment: variables for processes that join.
    """

    def __init__(self, count: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="softkv-ray-"))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SOFTKV_", "RAY_"))},
            "PYTHONPATH": os.pathsep.join(
                str(ROOT / folder) for folder in (".", "attention", "service", "clients/python")
            ),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "3600",
            "RAY_worker_niceness": "0",  # by default servers get a fraction of the processor beside other processes
        }
        self._restarted: list[subprocess.Popen[bytes]] = []
        self._port = free_port()
        self.address = f"{local_address()}:{self._port}"
        self._count = count
        self.machines: list[Machine] = []

    def __enter__(self) -> Self:
        state = self._folder / "state"
        state.mkdir()
        stored = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(state)}
        role = ("--head", f"--port={self._port}", "--num-cpus=0", "--include-dashboard=false")
        self.head = Machine("head", self._folder, self.environment | stored, *role)
        try:
            self.head.wait_until_started()
            for _ in range(self._count):
                self.add()
            for machine in self.machines:
                machine.wait_until_started()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for machine in (*self.machines, self.head):
            machine.kill()
        for process in self._restarted:
            process.kill()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, *arguments: str) -> Machine:
        """Start one more machine, and do not wait for it."""
        name = f"m{len(self.machines)}"
        options = (f"--address={self.address}", "--num-cpus=1", *arguments)
        self.machines.append(Machine(name, self._folder, self.environment, *options))
        return self.machines[-1]

    def kill_head(self) -> None:
        """Kill the head's server."""
        [pid] = self._head_servers()
        self._head_command = command_of(pid).rstrip("\0").split("\0")
        variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
        self._head_environment = dict(entry.split("=", 1) for entry in variables if "=" in entry)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not self._head_servers())

    def start_head(self) -> None:
        """Start the head's server again, from its state on disk."""
        log = (self._folder / "head.log").open("ab")
        with log:
            process = subprocess.Popen(self._head_command, env=self._head_environment, stdout=log, stderr=log)
        self._restarted.append(process)
        until(lambda: is_open(self.address))

    def _head_servers(self) -> list[int]:
        restarted = [process.pid for process in self._restarted if process.poll() is None]
        return [*self.head.processes("gcs_server"), *restarted]


def descendants(pid: int) -> list[int]:
    """Return the running processes that a process or its descendants started."""
    children = defaultdict[int, list[int]](list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children[int(parent)].append(int(path.parent.name))
    pids = list(children[pid])
    for child in pids:
        pids += children[child]
    return pids


def kill_all(pid: int) -> None:
    """Send SIGKILL to all descendants of a process, and wait until they are gone."""

    def gone() -> bool:
        running = descendants(pid)
        for process in running:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return not running

    until(gone)


def command_of(pid: int) -> str:
    """Return the command line of a process; empty if it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def is_open(address: str) -> bool:
    """Return whether a process listens at `HOST:PORT`."""
    host, _, port = address.rpartition(":")
    with suppress(OSError):
        socket.create_connection((host, int(port)), timeout=5).close()
        return True
    return False


def local_address() -> str:
    """Return the address of this machine that Ray chooses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def _adopt(command: list[str]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True, timeout=START_SECONDS)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # from now on the kernel removes processes that have ended
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    sys.stdout.write("started\n")
    sys.stdout.flush()
    sys.stdin.read()
    kill_all(os.getpid())


if __name__ == "__main__":
    _adopt(sys.argv[1:])
