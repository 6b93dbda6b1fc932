"""How large one request's body may be: refused by its declared length, or as it comes."""

from __future__ import annotations

from starlette.types import Message, Receive, Scope

from service.api.problems.errors import BodyTooLarge


class BodyLimit:
    """What is left of one request to read, at most `most` bytes unless the route that runs has lifted that."""

    def __init__(self, receive: Receive, *, declared: int, most: int) -> None:
        self._receive = receive
        self._declared = declared
        self._most: int | None = most
        self._received = 0

    def lift(self) -> None:
        """Take a body of any length: for a route that reads it in parts and limits those."""
        self._most = None

    def check(self) -> None:
        """Refuse a body that is declared as too long, before any of it is read."""
        self._at_most(self._declared)

    async def receive(self) -> Message:
        """The next part of the body."""
        self.check()
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._at_most(self._received)
        return message

    def _at_most(self, size: int) -> None:
        if self._most is not None and size > self._most:
            raise BodyTooLarge(
                f"the body has {size} bytes or more, this service takes {self._most}: send fewer documents at a "
                "time, or application/x-ndjson, which has no limit"
            )


def body_limit(scope: Scope) -> BodyLimit:
    """The limit on the body of a request."""
    limit: BodyLimit = scope["state"]["body_limit"]
    return limit
