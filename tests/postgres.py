"""A PostgreSQL of the tests' own: a child process whose databases are gone with it."""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.running import free_port

OLDEST = 15
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_numbers = itertools.count()


def programs() -> Path | None:
    """Return the folder with `initdb` and `postgres` of a supported version; None without one."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    result = shutil.which("postgres")
    for folder in [*([Path(result).resolve().parent] if result else []), *debian]:
        if (folder / "initdb").exists():
            version_line = subprocess.run(
                [folder / "postgres", "--version"], capture_output=True, text=True, check=True
            ).stdout
            if int(version_line.split()[2].partition(".")[0]) >= OLDEST:
                return folder
    return None


class PostgresServer:
    """Starts it; `kill` and `start` are what a crash and its end look like.

    Args:
        durable: whether it waits for the disk, which a test of what survives a crash wants.
        folder: with `initdb` and `postgres`; those of the system if left out.
    """

    def __init__(self, *, durable: bool = False, folder: Path | None = None) -> None:
        folder = folder or programs()
        if folder is None:
            pytest.skip(f"no PostgreSQL {OLDEST} or later here: install Debian's package postgresql")
        pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'psycopg[binary]'")
        self._folder, self._durable = folder, durable
        self._directory = Path(tempfile.mkdtemp(prefix="softkv-postgres-"))
        # PostgreSQL runs under no root.
        self.run_as: dict[str, object] = {}
        if os.geteuid() == 0:
            user = next(user for user in ("postgres", "nobody") if _known(user))
            self.run_as = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
            shutil.chown(self._directory, user)
        self.port = free_port()
        made = self._run("initdb", "-D", str(self._data), "-U", "softkv", "-A", "trust", "-E", "UTF8", "--locale=C")
        assert made.returncode == 0, made.stderr
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def start(self, *, recovers: bool = False) -> None:
        """Run it, and wait until it answers.

        Args:
            recovers: whether it recovers until `promote`, and refuses connections as it does while it starts.
        """
        if recovers:
            (self._data / "standby.signal").touch()
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200"}
        options |= {"hot_standby": "off"} if recovers else {}
        options |= {} if self._durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(self._folder / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(  # type: ignore
                command, stdout=log, stderr=log, cwd="/", preexec_fn=end_with_the_tests, **self.run_as
            )
        deadline = time.monotonic() + 60
        expected = 1 if recovers else 0  # 1: it refuses connections
        while self._run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port)).returncode != expected:
            assert time.monotonic() < deadline, (self._directory / "log").read_text()
            time.sleep(0.05)

    def promote(self) -> None:
        """Let it end its recovery and accept connections."""
        ended = self._run("pg_ctl", "promote", "-D", str(self._data))
        assert ended.returncode == 0, ended.stderr

    def require_passwords(self, users: str, database: str = "all") -> None:
        """Let only these users in, comma-separated, and only with their passwords."""
        (self._data / "pg_hba.conf").write_text(f"host {database} {users} 127.0.0.1/32 scram-sha-256\n")
        ended = self._run("pg_ctl", "reload", "-D", str(self._data))
        assert ended.returncode == 0, ended.stderr

    def kill(self) -> None:
        """Send SIGKILL; its children end by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def crash(self) -> None:
        """Send SIGKILL to it and all of its children, like a power failure; wait until they are gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # so that it makes no more of them
        children = self._children()
        for child in [*children, self._process.pid]:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.wait()
        while any(map(_runs, children)):  # while one has its memory, none can be started on it
            time.sleep(0.005)

    def kill_connection(self, chosen: random.Random) -> None:
        """Send SIGKILL to a process that serves a client: PostgreSQL ends the others and recovers from its log."""
        serving = [child for child in self._children() if b" 127.0.0.1" in Path(f"/proc/{child}/cmdline").read_bytes()]
        os.kill(chosen.choice(serving), signal.SIGKILL)

    def _children(self) -> list[int]:
        """The processes that it began."""
        assert self._process is not None
        result = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, check=False
        )
        return [int(pid) for pid in result.stdout.split()]

    def database(self) -> str:
        """The address of a new database."""
        import psycopg

        name = f"softkv_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self._address(name)

    def close(self) -> None:
        """Stop it and remove what it held."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            self._process.wait(60)
        shutil.rmtree(self._directory)

    def _address(self, name: str) -> str:
        return f"postgresql://softkv@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._folder / program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **self.run_as)  # type: ignore


@contextmanager
def running(*, durable: bool = False, folder: Path | None = None) -> Iterator[PostgresServer]:
    """A server for as long as the block runs."""
    server = PostgresServer(durable=durable, folder=folder)
    try:
        yield server
    finally:
        server.close()


def end_with_the_tests() -> None:
    """Let Linux stop this process when the tests are killed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _runs(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True
