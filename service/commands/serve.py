"""`softkv serve`: run the service until a signal stops it."""

from __future__ import annotations

import errno
import signal
import socket
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service.commands.distributions import find_conflicts
from softkv.commands.command_line import CommandError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from service.server.process import ExitDeadline
    from service.settings import Settings


ACCESS, NETWORK, DATA, COMPUTATION = "Access", "Network", "Data", "Computation"
LIMITS, OPERATION = "Limits", "Logs and shutdown"
"""The groups of options in `softkv serve --help`; those without a group come first."""


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0 chooses a free one.", show_default="8000")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The directory of the collections.", show_default="data")
    ] = None,
    demo: Annotated[
        str | None,
        typer.Option(
            help="Demo collections to load, comma-separated: library, videos, python, unicode.", show_default="none"
        ),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="The name of a model, its path, or none.", show_default="all-MiniLM-L6-v2")
    ] = None,
    encoders: Annotated[
        Path | None, typer.Option(help="A TOML file of several encoders, instead of --encoder.", show_default="none")
    ] = None,
    keys_file: Annotated[
        Path | None,
        typer.Option(
            help="A file of API keys; each line is the output of `softkv key`.",
            show_default="none",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    allow_anonymous: Annotated[
        Literal["read", "write"] | None,
        typer.Option(
            help="Allow callers on other machines to read or write without a key.",
            show_default="nothing",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    allowed_hosts: Annotated[
        str | None,
        typer.Option(
            help="More host names under which callers without a key are answered, comma-separated; * for any.",
            show_default="none",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    frame_ancestors: Annotated[
        str | None,
        typer.Option(help="Sites that may show the page in a frame.", show_default="'self'", rich_help_panel=ACCESS),
    ] = None,
    cors_origins: Annotated[
        str | None,
        typer.Option(
            help="Sites that may call the API from a browser, comma-separated; * for any.",
            show_default="none",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    lab: Annotated[
        Literal["writers", "readers"] | None,
        typer.Option(
            help="Callers that may train small models in the lab.", show_default="writers", rich_help_panel=ACCESS
        ),
    ] = None,
    unix_socket: Annotated[
        Path | None,
        typer.Option(
            help="Listen on this Unix socket, instead of host and port.", show_default="none", rich_help_panel=NETWORK
        ),
    ] = None,
    trusted_proxies: Annotated[
        str | None,
        typer.Option(
            help="The addresses or networks of proxies whose X-Forwarded headers are believed.",
            show_default="none",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    root_path: Annotated[
        str | None,
        typer.Option(
            help="The path below which a proxy serves this service.", show_default="none", rich_help_panel=NETWORK
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Keep the collections in this database, postgresql://….",
            show_default="SQLite in data-dir",
            rich_help_panel=DATA,
        ),
    ] = None,
    shards: Annotated[
        str | None,
        typer.Option(
            help="The Ray cluster whose servers hold the keys: auto, or HOST:PORT.",
            show_default="none",
            rich_help_panel=DATA,
        ),
    ] = None,
    vector_storage: Annotated[
        Literal["memory", "files"] | None,
        typer.Option(
            help="Keep the float32 vectors of large collections in memory or in files.",
            show_default="memory",
            rich_help_panel=DATA,
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(
            help="The numbers of the model; bfloat16 is faster and less exact.",
            show_default="float32",
            rich_help_panel=COMPUTATION,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="The number of compute threads.", show_default="all cores", rich_help_panel=COMPUTATION
        ),
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            help="The directory for compiled machine code.", show_default="~/.cache/softkv", rich_help_panel=COMPUTATION
        ),
    ] = None,
    max_body_bytes: Annotated[
        int | None,
        typer.Option(help="The largest body of a request, in bytes.", show_default="33554432", rich_help_panel=LIMITS),
    ] = None,
    max_queries: Annotated[
        int | None, typer.Option(help="The most queries in a request.", show_default="64", rich_help_panel=LIMITS)
    ] = None,
    max_documents: Annotated[
        int | None, typer.Option(help="The most documents in a request.", show_default="10000", rich_help_panel=LIMITS)
    ] = None,
    max_queue: Annotated[
        int | None,
        typer.Option(help="The most calls of each kind at the same time.", show_default="256", rich_help_panel=LIMITS),
    ] = None,
    max_loaded_collections: Annotated[
        int | None,
        typer.Option(
            help="The most small collections whose keys are in memory at the same time.",
            show_default="1000",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    max_connections: Annotated[
        int | None, typer.Option(help="The most open connections.", show_default="1000", rich_help_panel=LIMITS)
    ] = None,
    header_timeout: Annotated[
        float | None,
        typer.Option(help="Seconds for the head of a request to arrive.", show_default="10", rich_help_panel=LIMITS),
    ] = None,
    body_timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds that a body or an answer may fall behind --min-transfer-rate.",
            show_default="30",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    min_transfer_rate: Annotated[
        int | None,
        typer.Option(
            help="The slowest transfer of a body or an answer, in bytes per second.",
            show_default="1024",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    keepalive_timeout: Annotated[
        float | None,
        typer.Option(help="Seconds until an idle connection is closed.", show_default="30", rich_help_panel=LIMITS),
    ] = None,
    log_format: Annotated[
        Literal["console", "json"] | None,
        typer.Option(
            help="The form of log lines: console for people, json for programs.",
            show_default="console",
            rich_help_panel=OPERATION,
        ),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option(
            help="The lowest level of log lines; debug adds the requests of probes.",
            show_default="info",
            rich_help_panel=OPERATION,
        ),
    ] = None,
    slow_request_ms: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Log requests that take longer, in milliseconds; 0 logs none.",
            show_default="1000",
            rich_help_panel=OPERATION,
        ),
    ] = None,
    access_log: Annotated[
        Path | None,
        typer.Option(
            help="Write a line for each change and each refusal by a key to this file.",
            show_default="none",
            rich_help_panel=OPERATION,
        ),
    ] = None,
    access_log_bytes: Annotated[
        int | None,
        typer.Option(
            min=4096,
            help="The size at which the access log is rotated.",
            show_default="16777216",
            rich_help_panel=OPERATION,
        ),
    ] = None,
    access_log_files: Annotated[
        int | None,
        typer.Option(
            min=1, help="The most rotated files of the access log.", show_default="10", rich_help_panel=OPERATION
        ),
    ] = None,
    traces: Annotated[
        Literal["none", "otlp"] | None,
        typer.Option(help="Export a span for each request.", show_default="none", rich_help_panel=OPERATION),
    ] = None,
    drain_seconds: Annotated[
        float | None,
        typer.Option(
            help="After SIGTERM, seconds in which /readyz fails before the service stops.",
            show_default="1",
            rich_help_panel=OPERATION,
        ),
    ] = None,
) -> None:
    """Run the service; Ctrl-C stops it.

    Each option can also be set in the environment: --max-queries is
    SOFTKV_MAX_QUERIES. API keys are not options, since other users of the
    machine can read a command line: name a file of keys, or set
    SOFTKV_API_KEYS and SOFTKV_READ_KEYS to keys, comma-separated.

    softkv serve --demo library
    """
    options = {name: value for name, value in locals().items() if value is not None}

    from service import logs
    from service.server.process import (
        ExitDeadline,
        limit_connections,
        limit_heaps,
        raise_descriptor_limit,
        remove_unix_socket,
    )

    limit_heaps()
    settings = read_settings(options)
    logs.configure(settings.log_format, settings.log_level)
    listener = _listen(settings)
    port = settings.port if settings.unix_socket else listener.getsockname()[1]
    connections = limit_connections(settings.max_connections, raise_descriptor_limit())
    settings = settings.model_copy(update={"port": port, "max_connections": connections})
    # Docker and systemd stop a service with SIGTERM: the exit code is 0 as for Ctrl-C, even during the start.
    exit_deadline = ExitDeadline(settings.drain_seconds)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, exit_deadline.interrupt)
    try:
        _run(settings, listener, exit_deadline)
    except KeyboardInterrupt:
        exit_deadline.shorten()
    finally:
        remove_unix_socket(listener)
        listener.close()


def read_settings(options: dict[str, Any]) -> Settings:
    """Return the settings from these options and the environment; options take precedence.

    Raises:
        CommandError: a setting is invalid.
    """
    from pydantic import ValidationError

    from service.settings import Settings

    try:
        return Settings(**options)
    except ValidationError as error:
        raise CommandError(_describe(error, options)) from None


def _describe(error: ValidationError, options: dict[str, Any]) -> str:
    """Return a line for each invalid setting, with the option or the environment variable that set it."""
    lines = []
    for flaw in error.errors():
        name = str(flaw["loc"][0]) if flaw["loc"] else ""
        variable = f"SOFTKV_{name.upper()}"
        prefix = "" if not name else f"{'--' + name.replace('_', '-') if name in options else variable}: "
        lines.append(prefix + flaw["msg"].removeprefix("Value error, "))
    return "\n".join(lines)


def _listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on the service's port or Unix socket, so that one in use is detected before
    anything is loaded.
    """
    if settings.unix_socket is not None:
        return _listen_on_unix_socket(settings.unix_socket)
    try:
        host = settings.host.strip("[]")
        family, _, _, _, address = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        # asyncio adds the address to the reason; the message names it already.
        reason = (error.strerror or str(error)).partition(" (while")[0]
        advice = "choose another --host or --port"
        if error.errno == errno.EADDRINUSE:
            port = settings.port + 1 if settings.port < 65535 else settings.port - 1
            advice = (
                f"stop the program that listens there, or choose another port: --port {port}, or SOFTKV_PORT={port}"
            )
        raise CommandError(f"cannot listen on {settings.host} port {settings.port} ({reason}): {advice}") from None
    # asyncio does this only for its own sockets; without it a second answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _listen_on_unix_socket(path: Path) -> socket.socket:
    """Return a Unix socket that listens at a path; a socket that an ended process has left there is replaced.

    As on a loopback address, every user of this machine may connect. The permissions of the directory restrict them.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise CommandError("this system has no Unix sockets: leave --unix-socket out, and choose --host and --port")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise CommandError(
            f"cannot listen on the Unix socket {path} ({error.strerror or error}): stop the program that listens "
            "there, or choose another --unix-socket, in a directory that exists"
        ) from None
    return listener


def _answers(path: Path) -> bool:
    """Return whether a program listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True


def _run(settings: Settings, listener: socket.socket, exit_deadline: ExitDeadline) -> None:
    import asyncio

    import structlog

    from attention.kernels import one_blas_thread
    from service.opening import open_in_background
    from service.storage import StorageError
    from softkv.commands.console import messages

    with one_blas_thread():
        # SQLite checks and reads the file without the GIL, while the imports below take about as long.
        opening = open_in_background(settings)

        try:
            from service.api.keyring import KeysUnusable
            from service.api.telemetry import TracingMissing
            from service.app import UnknownDemo, create_app
            from service.networks import network_urls
            from service.server.process import LoopErrorHandler
            from service.server.server import new_event_loop, run
            from service.server.startup import StartupMessage, announcement, browser_url, report_startup
        except Exception:  # a library that is being imported may turn the signal into an error of its own
            if exit_deadline.signal is None:
                raise
            raise KeyboardInterrupt from None

        def warn() -> None:
            for conflict in find_conflicts():
                structlog.get_logger("softkv").warning("conflicting distribution", reason=str(conflict))

        def announce() -> None:
            host, port = settings.host, settings.port
            if settings.unix_socket is not None and settings.log_format == "json":
                structlog.get_logger("softkv").info("listening", unix_socket=str(settings.unix_socket))
            elif settings.unix_socket is not None:
                typer.echo(f"softkv listens on the Unix socket {settings.unix_socket} (Ctrl-C stops it)", err=True)
            elif settings.log_format == "json":
                urls = network_urls(host, port)
                structlog.get_logger("softkv").info("listening", url=browser_url(host, port), elsewhere=urls)
            else:
                typer.echo(announcement(host, port, messages()), err=True)
            # Not before the service listens: it reads the list of files of every distribution.
            Thread(target=warn, name="distributions", daemon=True).start()

        def report(message: StartupMessage) -> None:
            if settings.log_format == "json":
                structlog.get_logger("softkv").info(message.event, **message.fields)
            else:
                typer.echo(message.line, err=True)

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(LoopErrorHandler())
            address = None if settings.unix_socket else browser_url(settings.host, settings.port)
            progress = partial(report_startup, address=address, report=report)
            # Created inside the loop, so that its locks and events belong to the loop.
            app = create_app(settings, opening)
            await run(app, listener, announce, progress, exit_deadline, settings.drain_seconds)

        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(main())
        except StorageError as error:
            raise CommandError(str(error)) from None
        except (UnknownDemo, KeysUnusable, TracingMissing) as error:
            opening.cancel()
            raise CommandError(str(error)) from None
