"""API keys: their digests, each with a name, a level, the collections it covers, and a filter, quotas and an expiry."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from softkv_service.logs import log
from softkv_service.schemas.filter import ParsedFilter
from softkv_service.storage import Restriction
from softkv_service.storage.conditions import Condition, condition_digest

Level = Literal["none", "read", "feedback", "write"]
LEVELS: tuple[Level, ...] = ("none", "read", "feedback", "write")  # each includes those before it
CHANGING: frozenset[Level] = frozenset({"feedback", "write"})
"""The levels of calls that change something."""
PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
MAX_FILTER_DEPTH, MAX_FILTER_VALUES, MAX_FILTER_FIELDS = (
    8,
    1000,
    16,
)  # of a key's filter; that of a request is joined to it
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


def _parse_prefixes(collections: Any) -> tuple[str, ...]:
    """Return the prefixes of a list with commas; empty for all collections."""
    if not isinstance(collections, str):
        raise ValueError
    prefixes = tuple(collections.split(",")) if collections else ()
    if not all(PREFIX.fullmatch(prefix) for prefix in prefixes):
        raise ValueError
    return prefixes


def _check_size(condition: Condition) -> Condition:
    if (
        condition.depth > MAX_FILTER_DEPTH
        or condition.operands > MAX_FILTER_VALUES
        or len(condition.fields) > MAX_FILTER_FIELDS
    ):
        raise PydanticCustomError(
            "size",
            f"a filter nests at most {MAX_FILTER_DEPTH} deep and compares at most {MAX_FILTER_FIELDS} fields with "
            f"at most {MAX_FILTER_VALUES} values",
        )
    return condition


def _parse_instant(text: Any) -> datetime:
    if not isinstance(text, str) or not RFC3339.fullmatch(text):
        raise ValueError
    return datetime.fromisoformat(text.upper())


class KeyLine(BaseModel):
    """A line of the key file. The description of a field is the error for an invalid one, which never shows the line's
    content.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$",
        description="a name is 1 to 64 letters, digits, dots, underscores, dashes or @",
    )
    scope: Literal["read", "feedback", "write"] = Field(description="a scope is read, feedback or write")
    collections: Annotated[tuple[str, ...], PlainValidator(_parse_prefixes, json_schema_input_type=str)] = Field(
        description="collections is what their names begin with, several with commas between; or empty for all of them"
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="sha256 is 64 hexadecimal digits")
    filter: Annotated[ParsedFilter, AfterValidator(_check_size)] = Field(
        None, description="filter is not a filter of documents"
    )
    requests_per_minute: int | None = Field(
        None,
        ge=1,
        le=MAX_REQUESTS_PER_MINUTE,
        description=f"requests_per_minute is a whole number from 1 to {MAX_REQUESTS_PER_MINUTE}",
    )
    documents: int | None = Field(
        None, ge=1, le=MAX_QUOTA, description=f"documents is a whole number from 1 to {MAX_QUOTA}"
    )
    bytes: int | None = Field(None, ge=1, le=MAX_QUOTA, description=f"bytes is a whole number from 1 to {MAX_QUOTA}")
    expires: Annotated[datetime | None, PlainValidator(_parse_instant)] = Field(
        None, description="expires is an instant as RFC 3339 writes it, such as 2027-01-31T18:00:00Z"
    )

    @field_validator("requests_per_minute", "documents", "bytes", mode="before")
    @classmethod
    def _refuse_null(cls, value: Any) -> Any:
        if value is None:
            raise ValueError
        return value

    @property
    def entry(self) -> KeyEntry:
        """The key's digest and its holder."""
        restriction = None
        if (self.filter, self.documents, self.bytes) != (None, None, None):
            restriction = Restriction(self.filter, self.collections, self.documents, self.bytes)
        # A key that replaces another has the same caller. A key with another filter has not: it gets no replays.
        filtered = "" if self.filter is None else f" filter {condition_digest(self.filter).hex()}"
        holder = Holder(
            self.name,
            self.scope,
            self.collections,
            hashlib.sha256(f"name {self.name}{filtered}".encode()).hexdigest(),
            restriction,
            self.requests_per_minute,
            self.expires,
        )
        return bytes.fromhex(self.sha256), holder


def line_of(name: str, scope: str, collections: str, key: str, **limits: Any) -> str:
    """Return the line that describes a key in the key file.

    Args:
        name, scope, collections: the fields of the line.
        key: the key, of which the line has the digest.
        limits: the optional fields of the line: `filter`, quotas and `expires`.

    Raises:
        KeysUnusable: a field is invalid.
    """
    required = {"name": name, "scope": scope, "collections": collections, "sha256": digest_of(key).hex()}
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
        return KeyLine.model_validate_json(line).entry
    except ValidationError as error:
        raise KeysUnusable(f"{where}{_describe(error)}") from None


def _describe(error: ValidationError) -> str:
    """Return what a line lacks or the first field that is invalid, without its content."""
    flaws = error.errors(include_url=False, include_input=False)
    kinds = {flaw["type"] for flaw in flaws}
    if kinds & {"json_invalid", "model_type"}:
        return f" is not a JSON object: wanted {WANTED}"
    if kinds & {"missing", "extra_forbidden"}:
        fields = KeyLine.model_fields
        required = ", ".join(name for name, field in fields.items() if field.is_required())
        optional = ", ".join(name for name, field in fields.items() if not field.is_required())
        return f" wants the fields {required}, may have {optional}, and no others"
    flaw = flaws[0]
    if flaw["type"] == "size":
        return f": {flaw['msg']}"
    pointer = flaw.get("ctx", {}).get("pointer")
    position = f" at {pointer}" if pointer else ""
    return f": {KeyLine.model_fields[str(flaw['loc'][0])].description}{position}"


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
