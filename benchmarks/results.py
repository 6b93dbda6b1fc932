"""RESULTS.md: what each benchmark printed last, on each kind of machine, with the commit that it measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
# The instructions that decide a scan's speed, by Linux's names.
INSTRUCTIONS = {"amx_int8": "AMX", "avx512_vnni": "VNNI", "avx_vnni": "AVX-VNNI", "avx2": "AVX2", "asimddp": "DotProd"}


@dataclass(frozen=True)
class Figures:
    """The output of one benchmark.

    Attributes:
        name: of the benchmark.
        machine: cores and processor, see `machine`.
        commit: see `commit`.
        printed: its text on the terminal.
    """

    name: str
    machine: str
    commit: str
    printed: str

    def __str__(self) -> str:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", self.printed)), default=0))
        lines = "\n".join(line.rstrip() for line in self.printed.strip("\n").splitlines())
        return f"### {self.machine}, commit {self.commit}\n\n{fence}text\n{lines}\n{fence}\n"


def keep(path: Path, figures: Figures, names: Sequence[str]) -> None:
    """Put figures into a file of results, in the place of those of the same benchmark and machine.

    Args:
        path: the file; what stands above its first benchmark stays as it is.
        figures: the new ones.
        names: all benchmarks, in the order that the file has them in.
    """
    head, *sections = re.split(r"^(?=## )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    by_title = {section.partition("\n")[0].removeprefix("## "): section for section in sections}
    _, *entries = re.split(r"^(?=### )", by_title.get(figures.name, ""), flags=re.MULTILINE)
    other_entries = [
        entry.strip() + "\n" for entry in entries if not entry.startswith(f"### {figures.machine}, commit ")
    ]
    by_title[figures.name] = "\n".join([f"## {figures.name}\n", *other_entries, str(figures)])
    order = {name: position for position, name in enumerate(names)}
    sections = [
        by_title[name].strip() + "\n" for name in sorted(by_title, key=lambda name: order.get(name, len(order)))
    ]
    path.write_text("\n".join([head.strip() + "\n", *sections]), encoding="utf-8")


def machine(information: Path = Path("/proc/cpuinfo")) -> str:
    """Return the cores that this process may use, the processor's own name, and what it has for products of bytes.

    Args:
        information: what Linux says of the processor.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    lines = information.read_text().splitlines() if information.exists() else []
    fields = {name.strip(): value.strip() for name, _, value in reversed([line.partition(":") for line in lines])}
    processor = " ".join(fields.get("model name", platform.machine()).split())
    flags = fields.get("flags", fields.get("Features", "")).split()
    instructions = {name for flag, name in INSTRUCTIONS.items() if flag in flags}
    if instructions & {"VNNI", "AVX-VNNI"}:
        instructions.discard("AVX2")  # every such processor has it
    return ", ".join([f"{cores} core{'s' * (cores != 1)} of {processor}", *sorted(instructions)])


def commit(repository: Path) -> str:
    """The commit that is checked out, and whether anything but results has changed since; "unknown" without git."""
    try:
        name = _git(repository, "rev-parse", "--short=10", "HEAD")
        changes = _git(repository, "status", "--porcelain", "--", ".", f":(exclude)**/{RESULTS.name}")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name} with changes" if changes else name


def _git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
