"""A version of the site beside those that are published: `python -m tools.documentation.versions FOLDER VERSION SITE`.

The folder has a site for each release and one of the branch main, as `dev`. `versions.json` lists them for the menu of
Zensical, which reads it as mike writes it. It needs no package.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

LIST = "versions.json"
DEVELOPMENT = "dev"
REDIRECT = """<!doctype html>
<meta charset="utf-8">
<title>softkv</title>
<meta http-equiv="refresh" content="0; url={0}/">
<a href="{0}/">The documentation of softkv</a>
"""


def order(version: str) -> tuple[bool, list[int]]:
    """Return the key by which versions are sorted: `dev`, then releases from the oldest to the newest."""
    return version != DEVELOPMENT, [] if version == DEVELOPMENT else [int(part) for part in version.split(".")]


def publish(folder: Path, version: str, site: Path) -> None:
    """Add a built site to the published ones, in place of an earlier one of the same version.

    The first page leads to the newest release, or to `dev` before the first one.

    Args:
        folder: the published sites.
        version: `dev`, or a release as 1.2.3.
        site: the built site.

    Raises:
        ValueError: the version is neither `dev` nor numbers.
    """
    listed = json.loads((folder / LIST).read_text(encoding="utf-8")) if (folder / LIST).exists() else []
    versions = sorted({version, *(entry["version"] for entry in listed)}, key=order, reverse=True)
    shutil.rmtree(folder / version, ignore_errors=True)
    shutil.copytree(site, folder / version)
    newest = versions[0]
    entries = [{"version": each, "title": each, "aliases": ["latest"] if each == newest else []} for each in versions]
    (folder / LIST).write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    (folder / "index.html").write_text(REDIRECT.format(newest), encoding="utf-8")
    (folder / ".nojekyll").touch()  # GitHub then serves the files as they are


if __name__ == "__main__":
    publish(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
