"""Which documents a caller sees now, as one value for the filter of its key and for expiry.

A reader of a store compiles it to SQL, and a snapshot of a collection to a mask of its keys. The two differ: an expired
document is absent from the view of the keys as well, while a hidden one is only masked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from softkv_service.storage.conditions.condition import Combination, Condition


@dataclass(frozen=True)
class Visibility:
    """The documents that a caller sees: those that pass a condition, and have not expired at an instant.

    Attributes:
        condition: the filter of the caller's key; None for all documents.
        instant: in microseconds of Unix time; None for expired documents, too.
    """

    condition: Condition | None = None
    instant: int | None = None

    def joined(self, condition: Condition | None) -> Condition | None:
        """Return the condition that a visible document passes, if a caller asks for this one; None for none.

        Raises:
            InvalidCondition: together they nest too deep or compare with too many values.
        """
        if self.condition is None or condition is None:
            return condition if self.condition is None else self.condition
        return Combination("AND", (self.condition, condition))

    def restrict(self, condition: Condition | None) -> Visibility:
        """Return the visibility of those of these documents that also pass a condition; None for all of them."""
        return self if condition is None else replace(self, condition=self.joined(condition))

    @property
    def unrestricted(self) -> Visibility:
        """The visibility at the same instant without a condition."""
        return self if self.condition is None else replace(self, condition=None)


ALL = Visibility()
"""Every stored document, expired or not."""
