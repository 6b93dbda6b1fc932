"""`softkv cluster up|status|down`: the servers that hold the keys of sharded collections, in a Ray cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from softkv.commands.command_line import OPERATE, Command, CommandError, CommandGroup
from softkv_service.commands.serve import read_settings

if TYPE_CHECKING:
    from softkv_cluster.service import RayCluster, Transport
    from softkv_service.retrieval.collections import ClusterStatus
    from softkv_service.settings import Settings
    from softkv_service.storage import SharedStore

POLL_SECONDS = 0.5
DEPLOY_SECONDS = 600.0
"""Time for which `up` waits for machines and servers if it does not wait for keys."""

cluster = typer.Typer(
    cls=CommandGroup,
    name="cluster",
    no_args_is_help=True,
    help="Hold the keys in the memory of several machines, in a running Ray cluster.",
)
app = typer.Typer()
"""The commands of this distribution, which `softkv` finds by the entry point `cluster`."""
app.add_typer(cluster, name="cluster", rich_help_panel=OPERATE)
Store = Annotated[str | None, typer.Option(help="The database of the collections, postgresql://….", show_default=False)]
Shards = Annotated[
    str | None,
    typer.Option(help="The Ray cluster: auto, HOST:PORT, or ray://HOST:PORT.", show_default="auto"),
]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait until the shards are held; 0 does not wait.")]


@cluster.command(cls=Command)
def up(
    servers: Annotated[
        int, typer.Option(min=1, max=10_000, help="The number of servers; each runs on a machine of its own.")
    ],
    copies: Annotated[int, typer.Option(min=1, max=8, help="The number of servers that hold each key.")] = 2,
    store: Store = None,
    shards: Shards = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The processors that Ray reserves for each server.",
            show_default="those of the smallest machine",
        ),
    ] = None,
    data_dir: Annotated[
        str, typer.Option(help="The directory on each machine for files that make a restart fast; none for no files.")
    ] = "~/.cache/softkv/shards",
    vector_storage: Annotated[
        Literal["memory", "files"] | None,
        typer.Option(
            help="Keep the float32 vectors of large collections in memory or in files.", show_default="memory"
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Restart the servers one by one, for a new version of softkv.")
    ] = False,
    wait: Wait = 3600,
) -> None:
    """Start or change the servers of the cluster, and wait until they hold all keys.

    Run it again with other numbers to add or remove servers. Queries are
    answered while keys move. Ctrl-C stops only the waiting.

    softkv cluster up --store postgresql://… --servers 3
    """
    if data_dir == "none" and vector_storage == "files":
        raise CommandError("--vector-storage files needs a directory: name one with --data-dir")
    if restart and not wait:
        raise CommandError("--restart waits for one server before the next: leave --wait 0 out")
    from softkv_cluster.service import choose_servers, fetch_reports

    settings = _settings(store=store, shards=shards, vector_storage=vector_storage, threads=threads)
    with _join(settings, for_servers=True) as (database, ray, transport):
        plan = database.cluster_plan()
        names = choose_servers(plan, fetch_reports(transport, plan.names if plan is not None else ()), servers)
        # Before the plan: if Ray has no room, nothing changes.
        _deploy(ray, settings, names, data_dir, wait or DEPLOY_SECONDS)
        if plan is None or (plan.names, plan.copies) != (names, copies):
            database.set_cluster_plan(names, copies)
        watch = _Watch(database, ray, transport)
        if wait:
            watch.until_held(wait)
            ray.remove([name for name in ray.servers() if name not in names])
        if restart:
            for name in names:
                watch.restart(name, wait)
    typer.echo(f"{servers} servers hold {'all keys' if wait else 'keys soon'}, {min(copies, servers)} copies of each")


@cluster.command(cls=Command)
def status(
    store: Store = None,
    shards: Shards = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, the field `shards` of GET /v1.")] = False,
) -> None:
    """Show the servers, where they run and what they hold.

    The exit code is 1 if a shard is on no server.
    """
    with _join(_settings(store=store, shards=shards)) as (database, ray, transport):
        layout = _Watch(database, ray, transport).status()
    if as_json:
        typer.echo(json.dumps(asdict(layout), indent=2))
    else:
        for line in _describe(layout):
            typer.echo(line)
    if not layout.servers or layout.unheld:
        raise typer.Exit(1)


@cluster.command(cls=Command)
def down(store: Store = None, shards: Shards = None) -> None:
    """Stop all servers; services then answer 503 until the next `up`.

    The documents stay in the database.
    """
    with _join(_settings(store=store, shards=shards)) as (database, ray, _):
        database.set_cluster_plan((), 0)
        names = ray.servers()
        ray.remove(names)
    typer.echo(f"{len(names)} servers ended" if names else "there were no servers")


def _settings(**options: object) -> Settings:
    options = {name: value for name, value in options.items() if value is not None}
    settings = read_settings({**options, "host": "127.0.0.1"})  # no port is opened, whatever SOFTKV_HOST says
    if settings.store is None:
        raise CommandError("shards need the database of the collections: name it with --store postgresql://…")
    return settings


@contextmanager
def _join(settings: Settings, *, for_servers: bool = False) -> Iterator[tuple[SharedStore, RayCluster, Transport]]:
    """Open the store and join the Ray cluster while the block runs; their errors become a CommandError.

    Args:
        settings: the addresses of both.
        for_servers: whether servers are to hold the vectors of the store, so that no value may wait.
    """
    from softkv_cluster.service import ClusterError, join_cluster, open_transport, require_values
    from softkv_service import logs
    from softkv_service.storage import open_shared
    from softkv_service.storage.errors import StorageError

    assert settings.store is not None
    logs.configure(settings.log_format)  # to standard error
    try:
        with closing(open_shared(settings.store)) as store:
            if for_servers:
                require_values(store)
            ray = join_cluster(settings.shards or "auto")
            try:
                yield store, ray, open_transport()
            finally:
                ray.close()
    except (ClusterError, StorageError) as error:
        raise CommandError(str(error)) from None


def _deploy(ray: RayCluster, settings: Settings, names: tuple[str, ...], data_dir: str, seconds: float) -> None:
    assert settings.store is not None
    options = {
        "kernels": settings.kernels,
        "threads": settings.threads,
        "data_dir": None if data_dir == "none" else data_dir,
        "vectors_in_files": settings.vector_storage == "files",
        "log_format": settings.log_format,
    }
    ray.deploy(names, settings.store, options, seconds)


class _Watch:
    """The status of the cluster, which is printed as it changes while a command waits."""

    def __init__(self, store: SharedStore, ray: RayCluster, transport: Transport) -> None:
        self._store, self._ray, self._transport = store, ray, transport
        self._printed = ""

    def status(self) -> ClusterStatus:
        """Return the status of all servers that the plan names or Ray has."""
        from softkv_cluster.service import cluster_status, fetch_reports

        plan = self._store.cluster_plan()
        names = {*self._ray.servers(), *(plan.names if plan is not None else ())}
        return cluster_status(self._store.extents(), plan, fetch_reports(self._transport, names))

    def until_held(self, seconds: float) -> None:
        """Wait until every shard has all of its copies, and the servers beyond the plan hold none."""
        self._until(
            lambda status: status.whole == status.ranges and not any(server.leaving for server in status.servers),
            seconds,
        )

    def restart(self, name: str, seconds: float) -> None:
        """Restart one server, and wait until every shard has all of its copies again."""
        typer.echo(f"restarting {name}", err=True)
        self._ray.restart(name)
        self._until(lambda status: status.whole != status.ranges or not status.ranges, min(seconds, 30), required=False)
        self.until_held(seconds)

    def _until(self, reached: Callable[[ClusterStatus], bool], seconds: float, *, required: bool = True) -> None:
        deadline = time.monotonic() + seconds
        while not reached(status := self.status()):
            if (line := _describe(status)[-1]) != self._printed:
                typer.echo(line, err=True)
                self._printed = line
            if time.monotonic() >= deadline:
                if required:
                    raise CommandError(f"after {seconds:.0f} s {line}: see `softkv cluster status` and Ray's logs")
                return
            time.sleep(POLL_SECONDS)


def _describe(status: ClusterStatus) -> list[str]:
    """Return a line for each server and one for all shards."""
    if not status.servers:
        return ["no servers are deployed: `softkv cluster up` starts some"]
    lines = []
    for server in status.servers:
        if server.machine is None:
            lines.append(f"{server.name}: does not answer")
            continue
        notes = [f"{server.ranges} shards", f"{server.keys} keys"]
        notes += [f"{server.coming} more to load"] if server.coming else []
        notes += [f"{server.lag} versions behind"] if server.lag else []
        notes += ["leaving"] if server.leaving else []
        notes += [server.trouble] if server.trouble else []
        lines.append(f"{server.name} on {server.machine}: {', '.join(notes)}")
    staying = sum(not server.leaving for server in status.servers)
    counts = f"{status.whole} of {status.ranges} shards have {min(status.copies, staying)} copies"
    return [*lines, f"{counts}, {status.fewer} fewer, {status.unheld} none"]
