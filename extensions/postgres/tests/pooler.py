"""A PgBouncer before a database of the tests: a child process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.running import free_port
from tests.postgres import PostgresServer, end_with_the_tests


class Pooler:
    """A PgBouncer in transaction mode before one database, configured as the page about stores says.

    Args:
        address: the address of the database.
        sessions: the number of sessions with the database, each for one transaction.
    """

    def __init__(self, server: PostgresServer, address: str, sessions: int = 2) -> None:
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            pytest.skip("no PgBouncer here: install Debian's package pgbouncer")
        own_port, database = free_port(), address.rpartition("/")[2]
        self.address = f"postgresql://softkv@127.0.0.1:{own_port}/{database}"
        self._directory = Path(tempfile.mkdtemp(prefix="softkv-pgbouncer-"))
        (self._directory / "users").write_text('"softkv" ""\n')
        configuration = f"""\
[databases]
{database} = host=127.0.0.1 port={server.port}
[pgbouncer]
pool_mode = transaction
default_pool_size = {sessions}
query_wait_timeout = 5
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = trust
auth_file = {self._directory / "users"}
logfile = {self._directory / "log"}
"""
        (self._directory / "pgbouncer.ini").write_text(configuration)
        if server.run_as:
            for path in [self._directory, *self._directory.iterdir()]:
                shutil.chown(path, str(server.run_as["user"]))
        command = [program, "-q", str(self._directory / "pgbouncer.ini")]
        self._process = subprocess.Popen(command, cwd="/", preexec_fn=end_with_the_tests, **server.run_as)  # type: ignore
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", own_port)):
                return
            assert self._process.poll() is None, (self._directory / "log").read_text()
            assert time.monotonic() < deadline, (self._directory / "log").read_text()
            time.sleep(0.02)

    def close(self) -> None:
        """Stop it at once."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory)
