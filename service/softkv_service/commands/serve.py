"""`softkv serve`: run the service until a signal stops it."""

from __future__ import annotations

import errno
import gc
import inspect
import re
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_origin

import typer

from softkv.commands.command_line import Command, CommandError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from softkv_service.server.process import ExitDeadline
    from softkv_service.settings import Settings, UnknownVariable


def serve(**options: Any) -> None:
    """Run the service; Ctrl-C stops it.

    Each option can also be set in the environment: --max-queue is
    SOFTKV_MAX_QUEUE. API keys are not options, since other users of the
    machine can read a command line: name a file of keys, or set
    SOFTKV_API_KEYS and SOFTKV_READ_KEYS to keys, comma-separated.

    softkv serve --demo library
    """
    # Until the service listens: each collection would scan what was imported so far, and imports leave little to free.
    gc.disable()
    try:
        _serve(options)
    finally:
        gc.enable()


def _serve(options: Mapping[str, Any]) -> None:
    from softkv_service import logs
    from softkv_service.server.process import (
        ExitDeadline,
        limit_connections,
        limit_heaps,
        raise_descriptor_limit,
        remove_unix_socket,
    )

    limit_heaps()
    settings = read_settings({name: value for name, value in options.items() if value is not None})
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


serve.__signature__ = inspect.Signature()  # type: ignore[attr-defined]


class ServeCommand(Command):
    """The command `softkv serve`, whose options are the settings. They are read when the command is used, because
    pydantic takes longer to import than other commands need to start.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options of the command."""
        if not self.params:
            program = typer.Typer(add_completion=False)
            program.command()(_with_options(serve))
            command = typer.main.get_command(program)
            self.params, self.callback = command.params, command.callback
        return super().get_params(ctx)


def _with_options(run: Callable[..., None]) -> Callable[..., None]:
    """Return a function whose signature has an option of typer for each setting."""
    from softkv_service.configuration import SECRET, START, Configuration, default_text, setting_group

    @wraps(run)
    def command(**options: Any) -> None:
        run(**options)

    parameters = []
    for name, field in Configuration.model_fields.items():
        if SECRET in field.metadata:
            continue
        group = setting_group(field)
        bounds = {side: bound for mark in field.metadata for side, bound in _bounds(mark)}
        option = typer.Option(
            _flag(name),
            help=_help(field.description or ""),
            show_default=default_text(field) or "none",
            rich_help_panel=None if group is START else group.name,
            **bounds,
        )
        kind: Any = str if get_origin(field.annotation) is tuple else field.annotation
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
            )
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _bounds(mark: object) -> Iterator[tuple[str, Any]]:
    """Yield the bounds that typer checks, as arguments of its option."""
    from annotated_types import Ge, Le

    if isinstance(mark, Ge):
        yield "min", mark.ge
    elif isinstance(mark, Le):
        yield "max", mark.le


def _flag(name: str) -> str:
    """Return the option of `softkv serve` that sets a setting."""
    return "--" + name.replace("_", "-")


def _help(description: str) -> str:
    """Return the description of a setting as plain text, in which other settings are named by their options."""
    from softkv_service.configuration import Configuration

    def to_option(match: re.Match[str]) -> str:
        name = match[1].lower()
        return _flag(name) if match[1].isupper() and name in Configuration.model_fields else match[1]

    text = re.sub(r"`([^`]+)`", to_option, re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", description))
    return f"{text[0].upper()}{text[1:]}.".replace("[", r"\[")  # a bracket would begin markup of rich


def read_settings(options: dict[str, Any]) -> Settings:
    """Return the settings from these options and the environment; options take precedence.

    Raises:
        CommandError: a setting is invalid, or a variable has almost the name of a setting of keys.
    """
    from pydantic import ValidationError

    from softkv_service.settings import Settings

    try:
        settings = Settings(**options)
    except ValidationError as error:
        raise CommandError(_describe(error, options)) from None
    if open_variables := [str(variable) for variable in misspelt_variables(settings) if variable.opens]:
        raise CommandError("\n".join(open_variables))
    return settings


def misspelt_variables(settings: Settings) -> list[UnknownVariable]:
    """Return the environment variables `SOFTKV_…` that have no effect."""
    from softkv_service.settings import unknown_variables

    return list(unknown_variables("" if settings.encoders is None else settings.encoders.read_text("utf-8")))


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
        both = address[0] == "::" and socket.has_dualstack_ipv6()
        listener = socket.create_server(address[:2], family=family, backlog=2048, dualstack_ipv6=both)
    except OSError as error:
        # asyncio adds the address to the reason; the message names it already.
        reason = (error.strerror or str(error)).partition(" (while")[0]
        advice = "choose another --host or --port"
        if error.errno == errno.EADDRINUSE:
            port = settings.port + 1 if settings.port < 65535 else settings.port - 1
            advice = (
                f"stop the program that listens there, or choose another port: --port {port}, or SOFTKV_PORT={port}. "
                "If that program is a softkv of the same directory, choose another --data-dir, too, or SOFTKV_DATA_DIR"
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

    from softkv.commands.console import messages
    from softkv_attention.kernels import one_blas_thread
    from softkv_service.kernels import KernelsMissing
    from softkv_service.logs import log
    from softkv_service.startup import open_in_background
    from softkv_service.storage.errors import StorageError

    with one_blas_thread():
        # SQLite checks and reads the file without the GIL, while the imports below take about as long.
        try:
            opening = open_in_background(settings)
        except KernelsMissing as error:
            raise CommandError(str(error)) from None

        try:
            from softkv_service.addresses import network_urls
            from softkv_service.api.keyring import KeysUnusable
            from softkv_service.api.telemetry import TracingMissing
            from softkv_service.app import create_app
            from softkv_service.assembly import UnknownDemo
            from softkv_service.server.process import LoopErrorHandler
            from softkv_service.server.server import new_event_loop, run
            from softkv_service.server.startup import StartupMessage, announcement, browser_url, report_startup
        except Exception:  # a library that is being imported may turn the signal into an error of its own
            if exit_deadline.signal is None:
                raise
            raise KeyboardInterrupt from None

        def announce() -> None:
            gc.enable()
            host, port = settings.host, settings.port
            if settings.unix_socket is not None and settings.log_format == "json":
                log.info("listening", unix_socket=str(settings.unix_socket))
            elif settings.unix_socket is not None:
                typer.echo(f"softkv listens on the Unix socket {settings.unix_socket} (Ctrl-C stops it)", err=True)
            elif settings.log_format == "json":
                urls = network_urls(host, port)
                log.info("listening", url=browser_url(host, port), elsewhere=urls)
            else:
                typer.echo(announcement(host, port, messages()), err=True)
            for variable in misspelt_variables(settings):
                log.warning("unknown setting", reason=str(variable))

        def report(message: StartupMessage) -> None:
            if settings.log_format == "json":
                log.info(message.event, **message.fields)
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
