"""The way from a command to the service: a client whose every failure is an error that names its exit code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import softkv
from service.commands.errors import CommandError, Misused, Refused, Unreachable

# Of a service that is full, or that is started again within long work: a quarter of a minute in all.
_RETRIES = 7
_MISSING = re.compile(r"there is no collection '(?P<name>[^']+)'")


@contextmanager
def connected(url: str, api_key: str | None = None) -> Iterator[softkv.Client]:
    """A client of the service; what goes wrong with it within the `with` is a CommandError.

    Raises:
        Misused: that is no address.
        Unreachable: nothing answers there.
        Refused: the service, or this client before it, refused what was asked.
    """
    if not url:
        raise Misused("--url is empty: give one such as http://127.0.0.1:8000")
    try:
        client = softkv.Client(url, key=api_key, retries=_RETRIES)
    except softkv.Invalid as error:
        raise Misused(f"--url {error}") from None
    with client:
        try:
            _knock(client)
            yield client
        except softkv.Error as error:
            raise failure(error, url) from None


def failure(error: softkv.Error, url: str) -> CommandError:
    """What went wrong with the client, as the error that ends a command."""
    if isinstance(error, softkv.NotFound) and (missing := _MISSING.match(error.detail)):
        load = f"`softkv load FILE --collection {missing['name']}`"
        return Refused(str(error).replace("collection.create()", load))
    if not isinstance(error, softkv.Unreachable):
        return Refused(str(error))
    reason = str(error.__cause__) or type(error.__cause__).__name__
    if isinstance(error, softkv.TimedOut) and error.sent:
        return Unreachable(
            f"the service at {url} did not answer in time ({reason}): look whether it has too much to do"
        )
    return Unreachable(
        f"no service answers at {url} ({reason}): start one with `softkv serve`, or give the address of one with --url"
    )


def _knock(client: softkv.Client) -> None:
    """See whether there is a service: one that goes away within long work is waited for, one that is not there is not.

    Whatever answers is heard when it is asked for what is wanted of it.
    """
    with suppress(softkv.Refused):
        client.with_options(retries=0).alive()
