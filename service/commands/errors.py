"""What can end a command, each with the exit code it ends with."""

from __future__ import annotations


class CommandError(Exception):
    """A command that was refused or failed; its text is shown to the reader as it is."""

    exit_code = 1


class Refused(CommandError):
    """The service refused what was asked."""


class Misused(CommandError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class Unreachable(CommandError):
    """No service answers at the address."""

    exit_code = 3


class Interrupted(CommandError):
    """Long work that stopped half way, with the exit code of what stopped it."""

    def __init__(self, message: str, reason: BaseException) -> None:
        super().__init__(message)
        self.exit_code = reason.exit_code if isinstance(reason, CommandError) else CommandError.exit_code
