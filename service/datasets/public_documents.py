"""Documents from the docstrings of this interpreter; `python -m` prints them, one JSON object a line."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from service.datasets.docstring import described, first_sentence, shortened
from service.datasets.public_names import PublicName, public_names

# About 150 tokens: the encoder reads 256, and its time grows with what it reads.
_VALUE_LIMIT = 600
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def public_documents() -> Iterator[dict[str, Any]]:
    """A document for each public name that has a docstring, in the order of the names."""
    for public in sorted(public_names(), key=lambda public: public.name):
        docstring = _own_docstring(public.named)
        text = described(docstring) if docstring else ""
        if docstring and text:
            yield {
                "id": public.name,
                "key": f"{public.name}: {first_sentence(text)}",
                "value": shortened(f"{public.name}{_signature(public, docstring)}\n\n{text}", _VALUE_LIMIT),
                "metadata": {"module": public.module, "kind": public.kind},
            }


def _own_docstring(named: Any) -> str | None:
    # A class without a docstring would otherwise show its parent's, which describes something else.
    found = vars(named).get("__doc__") if inspect.isclass(named) else getattr(named, "__doc__", None)
    return found if isinstance(found, str) else None


def _signature(public: PublicName, docstring: str) -> str:
    if public.kind in {"module", "property"}:
        return ""
    try:
        return _ADDRESS.sub("", str(inspect.signature(public.named)))
    # Written in C without one (its docstring may begin with it), or with a default that exists only later.
    except (ValueError, TypeError, AttributeError):
        found = re.match(r"[\w.]+(\(.*?\)(?: *-> *[^.:]*[^.: ])?)", inspect.cleandoc(docstring).split("\n", 1)[0])
        return found[1] if found else "(…)"


if __name__ == "__main__":
    for document in public_documents():
        sys.stdout.write(json.dumps(document) + "\n")
