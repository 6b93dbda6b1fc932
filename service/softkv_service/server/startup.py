"""The messages of `softkv serve` at its start: addresses, the progress of loading, and a command to try."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from softkv_service.addresses import DEFAULT_URL, in_a_container, is_loopback, network_urls, url
from softkv_service.api.state import ReadinessReport, State

BLACK_ON_WHITE, RESET = "\x1b[30;107m", "\x1b[0m"  # a scanner needs this contrast, whatever the terminal's colours are
HALF_BLOCKS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
POLL_SECONDS = 0.25
SECONDS_BETWEEN = 5.0
"""Seconds between two lines about one collection."""
DONE = float("inf")
"""The time of the last report about something that is complete."""
EXAMPLES = {"library-zh": "睡不着怎么办", "library": "pets that purr"}
"""A question for a demo collection; the start offers the first one whose collection it loads."""
LISTED = 6
"""The number of loading parts that the first message names."""


def browser_url(host: str, port: int) -> str:
    """Return the URL for a browser on this machine, of a service that listens on `host`."""
    host = host.strip("[]")
    return url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)


def announcement(host: str, port: int, terminal: Console) -> str:
    """Return the text with the service's URL, and with the URLs for other machines if these can reach the service."""
    lines = [f"softkv listens on {browser_url(host, port)} (Ctrl-C stops it)"]
    if is_loopback(host):
        return lines[0]
    urls = network_urls(host, port)
    if in_a_container():
        lines.append(f"In a container: other machines open the host's address at the port published for {port}")
    elif not urls:
        lines.append("This machine has no network address: join a network, such as the room's Wi-Fi, and start again")
    else:
        lines.append(f"Others in this network open {' or '.join(urls)}")
        code = qr_code(urls[0])
        if _can_show(terminal, len(code[0]) - len(BLACK_ON_WHITE + RESET)):
            lines += code
    return "\n".join(lines)


def qr_code(address: str) -> Sequence[str]:
    """Return the lines of a QR code for a terminal; a character shows two modules, one above the other."""
    import segno

    rows = [[bool(module) for module in row] for row in segno.make(address, error="l", micro=False).matrix_iter()]
    rows += [[False] * len(rows[0])] * (len(rows) % 2)
    lines = (zip(above, below, strict=True) for above, below in zip(rows[::2], rows[1::2], strict=True))
    return [BLACK_ON_WHITE + "".join(HALF_BLOCKS[pair] for pair in line) + RESET for line in lines]


def _can_show(terminal: Console, width: int) -> bool:
    return terminal.color_system is not None and not terminal.options.ascii_only and terminal.width >= width


def softkv_command() -> str:
    """Return how a shell calls softkv: by its name, or by its path if it would not find the name.

    A virtual environment that is not activated is not on the shell's path, for instance that of `make run`.
    """
    beside_python = shutil.which("softkv", path=str(Path(sys.executable).parent))
    if shutil.which("softkv") or beside_python is None:
        return "softkv"
    path, folder = Path(beside_python).absolute(), Path.cwd()
    if path.parent == folder:
        return f"./{path.name}"
    return shlex.quote(str(path.relative_to(folder) if path.is_relative_to(folder) else path))


@dataclass(frozen=True)
class StartupMessage:
    """A step of the startup: a line for people, and an event with fields for programs."""

    line: str
    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)


class LoadingParts(Protocol):
    """The parts of the running service whose progress is reported."""

    @property
    def demo(self) -> Any:
        """The loader of the demo collections, which reports their progress."""


class StartupProgress:
    """The progress of a startup, reported as messages about what has changed.

    Args:
        parts: what loads.
        address: the service's URL, or None if it listens on a Unix socket, which no command can call.
        command: how a shell calls softkv.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        parts: LoadingParts,
        address: str | None,
        command: str = "softkv",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = parts
        self._address = address
        self._command = command
        self._first = next((name for name in EXAMPLES if name in parts.demo.progress), "")
        self._clock = clock
        self._started = clock()
        self._reported: dict[str, float] = {}
        self._listed = False
        self.finished = False

    def messages(self, report: ReadinessReport) -> Iterator[StartupMessage]:
        """Yield messages about what has changed since the last call.

        The first message lists what is loading. The last message comes when everything is loaded.
        """
        now = self._clock()
        if report.loading and not self._listed:
            self._listed = True
            more = len(report.loading) - LISTED
            line = ", ".join(report.loading[:LISTED]) + (f" and {more} more" if more > 0 else "")
            yield StartupMessage(f"loading {line}", "loading", {"loading": report.loading})
        for progress in self._parts.demo.progress.values():
            if progress.total is None:
                continue
            reported = self._reported.setdefault(progress.name, now)
            line = f"{progress.name} {progress.done} of {progress.total}"
            if progress.finished and reported < DONE:
                self._reported[progress.name] = DONE
                if progress.name == self._first and self._address is not None:
                    line += f", try {self._example()}"
                fields = {"name": progress.name, "documents": progress.total}
                yield StartupMessage(line, "demo collection loaded", fields)
            elif not progress.over and now - reported >= SECONDS_BETWEEN:
                self._reported[progress.name] = now
                fields = {"name": progress.name, "done": progress.done, "of": progress.total}
                yield StartupMessage(line, "loading demo collection", fields)
        if not (report.loading or self.finished):
            self.finished = True
            yield self._last(report)

    def _last(self, report: ReadinessReport) -> StartupMessage:
        if report.failed:
            return StartupMessage(f"not ready: {'; '.join(report.failed)}", "not ready", {"failed": report.failed})
        seconds = {"seconds": round(self._clock() - self._started, 1)}
        if self._address is None:
            return StartupMessage("ready", "ready", seconds)
        first = self._parts.demo.progress.get(self._first)
        # Without demo collections it may be a service in production: no command that writes.
        command = f", or try {self._example()}" if first is not None and first.finished else ""
        return StartupMessage(f"ready: open {self._address}{command}", "ready", seconds)

    @property
    def _url_option(self) -> str:
        """The option `--url` with which a command calls this service; empty if the service has the default address."""
        return "" if self._address == DEFAULT_URL else f" --url {self._address}"

    def _example(self) -> str:
        return f'{self._command} attend{self._url_option} {self._first} "{EXAMPLES[self._first]}"'


async def report_startup(parts: State, address: str | None, report: Callable[[StartupMessage], None]) -> None:
    """Report each step of the startup, until everything is loaded or has failed."""
    progress = StartupProgress(parts, address, softkv_command())
    while not progress.finished:
        await asyncio.sleep(POLL_SECONDS)
        for message in progress.messages(await asyncio.to_thread(parts.readiness)):
            report(message)
