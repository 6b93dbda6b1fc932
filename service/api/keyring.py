"""API keys: their digests, each with a name, a level, the collections it covers, and a filter, quotas and an expiry."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import structlog

from service.storage import Condition, InvalidCondition, Restriction, condition_digest, parse_condition

log = structlog.get_logger("softkv")

Level = Literal["none", "read", "feedback", "write"]
LEVELS: tuple[Level, ...] = ("none", "read", "feedback", "write")  # each includes those before it
SCOPES: Mapping[str, Level] = {"read": "read", "feedback": "feedback", "write": "write"}
CHANGING: frozenset[Level] = frozenset({"feedback", "write"})
"""The levels of calls that change something."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"[0-9a-f]{64}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
FIELDS = ("name", "scope", "collections", "sha256")
QUOTAS = ("requests_per_minute", "documents", "bytes")
OPTIONAL_FIELDS = ("filter", *QUOTAS, "expires")
MAX_FILTER_DEPTH, MAX_FILTER_VALUES = 8, 1000  # of a key's filter; that of a request is joined to it
MAX_REQUESTS_PER_MINUTE = 1_000_000  # the time of each request in the last minute is kept in memory
MAX_QUOTA = 2**53  # JSON readers keep larger numbers only roughly
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
        level: what the holder may do: read, read and give feedback, or read and write.
        prefixes: the key covers only collections whose names begin with one of these; empty for all collections.
        caller: a digest of the key, which distinguishes callers.
        restriction: the part of these collections that the key reads and changes, and its quotas; None for all of
            them without a quota.
        requests_per_minute: the most requests in any 60 seconds; None for no limit.
        expires: the instant from which the key is refused; None for never.
    """

    name: str
    level: Level
    prefixes: tuple[str, ...] = ()
    caller: str = ""
    restriction: Restriction | None = None
    requests_per_minute: int | None = None
    expires: datetime | None = None

    def reaches(self, collection: str) -> bool:
        """Return whether the key covers a collection."""
        return not self.prefixes or collection.startswith(self.prefixes)

    def prefixes_within(self, prefix: str) -> tuple[str, ...] | None:
        """Narrow the key's prefixes to collections whose names begin with `prefix`.

        Returns:
            The narrowed prefixes; None if the key covers no such collection.
        """
        within = tuple(
            max(covered, prefix, key=len)
            for covered in self.prefixes or ("",)
            if covered.startswith(prefix) or prefix.startswith(covered)
        )
        return within or None

    @property
    def filtered(self) -> bool:
        """Whether a filter limits the key to a part of each collection."""
        return self.restriction is not None and self.restriction.condition is not None


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


def line_of(name: str, scope: str, collections: str, key: str, **limits: Any) -> str:
    """Return the line that describes a key in the key file.

    Args:
        name, scope, collections: the fields of the line.
        key: the key, of which the line has the digest.
        limits: the optional fields of the line: `filter`, quotas and `expires`.

    Raises:
        KeysUnusable: a field is invalid.
    """
    required = dict(zip(FIELDS, (name, scope, collections, digest_of(key).hex()), strict=True))
    line = json.dumps(required | limits, ensure_ascii=False)
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
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise KeysUnusable(f"{where} is not a JSON object: wanted {WANTED}")
    if not record.keys() >= set(FIELDS) or record.keys() - {*FIELDS, *OPTIONAL_FIELDS}:
        raise KeysUnusable(
            f"{where} wants the fields {', '.join(FIELDS)}, may have {', '.join(OPTIONAL_FIELDS)}, and no others"
        )
    if not all(isinstance(record[name], str) for name in FIELDS):
        raise KeysUnusable(f"{where}: {', '.join(FIELDS)} are strings")
    name, scope, collections, digest = (record[name] for name in FIELDS)
    if not NAME.fullmatch(name):
        raise KeysUnusable(f"{where}: a name is 1 to 64 letters, digits, dots, underscores, dashes or @")
    if scope not in SCOPES:
        raise KeysUnusable(f"{where}: a scope is read, feedback or write")
    if not DIGEST.fullmatch(digest):
        raise KeysUnusable(f"{where}: sha256 is 64 hexadecimal digits")
    prefixes = _read_prefixes(collections, where)
    quotas = {name: _read_quota(name, record[name], where) for name in QUOTAS if name in record}
    requests_per_minute = quotas.pop("requests_per_minute", None)
    condition = _read_filter(record["filter"], where) if "filter" in record else None
    restriction = None
    if condition is not None or quotas:
        restriction = Restriction(condition, prefixes, quotas.get("documents"), quotas.get("bytes"))
    # A key that replaces another has the same caller. A key with another filter has not: it gets no replays.
    caller = f"name {name}" if condition is None else f"name {name} filter {condition_digest(condition).hex()}"
    holder = Holder(
        name,
        SCOPES[scope],
        prefixes,
        hashlib.sha256(caller.encode()).hexdigest(),
        restriction,
        requests_per_minute,
        _read_expiry(record["expires"], where) if "expires" in record else None,
    )
    return bytes.fromhex(digest), holder


def _read_prefixes(collections: str, where: str) -> tuple[str, ...]:
    """Return the prefixes of a list with commas; empty for all collections."""
    prefixes = tuple(collections.split(",")) if collections else ()
    if not all(PREFIX.fullmatch(prefix) for prefix in prefixes):
        raise KeysUnusable(
            f"{where}: collections is what their names begin with, several with commas between; or empty for all of "
            "them"
        )
    return prefixes


def _read_quota(name: str, value: Any, where: str) -> int:
    limit = MAX_REQUESTS_PER_MINUTE if name == "requests_per_minute" else MAX_QUOTA
    if type(value) is not int or not 1 <= value <= limit:
        raise KeysUnusable(f"{where}: {name} is a whole number from 1 to {limit}")
    return value


def _read_filter(tree: Any, where: str) -> Condition:
    try:
        condition = parse_condition(tree)
    except InvalidCondition as error:
        position = f" at {error.pointer}" if error.pointer else ""
        raise KeysUnusable(f"{where}: filter is not a filter of documents{position}") from None
    if condition.depth > MAX_FILTER_DEPTH or condition.operands > MAX_FILTER_VALUES:
        raise KeysUnusable(
            f"{where}: a filter nests at most {MAX_FILTER_DEPTH} deep and compares with at most {MAX_FILTER_VALUES} "
            "values"
        )
    return condition


def _read_expiry(value: Any, where: str) -> datetime:
    message = f"{where}: expires is an instant as RFC 3339 writes it, such as 2027-01-31T18:00:00Z"
    if not isinstance(value, str) or not RFC3339.fullmatch(value):
        raise KeysUnusable(message)
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError:
        raise KeysUnusable(message) from None


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
