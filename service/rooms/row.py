"""A row of a room, and whose it is: who sent it with a secret may change it, apart from who presents."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A key and its value.

    Attributes:
        owner: digest of the secret that it was sent with; empty for none.
        caller: where it came from; None for who presents.
    """

    id: str
    key: str
    value: str
    owner: bytes = b""
    caller: str | None = None

    @property
    def size(self) -> int:
        """Bytes of its texts."""
        return len(f"{self.id}{self.key}{self.value}".encode())

    def told(self) -> dict[str, str]:
        """What everybody may know."""
        return {"id": self.id, "key": self.key, "value": self.value}

    def sent_with(self, secret: str | None) -> bool:
        """Whether that is the secret it was sent with, if any."""
        return bool(self.owner) and hmac.compare_digest(self.owner, hash_secret(secret))


def hash_secret(secret: str | None) -> bytes:
    """What is kept of a secret; nothing of none."""
    return b"" if not secret else hashlib.sha256(secret.encode()).digest()
