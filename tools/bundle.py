"""The generated parts of the TypeScript client: its types and its bundle for the page; `make typescript`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tools.node import CLIENT, ROOT, checked, client, npm

TYPES = Path("src", "generated", "api.ts")
BUILT = Path("dist", "softkv.js")
CHECKED_IN = {
    TYPES: ROOT / CLIENT / TYPES,
    BUILT: ROOT / "service" / "softkv_service" / "web" / "vendor" / "softkv" / "softkv.js",
}
"""The path at which each generated file is checked in."""


def build(project: Path) -> None:
    """Make the types of the description, and of them and the sources what the package has."""
    checked(npm(project, "run", "generate"))
    checked(npm(project, "run", "build"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        built = client(Path(folder))
        build(built)
        for name, place in CHECKED_IN.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(built / name, place)
