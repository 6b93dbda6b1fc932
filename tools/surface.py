"""The surface of the repository: `python -m tools.surface [ROOT]` prints it for this or another checkout.

It counts what a user meets: distributions, calls, fields, commands, options, settings and names. And it counts what a
reader meets: the files in which an option of a question stands, and tokens. Joining or moving lines changes none of
these. A checkout is read as files that git tracks; nothing of it is imported.

- A token of Python is one of `tokenize`, without comments, line ends and indentation; a docstring is one token.
- A token of a script is a leaf of TypeScript's syntax tree. A word of Markdown has space around it.
- Generated files are not counted, and neither are those of other projects.
"""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from tools import ROOT
from tools.node import CLIENT, NodeMissingError, checked, node, packages

GENERATED = re.compile(r"(^|/)(built|vendor|generated|web/recorded|node_modules|dist)/|/schema\.ts$")
SCRIPT = re.compile(r"\.(js|mjs|ts)$")
METHODS = frozenset({"get", "put", "post", "patch", "delete"})
LAYOUT = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)
"""The tokens of Python that are not counted."""
CLIENT_PACKAGE = "softkv"
KINDS = ("product", "tests", "benchmarks", "tools")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Command:
    """A command of the program, with its options.

    Attributes:
        name: as a user writes it, with its group.
        options: the names of its parameters that are options.
    """

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Checkout:
    """The files of a checkout that git tracks."""

    root: Path

    @cached_property
    def names(self) -> list[str]:
        """The paths of the files, without generated ones."""
        listed = subprocess.run(["git", "ls-files"], cwd=self.root, capture_output=True, text=True, check=True).stdout
        return [name for name in listed.splitlines() if not GENERATED.search(name) and (self.root / name).is_file()]

    def text(self, name: str) -> str:
        """Return the text of a file."""
        return (self.root / name).read_text(encoding="utf-8")

    @cached_property
    def distributions(self) -> dict[str, dict[str, Any]]:
        """The projects of Python that a person installs: the `pyproject.toml` of each, by its folder."""
        files = [name for name in self.names if PurePosixPath(name).name == "pyproject.toml"]
        projects = {PurePosixPath(name).parent.as_posix(): tomllib.loads(self.text(name)) for name in files}
        return {folder: project for folder, project in projects.items() if "project" in project}

    @cached_property
    def packages(self) -> dict[str, str]:
        """The folder of each package that a distribution has at its top, by the package's name."""
        folders = {}
        for folder, project in self.distributions.items():
            prefix = "" if folder == "." else f"{folder}/"
            setuptools = project.get("tool", {}).get("setuptools", {})
            declared = setuptools.get("packages", {})
            if isinstance(declared, list):
                for package in {name.partition(".")[0] for name in declared}:
                    place = setuptools.get("package-dir", {}).get(package, package)
                    folders[package] = prefix if place == "." else f"{prefix}{place}/"
            else:
                found = declared.get("find", {})
                patterns = found.get("include", [])
                prefix += "".join(f"{place}/" for place in found.get("where", []))
                children = {
                    name.removeprefix(prefix).partition("/")[0] for name in self.names if name.startswith(prefix)
                }
                matching = [child for child in children if any(fnmatch(child, pattern) for pattern in patterns)]
                folders |= {child: f"{prefix}{child}/" for child in matching}
        return folders

    def kind(self, name: str) -> str:
        """Return what the Python of a path is for, one of KINDS."""
        *folders, file = PurePosixPath(name).parts
        if "tests" in folders or file == "conftest.py":
            return "tests"
        if "benchmarks" in folders:
            return "benchmarks"
        in_package = any(name.startswith(folder) for folder in self.packages.values()) and file != "setup.py"
        return "product" if in_package else "tools"

    @cached_property
    def modules(self) -> dict[str, str]:
        """The product's Python: the path of each module, by its dotted name."""
        modules = {}
        for package, folder in self.packages.items():
            for name in self.names:
                if name.endswith(".py") and name.startswith(folder) and self.kind(name) == "product":
                    parts = PurePosixPath(name.removeprefix(folder)).with_suffix("").parts
                    modules[".".join((package, *(part for part in parts if part != "__init__")))] = name
        return modules

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """The syntax of each module of the product, by its dotted name."""
        return {module: ast.parse(self.text(name)) for module, name in self.modules.items()}

    @cached_property
    def classes(self) -> dict[str, list[tuple[str, ast.ClassDef]]]:
        """The classes at the top of modules, with their module, by name."""
        classes: dict[str, list[tuple[str, ast.ClassDef]]] = {}
        for module, tree in self.trees.items():
            for statement in tree.body:
                if isinstance(statement, ast.ClassDef):
                    classes.setdefault(statement.name, []).append((module, statement))
        return classes

    @cached_property
    def description(self) -> dict[str, Any]:
        """The description of the HTTP interface."""
        [name] = [name for name in self.names if name.endswith("api/openapi.json")]
        result: dict[str, Any] = json.loads(self.text(name))
        return result


def calls(checkout: Checkout) -> list[str]:
    """Return method and path of each call."""
    paths = checkout.description["paths"].items()
    return [f"{method.upper()} {path}" for path, methods in paths for method in methods if method in METHODS]


def schemas(checkout: Checkout) -> dict[str, list[str]]:
    """Return the fields of each schema."""
    described = checkout.description["components"]["schemas"]
    return {name: list(schema.get("properties", ())) for name, schema in described.items()}


def question_options(checkout: Checkout) -> list[str]:
    """Return the options of a question to a collection: those of the description, and those of the client."""
    [schema] = [
        methods["post"]["requestBody"]["content"]["application/json"]["schema"]
        for path, methods in checkout.description["paths"].items()
        if "/collections/" in path and path.endswith("/attend")
    ]
    fields = schemas(checkout)
    choices = checkout.description["components"]["schemas"][_schema_name(schema)].get("oneOf", [schema])
    options = [field for choice in choices for field in fields[_schema_name(choice)]]
    for _, record in checkout.classes.get("AttendOptions", ()):
        options += [name for name, _ in _fields(record)]
    return [option for option in dict.fromkeys(options) if option not in {"query", "queries"}]


def _schema_name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def spellings(option: str) -> re.Pattern[str]:
    """Return the pattern of an option under any spelling: group_by, groupBy, GroupBy, group-by, GROUP_BY."""
    words = option.split("_")
    camel = "".join(word.capitalize() for word in words)
    return re.compile(rf"(?i:(?<![a-z]){'[-_]?'.join(words)}(?![a-z]))|{camel}(?![a-z])")


def settings(checkout: Checkout) -> list[str]:
    """Return the names of the service's settings."""
    records = [record for records in checkout.classes.values() for _, record in records if _is_settings(record)]
    return [name for record in records for name, _ in _fields_with_bases(checkout, record)]


def _is_settings(record: ast.ClassDef) -> bool:
    return any(_last_name(base) == "BaseSettings" for base in record.bases)


def _fields(record: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """Yield name and annotation of the public fields of a class."""
    for statement in record.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            of_class = _last_name(statement.annotation) == "ClassVar"
            if not statement.target.id.startswith("_") and not of_class:
                yield statement.target.id, statement.annotation


def _fields_with_bases(checkout: Checkout, record: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """Yield name and annotation of the public fields of a class and of its bases in the checkout."""
    for base in record.bases:
        for _, parent in checkout.classes.get(_last_name(base), ()):
            yield from _fields_with_bases(checkout, parent)
    yield from _fields(record)


def _last_name(expression: ast.expr) -> str:
    """Return the last part of a dotted name; of another expression, nothing."""
    if isinstance(expression, ast.Subscript):
        return _last_name(expression.value)
    return expression.attr if isinstance(expression, ast.Attribute) else getattr(expression, "id", "")


def commands(checkout: Checkout) -> list[Command]:
    """Return the commands of the program; one of a group has both names.

    A command is a public function that a decorator registers. In a folder `commands`, it is one that has a parameter of
    typer, or parameters `**options`: the fields of the records that its module imports, without those in its
    NO_OPTIONS. A record is the settings, or a `Record`.
    """
    aliases = {
        target.id
        for tree in checkout.trees.values()
        for statement in tree.body
        if isinstance(statement, ast.Assign) and _has_call(statement.value, {"Option"})
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    result = []
    for module, tree in checkout.trees.items():
        groups = _groups(tree)
        functions = [statement for statement in tree.body if isinstance(statement, Function)]
        makers = {"Option"} | {function.name for function in functions if _has_call(function, {"Option"})}
        for function in functions:
            if function.name.startswith("_"):
                continue
            registered = [name for name in map(_registers, function.decorator_list) if name is not None]
            parameters = [*function.args.args, *function.args.kwonlyargs]
            options = [parameter.arg for parameter in parameters if _is_option(parameter.annotation, makers, aliases)]
            of_typer = any(_has_name(parameter.annotation, "typer") for parameter in parameters)
            in_folder = "commands" in module.split(".")
            if registered or (in_folder and (options or of_typer or function.args.kwarg)):
                if function.args.kwarg:
                    options += _fields_of_records(checkout, tree)
                name = " ".join([*(groups[name] for name in registered if name in groups), function.name])
                result.append(Command(name.replace("_", "-"), tuple(options)))
    return sorted(result, key=lambda command: command.name)


def _groups(tree: ast.Module) -> dict[str, str]:
    """Return the names of the groups of commands that a module adds to the program, by their variables."""
    return {
        call.args[0].id: str(keyword.value.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _last_name(call.func) == "add_typer" and isinstance(call.args[0], ast.Name)
        for keyword in call.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }


def _registers(decorator: ast.expr) -> str | None:
    """Return the variable of the program or group that a decorator adds a command to."""
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    registers = isinstance(function, ast.Attribute) and function.attr == "command"
    return _last_name(function.value) if registers and isinstance(function, ast.Attribute) else None


def _has_call(expression: ast.AST, names: Set[str]) -> bool:
    return any(isinstance(part, ast.Call) and _last_name(part.func) in names for part in ast.walk(expression))


def _has_name(annotation: ast.expr | None, name: str) -> bool:
    return annotation is not None and any(
        isinstance(part, ast.Name) and part.id == name for part in ast.walk(annotation)
    )


def _is_option(annotation: ast.expr | None, makers: Set[str], aliases: Set[str]) -> bool:
    return annotation is not None and (_has_call(annotation, makers) or _last_name(annotation) in aliases)


def _fields_of_records(checkout: Checkout, tree: ast.Module) -> Iterator[str]:
    """Yield the fields that are options of a command, of the records that its module imports."""
    imports = [statement for statement in ast.walk(tree) if isinstance(statement, ast.ImportFrom)]
    names = {(statement.module, alias.name) for statement in imports for alias in statement.names}
    modules = {statement.module for statement in imports}
    without = _texts_of(tree, "NO_OPTIONS")
    for module, record in (pair for pairs in checkout.classes.values() for pair in pairs):
        if _is_settings(record) and module in modules:
            fields = _fields_with_bases(checkout, record)
            yield from (name for name, annotation in fields if not _has_name(annotation, "SECRET"))
        elif (module, record.name) in names and _is_record(checkout, record):
            fields = _fields_with_bases(checkout, record)
            yield from (
                name for name, annotation in fields if name not in without and not _has_name(annotation, "NOT_SENT")
            )


def _is_record(checkout: Checkout, record: ast.ClassDef) -> bool:
    names = [_last_name(base) for base in record.bases]
    parents = [parent for name in names for _, parent in checkout.classes.get(name, ())]
    return "Record" in names or any(_is_record(checkout, parent) for parent in parents)


def _texts_of(tree: ast.Module, name: str) -> tuple[str, ...]:
    """Return the texts that a module assigns to a name; none if it has no such name."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and [_last_name(target) for target in statement.targets] == [name]:
            return tuple(ast.literal_eval(statement.value))
    return ()


def public_names(checkout: Checkout) -> dict[str, list[str]]:
    """Return the names in `__all__` of each package of the product that has it."""
    return {
        module: [str(ast.literal_eval(name)) for name in statement.value.elts]
        for module, tree in checkout.trees.items()
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and [_last_name(target) for target in statement.targets] == ["__all__"]
        and isinstance(statement.value, ast.List | ast.Tuple)
    }


def methods(checkout: Checkout, name: str) -> list[str]:
    """Return the public methods and properties of a class of the client, with those of its bases.

    The value of a method is a function, or a call that makes one.
    """
    records = [
        record for module, record in checkout.classes.get(name, ()) if module.partition(".")[0] == CLIENT_PACKAGE
    ]
    names = set[str]()
    for record in records:
        names.update(*(methods(checkout, _last_name(base)) for base in record.bases))
        for statement in record.body:
            if isinstance(statement, Function):
                names.add(statement.name)
            elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
                names.update(map(_last_name, statement.targets))
    return sorted(name for name in names if not name.startswith("_"))


def python_tokens(text: str) -> list[tokenize.TokenInfo]:
    """Return the tokens of Python without those of LAYOUT."""
    return [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in LAYOUT]


def script_tokens(checkout: Checkout) -> dict[str, int]:
    """Return the number of tokens of each script.

    Raises:
        NodeMissingError: npm cannot reach TypeScript.
    """
    names = [name for name in checkout.names if SCRIPT.search(name)]
    typescript = packages(ROOT / CLIENT).folder / "node_modules" / "typescript" / "lib" / "typescript.js"
    paths = json.dumps([str(checkout.root / name) for name in names])
    counted = checked(node(ROOT, ROOT / "tools" / "tokens.mjs", typescript, given=paths))
    return dict(zip(names, json.loads(counted), strict=True))


def unformatted(text: str) -> list[ast.stmt | ast.expr]:
    """Return what a comment keeps ruff from formatting: the statement or decorator that it stands in, or above."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = [
        token.start[0]
        for token in tokens
        if token.type == tokenize.COMMENT and re.search("fmt: (skip|off)", token.string)
    ]
    statements = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)]
    decorators = [decorator for node in statements for decorator in getattr(node, "decorator_list", ())]
    ends = {(node.end_lineno or 0): node for node in (*statements, *decorators)}
    return [ends[min(end for end in ends if end >= line)] for line in lines]


def is_matrix(node: ast.stmt | ast.expr) -> bool:
    """Whether there are lists in a list, and nothing in the inner ones but numbers."""
    lists = [part for part in ast.walk(node) if isinstance(part, ast.List | ast.Tuple)]
    rows = [row for outer in lists for row in outer.elts if isinstance(row, ast.List | ast.Tuple)]
    return bool(rows) and all(_is_number(cell) for row in rows for cell in row.elts)


def _is_number(cell: ast.expr) -> bool:
    if isinstance(cell, ast.List | ast.Tuple):
        return all(map(_is_number, cell.elts))
    if isinstance(cell, ast.UnaryOp):
        return _is_number(cell.operand)
    return isinstance(cell, ast.Constant) and isinstance(cell.value, int | float)


def folder_of(checkout: Checkout, name: str) -> str:
    """Return the folder that a file is counted in: that of its package if several stand in a folder, or the first."""
    first, *others = PurePosixPath(name).parts
    several = any(folder.startswith(f"{first}/") for folder in checkout.distributions)
    return (f"{first}/{others[0]}" if several and len(others) > 1 else first) if others else "."


def token_table(checkout: Checkout) -> Iterator[str]:
    """Yield a line for each folder with its tokens and words, and the line of their sums."""
    columns = (*KINDS, "scripts", "script tests", "Markdown")
    cells: Counter[tuple[str, str]] = Counter()
    for name in checkout.names:
        if name.endswith(".py"):
            cells[folder_of(checkout, name), checkout.kind(name)] += len(python_tokens(checkout.text(name)))
        elif name.endswith(".md"):
            cells[folder_of(checkout, name), "Markdown"] += len(checkout.text(name).split())
    try:
        for name, count in script_tokens(checkout).items():
            column = "script tests" if {"test", "tests"} & set(PurePosixPath(name).parts) else "scripts"
            cells[folder_of(checkout, name), column] += count
    except NodeMissingError as missing:
        sys.stderr.write(f"Scripts are not counted: {missing}\n")
    folders = sorted({folder for folder, _ in cells})
    cells += Counter({("all", column): sum(cells[folder, column] for folder in folders) for column in columns})
    yield "tokens; words of Markdown".ljust(28) + "".join(f"{column:>13}" for column in columns)
    for folder in (*folders, "all"):
        counts = [cells[folder, column] for column in columns]
        yield folder.ljust(28) + "".join(f"{count:>13,}" if count else " " * 13 for count in counts)


def option_table(checkout: Checkout) -> Iterator[str]:
    """Yield a line for each option of a question: files of the product's Python that it stands in, and its pattern."""
    texts = [checkout.text(name) for name in checkout.modules.values()]
    yield "files of the product's Python that an option of a question stands in"
    for option in question_options(checkout):
        pattern = spellings(option)
        yield f"{option:28}{sum(bool(pattern.search(text)) for text in texts):5}   {pattern.pattern}"


def surface(checkout: Checkout) -> Iterator[str]:
    """Yield the lines to print."""
    fields, all_commands = schemas(checkout), commands(checkout)
    alone = [command for command in all_commands if " " not in command.name]
    grouped = [command for command in all_commands if " " in command.name]
    groups = {command.name.partition(" ")[0] for command in grouped}
    of_groups = sum(len(command.options) for command in grouped)
    python = [name for name in checkout.names if name.endswith(".py")]
    benchmarks = [name for name in python if checkout.kind(name) == "benchmarks"]
    at_top = sum(name.startswith("benchmarks/") for name in benchmarks)
    skipped = [statement for name in python for statement in unformatted(checkout.text(name))]
    results = [name for name in checkout.names if name.endswith("RESULTS.md")]
    rows = [
        ("distributions", len(checkout.distributions), "projects of Python"),
        ("routes", len(calls(checkout)), "methods of paths in openapi.json"),
        ("schemas", len(fields), ""),
        ("fields", sum(map(len, fields.values())), "properties of schemas"),
        ("commands", len(alone) + len(groups), f"{len(groups)} of them groups, of {len(grouped)} commands"),
        ("options", sum(len(command.options) for command in alone), f"without --help; in groups {of_groups} more"),
        ("settings", len(settings(checkout)), ""),
        *((f"methods of {name}", len(methods(checkout, name)), "") for name in ("Client", "Collection")),
        (
            "files of benchmarks",
            at_top,
            f"in benchmarks/; in folders of other packages {len(benchmarks) - at_top} more",
        ),
        ("words of RESULTS.md", sum(len(checkout.text(name).split()) for name in results), ""),
        ("fmt: skip", len(skipped), f"{sum(map(is_matrix, skipped))} of them matrices of numbers"),
    ]
    for label, count, remark in rows:
        yield f"{label:28}{count:7,}   {remark}".rstrip()
    yield ""
    yield "names in __all__"
    yield from (f"{package:42}{len(names):5}" for package, names in sorted(public_names(checkout).items()))
    yield ""
    yield "options of commands"
    yield from (f"{command.name:28}{len(command.options):5}" for command in all_commands)
    yield ""
    yield from option_table(checkout)
    yield ""
    yield from token_table(checkout)


if __name__ == "__main__":
    chosen = Checkout(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT)
    sys.stdout.writelines(f"{line}\n" for line in surface(chosen))
