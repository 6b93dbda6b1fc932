"""The behaviour that all commands share: a quick start, help, exit codes, and the stream of messages."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.running import RunningService
from tests.service.commands.conftest import Softkv, serving
from tools.walls import WALLS

PACKAGES = {"softkv_service", "softkv"} | {wall.package for wall in WALLS.values()} - {"softkv_postgres"}
NOBODY = "http://127.0.0.1:9"


def _loaded(statement: str) -> set[str]:
    """Return the packages outside the standard library that a new process has after this statement."""
    code = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    packages = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    return set(packages) - sys.stdlib_module_names


def test_the_command_starts_with_the_packages_that_the_client_needs() -> None:
    assert _loaded("from softkv.cli import program; program()") - _loaded("import httpx2, typer") == PACKAGES


def test_help_groups_the_commands_in_the_order_of_their_use(bare: Softkv) -> None:
    help_ = bare("--help").output
    groups = [line.split()[1] for line in help_.splitlines() if line.startswith("╭─")]
    assert groups == ["Options", "Start", "Ask", "Documents", "Operate"]
    words = help_.split()
    assert words.index("serve") < words.index("attend") < words.index("load") < words.index("cluster")


def test_help_of_serve_has_groups_and_choices_and_no_type_of_a_flag(bare: Softkv) -> None:
    help_ = bare("serve", "--help", COLUMNS="120").output
    groups = [line.strip("╭─╮ ") for line in help_.splitlines() if line.startswith("╭─")]
    assert groups == ["Options", "Access", "Network", "Storage", "Computation", "Limits", "Logs and shutdown"]
    for choices in ("read|write", "memory|files", "float32|int16|bfloat16", "debug|info|warning|error", "none|otlp"):
        assert choices in help_
    for command in ("serve", "attend", "load", "cluster"):
        assert "bool" not in bare(command, "--help", COLUMNS="120").output


@pytest.mark.parametrize("module", ["softkv", "softkv_service"])
def test_a_module_is_the_command(module: str) -> None:
    ended = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, f"softkv {version('softkv')}\n")


def test_help_names_every_command_and_the_exit_codes(bare: Softkv) -> None:
    help_ = bare("--help").output
    for command in ("serve", "cluster", "demo", "load", "export", "attend", "encode", "mcp", "bench", "doctor"):
        assert f" {command} " in help_
        assert bare(command, "--help").exit_code == 0 or command == "bench"
    assert "3 the service cannot be" in help_


@pytest.mark.parametrize(
    "arguments",
    [
        ["attend", "library", "cats"],
        ["demo"],
        ["load", "-", "--collection", "library"],
        ["export", "library", "-"],
        ["encode", "-"],
    ],
    ids=lambda a: a[0],
)
def test_a_service_that_is_not_there_is_exit_code_3(bare: Softkv, arguments: list[str]) -> None:
    ended = bare(*arguments, "--url", NOBODY, input='{"id": "a"}\n')
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr.startswith(f"softkv: no service answers at {NOBODY}")
    assert "softkv serve" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["attend", "library"],
        ["attend", "library", "cats", "--temperature", "warm"],
        ["attend", "library", "cats", "--filter", "{"],
        ["attend", "library", "cats", "--url", "http://[::1"],
        ["attend", "library", "cats", "--url", "ftp://localhost"],
        ["attend", "library", "cats", "--api-key", "@/nowhere"],
        ["attend", "library", "1, 2", "--vector"],
        ["export", "library", "library.xlsx", "--url", NOBODY, "--json"],
        ["demo", "librarry"],
        ["load", "/nowhere.csv"],
        ["serve", "--port", "eighty"],
        ["attend", "library", "cats", "--normaliser", "loud"],
        ["dance"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(bare: Softkv, arguments: list[str]) -> None:
    ended = bare(*arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr


def test_a_refusal_is_exit_code_1_with_the_service_s_own_words(softkv: Softkv) -> None:
    ended = softkv("attend", "atlantis", "cats")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith("softkv: there is no collection 'atlantis'")
    assert ended.stderr.endswith("create it with `softkv load FILE --collection atlantis`\n")


def test_a_key_is_given_as_it_is_or_in_a_file(bare: Softkv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("open sesame\n")
    monkeypatch.setenv("SOFTKV_API_KEYS", "open sesame")
    with serving(tmp_path / "data") as running:
        command = ["attend", "atlantis", "cats", "--url", running.url]
        assert "asks for a key: give it with --api-key, or set SOFTKV_KEY" in " ".join(bare(*command).stderr.split())
        assert "the key is not one" in bare(*command, "--api-key", "open simsim").stderr
        assert "no collection 'atlantis'" in bare(*command, "--api-key", "open sesame").stderr
        assert "no collection 'atlantis'" in bare(*command, "--api-key", f"@{tmp_path / 'key'}").stderr
        assert "no collection 'atlantis'" in bare(*command, SOFTKV_KEY=f"@{tmp_path / 'key'}").stderr


def test_a_number_out_of_its_range_is_shown_with_its_option_before_a_request(softkv: Softkv) -> None:
    ended = softkv("attend", "atlantis", "cats", "--top-k", "-1")
    assert ended.exit_code == 2
    assert "--top-k" in ended.stderr


def test_each_flaw_of_a_request_is_shown_with_its_pointer(softkv: Softkv) -> None:
    ended = softkv("attend", "atlantis", "cats", "--max-error", "-1", "--top-p", "0")
    assert ended.exit_code == 1
    assert "/max_error" in ended.stderr
    assert "/top_p" in ended.stderr


def test_the_address_of_the_service_may_come_from_the_environment(service: RunningService, bare: Softkv) -> None:
    assert bare("attend", "atlantis", "cats", SOFTKV_URL=service.url).exit_code == 1
    assert bare("attend", "atlantis", "cats", SOFTKV_URL=NOBODY).exit_code == 3
    assert bare("attend", "atlantis", "cats", "--url", service.url, SOFTKV_URL=NOBODY).exit_code == 1


def test_another_web_server_is_recognised(bare: Softkv) -> None:
    """The service's own root is not the API: any other web server looks like this."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        ended = bare("attend", "library", "cats", "--url", f"http://127.0.0.1:{other.server_port}")
        other.shutdown()
    assert ended.exit_code == 1
    assert "not softkv's: check the address" in ended.stderr
