"""Build editable wheels of packages in one process: `python tools/editable.py DIST FOLDER…`.

pip starts three processes for each package, which all import setuptools. Here it is that of this Python's environment.
"""

from __future__ import annotations

import sys
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path

from setuptools import build_meta


def main(dist: str, *folders: str) -> None:
    """Write the wheels of these folders into a directory, which is made."""
    directory = Path(dist).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        with chdir(folder), redirect_stdout(StringIO()):  # where setuptools names each of its steps
            build_meta.build_editable(str(directory))


if __name__ == "__main__":
    main(*sys.argv[1:])
