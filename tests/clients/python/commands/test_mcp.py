"""`softkv mcp` and `softkv-mcp` where they cannot begin; `test_server_stdio.py` has what they do when they can."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.service.commands.conftest import COMMAND, Softkv
from tests.speaking import COMMAND as ALONE
from tests.thorough import thorough

WITHOUT = "import sys; sys.modules.update({'mcp': None, 'mcp_types': None}); "


def ended(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)


@pytest.mark.parametrize("url", ["library", thorough("")])
@pytest.mark.parametrize(("name", "command"), [("softkv", [*COMMAND, "mcp"]), ("softkv-mcp", [sys.executable, *ALONE])])
def test_an_invalid_address_ends_with_exit_code_2(name: str, command: list[str], url: str) -> None:
    end = ended(*command, "--url", url)
    assert (end.returncode, end.stdout) == (2, "")
    assert end.stderr.startswith(f"{name}: --url ")
    assert "http://127.0.0.1:8000" in end.stderr


def test_a_list_of_collections_without_a_name_offers_none_of_them() -> None:
    end = ended(*COMMAND, "mcp", "--collection", " , ")
    assert (end.returncode, end.stdout) == (2, "")
    assert end.stderr == "softkv: --collection names no collection: leave it out to offer all of them\n"


def test_mcp_without_its_library_names_the_package_to_install() -> None:
    end = ended(sys.executable, "-c", WITHOUT + COMMAND[2], "mcp")
    assert (end.returncode, end.stdout) == (1, "")
    assert end.stderr.startswith("softkv: the Model Context Protocol needs a library")
    assert "pip install 'mcp>=2.3'" in end.stderr
    assert "Traceback" not in end.stderr


def test_the_script_of_the_server_names_the_extra_for_its_library() -> None:
    end = ended(sys.executable, "-c", WITHOUT + ALONE[1])
    assert (end.returncode, end.stdout) == (2, "")
    assert end.stderr == "softkv-mcp: mcp is not installed: install `softkv-client[mcp]`\n"


def test_the_rest_of_softkv_needs_no_such_library() -> None:
    end = ended(sys.executable, "-c", WITHOUT + COMMAND[2], "--help")
    assert end.returncode == 0


def test_the_help_of_mcp_names_the_protocol_and_its_options(bare: Softkv) -> None:
    help_ = bare("mcp", "--help").output
    for word in ("Model Context Protocol", "--collection", "--read-only", "--url", "--api-key"):
        assert word in help_
