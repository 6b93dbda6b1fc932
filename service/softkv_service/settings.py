"""The environment variables of a service: its settings are read once from `SOFTKV_*`, then passed in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic_settings import BaseSettings, SettingsConfigDict

from softkv_service.configuration import Configuration

PREFIX = "SOFTKV_"


class Settings(Configuration, BaseSettings):
    """The settings of a service that are not arguments are read from the environment variables `SOFTKV_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, enable_decoding=False)  # lists are split on commas


CLIENT_VARIABLES = ("URL", "KEY")
"""Variables of the client and its commands, without the prefix."""
# Kubernetes sets these for a Service named softkv.
_SERVICE_LINK = re.compile(r"SERVICE_(HOST|PORT)(_.+)?|PORT_\d+_(TCP|UDP)(_.+)?")
# Without underscores and plurals: names that are taken for a setting of keys.
_KEY_SETTINGS = {"APIKEY": "API_KEYS", "KEYS": "API_KEYS", "WRITEKEY": "API_KEYS"}
_KEY_SETTINGS |= {"READKEY": "READ_KEYS", "KEYFILE": "KEYS_FILE", "APIKEYFILE": "KEYS_FILE"}


@dataclass(frozen=True)
class UnknownVariable:
    """An environment variable `SOFTKV_…` without a setting of this name, so it has no effect.

    Attributes:
        name: the variable.
        nearest: the variable with the most similar name; None if none is similar.
        opens: whether it was probably meant to set keys, without which the service is open.
    """

    name: str
    nearest: str | None
    opens: bool

    def __str__(self) -> str:
        """Return a sentence with the variable that is probably meant."""
        advice = "unset it" if self.nearest is None else f"did you mean {self.nearest}?"
        return f"{self.name} is not a setting and has no effect: {advice}"


def unknown_variables(used: str = "") -> Iterator[UnknownVariable]:
    """Yield the environment variables `SOFTKV_…` that neither the service nor its client reads.

    Args:
        used: the content of the file of encoders, which may name further variables.
    """
    variables = [*(name.upper() for name in Settings.model_fields), *CLIENT_VARIABLES]
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(PREFIX)
        if (
            not variable.upper().startswith(PREFIX)
            or name in variables
            or variable in used
            or _SERVICE_LINK.fullmatch(name)
        ):
            continue
        joined = name.replace("_", "")
        plain = joined if joined == "KEYS" else joined.replace("KEYS", "KEY")
        keys = get_close_matches(plain, _KEY_SETTINGS, 1, 0.85)
        nearest = [_KEY_SETTINGS[keys[0]]] if keys else get_close_matches(name, variables, 1)
        yield UnknownVariable(variable, PREFIX + nearest[0] if nearest else None, bool(keys))


def heaps_configured() -> bool:
    """Return whether an environment variable sets how many memory heaps the C library uses."""
    return "MALLOC_ARENA_MAX" in os.environ
