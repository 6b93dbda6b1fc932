"""What `python -m tools.surface` counts is what the program, the service and the client have."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

import softkv
import softkv_attention
from softkv import Client, Collection, cli
from softkv_attention import lookup
from softkv_service.settings import Settings
from tools import ROOT
from tools.node import NodeMissingError
from tools.surface import (
    Checkout,
    calls,
    commands,
    folder_of,
    is_matrix,
    methods,
    public_names,
    python_tokens,
    question_options,
    schemas,
    script_tokens,
    settings,
    spellings,
    unformatted,
)

HERE = Checkout(ROOT)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Return a small checkout whose package stands in a folder of its own, below that of its distribution."""
    files = {
        "core/pyproject.toml": '[project]\nname = "one"\n[tool.setuptools.packages.find]\ninclude = ["core_one*"]\n',
        "core/core_one/__init__.py": '__all__ = ["a", "b"]\n',
        "core/core_one/commands/ask.py": (
            "import typer\nfrom core_one.record import Question\nNO_OPTIONS = ('include',)\n"
            "Url = Annotated[str, typer.Option('--url')]\n"
            "def ask(text: Annotated[str, typer.Argument()], url: Url, **options): ...\n"
            "def _hidden(url: Url): ...\ndef helper(text: str): ...\n"
        ),
        "core/core_one/record.py": (
            "class Question(Record):\n    top_k: Annotated[int, Range(0, 10)] = 1\n    include: str\n"
            "    own: Annotated[int, NOT_SENT]\nclass Other(Record):\n    top_p: float\n"
        ),
        "core/core_one/groups.py": (
            "app.add_typer(cluster, name='cluster')\n@cluster.command()\n"
            "def up(wait: Annotated[int, typer.Option()]): ...\n"
        ),
        "core/tests/test_one.py": "assert True\n",
        "setup.py": "",
        "web/built/bundle.js": "x",
        "web/a.js": "/** A comment. @type {number} */\nconst text = `a ${/b/.source}`; // another\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    subprocess.run("git init -q && git add .", shell=True, cwd=tmp_path, check=True)
    return Checkout(tmp_path)


def options_of(command: Any) -> list[str]:
    """Return the names of a command's options, as the program has them."""
    command.get_params(typer.Context(command))
    return [parameter.name for parameter in command.params if parameter.param_type_name == "option"]


def test_commands_and_options_are_those_of_the_program():
    program: Any = typer.main.get_command(cli.program())
    groups = {name: getattr(command, "commands", {}) for name, command in program.commands.items()}
    running = {name: command for name, command in program.commands.items() if not groups[name]}
    running |= {f"{group} {name}": command for group, members in groups.items() for name, command in members.items()}
    counted = {command.name: sorted(command.options) for command in commands(HERE)}
    assert counted == {name: sorted(options_of(command)) for name, command in running.items()}


def test_settings_are_those_of_the_service():
    assert settings(HERE) == list(Settings.model_fields)


@pytest.mark.parametrize("of", [Client, Collection])
def test_methods_are_those_of_the_client(of):
    assert methods(HERE, of.__name__) == [name for name in dir(of) if not name.startswith("_")]


@pytest.mark.parametrize("package", [softkv, softkv_attention, lookup])
def test_names_are_those_of_the_package(package):
    assert public_names(HERE)[package.__name__] == package.__all__


def test_calls_schemas_and_options_are_those_of_the_description():
    assert "POST /v1/collections/{name}/attend" in calls(HERE)
    assert "top_k" in schemas(HERE)["AttendRequest"]
    assert {"top_k", "group_by", "ignore_defaults"} <= set(question_options(HERE))


def test_each_distribution_has_a_package_in_the_product():
    assert all(
        any(HERE.kind(name) == "product" for name in HERE.names if name.startswith(folder.strip(".")))
        for folder in HERE.distributions
    )
    assert not [name for name in HERE.modules.values() if "test_" in name]


def test_a_renamed_folder_changes_no_count(checkout):
    assert list(checkout.distributions) == ["core"]
    assert checkout.modules["core_one.commands.ask"] == "core/core_one/commands/ask.py"
    assert public_names(checkout) == {"core_one": ["a", "b"]}
    assert [(command.name, command.options) for command in commands(checkout)] == [
        ("ask", ("url", "top_k")),
        ("cluster up", ("wait",)),
    ]
    kinds = {name: checkout.kind(name) for name in checkout.names if name.endswith(".py")}
    assert kinds["core/tests/test_one.py"] == "tests"
    assert kinds["setup.py"] == "tools"
    assert folder_of(checkout, "web/a.js") == "web"
    assert "web/built/bundle.js" not in checkout.names


@pytest.mark.parametrize("text", ["group_by", "groupBy", "GroupBy", "group-by", "GROUP_BY", "PlannedGroupBy"])
def test_an_option_is_recognised_in_any_spelling(text):
    assert spellings("group_by").search(text)


@pytest.mark.parametrize("text", ["stop_points", "reranker", "Rereranking"])
def test_other_words_are_left_out(text):
    assert not spellings("top_p").search(text)
    assert not spellings("rerank").search(text)


def test_tokens_of_python_leave_lines_and_comments_out():
    assert len(python_tokens('def f(a):  # why\n    """Return it."""\n\n    return a\n')) == 9
    assert len(python_tokens("x = [1,\n  2]\n")) == len(python_tokens("x = [1, 2]\n"))


def test_only_a_comment_keeps_from_formatting():
    text = (
        'x = [1]  # fmt: skip\n# fmt: off\ny = f(\n    1\n)\nz = "fmt: skip"\n@a([1,\n2])  # fmt: skip\ndef b(): ...\n'
    )
    assert [(node.lineno, node.end_lineno) for node in unformatted(text)] == [(1, 1), (3, 5), (7, 8)]


@pytest.mark.parametrize(
    ("text", "matrix"),
    [
        ("x = np.array([[1, -2.5], [0, 1]])", True),
        ("x = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]", True),
        ("x = [1, 2, 3]", False),
        ("x = [('a', 1), ('b', 2)]", False),
        ("x = {'a', 'b'}", False),
    ],
)
def test_a_matrix_has_rows_of_numbers_alone(text, matrix):
    [statement] = ast.parse(text).body
    assert is_matrix(statement) == matrix


@pytest.mark.node
def test_a_token_of_a_script_is_a_leaf_of_its_syntax(checkout):
    try:
        assert script_tokens(checkout) == {
            "web/a.js": len(["const", "text", "=", "`a ${", "/b/", ".", "source", "}`", ";"])
        }
    except NodeMissingError as missing:
        pytest.skip(str(missing))
