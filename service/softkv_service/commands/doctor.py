"""`softkv doctor`: check this machine, the model and the data, and report what is broken."""

from __future__ import annotations

import math
import os
import platform
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from softkv.commands.command_line import AsJSON, CommandError
from softkv_service.commands.serve import misspelt_variables, read_settings

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from softkv_service.encoding import LocalEncoder, LocalSettings, RemoteSettings, Reranker, RerankerSettings
    from softkv_service.settings import Settings
    from softkv_service.storage import SharedStore
    from softkv_service.storage.records import CollectionRecord

_STYLES = {"ok": "green", "note": "yellow", "broken": "bold red"}

Severity = Literal["ok", "note", "broken"]

_NEEDED = (
    "softkv-client",
    "softkv-core",
    "numpy",
    "fastapi",
    "uvicorn",
    "pydantic",
    "orjson",
    "httpx2",
)
# The purpose of each optional package.
_OPTIONAL = {
    "torch": "computes models that the core does not, and trains in the lab",
    "sentence-transformers": "loads models of other kinds than the BERT family",
    "pyarrow": "reads Parquet files",
    "mcp": "speaks the Model Context Protocol, at /mcp and as `softkv mcp`",
}
_SHOWN = 5  # collections, by name


@dataclass(frozen=True)
class UndocumentedParts:
    """Parts of a library that softkv uses and the library does not document, so a new version may change them.

    Attributes:
        library: the name of its distribution.
        oldest, newest: the versions with which the tests passed, as series: 0.54 stands for every 0.54.x.
        parts: their dotted names.
    """

    library: str
    oldest: str
    newest: str
    parts: tuple[str, ...]


UNDOCUMENTED = (
    UndocumentedParts(
        "fastapi",
        "0.157",
        "0.165",
        (
            "fastapi.middleware.asyncexitstack.AsyncExitStackMiddleware",
            "fastapi.params.Depends",
            "fastapi.routing.RouteContext",
            "fastapi.routing.iter_route_contexts",
        ),
    ),
    UndocumentedParts(
        "mcp", "2.3", "2.3", ("mcp.server.streamable_http_manager.StreamableHTTPSessionManager.handle_request",)
    ),
    UndocumentedParts(
        "starlette",
        "1",
        "1.10",
        ("starlette.responses.StreamingResponse.stream_response", "starlette.routing.Match"),
    ),
    UndocumentedParts("transformers", "5.23", "5.24", ("transformers.PreTrainedConfig._attn_implementation",)),
    UndocumentedParts(
        "uvicorn",
        "0.45",
        "0.54",
        (
            "uvicorn.protocols.http.flow_control.HIGH_WATER_LIMIT",
            "uvicorn.protocols.http.httptools_impl.HttpToolsProtocol._start_asgi_task",
            "uvicorn.protocols.http.httptools_impl.HttpToolsProtocol._unset_keepalive_if_required",
            "uvicorn.protocols.http.httptools_impl.RequestResponseCycle",
            "uvicorn.Server.capture_signals",
        ),
    ),
)
"""No requirement has an upper bound for these: a program that runs softkv may need a newer version."""


def doctor(
    data_dir: Annotated[
        Path | None, typer.Option(help="The directory of the collections.", show_default="data")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="Check this database instead, postgresql://….", show_default="none")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="The name of a model, its path, or none.", show_default="all-MiniLM-L6-v2")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Check this machine, the model and the stored data.

    Run it on the machine of `softkv serve`, with the same SOFTKV_… variables.
    It needs no running service. Each check is printed when it is done; with
    --json, all of them are printed at the end.
    """
    # A loopback host: nothing listens here, so the settings need no keys.
    options = {"host": "127.0.0.1", "data_dir": data_dir, "store": store, "encoder": encoder}
    settings = read_settings({name: value for name, value in options.items() if value is not None})

    from softkv.commands.console import messages, output, write_json
    from softkv_service import logs

    logs.configure(settings.log_format, settings.log_level)  # to standard error
    steps, checks, console = examination(settings), list[Check](), output()
    name_width = max(len(step.name) for step in steps)
    for step in steps:
        remaining = _checks(step)
        while True:
            # Nothing is printed meanwhile: the status would redirect standard output to standard error.
            with messages().status(f"checking: {step.name}"):
                check = next(remaining, None)
            if check is None:
                break
            checks.append(check)
            if not as_json:
                console.print(_row(check, name_width, wrap=not console.soft_wrap))
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        write_json({"sound": not broken, "checks": [asdict(check) for check in checks]})
    if broken:
        raise CommandError(f"broken: {', '.join(dict.fromkeys(check.name for check in broken))}")


@dataclass(frozen=True)
class Check:
    """The result of one check. A `note` is worth knowing; if something is `broken`, the service does not work."""

    name: str
    state: Severity
    detail: str


@dataclass(frozen=True)
class Step:
    """A step of the examination. Its name is known before its checks run, so that a terminal shows which one hangs."""

    name: str
    run: Callable[[], Iterable[Check]]


def examination(settings: Settings, undocumented: Sequence[UndocumentedParts] = UNDOCUMENTED) -> list[Step]:
    """Return all steps in their order; those of the model and of the stored data take seconds."""
    address = settings.store
    return [
        Step("machine", lambda: [_machine()]),
        Step("packages", _packages),
        Step("versions", lambda: _versions(undocumented)),
        *(Step(name, partial(_optional_package, name)) for name in _OPTIONAL),
        Step("settings", lambda: _settings(settings)),
        *([] if settings.keys_file is None else [Step("keys", partial(_keys, settings.keys_file))]),
        Step("kernels", lambda: [_kernels(settings)]),
        Step("tables", lambda: [_tables()]),
        *_models(settings),
        Step("data directory", lambda: _data_directory(settings.data_dir))
        if address is None
        else Step("store", lambda: _store(address, settings)),
        *([] if settings.access_log is None else [Step("access log", partial(_access_log, settings.access_log))]),
    ]


def _checks(step: Step) -> Iterator[Check]:
    """Yield the checks of a step; it is broken if something cannot be imported."""
    try:
        yield from step.run()
    except ImportError as error:
        yield Check(step.name, "broken", str(error))


def _row(check: Check, name_width: int, *, wrap: bool) -> Table | Text:
    """Return a check as a table of one row, so that it can be shown before the next check has run.

    Without `wrap`, return it as one line, whatever its length.
    """
    from rich.table import Table
    from rich.text import Text

    state_width = max(map(len, _STYLES))
    if not wrap:
        state = check.state.ljust(state_width)
        return Text.assemble(f"{check.name:{name_width}}  ", (state, _STYLES[check.state]), f"  {check.detail}")
    row = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    row.add_column(width=name_width)
    row.add_column(width=state_width)
    row.add_column()
    row.add_row(Text(check.name), Text(check.state, _STYLES[check.state]), Text(check.detail))
    return row


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _machine() -> Check:
    import sqlite3

    python = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    facts = f"{python}, {platform.system()} on {platform.machine()}, {_cores()} cores"
    if _is_optimised(sysconfig.get_config_var("CONFIG_ARGS"), sys.base_prefix):
        return Check("machine", "ok", facts)
    return Check("machine", "note", f"{facts}; {UNOPTIMISED}")


UNOPTIMISED = (
    "this Python was compiled without --enable-optimizations, so its own code takes up to 1.8 times as long: for "
    "faster answers use the system's Python, or compile it with that option"
)


def _is_optimised(options: str | None, prefix: str) -> bool:
    """Return whether a Python was compiled with optimisation by profiles.

    Args:
        options: the options of its `configure`; None on Windows, where python.org's is optimised.
        prefix: where it is installed. Debian compiles that of the system with optimisation without the option.
    """
    return options is None or "--enable-optimizations" in options or prefix == "/usr"


def _packages() -> Iterator[Check]:
    """Check that needed packages are installed."""
    name = "packages"
    try:
        versions = [f"{package} {version(package)}" for package in ("softkv", *_NEEDED)]
    except PackageNotFoundError as error:
        yield Check(name, "broken", f"{error.name} is not installed: install softkv again, from its wheels")
    else:
        yield Check(name, "ok", ", ".join(versions))


def _versions(undocumented: Sequence[UndocumentedParts]) -> Iterator[Check]:
    """Name each installed library that is newer than the versions with which its undocumented parts were tested."""
    for parts in undocumented:
        try:
            installed = version(parts.library)
        except PackageNotFoundError:
            continue
        newest = _release(parts.newest)
        if _release(installed)[: len(newest)] > newest:
            yield Check(
                "versions",
                "note",
                f"{parts.library} {installed} is newer than {parts.newest}, the newest that softkv was tested with: "
                f"if something fails, install '{parts.library}=={parts.newest}.*'",
            )


def _release(version: str) -> list[int]:
    """Return the numbers with which a version begins, as in 1, 2 for 1.2rc3."""
    return [int(number) for number in version.split("+")[0].split(".") if number.isdecimal()]


def _optional_package(name: str) -> Iterator[Check]:
    try:
        yield Check(name, "ok", f"{version(name)}: {_OPTIONAL[name]}")
    except PackageNotFoundError:
        yield Check(name, "note", f"not installed (optional): {_OPTIONAL[name]}")


def _settings(settings: Settings) -> Iterator[Check]:
    """Name environment variables that look like settings and have no effect."""
    variables = misspelt_variables(settings)
    if not variables:
        yield Check("settings", "ok", "every variable SOFTKV_… is known")
    for variable in variables:
        yield Check("settings", "note", str(variable))


def _keys(path: Path) -> Iterator[Check]:
    """Read the file of keys as the service does."""
    from softkv_service.api.keyring import KeyFile, KeysUnusable

    try:
        holders = [holder for _, holder in KeyFile.open(path).entries]
    except KeysUnusable as error:
        yield Check("keys", "broken", str(error))
        return
    now = datetime.now(UTC)
    expired = [holder.name for holder in holders if holder.expires is not None and holder.expires <= now]
    facts = f"{path}: {_plural(len(holders), 'key')}"
    yield Check("keys", "note", f"{facts}, expired: {', '.join(expired)}") if expired else Check("keys", "ok", facts)


def _kernels(settings: Settings) -> Check:
    """Check which kernels answer, and that they multiply integers exactly."""
    import numpy as np

    from softkv_attention.kernels import missing_kind, products_are_exact, reason_for_numpy, workers
    from softkv_service.kernels import ADVICE, KernelsMissing, choose_kernels, describe_kernels

    try:
        choose_kernels(settings.kernels)
    except KernelsMissing as error:
        return Check("kernels", "broken", str(error))
    running = describe_kernels(settings.kernels)
    if not products_are_exact():
        advice = "set SOFTKV_KERNELS=numpy, and report this processor"
        return Check("kernels", "broken", f"{running}: integers are multiplied wrongly on this processor: {advice}")
    shown: Any = np.show_config(mode="dicts")
    blas = shown["Build Dependencies"]["blas"]
    facts = f"{running}; products are exact; {workers()} threads; NumPy over {blas['name']} {blas['version']}"
    if settings.kernels is None and reason_for_numpy() is not None:
        return Check("kernels", "note", f"{facts}; for faster answers {ADVICE}")
    if settings.kernels != "numpy" and (kind := missing_kind()) is not None:
        return Check("kernels", "note", f"{facts}; compiled on another machine, without {kind.name}: {ADVICE}")
    return Check("kernels", "ok", facts)


SENTENCE = "softkv doctor encodes a sentence"


def _models(settings: Settings) -> list[Step]:
    """Return a step for the model of the settings, or for each encoder of their file."""
    try:
        from softkv_service.encoding import LocalSettings, load_encoder, load_reranker
    except ImportError as error:
        broken = Check("model", "broken", str(error))
        return [Step("model", lambda: [broken])]
    file, name = settings.encoders_file, settings.encoder_name
    if file is None:
        if name is None:
            return [Step("model", lambda: [Check("model", "note", "none: documents and queries bring vectors")])]
        load = partial(load_encoder, name, threads=settings.threads, precision=settings.model_precision)
        return [Step("model", lambda: [_model("model", load)])]

    def step(one: LocalSettings | RemoteSettings) -> Step:
        title = f"encoder {one.name}"
        if not isinstance(one, LocalSettings):
            return Step(title, lambda: [_provider(title, one)])
        load = partial(load_encoder, one.model, prompts=one.prompts, threads=settings.threads, precision=one.precision)
        return Step(title, lambda: [_model(title, load)])

    def reranker(one: RerankerSettings) -> Step:
        load = partial(load_reranker, one.model, threads=settings.threads, precision=one.precision)
        return Step(f"reranker {one.name}", lambda: [_reranker(f"reranker {one.name}", load)])

    return [*map(step, file.encoders), *map(reranker, file.rerankers)]


def _reranker(title: str, load: Callable[[], Reranker]) -> Check:
    """Check a reranker: find it, load it, and compute the logit of a pair."""
    from softkv_service.encoding import EncodingError, write_pair

    started = time.perf_counter()
    try:
        reranker = load()
        loaded = time.perf_counter() - started
        logit = float(reranker.encode([write_pair(SENTENCE, SENTENCE)], "query").vectors[0, 0])
    except EncodingError as error:
        return Check(title, "broken", str(error))
    facts = f"{reranker.name}: loads in {loaded:.1f} s, {reranker.precision}, reads {reranker.max_tokens} tokens"
    if not math.isfinite(logit):
        return Check(title, "broken", f"{facts}; its logit of a pair is {logit}, wanted a finite number")
    return Check(title, "ok", f"{facts}; runs on {reranker.runs_on}")


def _provider(title: str, settings: RemoteSettings) -> Check:
    """Check an encoder behind a URL: ask its provider for the vector of a sentence."""
    from softkv_service.encoding import EncodingError, RemoteEncoder

    started = time.perf_counter()
    try:
        vectors = RemoteEncoder(settings).encode([SENTENCE], "query").vectors
    except EncodingError as error:
        return Check(title, "broken", str(error))
    answered = time.perf_counter() - started
    return Check(
        title, "ok", f"{settings.model} at {settings.url} answers in {answered:.1f} s, {vectors.shape[1]} wide"
    )


def _model(title: str, load: Callable[[], LocalEncoder]) -> Check:
    """Check a model: find it, verify it, load it, and encode a sentence."""
    from softkv_service.encoding import EncodingError

    started = time.perf_counter()
    try:
        encoder = load()
        loaded = time.perf_counter() - started
        encoded = encoder.encode([SENTENCE], "query")
    except EncodingError as error:
        return Check(title, "broken", str(error))
    if not (abs(encoded.vectors).max() > 0):
        return Check(title, "broken", f"{encoder.name} encodes a sentence as zeros: install softkv again")
    verified = "verified, " if encoder.checksum is not None else ""
    reads = "texts of any length" if encoder.max_tokens is None else f"{encoder.max_tokens} tokens"
    facts = (
        f"{encoder.name}: {verified}loads in {loaded:.1f} s, {encoder.dimension} wide, {encoder.precision}, "
        f"reads {reads}; runs on {encoder.runs_on}, {_torch()}; "
        f"compared by {encoder.similarity} at temperature {encoder.temperature.value:g} "
        f"({encoder.temperature.source}); unrelated texts are {encoder.background.mean:.2f} "
        f"± {encoder.background.deviation:.2f} similar"
    )
    return Check(title, "note" if encoder.notes else "ok", "; ".join([facts, *encoder.notes]))


def _torch() -> str:
    """Return how torch computes the model, in words, if the model has loaded torch; else return that it does not."""
    if "torch" not in sys.modules:
        return "without torch"
    import torch

    return f"with torch for {torch.backends.cpu.get_cpu_capability()} in {torch.get_num_threads()} threads"


def _data_directory(path: Path) -> Iterator[Check]:
    """Check a data directory: open the store as the service does, with its lock and version check, then read
    every row.
    """
    from softkv_service.storage import SQLiteStore
    from softkv_service.storage.errors import DirectoryLocked, StorageError

    name = "data directory"
    if not path.exists():
        yield Check(name, "note", f"{path.resolve()} does not exist yet: `softkv serve` creates it")
        return
    try:
        store = SQLiteStore.open(path)
    except DirectoryLocked as error:
        owner = "another process" if error.pid is None else f"process {error.pid}"
        yield Check(name, "note", f"{path} is in use by {owner}; its integrity is checked when that has stopped")
        return
    except StorageError as error:
        yield Check(name, "broken", str(error))
        return
    if store.unclean_shutdown is not None:
        unclean = store.unclean_shutdown
        yield Check(
            name,
            "note",
            f"process {unclean.process} did not close it; its {unclean.log_bytes:,} bytes of committed log were "
            f"read back in {unclean.seconds:.2f} s",
        )
    try:
        findings = list(store.check())
        with store.reading() as reader:
            collections = reader.collections()
    except StorageError as error:
        findings = [str(error)]
    finally:
        store.close()
    if findings:
        yield from (Check(name, "broken", finding) for finding in findings)
        return
    yield Check(name, "ok", _summarise(str(store.path), collections, store.path.stat().st_size))


def _store(address: str, settings: Settings) -> Iterator[Check]:
    """Check a database: connect to it and read every row, while services use it. Nothing is created or changed."""
    from softkv_service.storage import inspect_shared, open_shared
    from softkv_service.storage.errors import StorageError, StoreRefused, StoreUnavailable

    name = "store"
    try:
        standing = inspect_shared(address)
        where = f"{standing.name}, PostgreSQL {standing.server}"
        if not standing.schema_version:
            yield Check(name, "note", f"{where}, has no tables of softkv yet: `softkv serve` creates them")
            return
        with closing(open_shared(address)) as store:
            findings = list(store.check())
            with store.reading() as reader:
                collections = reader.collections()
            size = store.sizes()["database"]
            shards = None if settings.shards is None else _shards(store, settings.shards)
    except StoreRefused as error:
        yield Check(name, "broken", str(error))
    except StoreUnavailable as error:
        advice = "if that stays so, see that the server runs, listens there and lets this machine in (pg_hba.conf)"
        yield Check(name, "broken", f"{error}; {advice}")
    except StorageError as error:
        yield Check(name, "broken", str(error))
    else:
        yield from (Check(name, "broken", finding) for finding in findings)
        if not findings:
            located = f"{where}, schema version {standing.schema_version},"
            yield Check(name, "ok", _summarise(located, collections, size))
        if shards is not None:
            yield shards


def _shards(store: SharedStore, address: str) -> Check:
    """Check which servers hold the keys; for this the Ray cluster is joined."""
    from softkv_service.startup import find_cluster
    from softkv_service.storage.errors import StorageFailed

    try:
        cluster = find_cluster()
    except StorageFailed as error:
        return Check("shards", "broken", str(error))
    return Check("shards", *cluster.check_servers(store, address))


def _tables() -> Check:
    """Check whether a process reads the file of a table, and how this system confines it."""
    from softkv import Invalid
    from softkv.tables import filters_calls, landlock_version, open_table

    name, version, filters = "tables", landlock_version(), filters_calls()
    with TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_text("id,key\n1,cats\n", encoding="utf-8")
        try:
            list(open_table(path))
        except Invalid as error:
            return Check(name, "broken", str(error))
    files = (
        f"no other (Landlock {version})" if version > 0 else "what this user may, because this system lacks Landlock"
    )
    calls = "no socket (seccomp)" if filters else "sockets, because this system lacks seccomp"
    state: Severity = "ok" if version > 0 and filters else "note"
    return Check(name, state, f"the process that reads a file can open {files}, and gets {calls}")


def _access_log(path: Path) -> Iterator[Check]:
    """Check that the access log can be read and that this user may write it; nothing is created or changed."""
    from softkv_service.api.access_log import Torn, old_files, read

    name = "access log"
    try:
        lines = list(read(path))
    except FileNotFoundError:
        writable = os.access(path.parent, os.W_OK)
        yield (
            Check(name, "note", f"{path} does not exist yet: `softkv serve` creates it")
            if writable
            else Check(name, "broken", f"{path} cannot be created: changes are refused")
        )
        return
    except OSError as error:
        yield Check(name, "broken", f"{path} cannot be read ({error.strerror or error})")
        return
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        yield Check(name, "broken", f"{path} cannot be written by this user: changes are refused")
        return
    torn = sum(isinstance(line, Torn) for line in lines)
    facts = f"{path}: {_plural(len(lines) - torn, 'line')}, {_plural(len(old_files(path)), 'rotated file')}"
    yield Check(name, "note" if torn else "ok", f"{facts}, {_plural(torn, 'torn line')}" if torn else facts)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _summarise(location: str, collections: Sequence[CollectionRecord], size: int) -> str:
    """Return a summary of a store after every row has been read."""
    largest = sorted(collections, key=lambda record: -record.documents)[:_SHOWN]
    named = ", ".join(f"{record.name}: {record.documents:,}" for record in largest)
    shown = f" ({named}{', …' if len(collections) > _SHOWN else ''})" if collections else ""
    documents = sum(record.documents for record in collections)
    return (
        f"{location} is sound: {_plural(len(collections), 'collection')}, {_plural(documents, 'document')}{shown}, "
        f"{size / 2**20:,.1f} MiB; every row matches its checksum"
    )
