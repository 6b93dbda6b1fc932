"""Documents from the docstrings of this interpreter; `python -m` prints them, one JSON object a line."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

# Never imported: jokes and programs that act on import, windows, changes to the terminal, tests, internals,
# modules that later Pythons lack, and second names of os, os.path and xml.parsers.expat.
EXCLUDED_MODULES = frozenset(
    {
        "aifc",
        "antigravity",
        "asynchat",
        "asyncore",
        "audioop",
        "cgi",
        "cgitb",
        "chunk",
        "crypt",
        "distutils",
        "encodings",
        "ensurepip",
        "genericpath",
        "idlelib",
        "imghdr",
        "imp",
        "lib2to3",
        "mailcap",
        "msilib",
        "nis",
        "nntplib",
        "nt",
        "ntpath",
        "nturl2path",
        "opcode",
        "ossaudiodev",
        "pipes",
        "posix",
        "posixpath",
        "pydoc_data",
        "pyexpat",
        "readline",
        "rlcompleter",
        "site",
        "smtpd",
        "sndhdr",
        "spwd",
        "sre_compile",
        "sre_constants",
        "sre_parse",
        "sunau",
        "telnetlib",
        "test",
        "this",
        "tkinter",
        "turtle",
        "turtledemo",
        "uu",
        "xdrlib",
    }
)

# Constants of importlib.machinery, which the collection leaves out. Python 3.14 warns when they are read.
DEPRECATED_NAMES = frozenset({"DEBUG_BYTECODE_SUFFIXES", "OPTIMIZED_BYTECODE_SUFFIXES"})

# The documented modules inside packages; the others are internals of the packages.
SUBMODULES = (
    "collections.abc",
    "concurrent.futures",
    "ctypes.util",
    "curses.ascii",
    "curses.panel",
    "curses.textpad",
    "dbm.dumb",
    "email.charset",
    "email.contentmanager",
    "email.encoders",
    "email.errors",
    "email.generator",
    "email.header",
    "email.headerregistry",
    "email.iterators",
    "email.message",
    "email.mime.application",
    "email.mime.audio",
    "email.mime.base",
    "email.mime.image",
    "email.mime.message",
    "email.mime.multipart",
    "email.mime.nonmultipart",
    "email.mime.text",
    "email.parser",
    "email.policy",
    "email.utils",
    "html.entities",
    "html.parser",
    "http.client",
    "http.cookiejar",
    "http.cookies",
    "http.server",
    "importlib.abc",
    "importlib.machinery",
    "importlib.metadata",
    "importlib.resources",
    "importlib.util",
    "logging.config",
    "logging.handlers",
    "multiprocessing.connection",
    "multiprocessing.managers",
    "multiprocessing.pool",
    "multiprocessing.shared_memory",
    "multiprocessing.sharedctypes",
    "os.path",
    "unittest.mock",
    "urllib.error",
    "urllib.parse",
    "urllib.request",
    "urllib.response",
    "urllib.robotparser",
    "wsgiref.handlers",
    "wsgiref.headers",
    "wsgiref.simple_server",
    "wsgiref.util",
    "wsgiref.validate",
    "xml.dom.minidom",
    "xml.dom.pulldom",
    "xml.etree.ElementTree",
    "xml.parsers.expat",
    "xml.sax.handler",
    "xml.sax.saxutils",
    "xml.sax.xmlreader",
    "xmlrpc.client",
    "xmlrpc.server",
)

# "D.update([E, ]**F) -> None.  Update D from …", "socket(family=AF_INET, …) -> socket object"
_SIGNATURE = re.compile(
    r"""\A[\w.]+\([^\n]*?\)                                        # a name and its parameters
        (?:[ ]*-{1,2}>[ ]*                                         # what it returns: a tuple, or at most four words,
            (?:\([^)\n]*\)|[^\s.(-][^\s.(]*(?:[ ][^\s.(-][^\s.(]*){0,3}))?      # since more describe what it does
        (?:\.?[ ]*(?:\n(?![ ])|\Z)|[.:][ ]+|[ ]+-+[ ]+)            # the end of the line, or of the clause
    """,
    re.VERBOSE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\"'`])")


def strip_signatures(docstring: str) -> str:
    """Return a docstring without leading signatures, its indentation cleaned.

    If nothing follows them and they name a result, they are the description and stay: "random() -> x in the interval
    [0, 1)." Parameters alone describe nothing, so the result is then empty.
    """
    cleaned = inspect.cleandoc(docstring).strip()
    text = cleaned
    while (cut := _SIGNATURE.sub("", text, count=1).strip()) != text:
        text = cut
    return text or (cleaned if "->" in cleaned else "")


def first_sentence(text: str, limit: int = 200) -> str:
    """Return the first sentence of the first paragraph, on one line, with at most `limit` characters."""
    paragraph = " ".join(text.split("\n\n", 1)[0].split())
    return shorten(_SENTENCE_END.split(paragraph, maxsplit=1)[0], limit)


def shorten(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters. A longer text is cut between words and marked with an ellipsis."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(maxsplit=1)[0] + "…"


@dataclass(frozen=True)
class PublicName:
    """A public name of the standard library.

    Attributes:
        name: the qualified name, without `builtins.`: `len`, `str.split`.
        named: the object.
        module: the module in which the object is found.
        kind: module, class, exception, function, method or property.
    """

    name: str
    named: Any
    module: str
    kind: str


def public_names() -> Iterator[PublicName]:
    """Yield modules, classes, functions, methods and properties.

    An object with several names gets the first: `builtins` comes before all modules, shorter paths before longer ones.
    Modules that do not exist on this platform are skipped.
    """
    claimed: set[int] = set()
    for path, module in _modules():
        yield PublicName(path, module, path, "module")
        prefix = "" if path == "builtins" else f"{path}."
        for name, named, kind in _public_objects(path, module):
            if id(named) in claimed:
                continue
            claimed.add(id(named))
            yield PublicName(prefix + name, named, path, kind)
            for member_name, member, member_kind in _members(named):
                if id(member) not in claimed:
                    claimed.add(id(member))
                    yield PublicName(f"{prefix}{name}.{member_name}", member, path, member_kind)


def _modules() -> Iterator[tuple[str, ModuleType]]:
    top = sorted(name for name in sys.stdlib_module_names if not name.startswith("_") and name not in EXCLUDED_MODULES)
    for path in ["builtins", *(name for name in top if name != "builtins"), *SUBMODULES]:
        try:
            yield path, importlib.import_module(path)
        except ImportError:  # it is of another platform, or an optional part that this build lacks
            continue


def _public_objects(path: str, module: ModuleType) -> Iterator[tuple[str, Any, str]]:
    declared = getattr(module, "__all__", None)
    names = set(vars(module) if declared is None else declared) - DEPRECATED_NAMES
    # A package may declare submodules that are not imported: these are None here, and are skipped.
    offered = {name: getattr(module, name, None) for name in names}
    for name, named in sorted(offered.items(), key=_own_name_first):
        if name.startswith("_"):
            continue
        # Without a declaration, what a module imported for itself is not its own offer; _ssl is ssl's C half.
        if declared is None and path != "builtins" and getattr(named, "__module__", None) not in {path, f"_{path}"}:
            continue
        if inspect.isclass(named):
            yield name, named, "exception" if issubclass(named, BaseException) else "class"
        elif inspect.isroutine(named):
            yield name, named, "function"


def _members(named: Any) -> Iterator[tuple[str, Any, str]]:
    if not inspect.isclass(named):
        return
    for name, member in sorted(vars(named).items(), key=_own_name_first):
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield name, member, "property"
        elif isinstance(member, staticmethod | classmethod):
            yield name, member.__func__, "method"
        elif inspect.isroutine(member):
            yield name, member, "method"


def _own_name_first(item: tuple[str, Any]) -> tuple[bool, str]:
    """Return a key that sorts `array.array` before its alias `array.ArrayType`, then by name."""
    name, named = item
    return getattr(named, "__name__", name) != name, name


# About 150 tokens: the encoder reads 256, and its time grows with what it reads.
_VALUE_LIMIT = 600
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def public_documents() -> Iterator[dict[str, Any]]:
    """Yield a document for each public name that has a docstring, in the order of the names."""
    for public in sorted(public_names(), key=lambda public: public.name):
        docstring = _own_docstring(public.named)
        text = strip_signatures(docstring) if docstring else ""
        if docstring and text:
            yield {
                "id": public.name,
                "key": f"{public.name}: {first_sentence(text)}",
                "value": shorten(f"{public.name}{_signature(public, docstring)}\n\n{text}", _VALUE_LIMIT),
                "metadata": {"module": public.module, "kind": public.kind},
            }


def _own_docstring(named: Any) -> str | None:
    # A class without a docstring would otherwise get that of its parent, which describes another class.
    docstring = vars(named).get("__doc__") if inspect.isclass(named) else getattr(named, "__doc__", None)
    return docstring if isinstance(docstring, str) else None


def _signature(public: PublicName, docstring: str) -> str:
    if public.kind in {"module", "property"}:
        return ""
    try:
        return _ADDRESS.sub("", str(inspect.signature(public.named)))
    # The object is written in C without a signature, which its docstring may begin with; or a default is not yet set.
    except (ValueError, TypeError, AttributeError):
        match = re.match(r"[\w.]+(\(.*?\)(?: *-> *[^.:]*[^.: ])?)", inspect.cleandoc(docstring).split("\n", 1)[0])
        return match[1] if match else "(…)"


if __name__ == "__main__":
    for document in public_documents():
        sys.stdout.write(json.dumps(document) + "\n")
