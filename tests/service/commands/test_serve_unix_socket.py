"""`softkv serve --unix-socket`: it answers there, replaces a socket that was left, and removes its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.examples import Page
from tests.running import reserved_port
from tests.service.commands.conftest import COMMAND, serving
from tests.service.server.proxies import program
from tests.thorough import thorough

pytestmark = [pytest.mark.process, pytest.mark.end_to_end]


@contextmanager
def listening(data_dir: Path, path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run `softkv serve` on a Unix socket, and yield its process when it has said so."""
    with serving(data_dir, "--unix-socket", str(path), *options) as running:
        assert running.announced == f"softkv listens on the Unix socket {path} (Ctrl-C stops it)\n"
        yield running.process


@pytest.fixture
def path() -> Iterator[Path]:
    """Yield the path of a socket, in a folder whose name is short: a path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "softkv.sock")


def client(path: Path) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost", timeout=60)


@pytest.mark.parametrize("number", [thorough(signal.SIGINT), signal.SIGTERM])
def test_serve_answers_at_its_socket_and_ends_cleanly_after_a_signal(
    tmp_path: Path, path: Path, number: signal.Signals
) -> None:
    with listening(tmp_path, path) as process:
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with client(path) as calling:
            assert calling.put("/v1/collections/c", json={}).status_code == 201
            assert calling.get("/v1/collections/c").status_code == 200
        process.send_signal(number)
        _, rest = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in rest) == (0, False)
    assert not path.exists()


def test_a_socket_that_a_killed_process_left_is_replaced(tmp_path: Path, path: Path) -> None:
    with listening(tmp_path, path) as process:
        process.kill()
        process.wait()
        assert path.exists()
    with listening(tmp_path, path), client(path) as calling:
        assert calling.get("/livez").status_code == 200


@pytest.mark.parametrize("kind", ["in use", "a file", "no directory", "too long"])
def test_an_unusable_socket_path_is_left_unchanged(path: Path, kind: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "in use":
            listener.bind(str(path))
            listener.listen()
        elif kind == "a file":
            path.write_text("kept")
        else:
            path = path.with_name("none") / "softkv.sock" if kind == "no directory" else path.with_name("a" * 120)
        command = [*COMMAND, "serve", "--unix-socket", str(path), "--encoder", "none"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"softkv: cannot listen on the Unix socket {path} (")
    if kind == "a file":
        assert path.read_text() == "kept"
    if kind == "in use":
        assert path.is_socket()


def rooms_of(calling: httpx.Client, **headers: str) -> int:
    """Open rooms until one is refused, and return their number."""
    rooms = 0
    while calling.post("/v1/rooms", json={}, headers=headers).status_code == 200:
        rooms += 1
    return rooms


@pytest.mark.thorough
def test_only_a_trusted_proxy_at_the_socket_says_the_address(tmp_path: Path, path: Path) -> None:
    with listening(tmp_path, path), client(path) as calling:
        assert rooms_of(calling, **{"X-Forwarded-For": "203.0.113.7"}) > 0
        assert rooms_of(calling, **{"X-Forwarded-For": "203.0.113.8"}) == 0
    trusted = ("--trusted-proxies", "unix", "--allow-anonymous", "write")
    with listening(tmp_path, path, *trusted), client(path) as calling:
        assert rooms_of(calling, **{"X-Forwarded-For": "203.0.113.7"}) > 0
        assert rooms_of(calling, **{"X-Forwarded-For": "203.0.113.8"}) > 0


@pytest.mark.parametrize("name", ["nginx", "caddy"])
def test_a_proxy_uses_the_socket_as_documented(tmp_path: Path, path: Path, name: str) -> None:
    page = Page("docs/operate/proxy.md")
    text = (Path(__file__).parents[3] / page.name).read_text(encoding="utf-8")
    upstream = {"nginx": "http://unix:/run/softkv/softkv.sock", "caddy": "unix//run/softkv/softkv.sock"}[name]
    assert f"`{upstream}`" in text
    upstream = upstream.replace("/run/softkv/softkv.sock", str(path))
    configuration = next(block for kind, block in page.blocks if kind == name and "/softkv/" in block)
    configuration = configuration.replace("http://127.0.0.1:8000", upstream).replace("127.0.0.1:8000", upstream)
    configuration = re.sub(r"^ *ssl_certificate.*\n", "", configuration, flags=re.MULTILINE)
    os.chmod(path.parent, 0o755)
    (folder := tmp_path / name).mkdir()
    with reserved_port() as port, listening(tmp_path, path, "--root-path", "/softkv"):
        configuration = configuration.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
        configuration = configuration.replace("softkv.example {", f"http://:{port} {{")
        with program(name, configuration, folder, port) as url:
            assert httpx.get(f"{url}/softkv/livez", timeout=60).status_code == 200
            assert httpx.get(f"{url}/softkv/", follow_redirects=True, timeout=60).status_code == 200
