"""`make bench`: all benchmarks, one after another; `python -m benchmarks [--record] NAME …` runs some.

With --record, what they print is kept in benchmarks/RESULTS.md, beside the commit and the machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import results

REPOSITORY = Path(__file__).parents[1]
# in the order of the page
NAMES = {
    "shapes": "are verdicts right on data that people have: FAQs, rules, catalogues, manuals, memories, logs?",
    "languages": "does a question find its document in its own language and in others, and does “none” come rightly?",
    "late": "does late interaction find more on questions by hand? `--nouns` of `benchmarks.late` adds 5,000 nouns",
    "models": "on questions by hand, which of the models of a checkout finds the answer, and does “none” come rightly?",
    "titles": "what does a title before each part of a split text change, on questions by hand?",
    "sections": "is the key of a section of documentation its headings, its text, or both?",
    "words": "words kept for late interaction: upload, bytes a word, processor time of a question",
    "http": "beside chroma's server and pgvector: answers a second, latency, recall, memory",
    "upload": "documents a second, and the memory they take",
    "behind": "documents a second until they are found, with values that are texts, and until all are encoded",
    "encoder": "texts a second, and the distance of the vectors, beside sentence-transformers",
    "costs": "memory, start and a text of the models that a checkout makes",
    "lookup": "the whole softmax over millions of keys, beside who reads them",
    "sizing": "memory and disk a document, and what a core does in a second",
    "installing": "`make run` in a fresh clone until the first answer, and the first start without bytecode",
    "limits": "twice the input of each call: processor, memory, the wait of another caller, and work after a hang-up",
}


def main() -> int:
    """Run the benchmarks named, each in a process of its own."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all if none is named")
    parser.add_argument("--record", action="store_true", help="keep what they print in RESULTS.md")
    options = parser.parse_args()
    expected = options.names or list(NAMES)
    if unknown := [name for name in expected if name not in NAMES]:
        print(f"there is no benchmark {unknown[0]!r}; there are:", file=sys.stderr)
        print("\n".join(f"  {name:10} {what}" for name, what in NAMES.items()), file=sys.stderr)
        return 2
    run = recorded if options.record else ran
    failed = [name for name in expected if not run(name)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def ran(name: str) -> bool:
    """Run it → whether it ended well."""
    return subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode == 0


def recorded(name: str) -> bool:
    """Run it and show what it prints as it comes; keep that if it ended well."""
    measured = results.commit(REPOSITORY)
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
    printed = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            printed.append(line)
    if process.returncode:
        return False
    figures = results.Figures(name, results.machine(), measured, "".join(printed))
    results.keep(results.RESULTS, figures, list(NAMES))
    return True


if __name__ == "__main__":
    sys.exit(main())
