"""`kill -9` at random moments while writers of every kind are at work: what was acknowledged is there, whole.

    python -m benchmarks.kills [--kills 1000] [--seed 1] [--originals memory]

Every service is `softkv serve` in a process of its own, with blocks of a few rows. Beside its writers, keys are
compacted and written to files, expired documents are deleted, files are sent to `/v1/tables`, and backups are made.
Every tenth time the store goes on as what was restored of one. After each kill a new process is asked what there is:
every document whose write was acknowledged, as it was written, no write done by half, and as many keys attended to as
documents lie on disk. It leaves no temporary file, no process that reads a table, and no file of a block that is
incomplete, of a deleted collection, or there twice; every hundredth time all rows are read and checked.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.killing import Killed

CHECK_EVERY = 100
REPORT_EVERY = 50


def main() -> int:
    """Kill and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--originals", default="memory", choices=("memory", "files"))
    arguments = parser.parse_args()
    began = time.monotonic()
    print(f"seed {arguments.seed}, float32 vectors in {arguments.originals}")
    with tempfile.TemporaryDirectory() as directory:
        killed = Killed(Path(directory), random.Random(arguments.seed), "--vector-storage", arguments.originals)
        for number in range(1, arguments.kills + 1):
            killed.once()
            if number % CHECK_EVERY == 0:
                killed.check_rows()
            if number % REPORT_EVERY == 0 and sys.stderr.isatty():
                print(f"{number} of {arguments.kills}: {killed.report()}", file=sys.stderr)
        killed.end()
        print(f"{arguments.kills} kills in {(time.monotonic() - began) / 60:.1f} minutes: {killed.report()}")
    print("0 acknowledged writes lost, 0 half done, 0 keys in memory that are not those on disk, 0 files left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
