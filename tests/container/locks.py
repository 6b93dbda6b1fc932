"""docker/*.lock, read: which packages at which versions, each by the digests of its files."""

from __future__ import annotations

import re

from tests.container.tool import ROOT

# name==version, and after it one or more digests, each on a line of its own.
ENTRY = re.compile(
    r"^([a-z0-9-]+)==([^\s;]+)(?: ; [^\\\n]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", re.MULTILINE
)


def entries(name: str) -> dict[str, str]:
    """Name → version of a lock; a line of it that is neither of one nor a comment fails."""
    text = (ROOT / "docker" / name).read_text(encoding="utf-8")
    rest = [line for line in ENTRY.sub("", text).splitlines() if line and not line.startswith("#")]
    assert rest == []
    return {match[1]: match[2] for match in ENTRY.finditer(text)}


def plain(name: str) -> str:
    """A distribution's name, as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
