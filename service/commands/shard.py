"""`softkv shard`: hold a part of all keys on this machine until a signal arrives."""

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

from service.commands.command_line import CommandError
from service.commands.serve import read_settings

if TYPE_CHECKING:
    from service.cluster import Membership
    from service.settings import Settings
    from service.storage import NodeRegistry, SharedStore

T = TypeVar("T")
POLL_SECONDS = 1.0
ABSENT_SECONDS = 60.0
"""Seconds that a slot may be missing from the registry before it is started again; longer than a restart takes."""
OWN_OPTIONS = ("name", "leave_seconds", "ready_file")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def shard(
    store: Annotated[
        str | None, typer.Option(help="The database of the collections, postgresql://….", show_default=False)
    ] = None,
    shards: Annotated[
        str | None,
        typer.Option(help="Ray's head, ray://HOST:PORT, or auto for a cluster on this machine.", show_default="none"),
    ] = None,
    slots: Annotated[int | None, typer.Option(help="The number of slots on this machine.", show_default="4")] = None,
    copies: Annotated[
        int | None, typer.Option(help="The number of slots that hold each key.", show_default="2")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="The number of scan threads of all slots together.", show_default="all cores"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The prefix of the slots' names, NAME-0 and so on.", show_default="the machine's")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The directory for files from which slots restart.", show_default="data")
    ] = None,
    vector_storage: Annotated[
        str | None, typer.Option(help="Storage of float32 vectors of large collections: memory or files.")
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            help="The directory for cached machine code, and for the address of auto.", show_default="~/.cache/softkv"
        ),
    ] = None,
    leave_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds to wait at the end until other slots hold its keys.")
    ] = 600,
    ready_file: Annotated[
        Path | None, typer.Option(help="A file that exists while the slots hold all their keys.", show_default="none")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="console or json.", show_default="console")] = None,
) -> None:
    """Hold a part of all keys on this machine; at Ctrl-C, other slots take over.

    Joins the cluster, starts its slots, and stays. The slots that exist
    determine which ranges of keys each holds. A second Ctrl-C ends it at once.

    softkv shard --store postgresql://… --shards ray://head:6379 --slots 4
    """
    options = {key: value for key, value in locals().items() if value is not None and key not in OWN_OPTIONS}
    options["host"] = "127.0.0.1"  # this process does not listen, whatever SOFTKV_HOST says

    from service import logs

    settings = read_settings(options)
    logs.configure(settings.log_format)
    if settings.store is None or settings.shards is None:
        raise CommandError(
            "a shard needs the database of the collections, --store postgresql://…, and the cluster that it "
            "joins, --shards ray://HOST:6379 or auto"
        )
    node = name or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())
    if not NAME.fullmatch(node):
        raise CommandError(f"--name: expected up to 100 letters, digits and -._, got {node!r}")
    _hold(settings, settings.store, settings.shards, node, leave_seconds, ready_file)


def _hold(
    settings: Settings, address: str, shards: str, node: str, leave_seconds: float, ready_file: Path | None
) -> None:
    from service.cluster import ClusterError, join_cluster, require_ray
    from service.storage import StorageError, open_shared

    leaving = threading.Event()
    folder = _prepare_folder(settings.data_dir, needed=settings.vector_storage == "files")
    _clear_ready(ready_file)  # a killed process may have left it
    try:
        require_ray()
        store = open_shared(address)
        membership = join_cluster(shards, settings.cache_dir / "cluster")
        # The handlers of Ray would end the process at once.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: _handle_signal(leaving))
        try:
            slots = _Slots(settings, store, membership, node, address, folder)
            slots.hold(leaving, ready_file)
            if leaving.is_set():
                _clear_ready(ready_file)
                slots.leave(leave_seconds)
        finally:
            membership.close()
            store.close()
    except (ClusterError, StorageError) as error:
        raise CommandError(str(error)) from None
    except KeyboardInterrupt:
        pass  # the second signal


def _prepare_folder(folder: Path, *, needed: bool) -> str | None:
    """Return the folder for files, or None with a warning if it is not writable.

    Raise an error if it is needed and not writable.
    """
    import structlog

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder.resolve())
    except OSError as error:
        if needed:
            raise CommandError(
                f"--vector-storage files needs a writable directory, which {folder} is not ({error.strerror}): "
                "name another with --data-dir"
            ) from None
        structlog.get_logger("softkv").warning(
            "without files, each start reads all keys from the database: name a writable directory with --data-dir",
            data_dir=str(folder),
            reason=error.strerror,
        )
        return None


def _handle_signal(leaving: threading.Event) -> None:
    if leaving.is_set():
        raise KeyboardInterrupt
    leaving.set()


def _clear_ready(ready_file: Path | None) -> None:
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)


class _Slots:
    """The slots of this machine, which are processes that hold parts of all keys.

    This object starts, monitors and ends them.
    """

    def __init__(
        self,
        settings: Settings,
        store: SharedStore,
        membership: Membership,
        node: str,
        address: str,
        folder: str | None,
    ) -> None:
        import structlog

        self._log = structlog.get_logger("softkv")
        self._names = [f"{node}-{number}" for number in range(settings.slots)]
        self._registry: NodeRegistry = store.nodes
        self._membership = membership
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._arguments = {
            "node": node,
            "store": address,
            "copies": settings.copies,
            "originals": folder if settings.vector_storage == "files" else None,
            "sealed": folder,
            # All slots of a machine scan a query at the same time.
            "threads": max(1, (settings.threads or cores) // settings.slots),
            "cache": str(settings.cache_dir),
        }

    def hold(self, leaving: threading.Event, ready_file: Path | None) -> None:
        """Until the event is set, restart slots that have died, and log how many keys the slots hold when
        that changes.
        """
        for name in self._names:
            self._start(name)
        seen = dict.fromkeys(self._names, time.monotonic())
        logged: tuple[int, int, int] | None = None
        while not leaving.is_set():
            if self._membership.ended(0):
                raise CommandError("this machine's Ray node and its slots have ended: start them again")
            now = time.monotonic()
            present = self._call(lambda: {slot.name for slot in self._registry.live()})
            for name in self._names:
                if present is None or name in present:
                    seen[name] = now
                elif now - seen[name] > ABSENT_SECONDS:
                    self._log.warning("restarting a missing slot", slot=name)
                    self._start(name)
                    seen[name] = time.monotonic()
            if (counts := self._call(self._count_holdings)) not in (None, logged):
                logged = counts
                ranges, keys, coming = counts
                self._log.info("slots hold", slots=len(self._names), ranges=ranges, keys=keys, coming=coming)
                if coming:
                    _clear_ready(ready_file)
                elif ready_file is not None:
                    ready_file.touch()
            leaving.wait(POLL_SECONDS)

    def leave(self, seconds: float) -> None:
        """Wait until other slots, if there are any, hold the keys of the slots of this machine.

        Then end the slots of this machine.
        """
        from service.cluster import NodeLost

        deadline = time.monotonic() + seconds
        for name in self._names:
            self._call(partial(self._membership.call, name, "leave"))
            self._call(partial(self._registry.leave, name))
        self._log.info("slots leave", slots=len(self._names))
        staying = set(self._names)
        while staying and time.monotonic() < deadline:
            if not self._call(self._registry.members):
                self._log.warning("no slot on another machine can take over the keys")
                break
            for name in sorted(staying):
                try:
                    if self._membership.call(name, "left"):
                        staying.remove(name)
                except NodeLost:
                    staying.remove(name)
            time.sleep(POLL_SECONDS / 5)
        if staying and time.monotonic() >= deadline:
            self._log.warning("other slots do not hold all keys yet", slots=sorted(staying), after_seconds=seconds)
        for name in self._names:
            self._call(
                partial(self._membership.call, name, "close")
            )  # otherwise it might join again before it has ended
            self._membership.end(name)
            self._call(partial(self._registry.remove, name))
        self._log.info("slots have left", slots=len(self._names))

    def _start(self, name: str) -> None:
        self._membership.start(name, "service.cluster.node.process:NodeProcess", {"name": name, **self._arguments})
        self._log.info("slot started", slot=name)

    def _count_holdings(self) -> tuple[int, int, int]:
        """Return the numbers of ranges and keys that the slots hold, and of ranges that they are reading."""
        holdings = [self._membership.call(name, "report") for name in self._names]
        ranges, rows = sum(slot.ranges for slot in holdings), sum(slot.rows for slot in holdings)
        return ranges, rows, sum(slot.coming for slot in holdings)

    def _call(self, call: Callable[[], T]) -> T | None:
        from service.cluster import NodeLost
        from service.storage import StorageError

        try:
            return call()
        except (NodeLost, StorageError):
            return None  # the caller tries again in a second
