"""Other distributions with files in softkv's folders: pip lets the one that is installed later overwrite the other."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

FOLDERS = ("softkv_attention/", "softkv_service/")
OWN = frozenset({"softkv", "softkv-core"})


@dataclass(frozen=True)
class Conflict:
    """A distribution with files in folders of softkv.

    Args:
        name: the distribution's name.
        version: its version.
        directory: the site directory of its files.
        files: its files in these folders.
        overwritten: those of its files that a distribution of softkv has, too.
        owners: the distributions of softkv that have them.
    """

    name: str
    version: str
    directory: Path
    files: tuple[str, ...]
    overwritten: tuple[str, ...]
    owners: tuple[str, ...]

    def __str__(self) -> str:
        """Return a line that says what conflicts, and how to mend it."""
        title, remove = f"the distribution {self.name} {self.version}", f"pip uninstall {self.name}"
        if not self.overwritten:
            return (
                f"{title} has {_summarise(self.files)} in {self.directory}, and softkv has a folder of the same name. "
                f"Python imports only one: run `{remove}`, or install softkv into an environment of its own"
            )
        wheels = " ".join(f"dist/{owner.replace('-', '_')}-[0-9]*.whl" for owner in self.owners)
        repair = f"pip install --force-reinstall --no-deps {wheels}"
        return (
            f"{title} and softkv overwrite each other's {_summarise(self.overwritten)} in {self.directory}: "
            f"run `{remove}`, then `{repair}`"
        )


def find_conflicts(path: Sequence[str] | None = None) -> list[Conflict]:
    """Return other distributions that have files in the folders of softkv.

    Args:
        path: the directories to search; None for those that Python imports from.
    """
    owners: defaultdict[Path, dict[str, str]] = defaultdict(dict)
    foreign: dict[tuple[Path, str], tuple[Distribution, tuple[str, ...]]] = {}
    searched = sys.path if path is None else path
    # Only there do such files lie; elsewhere no list of files is read.
    directories = [entry for entry in searched if any(Path(entry, folder).is_dir() for folder in FOLDERS)]
    for distribution in distributions(path=directories):
        if not (files := tuple(_files(distribution))):
            continue
        directory, name = Path(str(distribution.locate_file(""))).resolve(), distribution.name
        if name.lower().replace("_", "-") in OWN:
            owners[directory] |= dict.fromkeys(files, name)
        else:
            foreign.setdefault((directory, name), (distribution, files))
    conflicts = []
    for (directory, name), (distribution, files) in foreign.items():
        owner_of = owners.get(directory, {})
        overwritten = tuple(file for file in files if file in owner_of)
        names = tuple(sorted({owner_of[file] for file in overwritten}))
        conflicts.append(Conflict(name, distribution.version, directory, files, overwritten, names))
    return conflicts


def _files(distribution: Distribution) -> Iterator[str]:
    """Yield a distribution's files in the folders, as its RECORD lists them."""
    record = distribution.read_text("RECORD") or ""
    # Much faster than to split the record of every distribution.
    if any(record.startswith(folder) or f"\n{folder}" in record for folder in FOLDERS):
        for line in record.splitlines():
            if line.startswith(FOLDERS) and "/__pycache__/" not in line:
                yield line.partition(",")[0]


def _summarise(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
