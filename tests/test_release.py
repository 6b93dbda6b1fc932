"""`make release`: one version and one owner in all files, and a release that is made whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.release import CHANGES, CITATION, OWNER, OWNERS, PLACEHOLDER, ROOT, VERSION, VERSIONS, source, statements

# What the files of the test state, as a maintainer has them before a release.
MAINTAINER = "the-maintainer"
CHANGES_BEFORE = "# Changes\n\n## Unreleased\n\n### Added\n\n- **One thing.** It is new.\n"
TABLES = ((VERSIONS, VERSION), (OWNERS, OWNER))
DAY = r"\d{4}-\d{2}-\d{2}"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with the files that a release changes, at version 0.1.0."""
    folder = tmp_path_factory.mktemp("repository")
    files = {path for table, value in TABLES for path, _ in statements(ROOT, table, value)}
    for path in (*files, ROOT / "Makefile", ROOT / "tools" / "__init__.py", ROOT / "tools" / "release.py"):
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    write_all(folder, "0.1.0", MAINTAINER)
    (folder / CHANGES).write_text(CHANGES_BEFORE)
    (folder / ".gitignore").write_text("__pycache__/\n")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "config", "user.name", "A maintainer")
    git(folder, "config", "user.email", "maintainer@softkv.example")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Begin")
    return folder


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    """Return a copy of the repository, with a remote of its own."""
    shutil.copytree(repository, tmp_path / "clone")
    git(tmp_path, "clone", "--quiet", "--bare", "clone", "origin")
    git(tmp_path / "clone", "remote", "add", "origin", str(tmp_path / "origin"))
    return tmp_path / "clone"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def make_release(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--silent", "release", f"PYTHON={sys.executable}", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def write_all(folder: Path, version: str, owner: str) -> None:
    """Edit pyproject.toml as a maintainer does, and copy what it says to the other files."""
    project = folder / "pyproject.toml"
    text = re.sub(r'^version = ".*"', f'version = "{version}"', project.read_text(), flags=re.MULTILINE)
    project.write_text(
        re.sub(r'^(Repository = "https://github\.com/)[^/]+', rf"\g<1>{owner}", text, flags=re.MULTILINE)
    )
    subprocess.run([sys.executable, "-m", "tools.release"], cwd=folder, check=True)


def stated(folder: Path, table: tuple[tuple[str, str], ...], value: str) -> set[str]:
    return {
        match[2] for path, pattern in statements(folder, table, value) for match in pattern.finditer(path.read_text())
    }


def state(folder: Path) -> tuple[str, ...]:
    """Return everything that a refused release must leave as it was."""
    return (git(folder, "rev-parse", "HEAD"), git(folder, "tag"), git(folder, "status", "--porcelain"))


def commit(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", f"Change {name}")


def test_all_files_state_the_version_and_the_owner_of_pyproject() -> None:
    version, owner = source(ROOT)
    for table, value, statement in ((VERSIONS, VERSION, version), (OWNERS, OWNER, owner)):
        different = [
            f"{path.relative_to(ROOT)} states {match[2]}, pyproject.toml {statement}: run python -m tools.release"
            for path, pattern in statements(ROOT, table, value)
            for match in pattern.finditer(path.read_text(encoding="utf-8"))
            if match[2] != statement
        ]
        assert different == []


def test_no_other_line_states_the_version_of_softkv() -> None:
    """A line that names softkv and its version is in `VERSIONS`, or tells of the past."""
    version, _ = source(ROOT)
    ours = {path.relative_to(ROOT).as_posix() for path, _ in statements(ROOT, VERSIONS, VERSION)}
    pattern = rf"softkv.*\b{re.escape(version)}\b"
    listed = git(ROOT, "grep", "-I", "-l", "-E", pattern, "--", ".", ":!tests").splitlines()
    assert set(listed) - {CHANGES, "benchmarks/RESULTS.md"} - ours == set()


def test_a_release_is_a_commit_and_a_tag_that_states_one_version_everywhere(checkout: Path) -> None:
    before = git(checkout, "rev-parse", "HEAD")
    released = make_release(checkout, "VERSION=1.2.3")
    assert released.returncode == 0, released.stderr
    assert stated(checkout, VERSIONS, VERSION) == {"1.2.3"}
    assert stated(checkout, OWNERS, OWNER) == {MAINTAINER}
    assert re.fullmatch(
        rf"# Changes\n\n## Unreleased\n\n## 1\.2\.3 \({DAY}\)\n\n### Added\n\n- \*\*One thing\.\*\* It is new\.\n",
        (checkout / CHANGES).read_text(),
    )
    assert re.search(rf"^version: 1\.2\.3\ndate-released: {DAY}$", (checkout / CITATION).read_text(), re.MULTILINE)
    assert git(checkout, "log", "--format=%s", f"{before}..HEAD") == "Release softkv 1.2.3"
    assert git(checkout, "cat-file", "-t", "v1.2.3") == "tag"
    assert git(checkout, "rev-parse", "v1.2.3^{commit}") == git(checkout, "rev-parse", "HEAD")
    assert git(checkout, "status", "--porcelain") == ""


def test_a_release_pushes_nothing_and_prints_the_command_to_push(checkout: Path) -> None:
    origin = checkout.parent / "origin"
    lines = make_release(checkout, "VERSION=0.1.0").stdout.splitlines()
    assert git(origin, "tag") == ""
    assert lines[-1] == "  git push --atomic origin main v0.1.0"
    subprocess.run(lines[-1].split(), cwd=checkout, check=True, capture_output=True)
    assert git(origin, "tag") == "v0.1.0"
    assert git(origin, "rev-parse", "main") == git(checkout, "rev-parse", "HEAD")


def test_the_next_release_has_its_own_changes_and_date(checkout: Path) -> None:
    make_release(checkout, "VERSION=0.1.0")
    text = (checkout / CHANGES).read_text()
    commit(checkout, CHANGES, text.replace("## Unreleased\n", "## Unreleased\n\n### Fixed\n\n- **Another.** Mended.\n"))
    assert make_release(checkout, "VERSION=0.1.1").returncode == 0
    sections = re.split(r"^## ", (checkout / CHANGES).read_text(), flags=re.MULTILINE)
    assert [section.split()[0] for section in sections[1:]] == ["Unreleased", "0.1.1", "0.1.0"]
    assert ["Another" in section for section in sections[1:]] == [False, True, False]
    assert (checkout / CITATION).read_text().count("date-released") == 1


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("", "Expected VERSION as MAJOR.MINOR.PATCH, got none. Write make release VERSION=1.2.3."),
        ("1.2", "got '1.2'"),
        ("v1.2.3", "got 'v1.2.3'"),
        ("01.2.3", "got '01.2.3'"),
        ("1.2.3rc1", "got '1.2.3rc1'"),
        ("1.2.3\n", "Expected VERSION as MAJOR.MINOR.PATCH"),
        ("0.0.9", "Expected VERSION 0.1.0 or later, as pyproject.toml says, got 0.0.9."),
    ],
)
def test_an_invalid_version_changes_nothing(checkout: Path, version: str, message: str) -> None:
    before = state(checkout)
    command = [sys.executable, "-m", "tools.release", version]
    refused = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert state(checkout) == before


@pytest.mark.parametrize("version", ["0.9.0", "0.8.10"])
def test_a_version_is_above_the_last_release_by_its_numbers(checkout: Path, version: str) -> None:
    make_release(checkout, "VERSION=0.9.0")
    commit(checkout, CHANGES, (checkout / CHANGES).read_text().replace("Unreleased\n", "Unreleased\n\n- **More.**\n"))
    git(checkout, "tag", "--delete", "v0.9.0")
    assert f"Expected VERSION above 0.9.0, the last release, got {version}." in refusal(checkout, version)
    assert make_release(checkout, "VERSION=0.10.0").returncode == 0


def test_outside_git_nothing_is_released(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    text = (checkout / "pyproject.toml").read_text()
    done = make_release(checkout, "VERSION=0.2.0")
    assert done.returncode == 2
    assert "git status failed, and nothing was released" in done.stderr
    assert (checkout / "pyproject.toml").read_text() == text


@pytest.mark.parametrize(
    ("hook", "program"),
    [
        ("pre-commit", "echo the hook refuses >&2; exit 1"),
        ("reference-transaction", "if grep -q refs/tags; then echo the hook refuses >&2; exit 1; fi"),
    ],
)
def test_if_git_refuses_the_commit_or_the_tag_nothing_remains(checkout: Path, hook: str, program: str) -> None:
    path = checkout / ".git" / "hooks" / hook
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    assert "the hook refuses" in refusal(checkout, "0.2.0")


def refusal(checkout: Path, version: str) -> str:
    """Return what a release is refused with; it leaves everything as it was."""
    before = state(checkout)
    done = make_release(checkout, f"VERSION={version}")
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
    assert state(checkout) == before
    return done.stderr


def test_packages_have_authors_keywords_and_addresses() -> None:
    projects = [
        tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        for path in (ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml"))
    ]
    ours, *others = projects
    assert others
    for project in projects:
        assert project["authors"] == [{"name": "The softkv authors"}], project["name"]
        assert project["keywords"], project["name"]
        assert project["urls"] == ours["urls"], project["name"]
        assert "Programming Language :: Python :: 3.11" in project["classifiers"], project["name"]
    package = json.loads((ROOT / "clients" / "typescript" / "package.json").read_text(encoding="utf-8"))
    assert package["author"] == "The softkv authors"
    assert package["repository"]["url"] == f"git+{ours['urls']['Repository']}.git"
    assert package["keywords"]


def forget_the_owner(checkout: Path) -> None:
    write_all(checkout, "0.1.0", PLACEHOLDER)
    git(checkout, "commit", "--quiet", "--all", "--message", "Forget the owner")


STOPPING: dict[str, Callable[[Path], object]] = {
    "Expected a clean checkout, got changes.": lambda checkout: (checkout / "notes.txt").touch(),
    "Expected changes under Unreleased in CHANGELOG.md, got none.": lambda checkout: commit(
        checkout, CHANGES, "# Changes\n\n## Unreleased\n\n### Added\n"
    ),
    "Expected no tag v0.2.0, got one.": lambda checkout: git(checkout, "tag", "v0.2.0"),
    "got a detached HEAD": lambda checkout: git(checkout, "checkout", "--quiet", "--detach"),
    f"Expected the owner of the repository, got {PLACEHOLDER}.": forget_the_owner,
    "Expected ^version: @$ in CITATION.cff, got no match.": lambda checkout: commit(
        checkout, CITATION, (checkout / CITATION).read_text().replace("version: 0.1.0\n", "")
    ),
}


@pytest.mark.parametrize("message", STOPPING)
def test_a_checkout_that_is_not_ready_stops_a_release(checkout: Path, message: str) -> None:
    STOPPING[message](checkout)
    assert message in refusal(checkout, "0.2.0")
