"""API keys: their digests, each with a name, a level and the collections it covers."""

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
LEVELS: tuple[Level, ...] = ("none", "read", "write")  # each includes those before it
SCOPES = ("read", "write")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
PREFIX = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,127})?")
DIGEST = re.compile(r"[0-9a-f]{64}")
FIELDS = ("name", "scope", "collections", "sha256")
MAX_KEYS = 1000  # each request's key is compared with all of them: 0.1 ms
MAX_BYTES = 1 << 20
WANTED = (
    'a line a key, as `softkv key` prints them: {"name": "app", "scope": "read", "collections": "docs-", "sha256": "…"}'
)


class KeysUnusable(ValueError):
    """The key file is unreadable or invalid. The message names the line and never shows its content."""


@dataclass(frozen=True)
class Holder:
    """The holder of an API key, and the rights that the key gives.

    Attributes:
        name: the holder's name in logs.
        level: what the holder may do: read, or read and write.
        prefix: the key covers only collections whose names begin with this; empty for all collections.
        caller: a digest of the key, which distinguishes callers.
    """

    name: str
    level: Level
    prefix: str = ""
    caller: str = ""

    def reaches(self, collection: str) -> bool:
        """Return whether the key covers a collection."""
        return collection.startswith(self.prefix)


KeyEntry = tuple[bytes, Holder]
"""A key's digest and its holder."""


def digest_of(key: str) -> bytes:
    """Return the SHA-256 of an API key.

    256 random bits cannot be guessed, so neither salt nor a slow hash is needed.
    """
    return hashlib.sha256(key.encode()).digest()


def new_key() -> str:
    """Return a new random API key. Its prefix lets scanners find keys that leaked."""
    return "softkv_" + secrets.token_urlsafe(32)


def line_of(name: str, scope: str, prefix: str, key: str) -> str:
    """Return the line that describes a key in the key file.

    Raises:
        KeysUnusable: the name, the scope or the prefix is invalid.
    """
    line = json.dumps(dict(zip(FIELDS, (name, scope, prefix, digest_of(key).hex()), strict=True)))
    _read_line(line, "the key")
    return line


def read_keys(content: bytes) -> list[KeyEntry]:
    """Parse the content of a key file into the digests of its keys and their holders.

    Raises:
        KeysUnusable: the file has no keys or too many, or a line is invalid.
    """
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        raise KeysUnusable(f"it is not UTF-8: wanted {WANTED}") from None
    entries = [
        _read_line(line, f"line {number}")
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not entries:
        raise KeysUnusable(f"it holds no key: wanted {WANTED}")
    if len(entries) > MAX_KEYS:
        raise KeysUnusable(f"it holds {len(entries)} keys, this service takes {MAX_KEYS}")
    if len({digest for digest, _ in entries}) < len(entries):
        raise KeysUnusable("one key stands there twice: give each line a key of its own")
    return entries


def _read_line(line: str, where: str) -> KeyEntry:
    try:
        record: Any = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not all(isinstance(text, str) for text in record.values()):
        raise KeysUnusable(f"{where} is not a JSON object of strings: wanted {WANTED}")
    if set(record) != set(FIELDS):
        raise KeysUnusable(f"{where} wants the fields {', '.join(FIELDS)} and no others")
    name, scope, prefix, digest = (record[name] for name in FIELDS)
    if not NAME.fullmatch(name):
        raise KeysUnusable(f"{where}: a name is 1 to 64 letters, digits, dots, underscores, dashes or @")
    if scope not in SCOPES:
        raise KeysUnusable(f"{where}: a scope is read or write")
    if not PREFIX.fullmatch(prefix):
        raise KeysUnusable(f"{where}: collections is what their names begin with, or empty for all of them")
    if not DIGEST.fullmatch(digest):
        raise KeysUnusable(f"{where}: sha256 is 64 hexadecimal digits")
    caller = hashlib.sha256(f"name {name}".encode()).hexdigest()  # the same caller after the key is replaced
    return bytes.fromhex(digest), Holder(name, "write" if scope == "write" else "read", prefix, caller)


@dataclass
class KeyFile:
    """A file of API keys that is read again when it changes. If the new content is invalid, the previous keys stay
    valid.

    Attributes:
        entries: the keys of the last valid version.
        flaw: why the current version is invalid, or None.
    """

    path: Path
    entries: list[KeyEntry] = field(default_factory=list)
    flaw: str | None = None
    _content: bytes | None = None
    _seen: bytes | None = None

    @classmethod
    def open(cls, path: Path) -> KeyFile:
        """Read the file for the first time.

        Raises:
            KeysUnusable: the file is unreadable or invalid.
        """
        file = cls(path)
        try:
            file._content = file._read()
            file.entries = read_keys(file._content)
        except KeysUnusable as error:
            raise KeysUnusable(f"the keys of {path}: {error}") from None
        return file

    def reload(self) -> None:
        """Load the file if it has changed and two consecutive reads are equal.

        A file that another program is still writing would differ.

        Blocks while the file is read.
        """
        try:
            content = self._read()
            settled, self._seen = content == self._seen, content
            if content == self._content:
                self._settle(None)
            elif settled:
                self.entries = read_keys(content)
                self._content = content
                self._settle(None)
                log.info(
                    "the keys were read anew", path=str(self.path), names=[holder.name for _, holder in self.entries]
                )
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
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise KeysUnusable(f"it cannot be read ({error.strerror})") from None
        if len(content) > MAX_BYTES:
            raise KeysUnusable(f"it has more than {MAX_BYTES} bytes")
        return content


class Keyring:
    """All API keys of a service. Keys in its settings cover all collections; a key file may limit keys to some of them.

    Attributes:
        file: the key file, or None.
    """

    def __init__(self, *, write_keys: Collection[str], read_keys: Collection[str], file: KeyFile | None = None) -> None:
        self.file = file
        self._entries = [*_number_keys(write_keys, "write"), *_number_keys(read_keys, "read")]

    @property
    def has_keys(self) -> bool:
        """Whether the service has any API keys."""
        return bool(self._entries or self.file)

    def holder(self, key: str) -> Holder | None:
        """Return the holder of an API key, or None for an unknown key.

        The key is compared with every known key, so that the time of the answer reveals nothing about the keys.
        """
        digest, match = digest_of(key), None
        for entry, holder in (*self._entries, *(self.file.entries if self.file else ())):
            same = hmac.compare_digest(entry, digest)
            if same and (match is None or LEVELS.index(holder.level) > LEVELS.index(match.level)):
                match = holder
        return match


def _number_keys(keys: Iterable[str], level: Level) -> list[KeyEntry]:
    """Return the digests of the API keys in a setting, each with its holder.

    A holder is named after the setting and the key's position in it.

    Args:
        keys: the keys in the setting.
        level: what their holders may do.
    """
    setting = {"write": "API_KEYS", "read": "READ_KEYS"}[level]
    return [
        (digest_of(key), Holder(f"{setting}#{i}", level, caller=digest_of(key).hex()))
        for i, key in enumerate(keys, start=1)
    ]
