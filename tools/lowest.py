"""Write constraints-lowest.txt, the lowest version of each requirement: `python -m tools.lowest`."""

from __future__ import annotations

import tomllib

from packaging.requirements import Requirement

from tools import ROOT
from tools.walls import WALLS

PROJECTS = (
    "pyproject.toml",
    "attention/pyproject.toml",
    "clients/python/pyproject.toml",
    *(f"{wall.folder}/pyproject.toml" for wall in WALLS.values()),
)
EXTRAS = ("cli", "models", "lab", "parquet", "postgres", "otel", "mcp")
"""Extras with libraries that the distributions import; those of tests and frameworks have constraints of their own."""
FILE = ROOT / "constraints-lowest.txt"


def lowest() -> str:
    """Return the content of constraints-lowest.txt.

    Raises:
        ValueError: a requirement has no lowest version.
    """
    pins = set[str]()
    for name in PROJECTS:
        project = tomllib.loads((ROOT / name).read_text(encoding="utf-8"))["project"]
        extras = project.get("optional-dependencies", {})
        lines = [*project["dependencies"], *(line for extra in EXTRAS for line in extras.get(extra, ()))]
        for requirement in map(Requirement, lines):
            versions = [each.version for each in requirement.specifier if each.operator in (">=", "==")]
            if not versions:
                raise ValueError(
                    f"{name} requires {requirement}: give it a lowest version, as in {requirement.name}>=1"
                )
            if not requirement.name.startswith("softkv"):
                pins.add(f"{requirement.name}=={versions[0]}")
    return "".join(f"{pin}\n" for pin in sorted(pins))


if __name__ == "__main__":
    FILE.write_text(lowest(), encoding="utf-8")
