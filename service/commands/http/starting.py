"""What `softkv serve` says while it loads: how far that is, as it changes, and at last that all is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.api.routes.probes import Standing, readiness
from service.api.state import State
from service.commands.options import DEFAULT_URL

POLL_SECONDS = 0.25
PATIENCE_SECONDS = 5.0
"""From when on machine code is said to be missing: what was kept is there before, on a machine that is not busy."""
BETWEEN_SECONDS = 5.0
"""Between two lines about one collection."""
DONE = float("inf")
"""When something was told last of which nothing more is to be told."""
FIRST = "library"


@dataclass(frozen=True)
class Step:
    """A line for people, and for programs an event with its fields."""

    line: str
    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)


class Parts(Protocol):
    """What is looked at of the running service."""

    @property
    def demo(self) -> Any:
        """The demo collections, with their `progress`."""

    @property
    def machine_code(self) -> Any:
        """Whether it is `ready`."""


class Starting:
    """Finds what there is to say since it was asked last.

    Args:
        address: where the service answers.
        clock: of seconds.
    """

    def __init__(self, parts: Parts, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._address = address
        self._clock = clock
        self._began = clock()
        self._told: dict[str, float] = {}
        self.over = False

    def news(self, standing: Standing) -> Iterator[Step]:
        """The steps since the last call, the last of all when nothing loads any more."""
        now = self._clock()
        for progress in self._parts.demo.progress.values():
            if progress.total is None:
                continue
            said, line = (
                self._told.setdefault(progress.name, now),
                f"{progress.name} {progress.done} of {progress.total}",
            )
            if progress.finished and said < DONE:
                self._told[progress.name] = DONE
                if progress.name == FIRST:
                    line += f", try {self._try()}"
                fields = {"name": progress.name, "documents": progress.total}
                yield Step(line, "demo collection loaded", fields)
            elif not progress.over and now - said >= BETWEEN_SECONDS:
                self._told[progress.name] = now
                fields = {"name": progress.name, "done": progress.done, "of": progress.total}
                yield Step(line, "demo collection loads", fields)
        yield from self._machine_code(now)
        if not (standing.loading or self.over):
            self.over = True
            yield self._last(standing)

    def _machine_code(self, now: float) -> Iterator[Step]:
        part, ready = "machine code", self._parts.machine_code.ready
        if not ready and part not in self._told and now - self._began >= PATIENCE_SECONDS:
            self._told[part] = now
            yield Step(
                "machine code is missing: made once, in about a minute; answers take longer until then",
                "machine code is made",
            )
        elif ready and self._told.get(part, DONE) < DONE:
            self._told[part] = DONE
            yield Step("machine code is there", "machine code is there")

    def _last(self, standing: Standing) -> Step:
        if standing.failed:
            return Step(f"not ready: {'; '.join(standing.failed)}", "not ready", {"failed": standing.failed})
        seconds = {"seconds": round(self._clock() - self._began, 1)}
        first = self._parts.demo.progress.get(FIRST)
        if first is not None and first.finished:
            return Step(f"ready: try {self._try()}", "ready", seconds)
        return Step(f"ready: open {self._address}, or try softkv demo{self._at} {FIRST}", "ready", seconds)

    @property
    def _at(self) -> str:
        """The option that has a command ask this service."""
        return "" if self._address == DEFAULT_URL else f" --url {self._address}"

    def _try(self) -> str:
        return f'softkv attend{self._at} {FIRST} "pets that purr"'


async def tell_start(parts: State, address: str, tell: Callable[[Step], None]) -> None:
    """Tell each step of the start as it is made; returns when nothing loads any more."""
    starting = Starting(parts, address)
    while not starting.over:
        await asyncio.sleep(POLL_SECONDS)
        for step in starting.news(await asyncio.to_thread(readiness, parts)):
            tell(step)
