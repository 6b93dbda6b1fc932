"""docker/locks, read: which packages at which versions, and the digests that their files may have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.container.tool import ROOT

FOLDER = ROOT / "docker" / "locks"
PIN = re.compile(r"^([\w.-]+)==(\S+?)(?: ; (.+?))? \\$")
DIGEST = re.compile(r"^    --hash=sha256:([0-9a-f]{64})(?: \\)?$")


@dataclass(frozen=True)
class Pin:
    """One package of a lock."""

    version: str
    digests: tuple[str, ...]


def plain(name: str) -> str:
    """A distribution's name, as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock(name: str) -> dict[str, Pin]:
    """The pins of a lock, by their plain names; a line that is none fails."""
    found, package = dict[str, tuple[str, list[str]]](), ""
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if pin := PIN.match(line):
            package = plain(pin[1])
            found[package] = (pin[2], [])
        elif digest := DIGEST.match(line):
            found[package][1].append(digest[1])
        elif not line.startswith("#"):
            raise ValueError(f"docker/locks/{name}.txt has a line that is no pin and no digest: {line!r}")
    return {name: Pin(version, tuple(digests)) for name, (version, digests) in found.items()}
