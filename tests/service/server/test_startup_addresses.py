"""Addresses for other machines: they answer, the first is shown as a QR code, and a text explains missing ones."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import segno
from rich.console import Console

from softkv_service import addresses as machine
from softkv_service.server import startup
from tests.service.commands.conftest import COMMAND, serving

OPEN = ("--host", "0.0.0.0", "--allow-anonymous", "read")
URL = "http://192.168.100.200:8000"
MODULES = {letter: pair for pair, letter in startup.HALF_BLOCKS.items()}


def terminal(*, width: int = 80, colours: str | None = "truecolor", encoding: str = "utf-8") -> Console:
    class Screen(StringIO):
        pass

    Screen.encoding = encoding  # type: ignore[assignment]
    return Console(file=Screen(), width=width, color_system=colours, force_terminal=True)  # type: ignore[arg-type]


def modules(lines: Sequence[str]) -> list[list[bool]]:
    """Return the modules that a code of block characters shows, without the margin."""
    bare = [line.removeprefix(startup.BLACK_ON_WHITE).removesuffix(startup.RESET) for line in lines]
    rows = [[MODULES[letter][half] for letter in line] for line in bare for half in (0, 1)]
    dark = [y for y, row in enumerate(rows) if any(row)]
    left = min(row.index(True) for row in rows if any(row))
    size = dark[-1] - dark[0] + 1
    return [row[left : left + size] for row in rows[dark[0] : dark[-1] + 1]]


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The machine's addresses, as this test has them; none until it adds some."""
    addresses: list[str] = []
    monkeypatch.setattr(
        machine,
        "_own_addresses",
        lambda version: [address for address in addresses if (":" in address) == (version == 6)],
    )
    monkeypatch.setattr(startup, "in_a_container", lambda: False)
    return addresses


def test_each_address_that_is_printed_answers(tmp_path: Path) -> None:
    with serving(tmp_path, *OPEN) as running:
        port = int(running.url.rpartition(":")[2])
        assert running.url == f"http://127.0.0.1:{port}"
        for url in machine.network_urls("0.0.0.0", port):
            assert "127.0.0.1" not in url
            assert httpx.get(f"{url}/v1/collections", trust_env=False, timeout=60).status_code == 200
        _, rest = running.stop(signal.SIGINT)
    if not startup.in_a_container():
        assert [url for url in machine.network_urls("0.0.0.0", port) if url not in rest] == []
    assert "\x1b" not in rest + running.announced


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no sockets for both families")
def test_all_addresses_of_ipv6_are_also_those_of_ipv4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTKV_API_KEYS", "a-long-key-of-this-test")
    with serving(tmp_path, "--host", "::", "--trusted-proxies", "127.0.0.1", "--log-format", "json") as running:
        port = int(running.url.rpartition(":")[2])
        assert running.url == f"http://[::1]:{port}"
        assert json.loads(running.announced)["elsewhere"] == machine.network_urls("::", port)
        for host in ("127.0.0.1", "[::1]"):
            url, forwarded = f"http://{host}:{port}/v1/collections", {"X-Forwarded-For": "192.0.2.7"}
            assert httpx.get(url, headers=forwarded, trust_env=False, timeout=60).status_code == 401
        _, rest = running.stop(signal.SIGINT)
    refused = [json.loads(line) for line in rest.splitlines() if '"status": 401' in line]
    assert [line["client"] for line in refused] == ["192.0.2.7", "::1"]  # only a trusted proxy forwards for another


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "localhost.", "::1", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_loopback_address_is_not_announced_to_the_network(host: str) -> None:
    assert machine.network_urls(host, 8000) == []
    assert startup.announcement(host, 8000, terminal()).count("\n") == 0


def test_addresses_are_of_the_families_that_are_listened_on(
    networks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    networks += ["192.168.1.20", "10.0.0.3", "fd00::2"]
    assert machine.network_urls("0.0.0.0", 80) == ["http://192.168.1.20:80", "http://10.0.0.3:80"]
    every = ["http://192.168.1.20:80", "http://10.0.0.3:80", "http://[fd00::2]:80"]
    assert machine.network_urls("::", 80) == machine.network_urls("[::]", 80) == every
    monkeypatch.setattr(machine.socket, "has_dualstack_ipv6", lambda: False)
    assert machine.network_urls("::", 80) == ["http://[fd00::2]:80"]
    assert machine.network_urls("10.0.0.3", 80) == ["http://10.0.0.3:80"]
    assert startup.browser_url("::", 80) == "http://[::1]:80"


def test_the_code_is_the_first_address(networks: list[str]) -> None:
    networks += ["192.168.100.200", "10.0.0.3"]
    first, second, *drawn = startup.announcement("0.0.0.0", 8000, terminal()).splitlines()
    assert first == "softkv listens on http://127.0.0.1:8000 (Ctrl-C stops it)"
    assert second == f"Others in this network open {URL} or http://10.0.0.3:8000"
    expected = segno.make(URL, error="l", micro=False).matrix
    assert modules(drawn) == [[bool(module) for module in row] for row in expected]


@pytest.mark.parametrize("encoding", [{"width": 20}, {"colours": None}, {"encoding": "latin-1"}])
def test_a_terminal_that_cannot_show_a_code_gets_none(networks: list[str], encoding: dict[str, Any]) -> None:
    networks += ["192.168.1.20"]
    assert startup.announcement("0.0.0.0", 8000, terminal(**encoding)).count("\n") == 1


def test_a_machine_without_network_and_a_container_are_announced(
    networks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no network address" in startup.announcement("0.0.0.0", 8000, terminal())
    monkeypatch.setattr(startup, "in_a_container", lambda: True)
    networks += ["172.17.0.2"]
    output = startup.announcement("0.0.0.0", 8000, terminal())
    assert "the port published for 8000" in output
    assert "172.17" not in output


def test_on_a_real_terminal_the_code_is_there(tmp_path: Path) -> None:
    if not machine.network_urls("0.0.0.0", 1):
        pytest.skip("this machine is in no network")
    mine, its = pty.openpty()
    outside = "from softkv_service import addresses; addresses.CONTAINER_MARKERS = (); "
    options = ("--port", "0", "--data-dir", str(tmp_path), "--encoder", "none", *OPEN)
    command = [*COMMAND[:2], outside + COMMAND[2], "serve", *options]
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    process = subprocess.Popen(command, stderr=its, env=environment | {"TERM": "xterm-256color", "COLUMNS": "80"})
    os.close(its)
    output = ""
    try:
        while not re.search(r"(?:\x1b\[30;107m[ ▀▄█]+\x1b\[0m\r?\n){15}", output):
            output += os.read(mine, 4096).decode(errors="replace")
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        os.close(mine)
    assert "Others in this network open" in output
