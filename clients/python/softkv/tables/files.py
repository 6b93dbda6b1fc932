"""Files as bytes: plain or in gzip, and their encoding."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

BinaryOpener: TypeAlias = Callable[[], BinaryIO]

_GZIP = b"\x1f\x8b"


def opener_of(path: Path) -> BinaryOpener:
    """Return a function that opens a file for reading; one in gzip is unpacked meanwhile."""
    with path.open("rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
    return lambda: cast(BinaryIO, gzip.open(path)) if is_packed else path.open("rb")


def ending_of(path: Path) -> str:
    """Return the ending of a file's name in small letters, without that of gzip."""
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return plain.suffix.lower()


def stem_of(path: Path) -> str:
    """Return the name of a file without its endings."""
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return plain.stem


def encoding_of(beginning: bytes) -> str:
    """Return the encoding that the mark at the beginning of a text names; UTF-8 without one."""
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"
