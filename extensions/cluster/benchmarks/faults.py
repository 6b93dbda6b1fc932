"""A deployment on several machines, whose parts are killed one by one under sixteen clients and a writer.

    python -m extensions.cluster.benchmarks.faults [--repeats 10] [--far-keys 1000000] [--width 384] [--only FAULT …]

The parts are processes of this machine: a Ray head and four machines of one processor, three shard servers with two
copies of each shard, two `softkv serve` in front of them, and a PostgreSQL 15 or later. One part after another gets
SIGKILL, `--repeats` times. Every answer is compared with softmax in float64, and shows whether it mixes two versions
(`shelf.py` of the tests). A client that cannot connect to a service turns to the other one, as a proxy would
do. "recovery" are the seconds from the kill until every shard has all copies again, or until the killed part answers;
medians, and the longest. For Ray's head they include the time that it is away. The exit code is 1 if an answer was
wrong, or a query was refused that should not be.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table

from extensions.cluster.benchmarks.ray_python import with_ray
from extensions.cluster.tests.asking import CLIENTS, Asking, Record
from extensions.cluster.tests.fleet import Fleet
from extensions.cluster.tests.machines import Machine
from tests.postgres import OLDEST, programs
from tests.waiting import until

AWAY_SECONDS = 2.0
"""Seconds until the database is started again."""
Fault = Callable[[Fleet, Asking], None]
"""Kills a part, and returns as soon as the deployment has recovered."""
COLUMNS = ("killed", "times", "answers", "wrong", "refused", "writes", "longest answer, s", "recovery, s", "longest, s")


@dataclass
class Outcome:
    """The answers while a part was killed several times.

    Attributes:
        record: all answers.
        recoveries: seconds, one for each kill.
    """

    record: Record = field(default_factory=Record)
    recoveries: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Return the cells of a row of the table, without the name of the part."""
        record = self.record
        return [
            str(len(self.recoveries)),
            f"{len(record.answers) - record.refusals.total():,}",
            str(len(record.errors)),
            ", ".join(f"{count} {code}" for (_, code), count in record.refusals.items()) or "0",
            f"{record.writes:,}",
            f"{record.longest:.2f}",
            f"{median(self.recoveries):.1f}",
            f"{max(self.recoveries):.1f}",
        ]


def kill_server(fleet: Fleet, _: Asking) -> None:
    """Kill the process of a shard server; Ray starts it again."""
    os.kill(serving_machine(fleet).servers[0], signal.SIGKILL)
    fleet.wait_until_whole_again()


def kill_machine(fleet: Fleet, _: Asking) -> None:
    """Kill all processes of a machine; Ray starts its server on the machine that had none."""
    serving_machine(fleet).kill()
    fleet.wait_until_whole_again()


def kill_agent(fleet: Fleet, _: Asking) -> None:
    """Kill the dashboard agent of a machine. Its Ray node then ends by itself, and a supervisor starts another one."""
    machine = serving_machine(fleet)
    [agent] = machine.processes("ray::DashboardAgent")
    os.kill(agent, signal.SIGKILL)
    until(lambda: not machine.runs)
    fleet.wait_until_whole_again()


def kill_service(fleet: Fleet, _: Asking) -> None:
    """Kill a service, and start it again."""
    service = fleet.services[0]
    service.kill()
    service.start()
    service.wait_until_ready()


def kill_database(fleet: Fleet, _: Asking) -> None:
    """Kill PostgreSQL with all of its processes, and start it again."""
    fleet.postgres.crash()
    time.sleep(AWAY_SECONDS)
    fleet.postgres.start()
    fleet.wait_until_whole()


def kill_head(fleet: Fleet, asking: Asking, *, seconds: float = 0.0) -> None:
    """Kill Ray's head, and start it again after some seconds and answers; then kill a server, which it restarts."""
    fleet.ray.kill_head()
    began = time.monotonic()
    asking.wait_for_answers(10 * CLIENTS)
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    fleet.ray.start_head()
    kill_server(fleet, asking)


def kill_command(fleet: Fleet, _: Asking) -> None:
    """Kill `softkv cluster up` while it adds a server, and let another one remove the server."""
    more = fleet.servers + 1
    with fleet.process("up-killed", *fleet.up_arguments(more, fleet.copies)) as command:
        until(lambda: len([pid for machine in fleet.machines for pid in machine.servers]) == more, 120)
        command.kill()
    fleet.up(fleet.servers, fleet.copies)
    fleet.wait_until_whole()


FAULTS: dict[str, Fault] = {
    "a server": kill_server,
    "a machine": kill_machine,
    "a dashboard agent": kill_agent,
    "a service": kill_service,
    "PostgreSQL": kill_database,
    "Ray's head": kill_head,
    "cluster up": kill_command,
}


def serving_machine(fleet: Fleet) -> Machine:
    """Return a machine that has a shard server."""
    return next(machine for machine in fleet.machines if machine.servers)


def measure(fleet: Fleet, fault: Fault, *, repeats: int = 1, answers: int = 10 * CLIENTS) -> Outcome:
    """Kill a part several times under clients, and wait each time for its return and for further answers."""
    outcome = Outcome()
    for _ in range(repeats):
        with fleet.asking() as asking:
            asking.wait_for_answers(CLIENTS)
            began = time.monotonic()
            fault(fleet, asking)
            outcome.recoveries.append(time.monotonic() - began)
            fleet.restart_machines()
            asking.wait_for_answers(answers)
        outcome.record += asking.record
        fleet.wait_until_whole()
    return outcome


def failures(name: str, outcome: Outcome) -> list[str]:
    """Return everything that must not happen when this part is killed."""
    allowed = {"store_unavailable"} if name == "PostgreSQL" else set()
    refused = {code for _, code in (*outcome.record.refusals, *outcome.record.write_refusals)} - allowed
    problems = [*outcome.record.errors, *(f"refused: {code}" for code in sorted(refused))]
    return [f"{name}: {error}" for error in problems + ([] if outcome.record.writes else ["no write was acknowledged"])]


def main() -> int:
    """Kill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--far-keys", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--head-seconds", type=float, default=70, help="Ray's own limit is 60")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="FAULT")
    options = parser.parse_args()
    if programs() is None:
        print(f"there is no PostgreSQL {OLDEST} or later here: install Debian's package postgresql", file=sys.stderr)
        return 1
    if not with_ray("extensions.cluster.benchmarks.faults"):
        return 1
    faults = FAULTS | {"Ray's head": partial(kill_head, seconds=options.head_seconds)}
    table, wrong = Table(*COLUMNS, box=box.MARKDOWN), list[str]()
    with (
        tempfile.TemporaryDirectory(prefix="softkv-faults-") as folder,
        Fleet(Path(folder), far_keys=options.far_keys, width=options.width, vectors="files") as fleet,
    ):
        print(f"{options.far_keys:,} keys of width {options.width}, two copies, {fleet.servers} servers")
        for name in options.only:
            outcome = measure(fleet, faults[name], repeats=options.repeats)
            wrong += failures(name, outcome)
            table.add_row(name, *outcome.cells())
            print(name, *outcome.cells(), sep=" | ", file=sys.stderr)
    Console(width=160).print(table)
    for error in wrong[:10]:
        print(error, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
