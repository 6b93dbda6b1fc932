"""The object of a slot in these tests: it reports its name and process."""

from __future__ import annotations

import os
import time


class Echo:
    """Answers with its name and its process; a message may ask for more.

    Args:
        refuses: whether it cannot be made.
    """

    def __init__(self, name: str, *, refuses: bool = False) -> None:
        if refuses:
            raise ValueError("wanted an Echo that can be made")
        self._name = name
        self._told = 0

    def answer(self, message: bytes) -> bytes:
        match message.partition(b" "):
            case b"wait", _, seconds:
                time.sleep(float(seconds))
            case b"fail", _, _:
                raise KeyError("no such thing")
            case b"back", _, content:
                return content
        return f"{self._name} {os.getpid()} {self._told}".encode()

    def tell(self, number: int) -> int:
        self._told = number
        return number + 1
