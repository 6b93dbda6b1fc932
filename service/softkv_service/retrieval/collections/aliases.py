"""Aliases: other names of collections, which move from one collection to another in one write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from softkv_service.retrieval.errors import AliasConflict, AliasNotFound, CollectionNotFound, InvalidContent
from softkv_service.storage import IdempotentWrite, Store, Writer
from softkv_service.storage.errors import AliasMissing, CollectionMissing
from softkv_service.storage.records import AliasRecord

Sees: TypeAlias = Callable[[str], bool]
"""Returns whether a caller may know of the collection with a name."""


@dataclass(frozen=True)
class AliasChange:
    """The effect of a write to an alias.

    Attributes:
        record: the alias and its collection after the write.
        created: whether the alias is new.
    """

    record: AliasRecord
    created: bool


class Aliases:
    """The aliases of the collections of a catalogue, in memory as in the store.

    No method says anything of a collection that its caller may not see: an alias of it is like a missing one. Methods
    that read or write the store block, so call them off the event loop.

    Attributes:
        names: the name of the collection behind each alias, also of those that a caller may not see.

    Args:
        store: the store.
        records: what it has now.
        publish_after: registers what a transaction changes in memory, see `Catalogue`.
    """

    def __init__(
        self,
        store: Store,
        records: Iterable[AliasRecord],
        publish_after: Callable[[Writer, Callable[[], object]], object],
    ) -> None:
        self._store = store
        self._publish_after = publish_after
        self.names: Mapping[str, str] = dict(records)  # is replaced and never changed, since other threads read it

    def find(self, alias: str, sees: Sees) -> str | None:
        """Return the name of the collection behind an alias, or None if the caller sees no such alias."""
        target = self.names.get(alias)
        return target if target is not None and sees(target) else None

    def get(self, alias: str, sees: Sees) -> AliasRecord:
        """Read an alias from the store; raises AliasNotFound."""
        with self._store.reading() as reader:
            for record in reader.aliases():
                if record.alias == alias and sees(record.collection):
                    return record
        raise AliasNotFound(alias)

    def page(self, sees: Sees, prefix: str, after: str | None, limit: int | None) -> tuple[list[AliasRecord], bool]:
        """Read a page of up to `limit` aliases by name from the store, and whether more follow.

        Args:
            sees: whether the caller sees a collection.
            prefix: return only aliases that begin with it.
            after: begin after this name; None for the first page.
            limit: None for no limit. With 0 no more follow, as in `Catalogue.page`.
        """
        with self._store.reading() as reader:
            aliases = [
                record
                for record in reader.aliases()
                if record.alias.startswith(prefix)
                and (after is None or record.alias > after)
                and sees(record.collection)
            ]
        return aliases[:limit], bool(limit) and len(aliases) > (limit or 0)

    def put(
        self, alias: str, collection: str, sees: Sees, *, once: IdempotentWrite[AliasChange] | None = None
    ) -> AliasChange:
        """Let an alias stand for a collection, from one instant on.

        Args:
            alias: the alias, which may stand for another collection until then.
            collection: the name of a collection, not an alias.
            sees: whether the caller sees a collection.
            once: makes a repeated request get its first answer; None without an Idempotency-Key.

        Raises:
            CollectionExists: a collection has the name of the alias.
            AliasConflict: the alias stands for a collection that the caller does not see.
            CollectionNotFound: there is no such collection.
            InvalidContent: the collection is named by an alias.
        """
        with self._store.writing(once) as writer:
            try:
                previous = writer.put_alias(alias, collection)
            except CollectionMissing:
                if (target := self.find(collection, sees)) is not None:
                    raise InvalidContent.at(
                        "/collection", f"{collection!r} is an alias itself, of {target!r}: name that collection"
                    ) from None
                raise CollectionNotFound(collection) from None
            if previous is not None and not sees(previous):
                raise AliasConflict(f"the name {alias!r} is taken by an alias: choose another name")
            change = AliasChange(AliasRecord(alias, collection), created=previous is None)
            writer.keep_answer(once, change)
            self._publish_after(writer, lambda: self.replace({**self.names, alias: collection}.items()))
        return change

    def delete(self, alias: str, sees: Sees, *, once: IdempotentWrite[None] | None = None) -> AliasRecord:
        """Delete an alias and return it; its collection stays. Raises AliasNotFound."""
        with self._store.writing(once, deletes=True) as writer:
            try:
                collection = writer.delete_alias(alias)
            except AliasMissing:
                raise AliasNotFound(alias) from None
            if not sees(collection):
                raise AliasNotFound(alias)
            writer.keep_answer(once, None)
            self._publish_after(writer, lambda: self._without(lambda other, _: other == alias))
        return AliasRecord(alias, collection)

    def replace(self, records: Iterable[tuple[str, str]]) -> None:
        """Take over the aliases that the store has now."""
        self.names = dict(records)

    def forget(self, collection: str) -> None:
        """Leave out the aliases of a collection that was deleted."""
        self._without(lambda _, target: target == collection)

    def _without(self, leaves: Callable[[str, str], bool]) -> None:
        self.replace((alias, target) for alias, target in self.names.items() if not leaves(alias, target))
