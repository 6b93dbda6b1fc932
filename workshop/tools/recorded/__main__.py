"""Write recorded files of the page: `python -m workshop.tools.recorded NAME …`, or all of them without a name."""

from __future__ import annotations

import argparse

from workshop.tools.recorded import write
from workshop.tools.recorded.kinds import kinds
from workshop.tools.recorded.learning import LEARNING
from workshop.tools.recorded.sharing import sharing
from workshop.tools.recorded.trace import trace
from workshop.tools.recorded.writing import writing
from workshop.tools.recorded.zoom import zoom

RECORDINGS = {
    **LEARNING,
    "sharing": sharing,
    "trace": trace,
    "kinds": kinds,
    "writing": writing,
    "zoom": zoom,
}


def main() -> None:
    """Write the files that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m workshop.tools.recorded", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*RECORDINGS, []], metavar="NAME", help=", ".join(RECORDINGS))
    for name in parser.parse_args().names or RECORDINGS:
        write(name, RECORDINGS[name]())


if __name__ == "__main__":
    main()
