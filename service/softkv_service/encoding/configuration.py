"""The file of encoders, in TOML: a table for each encoder of the service.

    default = "minilm"

    [encoders.minilm]
    model = "all-MiniLM-L6-v2"

    [encoders.nomic]
    url = "http://127.0.0.1:11434/v1"
    model = "nomic-embed-text"

    [rerankers.marco]
    model = "cross-encoder/ms-marco-MiniLM-L6-v2"

An encoder with a `url` is a provider's; one without is a model of this machine. An invalid file is refused as a whole,
with the line of the flaw.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import ConfigDict, Field, ValidationError

from softkv_service.encoding.errors import EncodingError
from softkv_service.encoding.models.network import Precision
from softkv_service.encoding.remote import RemoteSettings

MAX_BYTES = 1_048_576
NAME = re.compile(r"[A-Za-z0-9._/-]{1,64}")
Position = tuple[str, ...]
"""The keys on the way from the top of the file to a value."""


class EncodersUnusable(ValueError):
    """The file of encoders is unreadable or invalid."""


@pydantic.dataclasses.dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True))
class LocalSettings:
    """The settings of an encoder of this machine.

    Attributes:
        name: the name by which collections and callers choose the encoder.
        model: the name of a model, or its directory.
        precision: the number format of its arithmetic.
        query_prefix, document_prefix: texts that are put before each query and each document; None for the prompts of
            the model's folder.
    """

    name: str
    model: Annotated[str, Field(min_length=1)]
    precision: Precision
    query_prefix: str | None = None
    document_prefix: str | None = None

    @property
    def prompts(self) -> dict[str, str]:
        """The prefixes that are given, by the purpose of a text."""
        prefixes = {"query": self.query_prefix, "document": self.document_prefix}
        return {purpose: prefix for purpose, prefix in prefixes.items() if prefix is not None}

    def model_identity(self, model: str) -> str:
        """Return the model, and settings that change its vectors, as a text that collections record.

        Args:
            model: the canonical name of the model.
        """
        changes = {f"{purpose}_prefix": prefix for purpose, prefix in self.prompts.items()}
        return f"{model} {json.dumps(changes, ensure_ascii=False)}" if changes else model


@pydantic.dataclasses.dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True))
class RerankerSettings:
    """The settings of a reranker, which runs on this machine.

    Attributes:
        name: the name by which callers choose the reranker.
        model: the name of a cross-encoder, or its directory.
        precision: the number format of its arithmetic.
    """

    name: str
    model: Annotated[str, Field(min_length=1)]
    precision: Precision


LATE = "late"
"""The name that stands for late interaction where a reranker is named."""

RERANKER_SETTINGS = tuple(field.name for field in fields(RerankerSettings) if field.name != "name")
LOCAL_SETTINGS = tuple(field.name for field in fields(LocalSettings) if field.name != "name")
REMOTE_SETTINGS = tuple(
    {"api_key": "api_key_env"}.get(field.name, field.name) for field in fields(RemoteSettings) if field.name != "name"
)


@dataclass(frozen=True)
class EncodersFile:
    """The encoders and rerankers of a service, in the order of the file.

    Attributes:
        default: the name of the encoder of texts for which none is named.
        encoders: all encoders; their names differ.
        rerankers: all rerankers; their names differ.
    """

    default: str
    encoders: tuple[LocalSettings | RemoteSettings, ...]
    rerankers: tuple[RerankerSettings, ...] = ()

    @property
    def any_local(self) -> bool:
        """Whether an encoder or a reranker runs on this machine."""
        return bool(self.rerankers) or any(isinstance(encoder, LocalSettings) for encoder in self.encoders)


def read_encoders(path: Path, precision: Precision, key_of: Callable[[str], str]) -> EncodersFile:
    """Read a file of encoders.

    Args:
        path: the file.
        precision: that of models of this machine for which the file names none.
        key_of: returns a provider's key from the environment variable of that name; raises ValueError without one.

    Raises:
        EncodersUnusable: the file is unreadable or invalid.
    """
    text = _read(path)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EncodersUnusable(f"{path} is not TOML: {error}") from None
    try:
        return _read_tree(tree, precision, key_of)
    except _Flaw as flaw:
        raise EncodersUnusable(f"{path}, line {find_line(text, flaw.position)}: {flaw}") from None


class _Flaw(EncodingError):
    def __init__(self, message: str, *position: str) -> None:
        super().__init__(message)
        self.position = position


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise EncodersUnusable(f"{path} has more than {MAX_BYTES} bytes: a file of encoders is short")
        return content.decode()
    except OSError as error:
        raise EncodersUnusable(f"the file of encoders {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise EncodersUnusable(f"{path} is not UTF-8, which TOML is written in") from None


def _read_tree(tree: Mapping[str, Any], precision: Precision, key_of: Callable[[str], str]) -> EncodersFile:
    _require_known(tree, ("default", "encoders", "rerankers"), "the top of the file")
    tables = tree.get("encoders")
    if not isinstance(tables, dict) or not tables:
        raise _Flaw("a file of encoders has a table for each, such as [encoders.minilm]", "encoders")
    encoders = tuple(_read_encoder(name, table, precision, key_of) for name, table in tables.items())
    default = tree.get("default", encoders[0].name if len(encoders) == 1 else None)
    if default not in tables:
        listed = ", ".join(tables)
        came = "it is missing" if default is None else f"it is {default!r}"
        raise _Flaw(f"default is the name of one of the encoders ({listed}), {came}", "default")
    return EncodersFile(default, encoders, _read_rerankers(tree.get("rerankers", {}), precision))


def _read_rerankers(tables: Any, precision: Precision) -> tuple[RerankerSettings, ...]:
    if not isinstance(tables, dict):
        raise _Flaw("rerankers are tables, such as [rerankers.marco]", "rerankers")
    return tuple(_read_reranker(name, table, precision) for name, table in tables.items())


def _read_reranker(name: str, table: Any, precision: Precision) -> RerankerSettings:
    position = _require_table("a reranker", "rerankers", name, table)
    if name == LATE:
        raise _Flaw(f"{LATE!r} is late interaction, which needs no table: name the reranker otherwise", *position)
    _require_known(table, RERANKER_SETTINGS, f"a reranker, {name},", *position)
    try:
        return RerankerSettings(name, **{"precision": precision, **table})
    except ValidationError as error:
        raise _flaw_of(error, position) from None


def _read_encoder(
    name: str, table: Any, precision: Precision, key_of: Callable[[str], str]
) -> LocalSettings | RemoteSettings:
    position = _require_table("an encoder", "encoders", name, table)
    if "url" not in table and (unfit := [key for key in table if key in REMOTE_SETTINGS and key not in LOCAL_SETTINGS]):
        raise _Flaw(f"{unfit[0]} is for an encoder with a url, and {name} has none", *position, unfit[0])
    settings, owner = (REMOTE_SETTINGS, "with") if "url" in table else (LOCAL_SETTINGS, "without")
    _require_known(table, settings, f"an encoder {owner} a url, {name},", *position)
    try:
        if "url" not in table:
            return LocalSettings(name, **{"precision": precision, **table})
        values = {key: value for key, value in table.items() if key != "api_key_env"}
        return RemoteSettings(name, api_key=_read_key(name, table, key_of), **values)
    except ValidationError as error:
        raise _flaw_of(error, position, is_remote="url" in table) from None


def _read_key(name: str, table: Mapping[str, Any], key_of: Callable[[str], str]) -> str | None:
    """Return the key of a provider from the variable that its table names; None if it names none."""
    variable = table.get("api_key_env")
    if variable is None:
        return None
    try:
        if not isinstance(variable, str):
            raise ValueError(f"Input should be a valid string, it is {variable!r}")
        return key_of(variable)
    except ValueError as error:
        raise _Flaw(f"api_key_env of {name}: {error}", "encoders", name, "api_key_env") from None


def _flaw_of(error: ValidationError, position: Position, *, is_remote: bool = False) -> _Flaw:
    """Return the flaw of a setting that is missing or invalid. It shows no address and no key, which may be secrets."""
    flaw = error.errors(include_url=False, include_context=False)[0]
    key, name = str(flaw["loc"][0]).replace("api_key", "api_key_env"), position[-1]
    if flaw["type"] == "missing":
        return _Flaw(f"{name} has {'a url and ' if is_remote else ''}no {key}: add it", *position, key)
    shown = "" if flaw["type"] == "setting" or key in ("url", "api_key_env") else f", it is {flaw['input']!r}"
    return _Flaw(f"{key} of {name}: {flaw['msg']}{shown}", *position, key)


def _require_table(kind: str, tables: str, name: str, table: object) -> Position:
    """Return the position of an encoder's or a reranker's table."""
    if not NAME.fullmatch(name):
        raise _Flaw(f"the name of {kind} is 1 to 64 letters, digits and ._-/, it is {name!r}", tables, name)
    if not isinstance(table, dict):
        raise _Flaw(f"{kind} is a table: write [{tables}.{name}]", tables, name)
    return tables, name


def _require_known(table: Mapping[str, Any], settings: tuple[str, ...], owner: str, *position: str) -> None:
    for key in table:
        if key not in settings:
            raise _Flaw(f"{owner} has no setting {key!r}: its settings are {', '.join(settings)}", *position, key)


def find_line(text: str, position: Position) -> int:
    """Return the number of the line of a TOML file at which a value is complete; 1 if it is not in the file.

    Args:
        text: the file.
        position: the keys on the way to the value. If only the first ones exist, their line counts.
    """
    lines = text.splitlines(keepends=True)
    while position:
        for number in range(1, len(lines) + 1):
            try:
                tree: Any = tomllib.loads("".join(lines[:number]))
            except tomllib.TOMLDecodeError:  # a value that the next lines continue
                continue
            for key in position:
                tree = tree.get(key, MISSING) if isinstance(tree, dict) else MISSING
            if tree is not MISSING:
                return number
        position = position[:-1]
    return 1
