"""Who holds which ranges of row numbers in memory, as all processes that share a store see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from psycopg import Connection

from service.storage.records import NodeRecord, ShardReplica

PRESENT = "30 seconds"
"""How long after its last beat a slot is taken to be there."""
FORGOTTEN = "10 minutes"
"""How long after that it is known at all."""
GIVING_UP_LOCK = 0x736B7632
"""Who lets go of a range holds it, so that no two rely on one another: "skv2"."""

_PRESENT = f"slots.seen > clock_timestamp() - interval '{PRESENT}'"
_MEMBER = f"{_PRESENT} AND NOT slots.leaving"


class NodeTable:
    """The tables `slots` and `held`; time is the database's. See `service.storage.NodeRegistry`.

    Args:
        connection: gives a connection for as long as a block runs.
    """

    def __init__(self, connection: Callable[[], AbstractContextManager[Connection[Any]]]) -> None:
        self._connection = connection

    def join(self, name: str, node: str) -> None:
        """A slot is there, and holds nothing yet, whatever one of its name did before."""
        with self._connection() as connection, connection.transaction():
            connection.execute(f"DELETE FROM slots WHERE seen < clock_timestamp() - interval '{FORGOTTEN}'")
            connection.execute("DELETE FROM held WHERE slot = %s", (name,))
            connection.execute(
                "INSERT INTO slots (name, node, seen) VALUES (%s, %s, clock_timestamp())"
                " ON CONFLICT (name) DO UPDATE SET (node, seen, leaving) = (excluded.node, excluded.seen, false)",
                (name, node),
            )

    def beat(self, name: str) -> bool:
        """A slot is there still: whether it is known; one that is not has to join."""
        with self._connection() as connection:
            return bool(
                connection.execute("UPDATE slots SET seen = clock_timestamp() WHERE name = %s", (name,)).rowcount
            )

    def leave(self, name: str) -> None:
        """A slot is to hold nothing any more; it goes on until others hold what it has."""
        with self._connection() as connection:
            connection.execute("UPDATE slots SET leaving = true WHERE name = %s", (name,))

    def remove(self, name: str) -> None:
        """A slot is not there any more, and holds nothing."""
        with self._connection() as connection:
            connection.execute("DELETE FROM slots WHERE name = %s", (name,))

    def members(self) -> list[NodeRecord]:
        """Those that ranges are placed on, by name: that were seen lately, and are not leaving."""
        return [each for each in self.live() if not each.leaving]

    def live(self) -> list[NodeRecord]:
        """Those that were seen lately, by name."""
        statement = f"SELECT name, node, leaving FROM slots WHERE {_PRESENT} ORDER BY name"
        with self._connection() as connection:
            return [NodeRecord(*row) for row in connection.execute(statement)]

    def hold(self, name: str, collection: int, first_rows: Sequence[int]) -> None:
        """A slot has these ranges of a collection ready; nothing where there is no such slot or collection any more."""
        statement = (
            "INSERT INTO held (slot, collection, first_row)"
            " SELECT slots.name, collections.id, first_row FROM slots, collections, unnest(%s::bigint[]) AS first_row"
            " WHERE slots.name = %s AND collections.id = %s FOR KEY SHARE OF slots, collections"
            " ON CONFLICT DO NOTHING"
        )
        with self._connection() as connection:
            connection.execute(statement, (list(first_rows), name, collection))

    def release(self, name: str, collection: int, first_rows: Sequence[int]) -> None:
        """A slot has these ranges of a collection not any more, whoever else has them."""
        with self._connection() as connection:
            connection.execute(
                "DELETE FROM held WHERE slot = %s AND collection = %s AND first_row = ANY(%s)",
                (name, collection, list(first_rows)),
            )

    def give_up(self, name: str, collection: int, first_row: int, owners: Sequence[str], copies: int) -> bool:
        """A slot lets go of a range where `copies` others that are to hold it have it: whether it did.

        Of fewer members than that all have to.
        """
        statement = (
            "DELETE FROM held WHERE slot = %s AND collection = %s AND first_row = %s AND"
            f" least(%s, (SELECT count(*) FROM slots WHERE {_MEMBER})) BETWEEN 1 AND"
            " (SELECT count(*) FROM held AS other JOIN slots ON slots.name = other.slot WHERE other.slot = ANY(%s)"
            f" AND other.collection = held.collection AND other.first_row = held.first_row AND {_MEMBER})"
        )
        others = [each for each in owners if each != name]
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (GIVING_UP_LOCK,))
            asked = (name, collection, first_row, copies, others)
            return bool(connection.execute(statement, asked).rowcount)

    def holders(self, collection: int | None = None) -> list[ShardReplica]:
        """Which slots that were seen lately have which ranges ready, of one collection or of all."""
        statement = (
            "SELECT held.collection, held.first_row, slots.name, slots.node, slots.leaving FROM held"
            f" JOIN slots ON slots.name = held.slot WHERE {_PRESENT}"
            " AND (%s::bigint IS NULL OR held.collection = %s) ORDER BY 1, 2, 3"
        )
        with self._connection() as connection:
            found = connection.execute(statement, (collection, collection)).fetchall()
        return [ShardReplica(number, first_row, NodeRecord(*slot)) for number, first_row, *slot in found]
