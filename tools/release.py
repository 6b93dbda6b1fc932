"""One version and one owner in every file that names them, and the commit of a release.

`make release VERSION=1.2.3` makes a release. `python -m tools.release` alone copies the version and the owner of
pyproject.toml to the other files. Both need Python and git, and no package.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from tools import ROOT

SOURCE = "pyproject.toml"
CHANGES = "CHANGELOG.md"
CITATION = "CITATION.cff"
# No account of GitHub has two hyphens in a row.
PLACEHOLDER = "placeholder--owner"
NUMBER = r"(?:0|[1-9]\d*)"
VERSION = rf"{NUMBER}\.{NUMBER}\.{NUMBER}"
OWNER = r"[A-Za-z0-9-]+"
UNRELEASED = re.compile(r"^## Unreleased\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
RELEASED = re.compile(rf"^## ({VERSION}) \(", re.MULTILINE)

# Files, as patterns of `Path.glob`, and the text around the version or the owner in them, for which @ stands.
VERSIONS = (
    ("pyproject.toml", r'^version = "@"'),
    ("pyproject.toml", r"softkv-(?:client|cluster|core|postgres|workshop)==@"),
    ("attention/pyproject.toml", r'^version = "@"'),
    ("clients/*/pyproject.toml", r'^version = "@"'),
    ("extensions/*/pyproject.toml", r'^version = "@"'),
    ("extensions/*/pyproject.toml", r'"softkv(?:-(?:client|core))?(?:\[\w+\])?==@"'),
    ("workshop/pyproject.toml", r'^version = "@"'),
    ("workshop/pyproject.toml", r'"softkv==@"'),
    ("clients/*/pyproject.toml", r'"(?:softkv-client|langchain-softkv)==@"'),
    ("clients/python/pyproject.toml", r'"softkv==@"'),
    ("clients/python/softkv/settings.py", r'^VERSION = "@"'),
    ("clients/typescript/package.json", r'^  "version": "@"'),
    ("clients/typescript/package-lock.json", r'"name": "softkv",\s+"version": "@"'),
    ("clients/typescript/src/version.ts", r'VERSION = "@"'),
    ("service/softkv_service/web/vendor/softkv/softkv.js", r'="@";'),
    ("service/softkv_service/web/vendor/README.md", r"^\| `softkv/softkv\.js` \|[^|]+\| @ \|"),
    ("service/softkv_service/api/openapi.json", r'^    "version": "@"'),
    ("docs/operate/deploying.md", r"# softkv @$"),
    ("docs/reference/limits.md", r'^\{"version": "@"'),
    ("docs/reference/typescript.md", r"^// @$"),
    ("docker/Dockerfile", r'image\.version="@"'),
    ("docker/**/*.yaml", r"image: softkv:@$"),
    ("server.json", r'"version": "@"'),
    ("server.json", r"softkv-client\[mcp\]==@"),
    (CITATION, r"^version: @$"),
)
OWNERS = (
    ("pyproject.toml", r"https://github\.com/@/softkv"),
    ("README.md", r"git clone https://github\.com/@/softkv"),
    ("docs/zh/README.md", r"git clone https://github\.com/@/softkv"),
    ("docs/start/installing.md", r"git clone https://github\.com/@/softkv"),
    ("attention/pyproject.toml", r"https://github\.com/@/softkv"),
    ("clients/*/pyproject.toml", r"https://github\.com/@/softkv"),
    ("clients/*/README.md", r"https://github\.com/@/softkv"),
    ("extensions/*/pyproject.toml", r"https://github\.com/@/softkv"),
    ("extensions/*/README.md", r"https://github\.com/@/softkv"),
    ("workshop/pyproject.toml", r"https://github\.com/@/softkv"),
    ("workshop/README.md", r"https://github\.com/@/softkv"),
    ("clients/llamaindex/pyproject.toml", r'^SoftkvVectorStore = "@"'),
    ("clients/python/README.md", r"mcp-name: io\.github\.@/softkv"),
    ("clients/typescript/package.json", r"https://github\.com/@/softkv"),
    (".github/ISSUE_TEMPLATE/config.yml", r"https://github\.com/@/softkv"),
    ("server.json", r"io\.github\.@/softkv"),
    ("server.json", r"https://github\.com/@/softkv"),
    (CITATION, r"https://github\.com/@/softkv"),
)


class ReleaseError(Exception):
    """A release that cannot be made; the message says what to do."""


def statements(root: Path, places: tuple[tuple[str, str], ...], value: str) -> Iterator[tuple[Path, re.Pattern[str]]]:
    """Yield the files of a table, each with the pattern whose second group is the version or the owner.

    Args:
        root: the checkout.
        places: `VERSIONS` or `OWNERS`.
        value: the pattern of what @ stands for, `VERSION` or `OWNER`.

    Raises:
        ReleaseError: no file of a row states anything.
    """
    for files, text in places:
        before, after = text.split("@")
        pattern = re.compile(f"({before})({value})({after})", re.MULTILINE)
        matches = [path for path in sorted(root.glob(files)) if pattern.search(path.read_text(encoding="utf-8"))]
        if not matches:
            raise ReleaseError(f"Expected {text} in {files}, got no match. Correct the file, or tools/release.py.")
        yield from ((path, pattern) for path in matches)


def changed(root: Path, version: str, owner: str) -> dict[Path, str]:
    """Return the new text of each file that states another version or owner."""
    texts: dict[Path, str] = {}
    for places, value, statement in ((VERSIONS, VERSION, version), (OWNERS, OWNER, owner)):
        for path, pattern in statements(root, places, value):
            text = texts.get(path) or path.read_text(encoding="utf-8")
            texts[path] = pattern.sub(rf"\g<1>{statement}\g<3>", text)
    return {path: text for path, text in texts.items() if text != path.read_text(encoding="utf-8")}


def source(root: Path) -> tuple[str, str]:
    """Return the version and the owner that pyproject.toml states."""
    text = (root / SOURCE).read_text(encoding="utf-8")
    version = re.search(rf'^version = "({VERSION})"$', text, re.MULTILINE)
    owner = re.search(rf'^Repository = "https://github\.com/({OWNER})/softkv"$', text, re.MULTILINE)
    if not version or not owner:
        expected = 'version = "1.2.3" and Repository = "https://github.com/OWNER/softkv"'
        raise ReleaseError(f"Expected {expected} in {SOURCE}, got something else. Correct the file.")
    return version[1], owner[1]


def git(root: Path, *arguments: str) -> str:
    """Return what a git command prints.

    Raises:
        ReleaseError: the command failed.
    """
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        output = (done.stderr.strip() or done.stdout.strip()).replace("\n", "\n  ")
        raise ReleaseError(f"git {arguments[0]} failed, and nothing was released:\n  {output}")
    return done.stdout.strip()


def ordered(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, which compare as versions do."""
    return tuple(map(int, version.split(".")))


def check(root: Path, version: str) -> None:
    """Check everything that a release needs, before a file changes.

    Raises:
        ReleaseError: the version, the checkout or the changes are not ready.
    """
    if not re.fullmatch(VERSION, version):
        got = repr(version) if version else "none"
        raise ReleaseError(f"Expected VERSION as MAJOR.MINOR.PATCH, got {got}. Write make release VERSION=1.2.3.")
    if status := git(root, "status", "--porcelain"):
        raise ReleaseError(f"Expected a clean checkout, got changes. Commit or remove them:\n{status}")
    if not git(root, "branch", "--show-current"):
        raise ReleaseError("Expected a branch, got a detached HEAD. Check out the branch to release.")
    current, owner = source(root)
    if owner == PLACEHOLDER:
        message = f"Expected the owner of the repository, got {owner}. Write it into {SOURCE} (.github/RELEASING.md)."
        raise ReleaseError(message)
    changes = (root / CHANGES).read_text(encoding="utf-8")
    newest = max(RELEASED.findall(changes), key=ordered, default="")
    if newest and ordered(version) <= ordered(newest):
        raise ReleaseError(f"Expected VERSION above {newest}, the last release, got {version}. Choose a later one.")
    if ordered(version) < ordered(current):
        raise ReleaseError(f"Expected VERSION {current} or later, as {SOURCE} says, got {version}.")
    if git(root, "tag", "--list", f"v{version}"):
        raise ReleaseError(f"Expected no tag v{version}, got one. Choose a later version, or delete the tag.")
    unreleased = UNRELEASED.search(changes)
    if not unreleased or not re.search("^- ", unreleased[1], re.MULTILINE):
        raise ReleaseError(f"Expected changes under Unreleased in {CHANGES}, got none. Write what users get.")


def release(root: Path, version: str, today: date) -> str:
    """Commit and tag a release, and return what to do next.

    Args:
        root: the checkout.
        version: the version, as `1.2.3`.
        today: the date of the release.

    Raises:
        ReleaseError: the release is not possible; the checkout is as before.
    """
    check(root, version)
    branch, before = git(root, "branch", "--show-current"), git(root, "rev-parse", "HEAD")
    texts = changed(root, version, source(root)[1])
    changes, citation = root / CHANGES, root / CITATION
    heading = f"## Unreleased\n\n## {version} ({today})\n"
    texts[changes] = UNRELEASED.sub(lambda match: heading + match[1], changes.read_text(encoding="utf-8"))
    text = texts.get(citation) or citation.read_text(encoding="utf-8")
    stated = f"version: {version}\ndate-released: {today}\n"
    texts[citation] = re.sub(r"^version: .*\n(date-released: .*\n)?", stated, text, flags=re.MULTILINE)
    try:
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        git(root, "commit", "--all", "--message", f"Release softkv {version}")
        git(root, "tag", "--annotate", f"v{version}", "--message", f"softkv {version}")
    except BaseException:
        # The checkout was clean, so this takes back only what was written here.
        git(root, "reset", "--hard", before)
        raise
    return (
        f"Committed and tagged softkv {version}; nothing was pushed. The tag starts the workflow that publishes:\n"
        f"  git push --atomic origin {branch} v{version}"
    )


def main() -> None:
    """Make a release, or copy the version and the owner to all files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", nargs="?", help="the version to release; without it, nothing is committed")
    version = parser.parse_args().version
    try:
        if version is None:
            for path, text in changed(ROOT, *source(ROOT)).items():
                path.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(release(ROOT, version, datetime.now(UTC).date()) + "\n")
    except ReleaseError as refusal:
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
