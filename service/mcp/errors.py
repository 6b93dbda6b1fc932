"""What a model hears of a refusal: what was wanted, what came, and what it can do about it with these tools."""

from __future__ import annotations

from collections.abc import Mapping

import softkv

ADVICE: Mapping[type[softkv.Error], str] = {
    softkv.Busy: "The service has too much to do: wait a few seconds and call again.",
    softkv.Unavailable: "If it does not work a little later either, tell the user.",
    softkv.KeyRefused: "Tell the user: the key is given where this server is configured.",
    softkv.Forbidden: "Do not try it again; tell the user that the key does not allow it.",
    softkv.StorageFull: "Tell the user that the disk is full; nothing was written.",
    softkv.ServiceFailed: "Tell the user; the service's log has the cause.",
    softkv.TimedOut: "It may have been done: look before you call again, or tell the user that the service is slow.",
}
FORGOTTEN = "this server failed on the call, and its log has the cause: try something else, or tell the user"


class ToolError(Exception):
    """A call that this server does not pass on; its text is for the model."""


def told(error: softkv.Error, pointers: Mapping[str, str], url: str) -> str:
    """An error of the client as a text for a model: the detail, every flaw, and what to do.

    Args:
        pointers: how arguments are called, by what they are in the request that the service was sent.
        url: where the service should be.
    """
    if isinstance(error, softkv.Unreachable) and not isinstance(error, softkv.TimedOut):
        return (
            f"no service answers at {url}: tell the user to start one with `softkv serve`, or to correct the address "
            "that this server was given"
        )
    text = error.detail
    if any(flaw.pointer for flaw in error.errors):  # of which the detail is the first
        text = "\n".join(f"{flaw.pointer or '/'}: {flaw.detail}" for flaw in error.errors)
    for sent, given in pointers.items():
        text = text.replace(sent, given)
    advice = next((ADVICE[kind] for kind in type(error).__mro__ if kind in ADVICE), "")
    return "\n".join(filter(None, (text, advice)))
