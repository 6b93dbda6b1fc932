"""Write recorded files of the page: `python -m tests.recorded NAME …`, or all of them without a name."""

from __future__ import annotations

import argparse

from tests.recorded import write
from tests.recorded.learning import LEARNING
from tests.recorded.pairs import pairs
from tests.recorded.pictures import pictures
from tests.recorded.sharing import sharing
from tests.recorded.trace import trace

RECORDINGS = {**LEARNING, "pictures": pictures, "pairs": pairs, "sharing": sharing, "trace": trace}


def main() -> None:
    """Write the files that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.recorded", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*RECORDINGS, []], metavar="NAME", help=", ".join(RECORDINGS))
    for name in parser.parse_args().names or RECORDINGS:
        write(name, RECORDINGS[name]())


if __name__ == "__main__":
    main()
