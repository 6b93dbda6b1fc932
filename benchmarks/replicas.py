"""`kill -9` of services and of their PostgreSQL under writers; reads through the other replica at once.

    python -m benchmarks.replicas [--kills 200] [--reads 10000] [--seed 1]

Two processes of `softkv serve --store postgresql://…` run on a PostgreSQL 15 or later of this machine, with eight
writers at both. At random moments these are killed by turns: one of the two, the other one, both, PostgreSQL with all
of its processes, and one process of PostgreSQL that serves a service. Everything restarts at once, as under a
supervisor. After each kill both services and the database have the same contents: every acknowledged document as it was
written, no half write, and as many attended keys as documents. While killed processes return, writers also read their
acknowledged writes from the other service.

Then nothing is killed. Eight writers rewrite or delete five documents each as a whole, and read them from the other
service at once. They also read documents that another writer may be writing, and such an answer is of one write.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.failover import KINDS, Failover, pair
from benchmarks.following import Following
from tests.postgres import OLDEST, programs, running

CHECK_EVERY = 20
REPORT_EVERY = 10


def main() -> int:
    """Kill, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--reads", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if programs() is None:
        print(f"there is no PostgreSQL {OLDEST} or later here: install Debian's package postgresql", file=sys.stderr)
        return 1
    print(f"seed {arguments.seed}")
    kill(arguments.kills, arguments.seed)
    return follow(arguments.reads, arguments.seed)


def kill(kills: int, seed: int) -> None:
    """Kill `kills` times, and print the work done; raise AssertionError at the first error."""
    with (
        tempfile.TemporaryDirectory() as directory,
        running(durable=True) as server,
        Failover(Path(directory), server, random.Random(seed)) as failover,
    ):
        began = time.monotonic()
        for number in range(1, kills + 1):
            failover.once(KINDS[number % len(KINDS)])
            if number % CHECK_EVERY == 0:
                failover.check_rows()
            if number % REPORT_EVERY == 0 and sys.stderr.isatty():
                print(f"{number} of {kills}: {failover.report()}", file=sys.stderr)
        failover.check_rows()
        print(f"{kills} kills in {(time.monotonic() - began) / 60:.1f} minutes: {failover.report()}")
    print("0 acknowledged writes lost, 0 half done, 0 rows that the services or the database differ in")


def follow(reads: int, seed: int) -> int:
    """Write and ask `reads` times, and print how many answers were right; return the exit code."""
    # Nothing is killed here, so no write waits for a disk.
    with tempfile.TemporaryDirectory() as directory, running() as server, ExitStack() as stack:
        began = time.monotonic()
        following = Following([stack.enter_context(each) for each in pair(Path(directory), server.database())])
        following.run(reads, seed)
        minutes = (time.monotonic() - began) / 60
    ways = ", ".join(f"{count:,} {way}" for way, count in sorted(following.asked.items()))
    seen = reads - len(following.missed)
    print(f"{seen:,} of {reads:,} writes seen at once through the other service, in {minutes:.1f} minutes ({ways})")
    print(f"{following.beside:,} answers beside writers, {len(following.mixed)} of them of no version that was")
    for service in [*following.missed, *following.mixed][:10]:
        print(service, file=sys.stderr)
    return 1 if following.missed or following.mixed else 0


if __name__ == "__main__":
    sys.exit(main())
