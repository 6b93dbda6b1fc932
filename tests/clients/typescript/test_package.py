"""The npm package: built from the checkout only, small, and usable after installation."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tools.bundle import BUILT, CHECKED_IN
from tools.node import ROOT, checked, node, npm

MOST_BYTES = 12_100
PACKAGE = json.loads((ROOT / "clients" / "typescript" / "package.json").read_text(encoding="utf-8"))
LOCK = ROOT / "clients" / "typescript" / "package-lock.json"
# A program that uses the package, whose types the compiler finds as Node.js or as a bundler does.
USED = """import { Client, type Answer } from "softkv";
export async function weights(client: Client): Promise<readonly number[]> {
  const answer: Answer = await client.collection("library").attend("pets that purr");
  return answer.matches.map((match) => match.weight);
}
"""


@pytest.fixture(scope="module")
def packed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the package that npm would publish, packed without a build before."""
    folder = tmp_path_factory.mktemp("packed")
    shutil.rmtree(project / "dist")
    options = ("--json", "--foreground-scripts=false", "--pack-destination", folder)
    made = json.loads(checked(npm(project, "pack", *options)))
    assert [item["filename"] for item in made] == [f"softkv-{PACKAGE['version']}.tgz"]
    names = {file["path"] for file in made[0]["files"]}
    assert {"README.md", "package.json", "dist/softkv.js", "dist/index.d.ts"} <= names
    assert all(name.startswith("dist/") or "/" not in name for name in names)
    return folder / made[0]["filename"]


def said(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", CHECKED_IN, ids=str)
def test_checked_in_files_equal_the_built_ones(project, name):
    made = (project / name).read_text(encoding="utf-8")
    checked_in = CHECKED_IN[name].read_text(encoding="utf-8")
    assert made == checked_in, f"{CHECKED_IN[name]} is of other sources: make typescript"


def test_the_bundle_is_small_and_asks_for_nothing(project):
    text = (project / BUILT).read_bytes()
    assert len(gzip.compress(text, 9, mtime=0)) <= MOST_BYTES
    assert b"import" not in text.replace(b"important", b"")


def test_the_package_has_no_dependencies_and_its_tools_are_pinned():
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & PACKAGE.keys()
    assert all(version[0].isdigit() for version in PACKAGE["devDependencies"].values())
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
    assert not any("resolved" in value for value in packages.values())


@pytest.mark.end_to_end
def test_sources_and_their_tests_compile(project):
    done = npm(project, "run", "check")
    assert done.returncode == 0, said(done)


def test_publint_finds_nothing(project, packed):
    done = node(project, "node_modules/publint/src/cli.js", packed, "--strict")
    assert (done.returncode, "All good!" in done.stdout) == (0, True), said(done)


def test_the_types_are_found_by_each_kind_of_import(project, packed):
    done = node(project, "node_modules/@arethetypeswrong/cli/dist/index.js", packed, "--profile", "esm-only")
    assert done.returncode == 0, said(done)


@pytest.mark.parametrize("module", ["nodenext", "preserve"])
def test_a_program_that_uses_the_package_compiles(project, packed, tmp_path, module):
    modules = tmp_path / "node_modules"
    modules.mkdir()
    with tarfile.open(packed) as archive:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(modules)
    (modules / "package").rename(modules / "softkv")
    (tmp_path / "used.mts").write_text(USED, encoding="utf-8")
    options = ("--strict", "--noEmit", "--target", "es2022", "--module", module)
    done = node(tmp_path, project / "node_modules/typescript/bin/tsc", *options, "used.mts")
    assert done.returncode == 0, said(done)
