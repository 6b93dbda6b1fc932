"""The service's settings: read once from `SOFTKV_*` (or the command line's flags), then passed in."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.networks import is_loopback

# A source of a Content-Security-Policy; self and none are no hosts, they want their quotes.
FRAME_ANCESTOR = re.compile(
    r"'self'|'none'|\*|[A-Za-z][A-Za-z0-9+.-]*:|"
    r"(?!(self|none)\Z)([A-Za-z][A-Za-z0-9+.-]*://)?(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(:[0-9]+|:\*)?/?"
)
HOST_NAME = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
# As a browser writes it in the header Origin; `null` stands for any page in a sandbox, so it is none.
ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://({HOST_NAME.pattern})(:[0-9]{{1,5}})?")
MOST_SLOTS = 64  # of one machine
MOST_COPIES = 8
# Where Ray's head answers, as `ray start --head` says it.
HEAD = re.compile(r"ray://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?::([0-9]{1,5}))?/?")
HEAD_PORT = 6379
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """What an operator may choose; every field is `SOFTKV_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="SOFTKV_", frozen=True, hide_input_in_errors=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    data_dir: Path = Path("data")
    store: str | None = Field(None, repr=False)  # it may hold a password
    api_keys: Names = ()
    read_keys: Names = ()
    keys_file: Path | None = None
    allow_anonymous: Literal["read", "write"] | None = None
    allowed_hosts: Names = ()
    encoder: str = Field("all-MiniLM-L6-v2", min_length=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int | None = Field(None, ge=1)
    frame_ancestors: str = "'self'"
    cors_origins: Names = ()
    max_body_bytes: int = Field(33_554_432, ge=1024)
    max_queries: int = Field(64, ge=1)
    max_documents: int = Field(10_000, ge=1)
    max_queue: int = Field(256, ge=1)
    max_connections: int = Field(1000, ge=1)
    head_seconds: float = Field(10, gt=0)
    body_seconds: float = Field(30, gt=0)
    body_rate: int = Field(1024, ge=1)
    idle_seconds: float = Field(30, gt=0)
    drain_seconds: float = Field(1.0, ge=0, le=3600)
    shards: str | None = None
    slots: int = Field(4, ge=1, le=MOST_SLOTS)
    copies: int = Field(2, ge=1, le=MOST_COPIES)
    originals: Literal["memory", "files"] = "memory"
    cache_dir: Path = Field(default_factory=lambda: _user_cache())
    lab: Literal["writers", "readers"] = "writers"
    log_format: Literal["console", "json"] = "console"
    slow_ms: float = Field(1000, ge=0)
    traces: Literal["none", "otlp"] = "none"
    demo: Names = ()

    @field_validator("api_keys", "read_keys", "allowed_hosts", "cors_origins", "demo", mode="before")
    @classmethod
    def _split_on_commas(cls, given: Any) -> Any:
        if isinstance(given, str):
            return tuple(part.strip() for part in given.split(",") if part.strip())
        return given

    @field_validator("store", "keys_file", "allow_anonymous", "threads", "shards", mode="before")
    @classmethod
    def _empty_is_unset(cls, given: Any) -> Any:
        return None if given == "" else given

    @field_validator("store")
    @classmethod
    def _an_address_of_postgresql(cls, given: str | None) -> str | None:
        if given is not None and not given.startswith(("postgresql://", "postgres://")):
            raise ValueError(
                "wanted the address of a PostgreSQL, as postgresql://user@host:5432/database; for SQLite leave it out "
                "and name a directory with SOFTKV_DATA_DIR"
            )
        return given

    @field_validator("shards")
    @classmethod
    def _an_address_of_a_head(cls, given: str | None) -> str | None:
        """With its port; None where it is `none`."""
        if given is None or given == "none":
            return None
        if given == "auto":
            return given
        found = HEAD.fullmatch(given)
        if not found or not 0 < int(found[2] or HEAD_PORT) <= 65535:
            raise ValueError(
                f"wanted the address of Ray's head, as ray://head.internal:{HEAD_PORT}, auto for a cluster on this "
                f"machine, or none; got {given!r}"
            )
        return f"ray://{found[1]}:{found[2] or HEAD_PORT}"

    @field_validator("allowed_hosts")
    @classmethod
    def _names_as_in_an_address(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name != "*" and not HOST_NAME.fullmatch(name):
                raise ValueError(
                    f"wanted names as they stand in an address, without scheme and port, or * for any, got {name!r}: "
                    "write softkv.example,search.example"
                )
        return names

    @field_validator("cors_origins")
    @classmethod
    def _origins_as_a_browser_sends_them(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """In lower case, without the port that goes without saying: anything else would never be met."""
        lowered = tuple(origin.lower() for origin in origins)
        for origin in lowered:
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"wanted origins, a scheme, a name and perhaps a port, or * for any, got {origin!r}: write "
                    "https://app.example,http://localhost:3000"
                )
        return tuple(origin.removesuffix(DEFAULT_PORTS.get(origin.partition(":")[0], "")) for origin in lowered)

    @field_validator("frame_ancestors")
    @classmethod
    def _sources_and_nothing_else(cls, given: str) -> str:
        """A `;`, a `,` or a line's end would begin another directive, policy or header."""
        sources = [source for source in given.split(" ") if source] or ["'self'"]
        wrong = [source for source in sources if not FRAME_ANCESTOR.fullmatch(source)]
        if wrong or ("'none'" in sources and len(sources) > 1):
            raise ValueError(
                "wanted 'none', or sources separated by a space: 'self' and origins such as https://lms.example or "
                f"https://*.school.example; got {given!r}"
            )
        return " ".join(sources)

    @model_validator(mode="after")
    def _an_open_address_needs_a_decision(self) -> Settings:
        if not (self.keyed or self.allow_anonymous or is_loopback(self.host)):
            raise ValueError(
                f"without keys the service listens on a loopback address only, and HOST is {self.host}: set "
                "SOFTKV_API_KEYS or SOFTKV_KEYS_FILE, or say SOFTKV_ALLOW_ANONYMOUS=read (or write) to serve anyone "
                "who can reach it"
            )
        return self

    @model_validator(mode="after")
    def _shards_hold_what_a_database_keeps(self) -> Settings:
        if self.shards is not None and self.store is None:
            raise ValueError(
                "shards hold what a PostgreSQL keeps, and SOFTKV_STORE names none: set it to "
                "postgresql://user@host:5432/database, or leave SOFTKV_SHARDS out"
            )
        return self

    @property
    def keyed(self) -> bool:
        """Whether callers need a key at all."""
        return bool(self.api_keys or self.read_keys or self.keys_file)

    @property
    def encoder_name(self) -> str | None:
        """The encoder to load, None where the setting is `none`."""
        return None if self.encoder.lower() == "none" else self.encoder


def _user_cache() -> Path:
    """Where this user's programs keep what they can make again."""
    try:
        return Path.home() / ".cache" / "softkv"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / "softkv"


def chooses_heaps() -> bool:
    """Whether who started this process has chosen how many heaps the C library may have."""
    return "MALLOC_ARENA_MAX" in os.environ
