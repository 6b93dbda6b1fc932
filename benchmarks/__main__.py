"""`make bench`: all benchmarks, one after another; `python -m benchmarks NAME …` runs some."""

from __future__ import annotations

import subprocess
import sys

# in the order in which they are told of
NAMES = {
    "questions": "is the answer found, and is it known when there is none?",
    "null": "does none of these hold at every size?",
    "readiness": "what the first answer costs after /readyz turned green",
    "service": "latency, start and memory over HTTP, beside NumPy",
    "clients": "many clients at once over HTTP, beside a scan for each question",
    "upload": "documents a second, and the memory they take",
    "lookup": "the whole softmax over millions of keys, beside who reads them",
    "certificates": "how far answers are from float64, beside what they say of it",
    "large": "ten million rows on one machine",
    "page": "the workshop page in a browser: transfer, first paint, frames a second",
}


def main() -> int:
    """Run the benchmarks named, each in a process of its own."""
    wanted = sys.argv[1:] or list(NAMES)
    if unknown := [name for name in wanted if name not in NAMES]:
        print(f"there is no benchmark {unknown[0]!r}; there are:", file=sys.stderr)
        print("\n".join(f"  {name:10} {what}" for name, what in NAMES.items()), file=sys.stderr)
        return 2
    failed = [name for name in wanted if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
