"""Reverse proxies in front of a service: a small one, and programs such as nginx."""

from __future__ import annotations

import http.client
import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

HOP_BY_HOP = ("connection", "content-length", "date", "keep-alive", "server", "transfer-encoding")
SECONDS = 60
APACHE_MODULES = "/usr/lib/apache2/modules"
OF_APACHE = ("mpm_event", "authz_core", "alias", "headers", "proxy", "proxy_http", "reqtimeout")
AS_ROOT = "user root;" if os.geteuid() == 0 else ""  # the folders of a test belong to its user


@contextmanager
def small_proxy(service_port: int, *, prefix: str = "", strips: bool = True) -> Iterator[str]:
    """Run a proxy in this process, and yield its URL.

    It adds the address of its client to `X-Forwarded-For`, says that the client used HTTPS, and keeps the `Host`. A
    client chooses its address by the header `X-Test-Address`, since all clients of a test are on one machine.

    Args:
        service_port: the port of the service.
        prefix: the only path that it forwards.
        strips: whether it removes the prefix.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            if prefix and not (self.path == prefix or self.path.startswith(f"{prefix}/")):
                self.send_error(404, "outside the prefix")
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            address = headers.pop("X-Test-Address", self.client_address[0])
            before = headers.pop("X-Forwarded-For", None)
            headers |= {"X-Forwarded-For": f"{before}, {address}" if before else address, "X-Forwarded-Proto": "https"}
            upstream = http.client.HTTPConnection("127.0.0.1", service_port, timeout=SECONDS)
            path = (self.path.removeprefix(prefix) or "/") if strips else self.path
            upstream.request(self.command, path, body or None, headers)
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = forward

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}"
        proxy.shutdown()


@contextmanager
def program(name: str, configuration: str, folder: Path, port: int) -> Iterator[str]:
    """Run a proxy with a configuration, and yield its URL; skip the test if the program is missing.

    Args:
        name: `nginx`, `caddy`, `apache2` or `squid`.
        configuration: for nginx, what belongs into its block `http`; for Apache, its virtual hosts; for the others,
            their whole file.
        folder: a directory for its files.
        port: the port of the configuration.
    """
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed: Debian's packages are nginx-light, caddy, apache2 and squid")
    file = folder / name
    if name == "nginx":
        places = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file.write_text(
            f"daemon off; error_log stderr; pid {folder}/pid; events {{}}\n{AS_ROOT}"
            f"http {{ access_log off; {places}\n{configuration}\n}}\n"
        )
        command = [path, "-e", "stderr", "-p", str(folder), "-c", str(file)]
    elif name == "apache2":
        modules = "".join(f"LoadModule {module}_module {APACHE_MODULES}/mod_{module}.so\n" for module in OF_APACHE)
        file.write_text(
            f"ServerRoot {folder}\nDefaultRuntimeDir {folder}\nPidFile {folder}/pid\nErrorLog /dev/stderr\n"
            f"User nobody\nGroup nogroup\nServerName localhost\nListen 127.0.0.1:{port}\n{modules}{configuration}"
        )
        command = [path, "-D", "FOREGROUND", "-f", str(file)]
    elif name == "squid":
        file.write_text(configuration)
        command = [path, "-N", "-d", "1", "-f", str(file)]
    else:
        file.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + configuration)
        command = [path, "run", "--config", str(file), "--adapter", "caddyfile"]
    log = (folder / "log").open("w+")
    own = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))  # Caddy writes there
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | own)
    try:
        deadline = time.monotonic() + SECONDS
        while not _listens(port):
            assert process.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(SECONDS)
        log.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def caller(client: httpx.Client, path: str = "/caller", **headers: str) -> dict[str, str]:
    """Return how the service sees a caller; `show_callers` adds the route."""
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    seen: dict[str, str] = answer.json()
    return seen
