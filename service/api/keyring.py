"""The keys that a service knows: digests of them, each with a name, what its holder may do and to which collections."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import structlog

log = structlog.get_logger("softkv")

Level = Literal["none", "read", "write"]
LEVELS: tuple[Level, ...] = ("none", "read", "write")  # each may do what those before it may
SCOPES = ("read", "write")
ANONYMOUS = "anonymous"  # the caller, where there is no key
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
PREFIX = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,127})?")
DIGEST = re.compile(r"[0-9a-f]{64}")
FIELDS = ("name", "scope", "collections", "sha256")
MOST_KEYS = 1000  # each request's key is compared with all of them: 0.1 ms
MOST_BYTES = 1 << 20
WANTED = (
    'a line a key, as `softkv key` prints them: {"name": "app", "scope": "read", "collections": "docs-", "sha256": "…"}'
)


class KeysUnusable(ValueError):
    """A file of keys that cannot be read, or holds something else; says where, and never what stands there."""


@dataclass(frozen=True)
class Holder:
    """Who has a key.

    Attributes:
        name: what logs call it.
        level: what it may do.
        prefix: what names of collections begin with to which it may do that; empty for everything there is.
        caller: tells callers apart.
    """

    name: str
    level: Level
    prefix: str = ""
    caller: str = ""

    @property
    def named(self) -> dict[str, str]:
        """Its name, as a field of a log line; nothing of who has no key."""
        return {} if self.caller == ANONYMOUS else {"key": self.name}

    def reaches(self, collection: str) -> bool:
        """Whether a collection of that name is its business."""
        return collection.startswith(self.prefix)


Known = tuple[bytes, Holder]
"""A key's digest, and whose it is."""


def digest_of(key: str) -> bytes:
    """SHA-256 of a key. Salt and a slow hash are for words that can be guessed; of 256 random bits none can."""
    return hashlib.sha256(key.encode()).digest()


def new_key() -> str:
    """A key that cannot be guessed, and that a search for leaked secrets knows by how it begins."""
    return "softkv_" + secrets.token_urlsafe(32)


def line_of(name: str, scope: str, prefix: str, key: str) -> str:
    """The line of the file that makes a key known.

    Raises:
        KeysUnusable: one of these cannot be.
    """
    line = json.dumps(dict(zip(FIELDS, (name, scope, prefix, digest_of(key).hex()), strict=True)))
    _read_line(line, "the key")
    return line


def read_keys(content: bytes) -> list[Known]:
    """The keys of a file's content.

    Raises:
        KeysUnusable: they are none, too many, or one is not what it should be.
    """
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        raise KeysUnusable(f"it is not UTF-8: wanted {WANTED}") from None
    known = [
        _read_line(line, f"line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not known:
        raise KeysUnusable(f"it holds no key: wanted {WANTED}")
    if len(known) > MOST_KEYS:
        raise KeysUnusable(f"it holds {len(known)} keys, this service takes {MOST_KEYS}")
    if len({digest for digest, _ in known}) < len(known):
        raise KeysUnusable("one key stands there twice: give each line a key of its own")
    return known


def _read_line(line: str, where: str) -> Known:
    try:
        said: Any = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict) or not all(isinstance(each, str) for each in said.values()):
        raise KeysUnusable(f"{where} is no JSON object of strings: wanted {WANTED}")
    if set(said) != set(FIELDS):
        raise KeysUnusable(f"{where} wants the fields {', '.join(FIELDS)} and no others")
    name, scope, prefix, digest = (said[each] for each in FIELDS)
    if not NAME.fullmatch(name):
        raise KeysUnusable(f"{where}: a name is 1 to 64 letters, digits, dots, underscores, dashes or @")
    if scope not in SCOPES:
        raise KeysUnusable(f"{where}: a scope is read or write")
    if not PREFIX.fullmatch(prefix):
        raise KeysUnusable(f"{where}: collections is what their names begin with, or empty for all of them")
    if not DIGEST.fullmatch(digest):
        raise KeysUnusable(f"{where}: sha256 is 64 hexadecimal digits")
    caller = hashlib.sha256(f"name {name}".encode()).hexdigest()  # the same one under its next key
    return bytes.fromhex(digest), Holder(name, "write" if scope == "write" else "read", prefix, caller)


@dataclass
class KeyFile:
    """The keys of a file, read again whenever it changes; what cannot be used changes nothing.

    Attributes:
        known: the keys of when it could last be used.
        flaw: why it cannot be used now; None where it can.
    """

    path: Path
    known: list[Known] = field(default_factory=list)
    flaw: str | None = None
    _content: bytes | None = None
    _seen: bytes | None = None

    @classmethod
    def opened(cls, path: Path) -> KeyFile:
        """The file as it is now.

        Raises:
            KeysUnusable: it cannot be used.
        """
        file = cls(path)
        try:
            file._content = file._read()
            file.known = read_keys(file._content)
        except KeysUnusable as error:
            raise KeysUnusable(f"the keys of {path}: {error}") from None
        return file

    def look(self) -> None:
        """Take what the file holds now, if it is new, and the same at two looks: it may be half-written at the first.

        Blocks.
        """
        try:
            content = self._read()
            settled, self._seen = content == self._seen, content
            if content == self._content:
                self._settle(None)
            elif settled:
                self.known = read_keys(content)
                self._content = content
                self._settle(None)
                log.info("the keys were read anew", path=str(self.path), names=[who.name for _, who in self.known])
        except KeysUnusable as error:
            self._settle(str(error))

    def _settle(self, flaw: str | None) -> None:
        if flaw is not None and flaw != self.flaw:
            log.error("the keys cannot be read anew, those known before stay", path=str(self.path), reason=flaw)
        elif flaw is None and self.flaw is not None:
            log.info("the keys can be read again", path=str(self.path))
        self.flaw = flaw

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise KeysUnusable(f"it cannot be read ({error.strerror})") from None
        if len(content) > MOST_BYTES:
            raise KeysUnusable(f"it has more than {MOST_BYTES} bytes")
        return content


class Keyring:
    """All keys of a service: those of its settings, which may do everything they may to all collections, and a file's.

    Attributes:
        file: None where there is none.
    """

    def __init__(self, *, write_keys: Collection[str], read_keys: Collection[str], file: KeyFile | None = None) -> None:
        self.file = file
        self._given = [*_numbered(write_keys, "write"), *_numbered(read_keys, "read")]

    @property
    def asks(self) -> bool:
        """Whether there are keys at all."""
        return bool(self._given or self.file)

    def holder(self, given: str) -> Holder | None:
        """Whose key that is; every known one is compared with it, so that the time taken tells nothing."""
        digest, found = digest_of(given), None
        for known, holder in (*self._given, *(self.file.known if self.file else ())):
            same = hmac.compare_digest(known, digest)
            if same and (found is None or LEVELS.index(holder.level) > LEVELS.index(found.level)):
                found = holder
        return found


def _numbered(keys: Iterable[str], level: Level) -> list[Known]:
    """Keys that have no name of their own, under the setting's and their place in it."""
    setting = {"write": "API_KEYS", "read": "READ_KEYS"}[level]
    return [
        (digest_of(key), Holder(f"{setting}#{i}", level, caller=digest_of(key).hex()))
        for i, key in enumerate(keys, start=1)
    ]
