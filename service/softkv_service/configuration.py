"""The settings of a service: their groups, defaults and checks. `settings.py` reads them from the environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from softkv_service.addresses import is_loopback

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from softkv_service.encoding import EncodersFile, Precision

# A source of a Content-Security-Policy; the keywords 'self' and 'none' need their quotes.
FRAME_ANCESTOR = re.compile(
    r"'self'|'none'|\*|[A-Za-z][A-Za-z0-9+.-]*:|"
    r"(?!(self|none)\Z)([A-Za-z][A-Za-z0-9+.-]*://)?(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(:[0-9]+|:\*)?/?"
)
HOST_NAME = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
# An origin as in the Origin header; `null` is not accepted, since any sandboxed page sends it.
ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://({HOST_NAME.pattern})(:[0-9]{{1,5}})?")
# The address of Ray's head, as `ray start --head` prints it; with ray:// that of its client server.
RAY_ADDRESS = re.compile(r"(ray://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?::([0-9]{1,5}))?/?")
RAY_PORT, RAY_CLIENT_PORT = 6379, 10001
# The path below which a proxy serves this service, and first segments that are paths of the service itself.
ROOT_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
OWN_SEGMENTS = frozenset(
    [
        *("assets", "deeper", "docs", "explore", "index.html", "lesson.html", "livez", "llms-full.txt", "llms.txt"),
        *("mcp", "metrics", "openapi.json", "readyz", "room", "v1", "v2", "worksheet.html"),
    ]
)
_QUOTES = ("'", '"')
_NAME_OF_KUBERNETES = re.compile(r"(?:^|,)\$\(\w+\)(?:,|$)")
UNIX = "unix"
"""The trusted proxy that connects to the Unix socket, where connections have no address."""
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
Names = tuple[str, ...]


@dataclass(frozen=True)
class SettingGroup:
    """A heading of docs/reference/settings.md and of `softkv serve --help`."""

    name: str


START, ACCESS, NETWORK, STORAGE = map(SettingGroup, ("Start", "Access", "Network", "Storage"))
COMPUTATION, LIMITS, OPERATION = map(SettingGroup, ("Computation", "Limits", "Logs and shutdown"))
SECRET = object()
"""The mark of a setting without an option, because other users of a machine can read its command lines."""


class Configuration(BaseModel):
    """The settings of a service, as arguments: `Client.local` takes no others, and `Settings` reads them.

    Each has a group and a description in Markdown, with links from docs/reference/settings.md. The tables of that page
    and of docker/README.md, and the options of `softkv serve`, are made from them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)

    host: Annotated[str, START] = Field(
        "127.0.0.1",
        description="the address to listen on; `::` is all addresses, of IPv6 and IPv4. An address that other machines "
        "can reach needs keys or `ALLOW_ANONYMOUS`",
    )
    port: Annotated[int, START] = Field(8000, ge=0, le=65535, description="the port to listen on; 0 takes a free port")
    data_dir: Annotated[Path, START] = Field(
        Path("data"),
        validate_default=True,
        description="the directory of the collections; only one process may use it",
    )
    demo: Annotated[Names, START] = Field(
        (),
        description="demo collections to load, separated by commas: library, videos, python, unicode, library-zh. "
        "Calls to them get a 503 [until they are loaded](../operate/operating.md#demo-collections)",
    )
    encoder: Annotated[str, START] = Field(
        "all-MiniLM-L6-v2",
        min_length=1,
        description="the name or path of [a model](../guide/encoding.md#models) that encodes texts, or `none`",
    )
    encoders: Annotated[Path | None, START] = Field(
        None, description="a TOML file of [several encoders](../guide/encoders.md), instead of `ENCODER`"
    )

    api_keys: Annotated[Names, ACCESS, SECRET] = Field(
        (), description="keys that may read and write, separated by commas"
    )
    read_keys: Annotated[Names, ACCESS, SECRET] = Field((), description="keys that may read, separated by commas")
    keys_file: Annotated[Path | None, ACCESS] = Field(
        None,
        description="a file of [keys with names and scopes](../operate/access.md), made by `softkv key`. The service "
        "reads it again when it changes",
    )
    allow_anonymous: Annotated[Literal["read", "write"] | None, ACCESS] = Field(
        None,
        description="the rights of callers without a key: `read` or `write`. If unset: `write` on a service without "
        "keys, else none",
    )
    allowed_hosts: Annotated[Names, ACCESS] = Field(
        (),
        description="further host names under which callers without a key are answered, besides those of the machine, "
        "separated by commas; `*` allows any name",
    )
    cors_origins: Annotated[Names, ACCESS] = Field(
        (),
        description="origins whose pages may [call the API from a browser](#pages-of-other-origins), such as "
        "`https://app.example`, separated by commas; `*` allows any origin",
    )
    frame_ancestors: Annotated[str, ACCESS] = Field(
        "'self'",
        description="origins whose pages may show the service's page in a frame, separated by spaces, such as `'self' "
        "https://lms.example`",
    )
    embed: Annotated[Literal["any", "none"], ACCESS] = Field(
        "any",
        description="sites that may show [one picture of the page in a frame]"
        "(../../workshop/docs/teach/page.md#a-picture-in-another-page), without a key and without writing: `any` or "
        "`none`; unless `SOFTKV_FRAME_ANCESTORS` is set",
    )
    lab: Annotated[Literal["writers", "readers"], ACCESS] = Field(
        "writers",
        description="callers that may train models in the [lab](../../workshop/docs/teach/lab.md#access): `writers`, "
        "or `readers` for every caller that may read",
    )

    unix_socket: Annotated[Path | None, NETWORK] = Field(
        None,
        description="a [Unix socket](../operate/proxy.md#a-unix-socket) to listen on, instead of `HOST` and `PORT`",
    )
    trusted_proxies: Annotated[Names, NETWORK] = Field(
        (),
        description="addresses and networks of [proxies](../operate/proxy.md) whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` the service believes, separated by commas; `unix` for a proxy at the Unix socket",
    )
    root_path: Annotated[str, NETWORK] = Field(
        "",
        description="the [path](../operate/proxy.md#a-path-of-its-own) below which a proxy serves the service, such as "
        "`/softkv`",
    )

    store: Annotated[str | None, STORAGE] = Field(
        None,
        repr=False,  # it may hold a password
        description="the [PostgreSQL](../../extensions/postgres/docs/operate/stores.md) database of the collections, "
        "which several processes may share, such as `postgresql://user@host:5432/database`; needs `softkv[postgres]`. "
        "If unset, collections are in `DATA_DIR`",
    )
    shards: Annotated[str | None, STORAGE] = Field(
        None,
        description="the Ray cluster whose [servers](../../extensions/cluster/docs/operate/cluster.md) hold the keys: "
        "`auto` for the cluster of this machine, the head's `HOST:PORT`, or `ray://HOST:PORT`; needs Ray and `STORE`",
    )
    vector_storage: Annotated[Literal["memory", "files"], STORAGE] = Field(
        "memory",
        description="keeps the float32 vectors of large collections in `memory`, or in `files` on disk",
    )

    received_dir: Annotated[Path | None, STORAGE] = Field(
        None,
        description="the directory of files that [`POST /v1/tables`](../guide/writing.md#read-a-table) receives, until "
        "they are read. If unset, `received` in `DATA_DIR`",
    )

    precision: Annotated[Literal["float32", "int16", "bfloat16"] | None, COMPUTATION] = Field(
        None,
        description="the numbers of the model. `int16` is [nearly as exact](../guide/encoding.md#precision) as "
        "`float32`; `bfloat16` is less exact, and refused on a processor without AMX. If unset: `int16` on x86-64 "
        "without AMX, where it is faster, else `float32`",
    )
    kernels: Annotated[Literal["native", "numpy"] | None, COMPUTATION] = Field(
        None,
        description="the [kernels](../operate/operating.md#kernels) that compute: `native` for those in C, without "
        "which the service then does not start, or `numpy`. If unset: `native` where there are kernels for the machine",
    )
    threads: Annotated[int | None, COMPUTATION] = Field(
        None, ge=1, description="the number of threads that compute; if unset, one for each core"
    )

    max_body_bytes: Annotated[int, LIMITS] = Field(
        33_554_432, ge=1024, description="the most bytes of a request body, or of a line of NDJSON"
    )
    max_queue: Annotated[int, LIMITS] = Field(
        256, ge=1, description="the most [running calls](limits.md#requests-at-once) of each kind"
    )
    max_loaded_collections: Annotated[int, LIMITS] = Field(
        1000, ge=1, description="the most [small collections in memory](../operate/sizing.md#many-collections) at once"
    )
    max_loaded_bytes: Annotated[int | None, LIMITS] = Field(
        None,
        ge=0,
        description="the most bytes of keys of small collections in memory; if unset, a quarter of the memory limit",
    )
    max_connections: Annotated[int, LIMITS] = Field(
        1000, ge=1, description="the most [open connections](limits.md#slow-clients)"
    )
    keepalive_timeout: Annotated[float, LIMITS] = Field(
        30, gt=0, description="seconds from an answer to the next request on the same connection"
    )

    log_format: Annotated[Literal["console", "json"], OPERATION] = Field(
        "console", description="the form of log lines: `json` writes a JSON object on each line"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], OPERATION] = Field(
        "info",
        description="the lowest level that is logged: `debug`, `info`, `warning` or `error`. Requests have `info`, "
        "those of probes `debug`",
    )
    slow_request_ms: Annotated[float, OPERATION] = Field(
        1000,
        ge=0,
        description="a request that takes longer, in milliseconds, gets [a line of the "
        "log](../operate/operating.md#the-log) with the time of each stage; 0 turns this off",
    )
    access_log: Annotated[Path | None, OPERATION] = Field(
        None,
        description="a file that gets a line for [each change and each refusal by a "
        "key](../operate/access.md#the-access-log)",
    )
    access_log_files: Annotated[int, OPERATION] = Field(
        10, ge=1, le=1000, description="the rotated files of the access log that are kept"
    )
    traces: Annotated[Literal["none", "otlp"], OPERATION] = Field(
        "none",
        description="the export of requests: `otlp` sends [spans](../operate/operating.md#traces) and needs "
        "the packages of OpenTelemetry",
    )
    drain_seconds: Annotated[float, OPERATION] = Field(
        1.0,
        ge=0,
        le=3600,
        description="seconds for which `/readyz` fails before a service that got SIGTERM "
        "[stops](../operate/operating.md#stop)",
    )

    @field_validator("port", mode="before")
    @classmethod
    def _refuse_service_link(cls, port: Any) -> Any:
        """Refuse the variable SOFTKV_PORT that Kubernetes sets in every pod beside a Service named softkv."""
        if isinstance(port, str) and port.startswith("tcp://"):
            raise ValueError(
                f"expected the number of a port, got {port}, which Kubernetes sets for a Service named softkv: add "
                "`enableServiceLinks: false` to the pod's spec"
            )
        return port

    @field_validator("data_dir", mode="before")
    @classmethod
    def _refuse_empty(cls, path: Any) -> Any:
        if isinstance(path, str) and not path.strip():
            raise ValueError("expected a directory, got an empty text: name one, or leave it out for ./data")
        return path

    @field_validator("api_keys", "read_keys")
    @classmethod
    def _check_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if any(quote in key for key in keys for quote in _QUOTES):
            raise ValueError("expected keys without quotes, got one with: remove the quotes")
        return keys

    @field_validator("api_keys", "read_keys", "allowed_hosts", "cors_origins", "trusted_proxies", "demo", mode="before")
    @classmethod
    def _split_on_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator(
        "store",
        "keys_file",
        "allow_anonymous",
        "kernels",
        "threads",
        "shards",
        "unix_socket",
        "access_log",
        "encoders",
        "received_dir",
        mode="before",
    )
    @classmethod
    def _unset_empty(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("*", mode="before")
    @classmethod
    def _check_text(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what a file of variables left in a value that is a text: quotes, a name of a variable, a line end.

        Of the validators before a conversion, the one that is defined last runs first.
        """
        if not isinstance(value, str):
            return value
        if "\r" in value:
            raise ValueError(
                "expected a text, got one with a carriage return, the line end of Windows: save the file of variables "
                "with Unix line ends"
            )
        if "${" in value:
            raise ValueError(
                "expected a value, got the name of a variable in ${ }, which nothing has replaced: write the value "
                "itself, because `docker run --env-file` replaces no names"
            )
        if _NAME_OF_KUBERNETES.search(value):
            raise ValueError(
                "expected a value, got the name of a variable in $( ), which Kubernetes leaves where it knows none: "
                "define it above this one"
            )
        if " # " in value:
            raise ValueError(
                "expected a value without a comment, which would be part of it: write the comment on a line of its "
                "own, because `docker run --env-file` keeps it"
            )
        in_quotes = value[:1] in _QUOTES or value[-1:] in _QUOTES
        if value and info.field_name != "frame_ancestors" and in_quotes:
            raise ValueError(
                "expected a value without quotes, which would be part of it: remove them, because "
                "`docker run --env-file` keeps them"
            )
        return value

    @field_validator("data_dir", "encoders", "keys_file", "unix_socket", "access_log", "received_dir")
    @classmethod
    def _make_absolute(cls, path: Path | None) -> Path | None:
        """Return an absolute path, because a program that runs the service may change its working directory.

        A `~` becomes the home directory: only a shell expands it, and Compose and systemd do not.
        """
        try:
            return None if path is None else path.expanduser().absolute()
        except RuntimeError:
            raise ValueError(f"cannot tell the home directory in {str(path)!r}: write the whole path") from None

    @field_validator("store")
    @classmethod
    def _check_store(cls, address: str | None) -> str | None:
        if address is not None and not address.startswith(("postgresql://", "postgres://")):
            raise ValueError(
                "expected the address of a PostgreSQL database such as postgresql://user@host:5432/database; for "
                "SQLite leave it out and name a directory with SOFTKV_DATA_DIR"
            )
        return address

    @field_validator("shards")
    @classmethod
    def _check_shards(cls, address: str | None) -> str | None:
        """Return the address of a cluster with its port, or None for the setting `none`."""
        if address is None or address == "none":
            return None
        if address == "auto":
            return address
        match = RAY_ADDRESS.fullmatch(address)
        port = int(match[3] or (RAY_CLIENT_PORT if match[1] else RAY_PORT)) if match else 0
        if not match or not 0 < port <= 65535:
            raise ValueError(
                f"expected auto for the Ray cluster of this machine, the address of its head such as "
                f"head.internal:{RAY_PORT}, ray://head.internal:{RAY_CLIENT_PORT} to join it from outside, or none; "
                f"got {address!r}"
            )
        return f"{match[1] or ''}{match[2]}:{port}"

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name != "*" and not HOST_NAME.fullmatch(name):
                raise ValueError(
                    f"expected host names without scheme and port, or * for any, got {name!r}: "
                    "write softkv.example,search.example"
                )
        return names

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                if proxy != UNIX:
                    ip_network(proxy)
            except ValueError as error:
                raise ValueError(
                    "expected addresses and networks separated by commas, such as 10.0.0.7,192.168.4.0/24, or unix for "
                    f"the proxy at the Unix socket; got {proxy!r} ({error})"
                ) from None
        return proxies

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, value: str) -> str:
        """Return the path without a slash at its end; an empty text if the service is at the root."""
        path = value.rstrip("/")
        if path and not ROOT_PATH.fullmatch(path):
            raise ValueError(f"expected a path of letters, digits and -._~ such as /softkv, got {value!r}")
        if path and path.split("/")[1] in OWN_SEGMENTS:
            raise ValueError(
                f"{value!r} begins like a path of the service itself: choose another first part, such as /softkv"
            )
        return path

    @field_validator("cors_origins")
    @classmethod
    def _normalise_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """Return origins as browsers send them: in lower case and without a default port."""
        lowered = tuple(origin.lower() for origin in origins)
        for origin in lowered:
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"expected origins (scheme, name, optional port) or * for any, got {origin!r}: write "
                    "https://app.example,http://localhost:3000"
                )
        return tuple(origin.removesuffix(DEFAULT_PORTS.get(origin.partition(":")[0], "")) for origin in lowered)

    @field_validator("frame_ancestors")
    @classmethod
    def _check_frame_ancestors(cls, value: str) -> str:
        """Refuse characters that cannot be part of a source: `;`, `,` or a line break would begin another directive,
        policy or header.
        """
        sources = [source for source in value.split(" ") if source] or ["'self'"]
        wrong = [source for source in sources if not FRAME_ANCESTOR.fullmatch(source)]
        if wrong or ("'none'" in sources and len(sources) > 1):
            raise ValueError(
                "expected 'none', or sources separated by a space: 'self' and origins such as https://lms.example or "
                f"https://*.school.example; got {value!r}"
            )
        return " ".join(sources)

    @model_validator(mode="after")
    def _require_keys_or_decision(self) -> Configuration:
        if self.keyed or self.allow_anonymous:
            return self
        if self.trusted_proxies:
            raise ValueError(
                "through a proxy other machines reach the service, and it has no keys: set SOFTKV_API_KEYS or "
                "SOFTKV_KEYS_FILE, or SOFTKV_ALLOW_ANONYMOUS=read (or write) to serve all of them"
            )
        if not (self.unix_socket or is_loopback(self.host)):
            raise ValueError(
                f"without keys the service listens on a loopback address only, and HOST is {self.host}: set "
                "SOFTKV_API_KEYS or SOFTKV_KEYS_FILE, or SOFTKV_ALLOW_ANONYMOUS=read (or write) to serve every machine "
                "that can reach it"
            )
        return self

    @model_validator(mode="after")
    def _require_database_for_shards(self) -> Configuration:
        if self.shards is not None and self.store is None:
            raise ValueError(
                "shards need a PostgreSQL database, and SOFTKV_STORE does not name one: set it to "
                "postgresql://user@host:5432/database, or leave SOFTKV_SHARDS out"
            )
        return self

    @model_validator(mode="after")
    def _require_one_choice_of_encoders(self) -> Configuration:
        if self.encoders is None:
            return self
        if "encoder" in self.model_fields_set:
            raise ValueError(
                "SOFTKV_ENCODER names one encoder and SOFTKV_ENCODERS a file of several: set one of them, and name the "
                "first model in the file"
            )
        self.encoders_file  # noqa: B018 - a file that is invalid is refused here
        return self

    @cached_property
    def encoders_file(self) -> EncodersFile | None:
        """The content of the file of encoders; None without one.

        Raises:
            EncodersUnusable: the file is unreadable or invalid.
        """
        if self.encoders is None:
            return None
        from softkv_service.encoding import provider_key, read_encoders

        return read_encoders(self.encoders, self.model_precision, provider_key)

    @property
    def model_precision(self) -> Precision:
        """The numbers of models for which the file of encoders names no others."""
        from softkv_service.encoding import default_precision

        return self.precision or default_precision()

    @property
    def upload_folder(self) -> Path:
        """The directory of files that calls receive."""
        return self.data_dir / "received" if self.received_dir is None else self.received_dir

    @property
    def encodes(self) -> bool:
        """Whether this machine computes the vectors of texts."""
        if self.encoders_file is None:
            return self.encoder_name is not None
        return self.encoders_file.any_local

    @property
    def keyed(self) -> bool:
        """Whether the settings have API keys, so that callers need one."""
        return bool(self.api_keys or self.read_keys or self.keys_file)

    @property
    def encoder_name(self) -> str | None:
        """The name of the encoder to load, or None if the setting is `none`."""
        return None if self.encoder.lower() == "none" else self.encoder


def setting_group(field: FieldInfo) -> SettingGroup:
    """Return the group of a setting."""
    return next(mark for mark in field.metadata if isinstance(mark, SettingGroup))


def default_text(field: FieldInfo) -> str:
    """Return the default of a setting as help and documentation show it; empty if the setting is unset."""
    default = field.get_default(call_default_factory=True)
    if default in (None, ()):
        return ""
    home = os.path.expanduser("~")
    return str(default).replace(home, "~", 1) if isinstance(default, Path) else str(default)
