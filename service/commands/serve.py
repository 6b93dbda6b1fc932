"""`softkv serve`: run the service until it is told to stop."""

from __future__ import annotations

import signal
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.errors import CommandError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from service.server.process import ExitDeadline
    from service.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.", show_default="8000")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the collections are kept.", show_default="data")] = None,
    store: Annotated[
        str | None,
        typer.Option(help="postgresql://… keeps them in that database instead.", show_default="SQLite in data-dir"),
    ] = None,
    shards: Annotated[
        str | None,
        typer.Option(help="ray://… or auto: keys lie with the slots of that cluster.", show_default="none"),
    ] = None,
    copies: Annotated[
        int | None, typer.Option(min=1, help="Slots that hold each range of keys.", show_default="2")
    ] = None,
    keys_file: Annotated[
        Path | None, typer.Option(help="Keys, as `softkv key` prints them.", show_default="none")
    ] = None,
    demo: Annotated[
        str | None, typer.Option(help="Demo collections to load, comma-separated.", show_default="none")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="A model's name, its path, or none.", show_default="all-MiniLM-L6-v2")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="float32 or bfloat16.", show_default="float32")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to compute with.", show_default="all cores")
    ] = None,
    allow_anonymous: Annotated[
        str | None,
        typer.Option(help="Serve other machines without keys: read or write.", show_default="neither"),
    ] = None,
    allowed_hosts: Annotated[
        str | None,
        typer.Option(help="More names to answer to without a key, comma-separated; * for any.", show_default="none"),
    ] = None,
    frame_ancestors: Annotated[
        str | None, typer.Option(help="Whose pages may show this one in a frame.", show_default="'self'")
    ] = None,
    cors_origins: Annotated[
        str | None,
        typer.Option(help="Whose pages may call the API, comma-separated; * for any.", show_default="none"),
    ] = None,
    max_body_bytes: Annotated[int | None, typer.Option(help="The largest request.", show_default="33554432")] = None,
    max_queries: Annotated[int | None, typer.Option(help="Queries a request.", show_default="64")] = None,
    max_documents: Annotated[int | None, typer.Option(help="Documents a request.", show_default="10000")] = None,
    max_queue: Annotated[int | None, typer.Option(help="Calls of each kind at once.", show_default="256")] = None,
    max_connections: Annotated[int | None, typer.Option(help="Open connections.", show_default="1000")] = None,
    head_seconds: Annotated[float | None, typer.Option(help="How long a head may take.", show_default="10")] = None,
    body_seconds: Annotated[
        float | None, typer.Option(help="How long a body, or who takes an answer, may be late.", show_default="30")
    ] = None,
    body_rate: Annotated[int | None, typer.Option(help="Bytes a second that are in time.", show_default="1024")] = None,
    idle_seconds: Annotated[
        float | None, typer.Option(help="How long a connection stays open after an answer.", show_default="30")
    ] = None,
    originals: Annotated[
        str | None, typer.Option(help="Where float32 vectors of large collections lie: memory or files.")
    ] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(help="Where machine code is kept.", show_default="~/.cache/softkv")
    ] = None,
    drain_seconds: Annotated[
        float | None, typer.Option(help="How long /readyz is red before SIGTERM ends the service.", show_default="1")
    ] = None,
    lab: Annotated[
        str | None, typer.Option(help="Who may train small models: writers or readers.", show_default="writers")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="console or json.", show_default="console")] = None,
    slow_ms: Annotated[
        float | None, typer.Option(min=0, help="Log requests that take longer; 0 for none.", show_default="1000")
    ] = None,
    traces: Annotated[str | None, typer.Option(help="none or otlp: spans of requests.", show_default="none")] = None,
) -> None:
    """Run the service; Ctrl-C stops it.

    Each option is also SOFTKV_… in the environment. Keys are there or in
    a file, since others on the machine can read a command line:
    SOFTKV_API_KEYS and SOFTKV_READ_KEYS, comma-separated.
    """
    given = {name: value for name, value in locals().items() if value is not None}

    from service import logs
    from service.server.process import ExitDeadline, limit_connections, limit_heaps, raise_descriptor_limit

    limit_heaps()
    settings = read_settings(given)
    logs.configure(settings.log_format)
    listener = _listen(settings)
    port = listener.getsockname()[1]
    connections = limit_connections(settings.max_connections, raise_descriptor_limit())
    settings = settings.model_copy(update={"port": port, "max_connections": connections})
    # Docker and systemd stop a service with SIGTERM: that is a success like Ctrl-C, whenever it comes.
    exit_deadline = ExitDeadline(settings.drain_seconds)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, exit_deadline.interrupt)
    try:
        _run(settings, listener, exit_deadline)
    except KeyboardInterrupt:
        exit_deadline.shorten()
    finally:
        listener.close()


def read_settings(given: dict[str, Any]) -> Settings:
    """The settings: these flags over the environment; what is wrong with them is a CommandError."""
    from pydantic import ValidationError

    from service.settings import Settings

    try:
        return Settings(**given)
    except ValidationError as error:
        raise CommandError(_flaws(error, given)) from None


def _flaws(error: ValidationError, given: dict[str, Any]) -> str:
    flaws = []
    for flaw in error.errors():
        name = str(flaw["loc"][0]) if flaw["loc"] else ""
        variable = f"SOFTKV_{name.upper()}"
        where = "" if not name else f"{'--' + name.replace('_', '-') if name in given else variable}: "
        flaws.append(where + flaw["msg"].removeprefix("Value error, "))
    return "\n".join(flaws)


def _listen(settings: Settings) -> socket.socket:
    """A socket that listens already, so that a port in use is known before anything is loaded."""
    try:
        host = settings.host.strip("[]")
        family, _, _, _, address = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        # The library adds the address to the reason, which the message has already.
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise CommandError(
            f"cannot listen on {settings.host} port {settings.port} ({reason}): "
            "stop what listens there, or choose another --port or --host"
        ) from None
    # asyncio does this itself only on sockets that it makes; without it a second answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _run(settings: Settings, listener: socket.socket, exit_deadline: ExitDeadline) -> None:
    import asyncio

    import structlog

    from attention.kernels import one_blas_thread
    from service.commands.console import messages
    from service.opening import begin
    from service.storage import StorageError

    with one_blas_thread():
        # SQLite checks and reads the file without Python's lock, and the rest takes about as long to import.
        opening = begin(settings)

        from service.api.keyring import KeysUnusable
        from service.api.telemetry import TracingMissing
        from service.app import UnknownDemo, create_app
        from service.networks import network_urls
        from service.server.process import LoopErrorHandler
        from service.server.server import new_event_loop, run
        from service.server.startup import StartupMessage, announcement, browser_url, report_startup

        def announce() -> None:
            host, port = settings.host, settings.port
            if settings.log_format == "json":
                urls = network_urls(host, port)
                structlog.get_logger("softkv").info("listening", url=browser_url(host, port), elsewhere=urls)
            else:
                typer.echo(announcement(host, port, messages()), err=True)

        def report(message: StartupMessage) -> None:
            if settings.log_format == "json":
                structlog.get_logger("softkv").info(message.event, **message.fields)
            else:
                typer.echo(message.line, err=True)

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(LoopErrorHandler())
            progress = partial(report_startup, address=browser_url(settings.host, settings.port), report=report)
            # Created inside the loop, so that its locks and events belong to the loop.
            app = create_app(settings, opening)
            await run(app, listener, announce, progress, exit_deadline, settings.drain_seconds)

        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(main())
        except StorageError as error:
            raise CommandError(str(error)) from None
        except (UnknownDemo, KeysUnusable, TracingMissing) as error:
            opening.give_up()
            raise CommandError(str(error)) from None
