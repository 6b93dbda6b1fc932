"""`softkv shard`: this machine holds a part of all keys, until it is told to leave."""

from __future__ import annotations

import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from service.commands.errors import CommandError
from service.commands.serve import read_settings

if TYPE_CHECKING:
    from service.cluster import Membership
    from service.settings import Settings
    from service.storage import NodeRegistry, SharedStore

T = TypeVar("T")
LOOK_SECONDS = 1.0
ABSENT_SECONDS = 60.0
"""How long a slot may be missing from the register, longer than a restart takes, before it is made anew."""
NO_SETTINGS = ("name", "leave_seconds", "ready_file")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def shard(
    store: Annotated[
        str | None, typer.Option(help="The database that keeps the collections, postgresql://….", show_default=False)
    ] = None,
    shards: Annotated[
        str | None,
        typer.Option(help="Ray's head, ray://HOST:PORT, or auto for a cluster on this machine.", show_default="none"),
    ] = None,
    slots: Annotated[int | None, typer.Option(help="How many slots it has.", show_default="4")] = None,
    copies: Annotated[int | None, typer.Option(help="How many slots hold each key.", show_default="2")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to scan with, of all slots.", show_default="all cores")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What its slots are called, NAME-0 and so on.", show_default="the machine's")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="For files of what it holds, to start from.", show_default="data")
    ] = None,
    originals: Annotated[
        str | None, typer.Option(help="Where float32 vectors of large collections lie: memory or files.")
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(help="Where machine code is kept, and auto's address.", show_default="~/.cache/softkv"),
    ] = None,
    leave_seconds: Annotated[
        float, typer.Option(min=0, help="How long others may take to hold what it has, before it ends.")
    ] = 600,
    ready_file: Annotated[
        Path | None, typer.Option(help="A file that is there while it holds all that is its own.", show_default="none")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="console or json.", show_default="console")] = None,
) -> None:
    """Hold a part of all keys on this machine; Ctrl-C has others take it over.

    Joins the cluster, starts its slots, and stays. Which ranges of keys they
    hold follows from which slots there are. A second Ctrl-C ends it at once.

    softkv shard --store postgresql://… --shards ray://head:6379 --slots 4
    """
    given = {each: value for each, value in locals().items() if value is not None and each not in NO_SETTINGS}
    given["host"] = "127.0.0.1"  # it listens nowhere, whatever this machine's services do

    from service import logs

    settings = read_settings(given)
    logs.configure(settings.log_format)
    if settings.store is None or settings.shards is None:
        raise CommandError(
            "a shard needs the database that keeps the collections, --store postgresql://…, and the cluster that it "
            "joins, --shards ray://HOST:6379 or auto"
        )
    own = name or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())
    if not NAME.fullmatch(own):
        raise CommandError(f"--name: wanted up to 100 letters, digits and -._, got {own!r}")
    _hold(settings, settings.store, settings.shards, own, leave_seconds, ready_file)


def _hold(
    settings: Settings, address: str, shards: str, own: str, leave_seconds: float, ready_file: Path | None
) -> None:
    from service.cluster import ClusterError, join_cluster, require_ray
    from service.storage import StorageError, open_shared

    leaving = threading.Event()
    folder = _writable(settings.data_dir, needed=settings.originals == "files")
    _not_ready(ready_file)  # one that was killed has left it there
    try:
        require_ray()
        store = open_shared(address)
        membership = join_cluster(shards, settings.cache_dir / "cluster")
        # Ray's own handlers would end the process at once.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: _told(leaving))
        try:
            slots = _Slots(settings, store, membership, own, address, folder)
            slots.hold(leaving, ready_file)
            if leaving.is_set():
                _not_ready(ready_file)
                slots.leave(leave_seconds)
        finally:
            membership.close()
            store.close()
    except (ClusterError, StorageError) as error:
        raise CommandError(str(error)) from None
    except KeyboardInterrupt:
        pass  # the second one


def _writable(folder: Path, *, needed: bool) -> str | None:
    """Where files go; None, and a word of it, where none can be written and none are needed."""
    import structlog

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder.resolve())
    except OSError as error:
        if needed:
            raise CommandError(
                f"--originals files needs a directory to write in, and {folder} is none ({error.strerror}): name one "
                "with --data-dir"
            ) from None
        structlog.get_logger("softkv").warning(
            "no files are kept, so each start reads all keys from the database: name a directory with --data-dir",
            data_dir=str(folder),
            reason=error.strerror,
        )
        return None


def _told(leaving: threading.Event) -> None:
    if leaving.is_set():
        raise KeyboardInterrupt
    leaving.set()


def _not_ready(ready_file: Path | None) -> None:
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)


class _Slots:
    """This machine's slots, started, looked after, and ended."""

    def __init__(
        self,
        settings: Settings,
        store: SharedStore,
        membership: Membership,
        own: str,
        address: str,
        folder: str | None,
    ) -> None:
        import structlog

        self._log = structlog.get_logger("softkv")
        self._names = [f"{own}-{number}" for number in range(settings.slots)]
        self._register: NodeRegistry = store.nodes
        self._membership = membership
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._arguments = {
            "node": own,
            "store": address,
            "copies": settings.copies,
            "originals": folder if settings.originals == "files" else None,
            "sealed": folder,
            # A question is scanned by all slots of a machine at the same time.
            "threads": max(1, (settings.threads or cores) // settings.slots),
            "cache": str(settings.cache_dir),
        }

    def hold(self, leaving: threading.Event, ready_file: Path | None) -> None:
        """Until it is told to leave, say what is held as that changes, and make anew a slot that is not there."""
        for name in self._names:
            self._start(name)
        seen = dict.fromkeys(self._names, time.monotonic())
        held: tuple[int, int, int] | None = None
        while not leaving.is_set():
            if self._membership.ended(0):
                raise CommandError(
                    "this machine's node of the cluster has ended, and its slots with it: start it again"
                )
            now = time.monotonic()
            present = self._asked(lambda: {slot.name for slot in self._register.live()})
            for name in self._names:
                if present is None or name in present:
                    seen[name] = now
                elif now - seen[name] > ABSENT_SECONDS:
                    self._log.warning("a slot is made anew", slot=name)
                    self._start(name)
                    seen[name] = time.monotonic()
            if (found := self._asked(self._standing)) not in (None, held):
                held = found
                ranges, keys, coming = found
                self._log.info("slots hold", slots=len(self._names), ranges=ranges, keys=keys, coming=coming)
                if coming:
                    _not_ready(ready_file)
                elif ready_file is not None:
                    ready_file.touch()
            leaving.wait(LOOK_SECONDS)

    def leave(self, seconds: float) -> None:
        """Wait until others hold what these slots have, where there are others; then end them."""
        from service.cluster import NodeLost

        deadline = time.monotonic() + seconds
        for name in self._names:
            self._asked(partial(self._membership.call, name, "leave"))
            self._asked(partial(self._register.leave, name))
        self._log.info("slots leave", slots=len(self._names))
        staying = set(self._names)
        while staying and time.monotonic() < deadline:
            if not self._asked(self._register.members):
                self._log.warning("there is no slot elsewhere that could hold what these have")
                break
            for name in sorted(staying):
                try:
                    if self._membership.call(name, "left"):
                        staying.remove(name)
                except NodeLost:
                    staying.remove(name)
            time.sleep(LOOK_SECONDS / 5)
        if staying and time.monotonic() >= deadline:
            self._log.warning("others do not hold all of it yet", slots=sorted(staying), after_seconds=seconds)
        for name in self._names:
            self._asked(partial(self._membership.call, name, "close"))  # else it might join again before it has ended
            self._membership.end(name)
            self._asked(partial(self._register.remove, name))
        self._log.info("slots have left", slots=len(self._names))

    def _start(self, name: str) -> None:
        self._membership.start(name, "service.cluster.node.process:NodeProcess", {"name": name, **self._arguments})
        self._log.info("a slot is there", slot=name)

    def _standing(self) -> tuple[int, int, int]:
        """Ranges and keys that the slots have, and the ranges that they read."""
        found = [self._membership.call(name, "report") for name in self._names]
        return sum(each.ranges for each in found), sum(each.rows for each in found), sum(each.coming for each in found)

    def _asked(self, call: Callable[[], T]) -> T | None:
        from service.cluster import NodeLost
        from service.storage import StorageError

        try:
            return call()
        except (NodeLost, StorageError):
            return None  # asked again in a second
