"""The files for GitHub and for registries: they parse, and what they name is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.release import source

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted(path.name for path in (GITHUB / "workflows").iterdir())
RELEASING = (GITHUB / "RELEASING.md").read_text(encoding="utf-8")
PROJECTS = {
    path: tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    for path in (ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml"))
}

each = pytest.mark.parametrize("name", WORKFLOWS)


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs(name: str) -> dict[str, Any]:
    return parsed(GITHUB / "workflows" / name)["jobs"]


def combinations(matrix: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return the jobs of a matrix whose `include` only adds jobs."""
    return [{"tier": tier, "python": matrix["python"][0]} for tier in matrix["tier"]] + matrix["include"]


@each
def test_a_workflow_may_only_read_unless_a_job_says_more(name: str) -> None:
    assert parsed(GITHUB / "workflows" / name)["permissions"] == {"contents": "read"}
    assert [job for job, content in jobs(name).items() if "timeout-minutes" not in content] == []


@each
def test_an_action_is_pinned_by_its_commit_and_says_its_version(name: str) -> None:
    lines = re.findall(r"uses: (.*)", (GITHUB / "workflows" / name).read_text(encoding="utf-8"))
    assert [line for line in lines if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line)] == []
    assert lines


@each
def test_a_job_runs_only_targets_of_the_makefile(name: str) -> None:
    rules = re.findall(r"^([\w -]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    commands = [step["run"] for job in jobs(name).values() for step in job["steps"] if "run" in step]
    made = {target for command in commands for target in re.findall(r"\bmake ([a-z-]+)", command)}
    if name == "checks.yml":
        made |= {combination["tier"] for combination in combinations(jobs(name)["tier"]["strategy"]["matrix"])}
    assert made - targets == set()


def test_every_supported_python_runs_the_tests() -> None:
    tested = combinations(jobs("checks.yml")["tier"]["strategy"]["matrix"])
    versions = [combination["python"] for combination in tested if combination["tier"] == "test"]
    for path, project in PROJECTS.items():
        classifiers = [
            line for line in project["classifiers"] if line.startswith("Programming Language :: Python :: 3.")
        ]
        assert [line.rpartition(" ")[2] for line in classifiers] == versions, path
        assert project["requires-python"] == f">={versions[0]}", path


def test_pages_and_make_name_every_python_that_runs_the_tests() -> None:
    tested = combinations(jobs("checks.yml")["tier"]["strategy"]["matrix"])
    versions = [combination["python"] for combination in tested if combination["tier"] == "test"]
    for page, to in (("README.md", "to"), ("docs/zh/README.md", "到")):
        assert f"Python {versions[0]} {to} {versions[-1]} ·" in (ROOT / page).read_text(encoding="utf-8"), page
    installing = (ROOT / "docs" / "start" / "installing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| Linux on x86-64, Python ([\d., ]+) \|", installing, re.MULTILINE)
    assert ", ".join(rows).split(", ") == versions
    [minors] = re.findall(r"for minor in ([\d ]+);", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert sorted(f"3.{minor}" for minor in minors.split()) == versions


def test_every_distribution_is_published_from_an_environment_of_its_own() -> None:
    job = jobs("release.yml")["pypi"]
    published = job["strategy"]["matrix"]["project"]
    assert {project["name"] for project in PROJECTS.values()} | {"softkv-model-minilm"} == set(published)
    assert job["environment"] == "pypi-${{ matrix.project }}"
    assert [project for project in published if f"`{project}`" not in RELEASING] == []


def run_step(job: str, name: str, folder: Path, workflow: str = "release.yml", **environment: str) -> int:
    """Run the shell commands of a step, as GitHub does, and return the exit status."""
    [step] = [step for step in jobs(workflow)[job]["steps"] if step.get("name", "").startswith(name)]
    command = step["run"].replace("${{ matrix.project }}", environment.get("PROJECT", ""))
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command]
    return subprocess.run(shell, cwd=folder, env=os.environ | environment, check=False).returncode


def test_only_the_tag_of_the_version_is_published() -> None:
    version, _ = source(ROOT)
    assert run_step("version", "Compare", ROOT, GITHUB_REF_NAME=f"v{version}") == 0
    assert run_step("version", "Compare", ROOT, GITHUB_REF_NAME=f"v{version}0") == 1
    assert run_step("version", "Compare", ROOT, GITHUB_REF_NAME=version.replace(".", "x")) == 1


@pytest.mark.parametrize("project", jobs("release.yml")["pypi"]["strategy"]["matrix"]["project"])
def test_a_job_takes_the_wheels_of_its_project_alone(tmp_path: Path, project: str) -> None:
    wheels = {
        name: f"{name.replace('-', '_')}-1.2.3-py3-none-any.whl"
        for name in jobs("release.yml")["pypi"]["strategy"]["matrix"]["project"]
    }
    (tmp_path / "all").mkdir()
    for wheel in wheels.values():
        (tmp_path / "all" / wheel).touch()
    assert run_step("pypi", "Take", tmp_path, PROJECT=project) == 0
    assert [path.name for path in (tmp_path / "dist").iterdir()] == [wheels[project]]
    assert run_step("pypi", "Take", tmp_path, PROJECT=project) != 0


def test_a_program_that_publishes_is_run_only_if_its_bytes_are_known(tmp_path: Path) -> None:
    program = tmp_path / "mcp-publisher"
    program.write_text("#!/bin/sh\necho $1 >> ran\n")
    program.chmod(0o755)
    archive = tmp_path / "archive.tar.gz"
    subprocess.run(["tar", "czf", archive, program.name], cwd=tmp_path, check=True)
    program.unlink()
    variables = {"URL": archive.as_uri(), "SHA256": sha256(archive.read_bytes()).hexdigest()}
    assert run_step("mcp-registry", "Publish", tmp_path, **variables | {"SHA256": "0" * 64}) != 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive.tar.gz", "publisher.tar.gz"]
    assert run_step("mcp-registry", "Publish", tmp_path, **variables) == 0
    assert (tmp_path / "ran").read_text() == "login\npublish\n"


def test_a_job_with_a_token_that_publishes_runs_no_scripts_of_packages() -> None:
    commands = [step.get("run", "") for job in jobs("release.yml").values() for step in job["steps"]]
    installs = [command for command in commands if re.search(r"\bnpm (ci|install)\b", command)]
    assert installs == ["npm ci --ignore-scripts"]


def test_a_documentation_is_published_beside_the_other_versions(tmp_path: Path) -> None:
    published = tmp_path / "published"
    subprocess.run(["git", "init", "--quiet", "--bare", published], check=True)
    for number, tag in enumerate(["", "v0.9.0", "v0.10.0", "v0.9.1", ""]):
        checkout = tmp_path / f"checkout-{number}"
        git = ["git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a"]
        subprocess.run(["git", "init", "--quiet", checkout], check=True)
        shutil.copytree(ROOT / "tools" / "documentation", checkout / "tools" / "documentation")
        shutil.copy(ROOT / "tools" / "__init__.py", checkout / "tools")
        subprocess.run([*git, "add", "--all"], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", "a"], check=True)
        subprocess.run([*git, "remote", "add", "origin", str(published)], check=True)
        (checkout / "site").mkdir()
        (checkout / "site" / "index.html").write_text(f"{number}")
        kind = {"GITHUB_REF_TYPE": "tag" if tag else "branch", "GITHUB_REF_NAME": tag or "main"}
        assert run_step("docs", "Publish", checkout, "docs.yml", **kind) == 0

    def content(path: str) -> str:
        show = ["git", "-C", str(published), "show", f"gh-pages:{path}"]
        return subprocess.run(show, check=True, capture_output=True, text=True).stdout

    versions = {"0.10.0": "2", "0.9.1": "3", "0.9.0": "1", "dev": "4"}
    assert {version: content(f"{version}/index.html") for version in versions} == versions
    listed = json.loads(content("versions.json"))
    assert [entry["version"] for entry in listed] == list(versions)
    assert [entry["version"] for entry in listed if "latest" in entry["aliases"]] == ["0.10.0"]
    assert "url=0.10.0/" in content("index.html")


def test_every_image_has_an_attestation() -> None:
    for name in ("images", "tags"):
        job = jobs("release.yml")[name]
        assert job["permissions"]["attestations"] == job["permissions"]["id-token"] == "write"
        assert job["steps"][-1]["with"]["subject-digest"] == "${{ steps.image.outputs.digest }}"
        assert [step.get("id") for step in job["steps"]].count("image") == 1


def test_images_take_a_build_argument_that_the_dockerfile_has() -> None:
    matrix = jobs("release.yml")["images"]["strategy"]["matrix"]
    variants = {entry["suffix"]: entry["full"] for entry in matrix["include"] if "suffix" in entry}
    assert variants == {"": "", "-full": "1"}
    assert jobs("release.yml")["tags"]["strategy"]["matrix"]["suffix"] == list(variants)
    assert re.search(r"^ARG FULL=$", (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert "--build-arg FULL " in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_registry_of_mcp_servers_starts_the_client_that_is_published() -> None:
    server = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
    version, owner = source(ROOT)
    client = PROJECTS[ROOT / "clients" / "python" / "pyproject.toml"]
    [package] = server["packages"]
    assert server["name"] == f"io.github.{owner}/softkv"
    assert len(server["description"]) <= 100
    assert f"mcp-name: {server['name']} " in (ROOT / "clients" / "python" / "README.md").read_text(encoding="utf-8")
    assert (package["identifier"], package["version"]) == (client["name"], version)
    # A program puts the package between both lists: uvx --with=… --from softkv-client==1.2.3 softkv-mcp.
    arguments = [entry["value"] for entry in package["runtimeArguments"]]
    assert arguments == [f"--with={client['name']}[mcp]=={version}", "--from"]
    [command] = [entry["value"] for entry in package["packageArguments"]]
    assert command in client["scripts"]
    assert "mcp" in client["optional-dependencies"]
    settings = (ROOT / "clients" / "python" / "softkv" / "settings.py").read_text(encoding="utf-8")
    assert all(f'"{variable["name"]}"' in settings for variable in package["environmentVariables"])
