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
FOLDERS = ("benchmarks", "workshop/benchmarks", "extensions/*/benchmarks")
# in the order of the page
NAMES = {
    "verdict": "is it right to say that one document stands out?",
    "small": "what is a verdict worth in a small collection on one subject, such as an FAQ?",
    "shapes": "are verdicts right on data that people have: FAQs, rules, catalogues, manuals, memories, logs?",
    "languages": "does a question find its document in its own language and in others, and does “none” come rightly?",
    "calibration": "is a confidence of 0.7 right seven times of ten?",
    "training": "does a trained map of queries learn words that the encoder does not know, and harm no others?",
    "reranking": "what does a second look add to ranks, confidences and “none of these”, with 50 labels and with 200?",
    "memory": "does an agent's memory say when it does not know, and does it forget what has expired?",
    "abstention": "is “none of these” right, with labels and without, and does a promised error hold?",
    "cache": "how often is a cache by meaning wrong, with a promised error and with similarities as the bound?",
    "service": "latency, start and memory over HTTP, beside NumPy",
    "stages": "where the time of one question goes, from the socket to the lookup and back",
    "clients": "many clients at once over HTTP, beside a scan for each question",
    "http": "beside chroma's server and pgvector: answers a second, latency, recall, memory",
    "groups": "weights of groups, and fields combined by weight, beside `attend` alone",
    "upload": "documents a second, and the memory they take",
    "tables": "rows of a file a second in each format, beside the reader of its library",
    "encoder": "texts a second, fidelity and first embedding, beside who else runs the model on a CPU",
    "costs": "memory, start and a short text of the encoder of many languages, beside the default one",
    "families": "encoders of other families than BERT's, in softkv and in sentence-transformers",
    "lab": "what small models learn in half a minute, and what a question takes meanwhile",
    "lookup": "the whole softmax over millions of keys, beside who reads them",
    "gradients": "forward and backward through a million keys, beside torch and pykeops",
    "certificates": "how far answers are from float64, beside what they say of it",
    "missing": "what stays certain where an eighth of the keys did not answer",
    "large": "ten million rows on one machine",
    "restart": "seconds to the first answer of ten million keys, with sealed files and without",
    "many": "ten thousand collections of ten documents, beside chroma: start, memory, open files, latency",
    "sizing": "memory and disk a document, and what a core does in a second",
    "kills": "a thousand times kill -9 under writers of every kind",
    "replicas": "kill -9 of two services and of their PostgreSQL under writers, and reads through the other one",
    "cluster": "shard servers on Ray beside one process: milliseconds, calls and bytes, list lengths",
    "faults": "servers, machines, services, Ray's head and PostgreSQL killed in turn under 16 clients and a writer",
    "ranges": "a shard held again by a server, from its sealed file and from PostgreSQL",
    "limits": "twice the input of each call: processor, memory, the wait of another caller, and work after a hang-up",
    "writing": "the page's small language model: size, words a second in a browser, perplexity beside counts",
    "page": "the workshop page: its first answer in a browser, frames a second, and a class that pastes rows at once",
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


def module(name: str) -> str:
    """Return the module of a benchmark, which is in this folder, or in the folder `benchmarks` of a wall."""
    names = (name, f"{name}.py")
    [path] = (path for folder in FOLDERS for path in REPOSITORY.glob(f"{folder}/*") if path.name in names)
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)


def ran(name: str) -> bool:
    """Run it → whether it ended well."""
    return subprocess.run([sys.executable, "-m", module(name)], check=False).returncode == 0


def recorded(name: str) -> bool:
    """Run it and show what it prints as it comes; keep that if it ended well."""
    measured = results.commit(REPOSITORY)
    command = [sys.executable, "-m", module(name)]
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
