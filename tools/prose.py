"""Counts of how the code reads: `python -m tools.prose` prints them, with --list every line that counts.

The patterns are marks of a private language: phrases that make a reader translate. `tests/test_prose.py` holds limits.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tools import ROOT

PACKAGES = ("attention", "service", "clients", "extensions", "workshop", "benchmarks")
VAGUE = frozenset(
    {
        "found",
        "each",
        "place",
        "places",
        "given",
        "at",
        "known",
        "asked",
        "wanted",
        "own",
        "said",
        "most",
        "told",
        "some",
        "here",
        "kept",
        "held",
        "there",
        "those",
        "others",
        "what",
        "who",
        "none",
        "much",
        "so",
    }
)
# Prepositions and adverbs that stood for nouns. Kernels are excepted until they are written in C.
ADVERBS = frozenset({"across", "among", "apart", "behind", "beside", "former", "lost", "room", "way", "whole"})
ADVERBS_ALLOWED = ("attention/softkv_attention/kernels/",)
# Words in the name of a test that show that it does not name a thing and what holds of it.
INDIRECT = frozenset({"asked", "said", "told", "what"})
IRREGULAR = frozenset(
    {
        "told",
        "made",
        "kept",
        "held",
        "found",
        "written",
        "given",
        "shown",
        "said",
        "known",
        "seen",
        "sent",
        "drawn",
        "taken",
        "done",
        "gone",
        "left",
        "lost",
        "met",
        "put",
        "built",
        "bound",
        "begun",
        "broken",
        "brought",
        "bought",
        "chosen",
        "come",
        "cut",
        "driven",
        "fallen",
        "forgotten",
        "gotten",
        "heard",
        "hidden",
        "laid",
        "led",
        "let",
        "meant",
        "paid",
        "run",
        "sealed",
        "sold",
        "spent",
        "split",
        "stood",
        "sung",
        "thrown",
        "understood",
        "worn",
        "won",
        "woken",
    }
)
# Verbs and nouns that only look like participles.
LOOKS_ALIKE = frozenset(
    {
        "bound",
        "embed",
        "feed",
        "need",
        "seed",
        "shed",
        "speed",
        "exceed",
        "proceed",
        "succeed",
        "bleed",
        "breed",
        "put",
        "cut",
        "let",
        "run",
        "split",
        "red",
    }
)
PATTERNS = {
    "who": r"\b(?:who|whoever|whom|whomever|nobody)\b",
    "is no": r"(?<![Tt]here )\b(?:is|are|was|were) (?:none|no)\b(?!\s+(?:\w+er|more|less)\b)|\bto be none\b",
    "so many": r"\bso (?:many|much|few)\b",
    "told": r"\b(?:is|are|was|were|be) told\b|\btold (?:of|by|so)\b|\bsays? so\b",
    "clause": r"\A(?:What|Who|How|Where|Which|The same|Those|Of|As|It|That|One that|Its?)\b",
    "comes to": r"\b(?:comes?|came) to\b|\bmakes? of\b|\bbrings? home\b|\bhas to say\b",
    "where": r"\b(?:None|one|that|it|them|nothing|raises?|unless|again) where\b"
    r"|(?:\A|[.;:] )Where (?:it|there|they|nothing|none|no|a|an|one|that|this|some|all|each)\b"
    r"|\bwhere (?:it|they|there) (?:is|are|was|were|has|have|can|could|does|do)\b",
}
LOGGING = {"debug", "info", "warning", "error", "exception"}
EXPLAINING = {"help", "description", "summary"}
COMPILED = {
    name: re.compile(pattern, re.IGNORECASE if name in {"who", "told"} else 0) for name, pattern in PATTERNS.items()
}
SCRIPT_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", re.DOTALL)
JSDOC = re.compile(r"@\w+|\{[^}]*\}")


@dataclass
class Counts:
    """The counts of some files."""

    files: int = 0
    all_lines: int = 0
    code_lines: int = 0
    import_lines: int = 0
    functions: int = 0
    docstrings: int = 0
    words: int = 0
    vague: int = 0
    participles: int = 0
    marked: int = 0
    who: int = 0
    messages: int = 0
    marked_messages: int = 0
    lines: list[str] = field(default_factory=list)

    def rates(self) -> dict[str, float]:
        """Return the figures that tests/test_prose.py limits, by name."""
        return {
            "vague locals per 1,000 functions": 1000 * self.vague / max(1, self.functions),
            "participle names per 1,000 functions": 1000 * self.participles / max(1, self.functions),
            "marked docstrings, %": 100 * self.marked / max(1, self.docstrings),
            "marked messages and comments, %": 100 * self.marked_messages / max(1, self.messages),
            "who per 10,000 words": 10_000 * self.who / max(1, self.words),
            "files per 1,000 code lines": 1000 * self.files / max(1, self.code_lines),
            "import lines, %": 100 * self.import_lines / max(1, self.all_lines),
            "code lines": self.code_lines,
        }


class Source:
    """A Python file, whose nodes and tokens are read once for all counts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = len(text.splitlines())
        self.nodes = list(ast.walk(ast.parse(text)))

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        """The tokens of the file."""
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))


def python_files(folder: Path) -> list[Path]:
    """Return the Python files below a folder, without build output, and without tests in it."""
    skipped = {"build", "dist", "node_modules", ".venv", "tests"}
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    return [path for path in files if not skipped & set(path.relative_to(folder).parts)]


def count(paths: list[Path]) -> Counts:
    """Count the marks of a private language in these files, and their sizes."""
    counts = Counts()
    for path in paths:
        source = Source(path.read_text(encoding="utf-8"))
        name = path.relative_to(ROOT)
        counts.files += 1
        counts.all_lines += source.lines
        counts.code_lines += len(code_lines(source))
        counts.import_lines += len(import_lines(source))
        for function in _functions(source):
            counts.functions += 1
            for line, local in sorted(_vague_names(function, _banned_names(str(name)))):
                counts.vague += 1
                counts.lines.append(f"{name}:{line}: vague local `{local}` in {function.name}")
            if _is_participle(function):
                counts.participles += 1
                counts.lines.append(f"{name}:{function.lineno}: function named by a participle: {function.name}")
        for line, docstring in _docstrings(source):
            counts.docstrings += 1
            counts.words += len(docstring.split())
            counts.who += len(COMPILED["who"].findall(docstring))
            if marks := marks_of(docstring):
                counts.marked += 1
                counts.lines.append(f"{name}:{line}: docstring ({', '.join(marks)}): {docstring.splitlines()[0][:90]}")
        for line, message in [*_messages(source), *_comments(source)]:
            counts.messages += 1
            if marks := marks_of(message):
                counts.marked_messages += 1
                counts.lines.append(f"{name}:{line}: text ({', '.join(marks)}): {message[:90]}")
    return counts


def marks_of(text: str) -> list[str]:
    """Return the names of the patterns that a docstring, comment or message matches."""
    plain = re.sub(r"`[^`]*`", "", text)
    return [name for name, pattern in COMPILED.items() if pattern.search(plain)]


def script_files() -> list[Path]:
    """Return the scripts of the page, without bundles, data and files of other projects."""
    webs = (ROOT / "service" / "softkv_service" / "web", ROOT / "workshop" / "softkv_workshop" / "web")
    others = {"built", "vendor", "recorded", "node_modules"}
    scripts = (path for web in webs for path in sorted(web.rglob("*.js")))
    return [path for path in scripts if others.isdisjoint(path.relative_to(ROOT).parts)]


def script_comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each comment of a script, without tags and types of JSDoc."""
    for match in SCRIPT_COMMENT.finditer(text):
        lines = (line.strip().strip("/*").strip() for line in match[0].splitlines())
        yield text.count("\n", 0, match.start()) + 1, " ".join(JSDOC.sub("", " ".join(lines)).split())


def marked_script_comments() -> list[str]:
    """Return a line for each comment of a page script that has marks."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {comment}: {', '.join(marks)}"
        for path in script_files()
        for line, comment in script_comments(path.read_text(encoding="utf-8"))
        if (marks := marks_of(comment))
    ]


def marks_of_test_name(name: str) -> list[str]:
    """Return the patterns that the name of a test matches as a sentence, and its indirect words."""
    words = name.removeprefix("test_").split("_")
    return marks_of(" ".join(words).capitalize()) + sorted(INDIRECT & {*words})


def marked_test_names(paths: list[Path]) -> list[str]:
    """Return a line for each test whose name has marks, with the file and the line."""
    return [
        f"{path.relative_to(ROOT)}:{function.lineno}: {function.name}: {', '.join(marks)}"
        for path in paths
        for function in _functions(Source(path.read_text(encoding="utf-8")))
        if function.name.startswith("test_") and (marks := marks_of_test_name(function.name))
    ]


def marks_of_page(text: str) -> list[str]:
    """Return a line for each match of a pattern in a page of Markdown, outside code.

    Pages may begin a sentence with a clause, so that pattern is left out.
    """
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    plain = re.sub(r"`[^`]*`", "code", prose)
    patterns = {name: pattern for name, pattern in COMPILED.items() if name != "clause"}
    return [
        f"{name}: {plain[max(0, match.start() - 30) : match.end() + 30]!r}"
        for name, pattern in patterns.items()
        for match in pattern.finditer(plain)
    ]


def paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each block of comment lines of a Makefile, shell script, Dockerfile or YAML file, with its first line."""
    first, words = 0, list[str]()
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], 1):
        comment = re.match(r"\s*#(?!!)\s*(.*)", line)
        if comment:
            first = first if words else number
            words.append(comment[1])
        elif words:
            yield first, " ".join(words)
            words = []


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(source: Source) -> Iterator[Function]:
    return (node for node in source.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _banned_names(path: str) -> frozenset[str]:
    """Return the names that locals of this file must not have; a room is one of a class in the files about rooms."""
    if path.startswith(ADVERBS_ALLOWED):
        return VAGUE
    return VAGUE | (ADVERBS - {"room"} if "room" in path else ADVERBS)


def _vague_names(function: Function, banned: frozenset[str]) -> set[tuple[int, str]]:
    """Return each banned name that the function itself binds, with the first line that does."""
    first: dict[str, int] = {}
    pending = list(ast.iter_child_nodes(function))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        pending.extend(ast.iter_child_nodes(node))
        bound = node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else None
        bound = node.arg if isinstance(node, ast.arg) else bound
        if bound is not None and bound.lstrip("_") in banned:
            first[bound] = min(first.get(bound, node.lineno), node.lineno)
    return {(line, name) for name, line in first.items()}


def _is_participle(function: Function) -> bool:
    word = function.name.strip("_").split("_")[0]
    if word in LOOKS_ALIKE or not (word in IRREGULAR or (word.endswith("ed") and len(word) > 3)):
        return False
    # A participle is the name of a truth.
    return not (isinstance(function.returns, ast.Name) and function.returns.id == "bool")


def _docstrings(source: Source) -> Iterator[tuple[int, str]]:
    for node in source.nodes:
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for index, statement in enumerate(body):
            text = _string(statement)
            follows = index > 0 and isinstance(body[index - 1], ast.Assign | ast.AnnAssign)
            if text is not None and (index == 0 or follows):
                yield statement.lineno, text


def _messages(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the texts of errors, log lines, help and descriptions."""
    for node in source.nodes:
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            texts = node.exc.args
        elif isinstance(node, ast.Call):
            logs = isinstance(node.func, ast.Attribute) and node.func.attr in LOGGING
            texts = node.args[:1] if logs else [keyword.value for keyword in node.keywords if keyword.arg in EXPLAINING]
        else:
            continue
        for text in texts:
            pieces = [
                piece.value
                for piece in ast.walk(text)
                if isinstance(piece, ast.Constant) and isinstance(piece.value, str) and " " in piece.value
            ]
            if pieces:
                yield text.lineno, " ".join(pieces)


def _comments(source: Source) -> Iterator[tuple[int, str]]:
    for token in source.tokens:
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def _string(statement: ast.AST) -> str | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return statement.value.value if isinstance(statement.value.value, str) else None
    return None


def code_lines(source: Source) -> set[int]:
    """Return the numbers of the lines that hold code: neither blank, nor comment, nor docstring."""
    code: set[int] = set()
    without = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in source.tokens:
        if token.type not in without:
            code.update(range(token.start[0], token.end[0] + 1))
    return code - docstring_lines(source)


def docstring_lines(source: Source) -> set[int]:
    """Return the numbers of the lines that strings outside expressions span."""
    lines: set[int] = set()
    for node in source.nodes:
        if isinstance(node, ast.Expr) and _string(node) is not None:
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def comment_lines(source: Source) -> set[int]:
    """Return the numbers of the lines that have a comment."""
    return {line for line, _ in _comments(source)}


def import_lines(source: Source) -> set[int]:
    """Return the numbers of the lines that imports span."""
    lines: set[int] = set()
    for node in source.nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def main() -> None:
    """Print the counts of the packages, or of these folders and files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", default=PACKAGES, help="folders or files, from the repository's root")
    parser.add_argument("--list", action="store_true", help="print every line that counts, too")
    arguments = parser.parse_args()
    pages = [ROOT / path for path in arguments.paths if path.endswith(".md")]
    arguments.paths = [path for path in arguments.paths if not path.endswith(".md")]
    for page in pages:
        for mark in marks_of_page(page.read_text(encoding="utf-8")):
            print(f"{page.relative_to(ROOT)}: {mark}")
    columns = {path: count(python_files(ROOT / path)) for path in arguments.paths}
    if arguments.list:
        print("\n".join(marked_script_comments()))
        print("\n".join(line for counts in columns.values() for line in counts.lines))
    for name in Counts().rates():
        cells = "".join(f"{counts.rates()[name]:>16,.1f}" for counts in columns.values())
        print(f"{name:40}{cells}")
    print(f"{'':40}" + "".join(f"{path[-15:]:>16}" for path in columns))


if __name__ == "__main__":
    main()
