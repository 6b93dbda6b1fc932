"""The registry of nodes and of the shards that they have in memory, shared by all processes of a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from psycopg import Connection

from service.storage.records import NodeRecord, ShardReplica

LIVE = "30 seconds"
"""Time for which a node counts as live after its last heartbeat."""
EXPIRY = "10 minutes"
"""When the entry of a node without heartbeats is deleted."""
GIVE_UP_LOCK = 0x736B7632
"""The advisory lock for giving up a shard, so that no two nodes rely on each other: "skv2"."""

_LIVE = f"slots.seen > clock_timestamp() - interval '{LIVE}'"
_MEMBER = f"{_LIVE} AND NOT slots.leaving"


class NodeTable:
    """The tables `slots` and `held`; time is that of the database. See `service.storage.NodeRegistry`.

    Args:
        connection: lends a connection for the duration of a block.
    """

    def __init__(self, connection: Callable[[], AbstractContextManager[Connection[Any]]]) -> None:
        self._connection = connection

    def join(self, name: str, node: str) -> None:
        """Register a node without shards; an older entry of the same name is replaced."""
        with self._connection() as connection, connection.transaction():
            connection.execute(f"DELETE FROM slots WHERE seen < clock_timestamp() - interval '{EXPIRY}'")
            connection.execute("DELETE FROM held WHERE slot = %s", (name,))
            connection.execute(
                "INSERT INTO slots (name, node, seen) VALUES (%s, %s, clock_timestamp())"
                " ON CONFLICT (name) DO UPDATE SET (node, seen, leaving) = (excluded.node, excluded.seen, false)",
                (name, node),
            )

    def beat(self, name: str) -> bool:
        """Record a heartbeat of a node. Return whether the node is registered; if it is not, it has to join again."""
        with self._connection() as connection:
            return bool(
                connection.execute("UPDATE slots SET seen = clock_timestamp() WHERE name = %s", (name,)).rowcount
            )

    def leave(self, name: str) -> None:
        """Mark a node as leaving; it stays until other nodes hold its shards."""
        with self._connection() as connection:
            connection.execute("UPDATE slots SET leaving = true WHERE name = %s", (name,))

    def remove(self, name: str) -> None:
        """Remove a node and its shards from the registry."""
        with self._connection() as connection:
            connection.execute("DELETE FROM slots WHERE name = %s", (name,))

    def members(self) -> list[NodeRecord]:
        """Return the nodes on which shards are placed, by name: those that are live and not leaving."""
        return [node for node in self.live() if not node.leaving]

    def live(self) -> list[NodeRecord]:
        """Return the live nodes, by name."""
        statement = f"SELECT name, node, leaving FROM slots WHERE {_LIVE} ORDER BY name"
        with self._connection() as connection:
            return [NodeRecord(*row) for row in connection.execute(statement)]

    def hold(self, name: str, collection: int, first_rows: Sequence[int]) -> None:
        """Register shards of a collection as ready on a node; ignored if node or collection no longer exists."""
        statement = (
            "INSERT INTO held (slot, collection, first_row)"
            " SELECT slots.name, collections.id, first_row FROM slots, collections, unnest(%s::bigint[]) AS first_row"
            " WHERE slots.name = %s AND collections.id = %s FOR KEY SHARE OF slots, collections"
            " ON CONFLICT DO NOTHING"
        )
        with self._connection() as connection:
            connection.execute(statement, (list(first_rows), name, collection))

    def release(self, name: str, collection: int, first_rows: Sequence[int]) -> None:
        """Unregister shards of a collection from a node, even if no other node has them."""
        with self._connection() as connection:
            connection.execute(
                "DELETE FROM held WHERE slot = %s AND collection = %s AND first_row = ANY(%s)",
                (name, collection, list(first_rows)),
            )

    def give_up(self, name: str, collection: int, first_row: int, owners: Sequence[str], copies: int) -> bool:
        """Unregister a shard from a node if `copies` other owners have it; return whether it did.

        If there are fewer members than `copies`, all of them must have it.
        """
        statement = (
            "DELETE FROM held WHERE slot = %s AND collection = %s AND first_row = %s AND"
            f" least(%s, (SELECT count(*) FROM slots WHERE {_MEMBER})) BETWEEN 1 AND"
            " (SELECT count(*) FROM held AS other JOIN slots ON slots.name = other.slot WHERE other.slot = ANY(%s)"
            f" AND other.collection = held.collection AND other.first_row = held.first_row AND {_MEMBER})"
        )
        other_owners = [owner for owner in owners if owner != name]
        with self._connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (GIVE_UP_LOCK,))
            parameters = (name, collection, first_row, copies, other_owners)
            return bool(connection.execute(statement, parameters).rowcount)

    def holders(self, collection: int | None = None) -> list[ShardReplica]:
        """Return each shard of one collection, or of all, with each live node that has it ready."""
        statement = (
            "SELECT held.collection, held.first_row, slots.name, slots.node, slots.leaving FROM held"
            f" JOIN slots ON slots.name = held.slot WHERE {_LIVE}"
            " AND (%s::bigint IS NULL OR held.collection = %s) ORDER BY 1, 2, 3"
        )
        with self._connection() as connection:
            rows = connection.execute(statement, (collection, collection)).fetchall()
        return [ShardReplica(number, first_row, NodeRecord(*node)) for number, first_row, *node in rows]
