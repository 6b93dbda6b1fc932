"""Connections to one database: how they are set up, and a pool of them."""

from __future__ import annotations

from select import POLLIN, poll
from typing import Any

import psycopg
from psycopg import Connection, conninfo
from psycopg_pool import ConnectionPool

from service.storage.errors import StorageFailed
from service.storage.postgres.schema.migrations import migrate

MOST = 40
"""Connections at once: as many as threads that read or write, and some that count versions."""
CONNECT_SECONDS = 10
WAIT_SECONDS = 5.0
"""How long who needs a connection waits for one."""
# What a filter finds is hashed in work_mem; where it did not fit, each document would be compared with each.
_OPTIONS = "-c search_path=softkv -c client_min_messages=warning -c application_name=softkv -c work_mem=64MB"


def shown(address: str) -> str:
    """The address as it may be logged: without its password."""
    parts = conninfo.conninfo_to_dict(address)
    host, port = parts.get("host", "localhost"), parts.get("port")
    return f"postgresql://{host}{f':{port}' if port else ''}/{parts.get('dbname', '')}"


def checked(address: str) -> str:
    """An address that psycopg understands, with what every connection is to have.

    Raises StorageFailed for another.
    """
    try:
        parts = conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError as error:
        raise StorageFailed(
            f"that is no address of a PostgreSQL ({str(error).strip()}): write postgresql://user@host:5432/database"
        ) from None
    options = f"{parts.pop('options', '')} {_OPTIONS}".strip()
    return conninfo.make_conninfo("", **{"connect_timeout": CONNECT_SECONDS, **parts, "options": options})


def prepare(address: str, name: str) -> None:
    """Bring the database to the last schema."""
    with psycopg.connect(address, autocommit=True) as connection:
        migrate(connection, name)


def require_alive(connection: Connection[Any]) -> None:
    """Raise OperationalError for an idle connection on which something came: a server that goes says so, or hangs up.

    It asks nothing, so it costs no time; one that breaks later fails where it is used.
    """
    waiting = poll()
    waiting.register(connection.fileno(), POLLIN)
    if waiting.poll(0):
        raise psycopg.OperationalError("the connection was closed by the server")


def pool_of(address: str) -> ConnectionPool[Connection[Any]]:
    """Connections in which every transaction is begun and ended in so many words; a broken one is never given out."""
    return ConnectionPool(
        address,
        min_size=1,
        max_size=MOST,
        kwargs={"autocommit": True},
        check=require_alive,
        timeout=WAIT_SECONDS,
        reconnect_timeout=60,
        name="softkv",
        open=True,
    )
