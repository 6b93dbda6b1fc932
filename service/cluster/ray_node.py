"""A Ray node on this machine: the child process `ray start`, which ends with the process that started it.

Every process that joins a cluster starts its own Ray node, which runs only this process's work. So it may end with the
process, and one machine may have several Ray nodes.
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
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from filelock import FileLock

from service.cluster.errors import ClusterUnreachable, TokenRefused

ENVIRONMENT = {
    # A caller of an actor can run code in it.
    "RAY_AUTH_MODE": "token",
    # The default is 60 s: then a Ray node without its head ends, with the processes of its drivers.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "3600",
    # Messages are sent directly instead of through Ray's object store: 5 ms a MB instead of 17.
    "RAY_max_direct_call_object_size": "16777216",
    # A call to a dead process fails without waiting for the reason from the head: 0.3 s instead of 1.9.
    "RAY_timeout_ms_task_wait_for_death_info": "10",
    # The seconds in which an ending Ray node drains; its actors have ended before.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Messages about a Ray node's processes are in its own log; they would also appear on standard output.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
RAY = (sys.executable, "-m", "ray.scripts.scripts")
# For messages that are too large to be sent directly.
STORE_BYTES = 100_000_000
STARTED = "Ray runtime started"
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
END_SECONDS = 8.0
CHECK_SECONDS = 30.0
CONNECT_SECONDS = 10.0
"""Time limit for a head that does not answer yet."""


class RayNode:
    """A Ray node; the constructor starts it and waits until it runs.

    Args:
        address: `HOST:PORT` of the head to join; None starts a head at a free port.
        seconds: the time limit for its start.

    Attributes:
        address: the head's address.
        folder: the Ray node's temporary directory.
        ended: set when the Ray node is gone.

    Raises:
        ClusterUnreachable: the Ray node did not start.
    """

    def __init__(self, address: str | None, seconds: float = 90) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="softkv-ray-"))
        self.ended = threading.Event()
        self._log = self.folder / "node.log"
        started: list[subprocess.Popen[bytes]] = []
        ready = threading.Event()
        port = 0
        if address is None:
            port = _free_port()
            address = f"{_local_address()}:{port}"
        self.address = address
        # Linux ends the child when the thread that started it ends, so this thread waits for the child.
        threading.Thread(
            target=self._run, args=(self._command(port), started, ready), name="ray node", daemon=True
        ).start()
        ready.wait()
        [self._process] = started
        deadline = time.monotonic() + seconds
        while STARTED not in self._read_log():
            if self.ended.wait(0.05) or time.monotonic() > deadline:
                output = self._read_log().strip().rpartition("\n")[2] or "it printed nothing"
                self.close()
                raise ClusterUnreachable(f"this machine could not join the cluster at {address}: {output}")

    def kill(self) -> None:
        """Kill the Ray node and the processes that Ray started for it, by SIGKILL.

        The actors on this node then end by themselves.
        """
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.ended.wait()

    def close(self) -> None:
        """End the Ray node, with all actors that run on it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        if not self.ended.wait(END_SECONDS):
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, port: int) -> Sequence[str]:
        role = ["--head", f"--port={port}", "--include-dashboard=false"] if port else [f"--address={self.address}"]
        resources = [
            "--num-cpus=0",
            "--num-gpus=0",
            f"--object-store-memory={STORE_BYTES}",
            f"--temp-dir={self.folder}",
        ]
        # Free ports, because a machine may have several Ray nodes.
        ports = ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
        return [
            *RAY,
            "start",
            "--block",
            "--disable-usage-stats",
            "--include-log-monitor=false",
            *role,
            *resources,
            *ports,
        ]

    def _run(self, command: Sequence[str], started: list[subprocess.Popen[bytes]], ready: threading.Event) -> None:
        with self._log.open("wb") as log:
            process = _start_process(command, log)
        started.append(process)
        ready.set()
        process.wait()
        self.ended.set()

    def _read_log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


def prepare() -> None:
    """Set the environment variables that Ray reads when it is imported. Variables that are set already stay."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def ensure_token(folder: Path) -> None:
    """Create a token for the cluster of this machine, in a file that only this user can read, unless a token is
    configured.
    """
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return
    path = folder / "token"
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)


def check_head(address: str, seconds: float | None = None) -> None:
    """Check that a head answers at `HOST:PORT` and accepts the token.

    Raises: ClusterUnreachable; TokenRefused.
    """
    _connect(address, CONNECT_SECONDS if seconds is None else seconds)
    command = [*RAY, "health-check", f"--address={address}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=CHECK_SECONDS)
    except subprocess.TimeoutExpired:
        raise ClusterUnreachable(
            f"the process at {address} does not answer like a Ray head: name the address and port of one"
        ) from None
    output = done.stdout + done.stderr
    if "no authentication token was found" in output or "find an authentication token" in output:
        raise TokenRefused(
            "joining a cluster needs its token, which is missing: name its file with RAY_AUTH_TOKEN_PATH, or set "
            "RAY_AUTH_TOKEN"
        )
    if "InvalidAuthToken" in output or "AuthenticationError" in output:
        raise TokenRefused(
            f"the cluster at {address} refused the token: set RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN to the one that "
            "its head was started with"
        )
    if done.returncode:
        raise ClusterUnreachable(f"the process at {address} is not a Ray head: name the address and port of one")


def find_or_start_head(folder: Path) -> tuple[str, RayNode | None]:
    """Return the address of the Ray head on this machine. If this call had to start the head, return its `RayNode` too.

    Args:
        folder: a folder of this user, where the address and the token are kept.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ensure_token(folder)
    address_file = folder / "address"
    with FileLock(folder / "lock"):
        if address_file.exists():
            address = address_file.read_text(encoding="utf-8")
            with suppress(ClusterUnreachable):
                check_head(address, seconds=0)
                return address, None
        head = RayNode(None)
        address_file.write_text(head.address, encoding="utf-8")
        return head.address, head


def _connect(address: str, seconds: float) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except OSError as error:
            if time.monotonic() >= deadline:
                reason = error.strerror or str(error)
                raise ClusterUnreachable(
                    f"no cluster head answers at {address} ({reason}): start it, or name another with --shards"
                ) from None
            time.sleep(0.2)
        else:
            return


def _start_process(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    # A new session: Ctrl-C reaches only the parent, which can then leave the cluster first.
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_parent
    )


def _end_with_parent() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.create_server(("", 0)) as listener:
        return int(listener.getsockname()[1])


def _local_address() -> str:
    """Return the address under which other machines reach this one, or the loopback address if the machine has no
    other.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # a network that does not exist: nothing is sent
        return str(probe.getsockname()[0])
    return "127.0.0.1"
