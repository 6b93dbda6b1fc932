"""The bytes of a file: as they are, or unpacked meanwhile, also those of one file in a zip."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Collection
from functools import partial
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, TypeAlias, cast
from zipfile import ZipFile, ZipInfo

from softkv.tables.columns import Reading
from softkv.tables.content import require_reader, unreadable

BinaryOpener: TypeAlias = Callable[[], BinaryIO]
"""A function that opens a file for reading."""

CORPUS = "corpus.jsonl"
GROWTH, LEAST_LIMIT = 64, 64 << 20
"""The bytes that each byte of a packed file may become, and those that a file may have in any case."""
ZSTANDARD, ZIP = ".zst", ".zip"
_GZIP = b"\x1f\x8b"
_UNPACK = "unpack it, and load the file in it"


def _open_by(module: str, path: Path) -> Any:
    """Open a file by a module that some builds of Python lack."""
    try:
        return import_module(module).open(path)
    except ImportError:
        raise unreadable(path, f"needs a Python with the module {module}: {_UNPACK}") from None


_UNPACKERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": partial(_open_by, "bz2"),
    ".xz": partial(_open_by, "lzma"),
    ZSTANDARD: lambda path: require_reader("pyarrow", "pyarrow", path).input_stream(str(path), compression="zstd"),
}
PACKED_ENDINGS = (*_UNPACKERS, ZIP)
_ENCRYPTED = 1
_SHOWN = 10


class File(NamedTuple):
    """A file that is read as a table.

    Attributes:
        path: its path.
        name: its name, or in a zip that of the file in it without folders.
        ending: the ending of the name in small letters, without that of packing.
        open: opens its bytes, unpacked.
        is_packed: whether these are not the bytes at the path.
        reading: how it is read.
    """

    path: Path
    name: str
    ending: str
    open: BinaryOpener
    is_packed: bool
    reading: Reading


def find_file(path: Path, reading: Reading, *, readable: Collection[str] = ()) -> File:
    """Return a file by its path; of a zip, the file in it that an option names, or the only one.

    Args:
        path: the path.
        reading: how it is read.
        readable: the endings of files that can be read, which count in a zip.

    Raises:
        Invalid: a zip has no such file, or it is encrypted or packed again.
    """
    if path.suffix.lower() != ZIP:
        is_packed = _unpacker_of(path) is not None
        return File(path, path.name, ending_of(path), opener_of(path), is_packed, reading)
    with ZipFile(path) as archive:
        member = _choose(path, archive.infolist(), reading, readable)
    name = PurePosixPath(member.filename)
    if member.flag_bits & _ENCRYPTED:
        raise unreadable(path, f"is encrypted: {_UNPACK}")
    if name.suffix.lower() in PACKED_ENDINGS:
        raise unreadable(path, f"holds {member.filename}, which is packed again: {_UNPACK}")

    def open_member() -> BinaryIO:
        return _limit(ZipFile(path).open(member), path)

    return File(path, name.name, name.suffix.lower(), open_member, True, reading)


def _choose(path: Path, members: list[ZipInfo], reading: Reading, readable: Collection[str]) -> ZipInfo:
    """Return what a zip says of the named file, of the corpus of BEIR, or of the only one that can be read."""
    files = [one for one in members if not one.is_dir() and not _is_hidden(PurePosixPath(one.filename))]
    if not files:
        raise unreadable(path, "holds no files: pack a table into it")
    tables = [one for one in files if ending_of(Path(one.filename)) in readable] or files
    corpora = [one for one in tables if PurePosixPath(one.filename).name == CORPUS]
    name = reading.options.member
    chosen = [one for one in members if one.filename == name] if name is not None else corpora or tables
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(one.filename for one in tables[:_SHOWN])
    listed = f"{names} and {len(tables) - _SHOWN:,} others" if len(tables) > _SHOWN else names
    reason = "has several files" if name is None else f"has no single file {name!r}"
    raise unreadable(path, f"{reason}, its files are {listed}: name one with {reading.say('member')}")


def _is_hidden(name: PurePosixPath) -> bool:
    return name.name.startswith(".") or name.parts[0] == "__MACOSX"


class _Limited(io.RawIOBase):
    """The bytes of a packed file, of which too many are refused."""

    def __init__(self, unpacked: BinaryIO, path: Path) -> None:
        self._unpacked, self._path = unpacked, path
        self._limit = self._rest = max(GROWTH * path.stat().st_size, LEAST_LIMIT)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes into a buffer; return their number."""
        count: int = self._unpacked.readinto(buffer)  # type: ignore[attr-defined]
        self._rest -= count
        if self._rest < 0:
            raise unreadable(self._path, f"unpacks to more than {self._limit:,} bytes: {_UNPACK}")
        return count

    def close(self) -> None:
        self._unpacked.close()
        super().close()


def _limit(unpacked: Any, path: Path) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Limited(unpacked, path), 1 << 16))


def _unpacker_of(path: Path) -> Callable[[Path], Any] | None:
    """Return the function that unpacks a file; gzip is known by its beginning, others by the ending of the name."""
    if path.is_dir():
        return None
    with path.open("rb") as file:
        is_gzip = file.read(len(_GZIP)) == _GZIP
    return gzip.open if is_gzip else None if path.suffix.lower() == ".gz" else _UNPACKERS.get(path.suffix.lower())


def opener_of(path: Path) -> BinaryOpener:
    """Return a function that opens a file for reading; a packed one is unpacked meanwhile."""
    unpack = _unpacker_of(path)
    return lambda: path.open("rb") if unpack is None else _limit(unpack(path), path)


def _without_packing(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() in _UNPACKERS else path


def ending_of(path: Path) -> str:
    """Return the ending of a file's name in small letters, without that of packing."""
    return _without_packing(path).suffix.lower()


def stem_of(path: Path) -> str:
    """Return the name of a file without its endings."""
    return _without_packing(path).stem
