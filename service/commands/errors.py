"""Errors that end a command, each with its exit code."""

from __future__ import annotations


class CommandError(Exception):
    """A command that was refused or failed; its text is shown unchanged."""

    exit_code = 1


class Refused(CommandError):
    """A request that the service refused."""


class Misused(CommandError):
    """An invalid command line."""

    exit_code = 2


class Unreachable(CommandError):
    """A service that does not answer at its address."""

    exit_code = 3


class Interrupted(CommandError):
    """Long work that stopped half way, with the exit code of the error that stopped it."""

    def __init__(self, message: str, reason: BaseException) -> None:
        super().__init__(message)
        self.exit_code = reason.exit_code if isinstance(reason, CommandError) else CommandError.exit_code
