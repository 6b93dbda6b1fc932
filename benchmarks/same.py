"""The answers of two commits to the same questions over HTTP: equal to the byte, within their certificates, or not.

    python -m benchmarks.same --before FOLDER [--questions 10000] [--seed 0] [--sizes 0 1 50 1000 20000] [--no-texts]
        [--except FIELD …]

FOLDER is a checkout of the other commit, with its own .venv if it needs one. Both services hold the same collections:
of each size, similarity and kind of key, some with defaults, with gaps from deletions, and with copies that tie.
Questions are random, with every option whose answer is determined, valid or not. Both get each question at once.

Two answers to a question have the same status and the same fields. Their weights, and what follows from weights, may
differ by the sum of the certificates' bounds. Similarities may differ by rounding, and documents may change places if
their weights tie within the bounds. If anything differs by more, the exit code is 1, and the questions are printed.
`--except` names fields that one of the commits does not have, or computes otherwise on purpose.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.differences import differences
from benchmarks.running import Service
from benchmarks.variety import PATH, Questions, Request, Shape, shapes

SHOWN = 10
METHOD = re.compile(rb'"method":"(\w+)"')


@dataclass
class Report:
    """The comparison of all answers.

    Attributes:
        statuses: how often each status came, from both.
        methods: how often an answer was exact or quantised.
        identical: answers with the same bytes except for the time.
        within: other answers that the certificates allow.
        beyond: the questions whose answers differ by more, with the differences.
        largest: the largest difference by the name of a field.
        excepted: the names of fields that are not compared.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    identical: int = 0
    within: int = 0
    beyond: list[tuple[Request, list[str]]] = field(default_factory=list)
    largest: dict[str, float] = field(default_factory=dict)
    excepted: frozenset[str] = frozenset()

    def add(self, request: Request, before: httpx.Response, now: httpx.Response) -> None:
        """Compare two answers to a question."""
        self.statuses[now.status_code] += 1
        if before.status_code != now.status_code:
            texts = [f"{response.status_code} {response.text[:300]}" for response in (before, now)]
            self.beyond.append((request, [f"the status is {texts[0]!r} and {texts[1]!r}"]))
            return
        self.methods.update(method.decode() for method in METHOD.findall(now.content))
        result = differences(before.content, now.content, self.excepted)
        if before.headers["content-type"] != now.headers["content-type"]:
            result.beyond.append("the content types differ")
        for name, amount in result.largest.items():
            self.largest[name] = max(self.largest.get(name, 0.0), amount)
        if result.beyond:
            self.beyond.append((request, result.beyond))
        elif result.identical:
            self.identical += 1
        else:
            self.within += 1


def fill(service: Service, shape: Shape) -> None:
    """Create a collection, write its documents and delete some."""
    with service.client() as client:
        path = f"{PATH}/{shape.name}"
        client.put(path, json=shape.settings).raise_for_status()
        if not shape.size:
            return
        lines = {"Content-Type": "application/x-ndjson"}
        answer = client.post(f"{path}/documents", content=shape.lines(), headers=lines).raise_for_status()
        last = json.loads(answer.text.splitlines()[-1])
        if last != {"done": True, "upserted": shape.size, "refused": 0}:
            raise RuntimeError(f"the upload to {shape.name} ended with {answer.text[-500:]}")
        if ids := shape.ids_to_delete():
            client.post(f"{path}/documents/delete", json={"ids": ids}).raise_for_status()


def in_turns(collections: Sequence[Shape], count: int, seed: int) -> Iterator[Request]:
    """Yield `count` questions, to all collections in turns."""
    streams = [iter(Questions(shape, seed)) for shape in collections]
    for number in range(count):
        yield next(streams[number % len(streams)])


def compare(services: Sequence[Service], requests: Iterator[Request], excepted: frozenset[str]) -> Report:
    """Send each request to both services at once; return the comparison without the excepted fields."""
    report = Report(excepted=excepted)
    with ExitStack() as stack:
        clients = [stack.enter_context(service.client()) for service in services]
        pool = stack.enter_context(ThreadPoolExecutor(len(clients)))
        for number, request in enumerate(requests, 1):
            content = json.dumps(request.body).encode()
            headers = {"Content-Type": "application/json"}

            def send(client: httpx.Client) -> httpx.Response:
                return client.post(request.path, content=content, headers=headers)  # noqa: B023

            before, now = pool.map(send, clients)
            report.add(request, before, now)
            if not number % 1000:
                print(f"{number:,} questions, {len(report.beyond)} beyond", file=sys.stderr)
    return report


def abbreviate(body: object) -> str:
    """Return a body as JSON of at most 1,000 characters, vectors by their first numbers."""
    text = re.sub(r"((?:-?[0-9.e-]+, ){2})(?:-?[0-9.e-]+, )+", r"\1…, ", json.dumps(body))
    return re.sub(r'("base64": ".{12})[^"]+', r"\1…", text)[:1000]


def show(console: Console, report: Report) -> None:
    """Print the report, and the first questions whose answers differ by too much."""
    table = Table(box=box.MARKDOWN)
    for column in ("answers", "equal to the byte", "within the certificates", "beyond"):
        table.add_column(column, justify="right")
    total = report.statuses.total()
    table.add_row(*(f"{count:,}" for count in (total, report.identical, report.within, len(report.beyond))))
    console.print(table)
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(report.statuses.items()))
    methods = ", ".join(f"{method}: {count:,}" for method, count in sorted(report.methods.items()))
    console.print(f"statuses: {statuses}; certificates: {methods}")
    amounts = ", ".join(f"{name} {amount:.2g}" for name, amount in sorted(report.largest.items()) if amount)
    console.print(f"largest differences: {amounts or 'none'}")
    for request, flaws in report.beyond[:SHOWN]:
        console.print(f"\nPOST {request.path}\n{abbreviate(request.body)}")
        for flaw in flaws[:5]:
            console.print(f"  {flaw}")


def main() -> int:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="the folder of the other commit")
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 1, 50, 1000, 20_000])
    parser.add_argument("--except", dest="excepted", nargs="+", default=(), metavar="FIELD")
    parser.add_argument("--no-texts", action="store_true", help="start both without an encoder")
    options = parser.parse_args()
    collections = shapes(options.sizes, encoder=not options.no_texts)
    arguments = ["--encoder", "none"] if options.no_texts else []
    with ExitStack() as stack:
        services = []
        for checkout in (options.before, None):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            services.append(stack.enter_context(Service(folder, *arguments, checkout=checkout)))
        for service in services:
            service.wait_until_ready()
            for shape in collections:
                fill(service, shape)
        for service in services:
            service.wait_until_idle()
        report = compare(services, in_turns(collections, options.questions, options.seed), frozenset(options.excepted))
    names = ", ".join(shape.name for shape in collections)
    console = Console(width=120, markup=False, highlight=False, soft_wrap=True)
    console.print(f"{options.questions:,} questions, seed {options.seed}, to {len(collections)} collections: {names}")
    show(console, report)
    return 1 if report.beyond else 0


if __name__ == "__main__":
    sys.exit(main())
