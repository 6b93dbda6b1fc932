"""What each lock of docker/locks begins with: `python docker/requirements.py NAME`, as `make lock` calls it.

`runtime` is what the service and its client require besides each other, `build` what makes the image and is not in it;
any other is an extra of the service, and what that adds.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUILD = ["cyclonedx-bom>=7", "setuptools>=77"]


def required(lock: str) -> list[str]:
    """What a lock has to hold, without what that requires in turn; torch is its CPU build."""
    service, client = (_project(ROOT / name / "pyproject.toml") for name in ("", "clients/python"))
    if lock == "build":
        return BUILD
    if lock != "runtime":
        return sorted(service["optional-dependencies"][lock])
    others = [each for each in service["dependencies"] if not each.startswith(client["name"])]
    return sorted(f"{each}+cpu" if each.startswith("torch==") else each for each in {*others, *client["dependencies"]})


def _project(path: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return project


if __name__ == "__main__":
    sys.stdout.write("".join(f"{each}\n" for each in required(sys.argv[1])))
