"""`softkv serve`: it says where it listens, ends cleanly, and says in one line why it does not start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.service.commands.conftest import COMMAND, serving
from tests.thorough import thorough

pytestmark = [pytest.mark.process, pytest.mark.end_to_end]


def refused(*options: str, **environment: str) -> str:
    """Run a `serve` that does not start → its one line on standard error."""
    command, variables = [*COMMAND, "serve", *options], os.environ | environment
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout == ""
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("20")]  # without the log
    assert len(lines) == 1, ended.stderr
    return lines[0]


@pytest.mark.parametrize("number", [thorough(signal.SIGINT), signal.SIGTERM])
def test_serve_answers_at_its_announced_address_and_ends_cleanly_after_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    with serving(tmp_path) as running:
        assert running.announced == f"softkv listens on {running.url} (Ctrl-C stops it)\n"
        assert httpx.get(f"{running.url}/livez", timeout=60).status_code == 200
        assert httpx.put(f"{running.url}/v1/collections/kept", json={}, timeout=60).status_code == 201
        code, errors = running.stop(number)
        assert code == 0
        assert "Traceback" not in errors
    with serving(tmp_path) as again:
        assert httpx.get(f"{again.url}/v1/collections/kept", timeout=60).status_code == 200


def test_a_start_imports_nothing_that_draws_tracebacks(tmp_path: Path) -> None:
    with serving(tmp_path, command=[sys.executable, "-X", "importtime", *COMMAND[1:]]) as running:
        imported = {line.rpartition("|")[2].strip() for line in running.before if line.startswith("import time:")}
    assert "softkv_service.logs" in imported
    assert imported & {"rich.traceback", "rich.pretty", "pygments"} == set()


@pytest.mark.parametrize("host", ["::1", thorough("localhost"), thorough("[::1]")])
def test_other_names_of_this_machine(tmp_path: Path, host: str) -> None:
    with serving(tmp_path, "--host", host) as running:
        assert httpx.get(f"{running.url}/v1/collections", timeout=60).status_code == 200
        assert running.stop(signal.SIGINT)[0] == 0


def test_a_log_for_programs_holds_json_only(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-format", "json") as running:
        httpx.get(f"{running.url}/v1/collections", timeout=60)
        code, errors = running.stop(signal.SIGTERM)
    assert code == 0
    assert json.loads(running.announced)["url"] == running.url
    assert "request" in [json.loads(line)["event"] for line in errors.splitlines()]


@pytest.mark.parametrize(
    ("level", "logged"), [thorough("debug", True), thorough("info", True), ("warning", False), thorough("error", False)]
)
def test_lines_below_the_log_level_are_left_out(tmp_path: Path, level: str, logged: bool) -> None:
    with serving(tmp_path, "--log-level", level) as running:
        for path in ("v1/collections", "livez", "readyz", "metrics"):
            httpx.get(f"{running.url}/{path}", timeout=60)
        _, errors = running.stop(signal.SIGTERM)
    assert ("path=/v1/collections" in errors) is logged
    for path in ("livez", "readyz", "metrics"):
        assert (f"path=/{path}" in errors) is (level == "debug")
    assert ("stopping" in errors) is logged


def test_flags_go_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTKV_MAX_QUEUE", "31")
    monkeypatch.setenv("SOFTKV_MAX_BODY_BYTES", "4096")
    with serving(tmp_path, "--max-body-bytes", "8192") as running:
        limits = httpx.get(f"{running.url}/v1", timeout=60).json()["limits"]
    assert (limits["requests_at_once"], limits["body_bytes"]) == (31, 8192)


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = port + 1 if port < 65535 else port - 1
        line = refused("--port", str(port), "--encoder", "none")
    assert line == (
        f"softkv: cannot listen on 127.0.0.1 port {port} (Address already in use): "
        f"stop the program that listens there, or choose another port: --port {other}, or SOFTKV_PORT={other}. "
        "If that program is a softkv of the same directory, choose another --data-dir, too, or SOFTKV_DATA_DIR"
    )


def test_an_address_that_is_not_this_machine_s() -> None:
    line = refused("--host", "192.0.2.1", "--allow-anonymous", "read", "--port", "0", "--encoder", "none")
    assert line.startswith("softkv: cannot listen on 192.0.2.1 port 0 (")
    assert line.endswith("): choose another --host or --port")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_for_a_database(number: signal.Signals) -> None:
    pytest.importorskip("softkv_postgres", reason="install softkv[postgres]")
    with socket.socket() as free:  # bound, but not listening
        free.bind(("127.0.0.1", 0))
        address = f"postgresql://softkv:a-secret@127.0.0.1:{free.getsockname()[1]}/softkv"
        with starting(SOFTKV_STORE=address) as process:
            assert process.stderr is not None
            first = process.stderr.readline()
            assert "waiting for the database" in first
            assert "Connection refused" in first
            process.send_signal(number)
            _, rest = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "")
    assert "a-secret" not in first


@contextmanager
def starting(**environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run `softkv serve` on a free port, and let a test read its standard error before it listens."""
    command = [*COMMAND, "serve", "--port", "0", "--encoder", "none"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_data_directory_that_another_process_has(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        line = refused("--port", "0", "--encoder", "none", "--data-dir", str(tmp_path))
    assert line == (
        f"softkv: the data directory {tmp_path} is in use by process {running.process.pid}: stop it, or choose another "
        "directory: --data-dir DIRECTORY, or SOFTKV_DATA_DIR=DIRECTORY"
    )


def test_an_invalid_database_is_left_unchanged(tmp_path: Path) -> None:
    database = tmp_path / "softkv.sqlite3"
    database.write_bytes(b"not a database" * 1000)
    assert "is damaged" in refused("--port", "0", "--encoder", "none", "--data-dir", str(tmp_path))
    assert database.read_bytes() == b"not a database" * 1000


def test_an_invalid_flag_ends_the_start() -> None:
    assert refused("--keepalive-timeout", "0").startswith("softkv: --keepalive-timeout: ")


def test_an_unknown_demo_collection() -> None:
    line = refused("--demo", "library,librarry", "--port", "0")
    assert line == "softkv: unknown demo collection librarry: choose from library, videos, python, unicode, library-zh"
