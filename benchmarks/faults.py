"""A cluster of several machines, whose parts are killed one by one under sixteen clients and a writer.

    python -m benchmarks.faults [--head-seconds 120] [--only NAME …]

The parts are processes of this machine: three `softkv shard` with a slot each, two `softkv serve` in front of them, a
PostgreSQL 15 or later, and a head of Ray. One after another gets SIGKILL. Each range has two copies. Every answer is
compared with softmax in float64, and shows whether it mixes two versions (`tests/service/cluster/shelf.py`). "full
after" are the seconds from the kill to the end of the last unanswered question. A client that cannot connect to a
service turns to the other one, as a proxy would do; "moved" counts that. Then, with one copy, a machine is killed, and
partial answers are compared with float64 over all rows at six temperatures. The exit code is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.ray_python import with_ray
from tests.postgres import OLDEST, programs
from tests.service.cluster.asking import Told
from tests.service.cluster.fleet import Fleet, Moving
from tests.service.cluster.parts import Parts
from tests.service.cluster.running import Api, Machine

BEFORE_SECONDS, AFTER_SECONDS = 3.0, 10.0
AWAY_SECONDS = 2.0
"""Seconds until the database starts again."""
ROUNDS = 16
"""The number of rounds of four questions at each temperature."""
Fault = Callable[[Fleet], str]


def slot(fleet: Fleet) -> str:
    """Kill a slot of one machine; Ray starts it again."""
    os.kill(fleet.machines[0].slots()[0], signal.SIGKILL)
    fleet.wait_until_slots()
    fleet.wait_until_whole()
    return ""


def again(chosen: Callable[[Fleet], Machine | Api]) -> Fault:
    """All processes of a machine, its node and its slots too, or of a service; started again under its name."""

    def kill(fleet: Fleet) -> str:
        chosen(fleet).kill()
        chosen(fleet).start()
        chosen(fleet).wait_until_ready()
        fleet.wait_until_whole()
        return ""

    return kill


def postgres(fleet: Fleet) -> str:
    """With all of its processes; started again."""
    fleet.postgres.crash()
    time.sleep(AWAY_SECONDS)
    fleet.postgres.start()
    return f"away {AWAY_SECONDS:g} s"


def more_and_fewer(fleet: Fleet) -> str:
    """A fourth machine comes, and leaves again."""
    more, before = fleet.another("more"), fleet.placed()
    with Moving(fleet) as coming:
        more.start()
        try:
            more.wait_until_ready()
            fleet.wait_until_whole()
            placement = fleet.placed()
        except BaseException:
            more.close()
            raise
    with Moving(fleet) as leaving:
        more.stop()
        fleet.wait_until_whole()
    return f"read {coming.told(before, placement)}; then {leaving.told(placement, fleet.placed())}"


def upgrade(fleet: Fleet) -> str:
    """Each machine is stopped, waited for, started under its name, and waited for; then each service."""
    for machine in (*fleet.machines, *fleet.services):
        if code := machine.stop():
            return f"{machine.name} ended with exit code {code}"
        machine.start()
        machine.wait_until_ready()
    return ""


def head(seconds: float) -> Fault:
    """Return a fault that kills Ray's head and starts no other one; it ends after `seconds`."""

    def kill(fleet: Fleet) -> str:
        fleet.head.kill()
        time.sleep(seconds)
        ended = [machine.name for machine in (*fleet.machines, *fleet.services) if not machine.runs]
        return f"dead {seconds:g} s; " + (f"ended: {ended}" if ended else "no process ended")

    return kill


def under(fleet: Fleet, fault: Fault) -> tuple[Told, str]:
    """Run clients while something breaks; return their answers, and a description."""
    with fleet.asking() as asking:
        time.sleep(BEFORE_SECONDS)
        asking.broken()
        description = fault(fleet)
        time.sleep(AFTER_SECONDS)
    fleet.wait_until_whole()
    return asking.told, description


def cells(name: str, results: Told, message: str) -> list[str]:
    """A row of the table."""
    refused = results.refused + results.write_refusals
    return [
        name,
        f"{results.good:,}",
        str(len(results.wrong)),
        str(results.refused.total()),
        f"{results.writes:,}",
        str(results.moved),
        f"{results.longest:.2f}",
        f"{results.full_after:.1f}",
        "; ".join(filter(None, [message, ", ".join(f"{status} {code}" for status, code in sorted(refused))])),
    ]


def two_copies(console: Console, folder: Path, faults: dict[str, Fault]) -> bool:
    """One fault after another → whether nothing was wrong."""
    columns = ("fault", "answers", "wrong", "refused", "writes", "moved", "longest, s", "full after, s", "and")
    table = Table(*columns, box=box.MARKDOWN, title="two copies, three machines, two services")
    wrong = list[str]()
    with Fleet(folder) as fleet:
        for name, fault in faults.items():
            results, description = under(fleet, fault)
            wrong += [f"{name}: {each}" for each in results.wrong]
            if "ended" in description and "no process" not in description:
                wrong.append(f"{name}: {description}")
            table.add_row(*cells(name, results, description))
            print(f"{name}: {results.good} answers, {len(results.wrong)} wrong", file=sys.stderr)
    console.print(table)
    for error in wrong[:10]:
        print(error, file=sys.stderr)
    return not wrong


def one_copy(console: Console, folder: Path) -> bool:
    """Answers in part, at each temperature → whether nothing was wrong."""
    columns = ("T", "answers in part", "within the certificate", "missing weight", "said at most")
    with Fleet(folder, services=1, copies=1) as fleet:
        parts = Parts(fleet)
        parts.lose(fleet.machines[1])
        table = Table(
            *columns,
            box=box.MARKDOWN,
            title=f"one copy, one of three machines killed: {parts.missing.sum()} of {len(parts.missing)} documents",
        )
        result = parts.asked(ROUNDS)
    for temperature, part in result.items():
        table.add_row(f"{temperature:g}", *part.cells())
    console.print(table)
    wrong = [each for one in result.values() for each in one.wrong]
    wrong += [f"nothing was answered at T = {each:g}" for each, one in result.items() if not one.answers]
    for part in wrong[:10]:
        print(part, file=sys.stderr)
    return not wrong


def main() -> int:
    """Kill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head-seconds", type=float, default=120)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="faults, or 'one copy'")
    arguments = parser.parse_args()
    if programs() is None:
        print(f"there is no PostgreSQL {OLDEST} or later here: install Debian's package postgresql", file=sys.stderr)
        return 1
    if not with_ray("benchmarks.faults"):
        return 1
    faults: dict[str, Fault] = {
        "a slot": slot,
        "a machine": again(lambda fleet: fleet.machines[1]),
        "a service": again(lambda fleet: fleet.services[0]),
        "PostgreSQL": postgres,
        "one more, one fewer": more_and_fewer,
        "a new version": upgrade,
        "the head": head(arguments.head_seconds),  # the last: no cluster outlives it here
    }
    console, good = Console(width=240), True
    expected = {name: fault for name, fault in faults.items() if not arguments.only or name in arguments.only}
    with tempfile.TemporaryDirectory() as directory:
        for folder in ("two", "one"):
            (Path(directory) / folder).mkdir()
        if expected:
            good &= two_copies(console, Path(directory) / "two", expected)
        if not arguments.only or "one copy" in arguments.only:
            good &= one_copy(console, Path(directory) / "one")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
