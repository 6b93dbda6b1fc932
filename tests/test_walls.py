"""Walls: each is a distribution with tests, a contract and a part of the map; its digest is of what it stands on.

Suites of the core have a digest, too.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools import walls
from tools.walls import (
    BY_DAY,
    CORE,
    FOR_A_LANDING,
    FRAMEWORKS,
    PASSED,
    ROOT,
    SUITES,
    WALLS,
    Wall,
    digest,
    imported,
    read_passed,
    runs,
)

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
SMALL = Wall("extensions/small", "softkv_small", files=("service/softkv_service/web/shared",))
SUITE = Wall("tests/inner", "", files=("constraints.txt", "attention/softkv_attention/inner"))
FILES = {
    "attention/softkv_attention/__init__.py": "from softkv_attention.face import name, other",
    "attention/softkv_attention/face.py": "name = other = 1",
    "attention/softkv_attention/aside.py": "",
    "attention/softkv_attention/inner/__init__.py": "from softkv_attention.inner.deep import (\n  first as second,\n)",
    "attention/softkv_attention/inner/deep.py": "first = 2",
    "clients/python/softkv/tables.py": "",
    "service/softkv_service/app.py": "",
    "service/softkv_service/web/explore/index.js": "",
    "service/softkv_service/web/shared/words.js": "",
    "extensions/small/softkv_small/__init__.py": "",
    "extensions/small/softkv_small/work.py": (
        "import json, softkv.tables\nfrom softkv_attention import name\n"
        "def f():\n    from softkv_attention.inner import second"
    ),
    "extensions/small/tests/test_work.py": "import softkv_service.app",
    "extensions/small/docs/guide/small.md": "# Small",
    "constraints.txt": "numpy==2.2.6",
    "attention/softkv_attention/inner/fast.c": "int main(void) { return 0; }",
    "tests/inner/test_deep.py": "from softkv_attention import name\nfrom tests.made import small",
    "tests/made.py": "small = 1",
    "tests/other.py": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with a small wall."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


def test_every_extension_is_a_wall_with_its_own_distribution_and_test_for_a_landing() -> None:
    assert {wall.folder for wall in WALLS.values()} >= {
        path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("extensions/*/pyproject.toml")
    }
    for name, wall in WALLS.items():
        project = tomllib.loads((ROOT / wall.folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert project["name"] == wall.package.replace("_", "-")
        assert project["entry-points"].keys() <= {"softkv.commands", "softkv.modules", "softkv.parts"}
        assert any(name in entries for entries in project["entry-points"].values())
        marked = [path.read_text().count("mark.end_to_end") for path in (ROOT / wall.folder / "tests").rglob("*.py")]
        assert sum(marked) == 1


def test_every_package_for_a_framework_is_a_wall_with_one_test_for_a_landing() -> None:
    """That it imports the client and nothing else of softkv, tests/clients/test_partners.py checks."""
    assert FRAMEWORKS.keys() == {path.parent.name for path in ROOT.glob("clients/*/constraints.txt")}
    for wall in FRAMEWORKS.values():
        assert (ROOT / wall.folder / wall.package).is_dir()
        marked = [path.read_text().count("mark.end_to_end") for path in (ROOT / wall.folder / "tests").rglob("*.py")]
        assert sum(marked) == 1


def test_a_contract_and_a_part_of_the_map_have_every_wall() -> None:
    packages = {wall.package for wall in WALLS.values()}
    assert set(CONTRACTS["root_packages"]) == packages | CORE.keys()
    [layers] = [contract["layers"] for contract in CONTRACTS["contracts"] if "nothing of a wall" in contract["name"]]
    above, below = (set(re.split(r" [|:] ", layer)) for layer in layers)
    assert (above, below) == (packages, set(CORE))
    part = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("\n## Walls\n")[2].partition("\n## ")[0]
    assert [wall.folder for wall in WALLS.values() if f"| `{wall.folder}/` |" not in part] == []


def test_a_module_is_read_for_the_modules_of_the_core_that_define_its_names(root: Path) -> None:
    work = root / "extensions/small/softkv_small/work.py"
    names = {
        "attention/softkv_attention/face.py",
        "attention/softkv_attention/inner/deep.py",
        "clients/python/softkv/tables.py",
    }
    assert imported(work, root) == {root / name for name in names}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("attention/softkv_attention/face.py", True),
        ("attention/softkv_attention/inner/deep.py", True),
        ("clients/python/softkv/tables.py", True),
        ("extensions/small/softkv_small/work.py", True),
        ("extensions/small/tests/test_work.py", True),
        ("extensions/small/tests/new.py", True),
        ("service/softkv_service/web/shared/words.js", True),
        ("attention/softkv_attention/aside.py", False),
        ("service/softkv_service/web/explore/index.js", False),
        ("service/softkv_service/app.py", False),
        ("extensions/small/docs/guide/small.md", False),
    ],
)
def test_a_digest_changes_with_a_wall_and_its_imports(root: Path, name: str, changes: bool) -> None:
    before = digest(SMALL, root)
    with (root / name).open("a") as file:
        file.write("\n# more\n")
    assert (digest(SMALL, root) != before) == changes


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("attention/softkv_attention/face.py", True),
        ("attention/softkv_attention/inner/deep.py", True),
        ("attention/softkv_attention/inner/fast.c", True),
        ("tests/inner/test_deep.py", True),
        ("tests/made.py", True),
        ("constraints.txt", True),
        ("attention/softkv_attention/aside.py", False),
        ("tests/other.py", False),
        ("service/softkv_service/app.py", False),
    ],
)
def test_a_digest_changes_with_a_suite_of_the_core_and_its_rooms(root: Path, name: str, changes: bool) -> None:
    before = digest(SUITE, root)
    with (root / name).open("a") as file:
        file.write("\n# more\n")
    assert (digest(SUITE, root) != before) == changes


def run_core(root: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> tuple[int, list[str]]:
    """Run a script in place of pytest on the suite of a small repository → its status and its arguments."""
    monkeypatch.setattr(walls, "SUITES", {"small": SUITE})
    write = "import pathlib, sys; pathlib.Path('.git/got').write_text(' '.join(sys.argv[1:])); "
    status = walls.run_core([sys.executable, "-c", write + script], root)
    return status, (root / ".git" / "got").read_text().split()


def test_a_suite_of_the_core_is_left_out_until_it_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ignored = [f"--ignore={SUITE.folder}"]
    assert run_core(root, monkeypatch, "sys.exit(1)") == (1, [])
    assert run_core(root, monkeypatch, "") == (0, [])  # what failed has not passed
    assert run_core(root, monkeypatch, "") == (0, ignored)
    with (root / SUITE.folder / "test_deep.py").open("a") as file:
        file.write("\n# more\n")
    assert run_core(root, monkeypatch, "") == (0, [])
    assert run_core(root, monkeypatch, "") == (0, ignored)


def test_a_suite_that_changes_while_it_runs_has_not_passed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change = f"pathlib.Path('{SUITE.folder}/test_deep.py').write_text('1')"
    assert run_core(root, monkeypatch, change) == (0, [])
    assert run_core(root, monkeypatch, "") == (0, [])


def test_each_suite_of_the_core_names_folders_and_files_that_exist() -> None:
    names = [name for suite in SUITES.values() for name in (suite.folder, *suite.files) if not name.startswith(":")]
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_a_landing_runs_all_tests_of_a_wall_that_has_not_passed_as_it_is() -> None:
    name = next(iter(WALLS))
    passed = {each: digest(wall) for each, wall in (WALLS | FRAMEWORKS).items()}
    assert {selection for _, selection in runs([], passed)} == {FOR_A_LANDING}
    assert ([name], BY_DAY) in list(runs([], passed | {name: "older"}))
    assert {selection for _, selection in runs([], {})} == {BY_DAY}
    assert list(runs([name], passed)) == [([name], BY_DAY)]
    assert all("-m" not in options for _, options in runs(["all"], passed))


def test_a_landing_runs_the_whole_suites_of_packages_whose_digests_are_new_in_their_environments() -> None:
    first, *others = FRAMEWORKS
    passed = {name: digest(wall) for name, wall in FRAMEWORKS.items()}
    assert list(runs(["frameworks"], passed)) == [([first, *others], FOR_A_LANDING)]
    assert list(runs(["frameworks"], passed | {first: "older"})) == [(others, FOR_A_LANDING), ([first], ())]
    assert list(runs(["frameworks"], {})) == [([first, *others], ())]
    assert walls.command([first], [])[1:] == ["-m", "tests.integrations.run", first]


def test_only_all_tests_of_a_wall_let_it_pass(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walls, "WALLS", {"small": SMALL})
    monkeypatch.setattr(walls, "command", lambda names, selection: [sys.executable, "-c", "pass"])
    walls.write_passed({"another": "12"}, root)
    assert walls.main(["--last-failed"], root) == 0
    assert read_passed(root) == {"another": "12"}
    assert walls.main([], root) == 0
    assert read_passed(root) == {"another": "12", "small": digest(SMALL, root)}


def test_a_word_that_is_not_the_name_of_a_wall_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"Expected names of walls, some of .*, got parity"):
        walls.main(["parity"])


def test_git_ignores_the_digests() -> None:
    ignores = ["git", "check-ignore", "--quiet", f"{PASSED}/parity"]
    assert subprocess.run(ignores, cwd=ROOT, check=False).returncode == 0
