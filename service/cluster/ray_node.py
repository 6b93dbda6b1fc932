"""A node of Ray's on this machine: a child process, `ray start`, that lives as long as who started it.

Every process that joins has a node of its own, which takes no task of others: so it ends with the process, and a
machine may have several.
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
    # Who calls an actor can run code in it.
    "RAY_AUTH_MODE": "token",
    # After 60 s without its head Ray ends what belongs to it, the processes of its drivers too.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "3600",
    # What is asked and answered goes as it is, not by way of Ray's store of objects: 5 ms a MB instead of 17.
    "RAY_max_direct_call_object_size": "16777216",
    # A call to a process that is gone fails at once, without a word from the head about why: 0.3 s instead of 1.9.
    "RAY_timeout_ms_task_wait_for_death_info": "10",
    # Of a node that is told to end: its slots have ended before.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # What a node says of its processes is in its own log; it would come to standard output.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
RAY = (sys.executable, "-m", "ray.scripts.scripts")
# Of no task's memory: questions and answers lie there where they are larger than what goes as it is.
STORE_BYTES = 100_000_000
STARTED = "Ray runtime started"
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
END_SECONDS = 8.0
CHECK_SECONDS = 30.0
KNOCK_SECONDS = 10.0
"""How long a head that does not answer yet is waited for."""


class RayNode:
    """Starts a node, and waits until it runs.

    Args:
        address: `HOST:PORT` of the head that it joins; None to be one, at a free port.
        seconds: to wait for it.

    Attributes:
        address: of the head.
        folder: what Ray calls the node's temporary directory.
        ended: set when the node is gone.

    Raises:
        ClusterUnreachable: it did not start.
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
            address = f"{_own_address()}:{port}"
        self.address = address
        # Linux ends the child where the thread that started it ends: this one waits for the child as long as it runs.
        threading.Thread(
            target=self._run, args=(self._command(port), started, ready), name="ray node", daemon=True
        ).start()
        ready.wait()
        [self._process] = started
        deadline = time.monotonic() + seconds
        while STARTED not in self._said():
            if self.ended.wait(0.05) or time.monotonic() > deadline:
                said = self._said().strip().rpartition("\n")[2] or "it said nothing"
                self.close()
                raise ClusterUnreachable(f"this machine could not join the cluster at {address}: {said}")

    def kill(self) -> None:
        """SIGKILL to it and to what Ray started for it, but for the slots, which then end by themselves."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.ended.wait()

    def close(self) -> None:
        """End it and all that runs in it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        if not self.ended.wait(END_SECONDS):
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, port: int) -> Sequence[str]:
        where = ["--head", f"--port={port}", "--include-dashboard=false"] if port else [f"--address={self.address}"]
        own = ["--num-cpus=0", "--num-gpus=0", f"--object-store-memory={STORE_BYTES}", f"--temp-dir={self.folder}"]
        # Any that are free, since a machine may have several nodes.
        ports = ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-agent-listen-port=0"]
        return [*RAY, "start", "--block", "--disable-usage-stats", "--include-log-monitor=false", *where, *own, *ports]

    def _run(self, command: Sequence[str], started: list[subprocess.Popen[bytes]], ready: threading.Event) -> None:
        with self._log.open("wb") as log:
            process = _begun(command, log)
        started.append(process)
        ready.set()
        process.wait()
        self.ended.set()

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


def prepare() -> None:
    """Set what Ray reads from the environment, before it is imported; who has set something himself has chosen."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def own_token(folder: Path) -> None:
    """Have a token for a cluster of this machine alone, in a file of this user's: where none was chosen otherwise."""
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return
    path = folder / "token"
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)


def check(address: str, seconds: float | None = None) -> None:
    """Look whether a head answers at `HOST:PORT` and takes the token.

    Raises: ClusterUnreachable; TokenRefused.
    """
    _knock(address, KNOCK_SECONDS if seconds is None else seconds)
    command = [*RAY, "health-check", f"--address={address}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=CHECK_SECONDS)
    except subprocess.TimeoutExpired:
        raise ClusterUnreachable(f"what listens at {address} does not answer as a head of Ray's does") from None
    said = done.stdout + done.stderr
    if "no authentication token was found" in said or "find an authentication token" in said:
        raise TokenRefused(
            "a cluster is joined with its token, and there is none: name its file with RAY_AUTH_TOKEN_PATH, or set "
            "RAY_AUTH_TOKEN"
        )
    if "InvalidAuthToken" in said or "AuthenticationError" in said:
        raise TokenRefused(
            f"the cluster at {address} refused the token: set RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN to the one that "
            "its head was started with"
        )
    if done.returncode:
        raise ClusterUnreachable(f"what answers at {address} is no head of Ray's: name its address, and its port")


def here(folder: Path) -> tuple[str, RayNode | None]:
    """The cluster of this machine: the address of its head, and the head where it is started by this call.

    Args:
        folder: of this user's, where the address and the token are kept.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    own_token(folder)
    known = folder / "address"
    with FileLock(folder / "lock"):
        if known.exists():
            address = known.read_text(encoding="utf-8")
            with suppress(ClusterUnreachable):
                check(address, seconds=0)
                return address, None
        head = RayNode(None)
        known.write_text(head.address, encoding="utf-8")
        return head.address, head


def _knock(address: str, seconds: float) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except OSError as error:
            if time.monotonic() >= deadline:
                reason = error.strerror or str(error)
                raise ClusterUnreachable(
                    f"no head of a cluster answers at {address} ({reason}): start it, or name another with --shards"
                ) from None
            time.sleep(0.2)
        else:
            return


def _begun(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C is for who started it, who may want to take leave first.
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_parent
    )


def _end_with_parent() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.create_server(("", 0)) as listener:
        return int(listener.getsockname()[1])


def _own_address() -> str:
    """Of this machine as others reach it, where it has such a one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, suppress(OSError):
        asked.connect(("192.0.2.1", 9))  # of a network that is nowhere: nothing is sent
        return str(asked.getsockname()[0])
    return "127.0.0.1"
