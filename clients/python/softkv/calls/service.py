"""What the service is, what it holds, and whether it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

from softkv.answers.info import CollectionInfo, Model, Readiness, ServiceInfo, collection_info, service_info
from softkv.calls.call import Call, Plan
from softkv.calls.paging import Page, Paging
from softkv.calls.place import Known
from softkv.problems import flawed, refuse
from softkv.reply import Reply
from softkv.wire.checks import MOST_ON_A_PAGE, came, number


def info(known: Known) -> Call[ServiceInfo]:
    """Its version, its encoder, whether it wants keys, every limit by name, and what holds its keys."""

    def parse(reply: Reply) -> ServiceInfo:
        found = service_info(reply.json())
        known.limits = found.limits
        return found

    return Call("GET", "/v1", parse)


def limit(known: Known, name: str) -> Plan[int]:
    """One of its limits, asked for once."""
    limits = known.limits
    if limits is None:
        limits = (yield from info(known)).limits
    return limits[name]


def access(known: Known) -> Call[Literal["read", "write"]]:
    """What this client's key allows."""
    return Call("GET", "/v1/collections", lambda reply: reply.json()["access"], (("limit", "0"),))


def collections(known: Known, prefix: str = "", *, page: int = 1000) -> Paging[CollectionInfo]:
    """Every collection, by name; those that begin with `prefix`. `page` is how many come at a time."""
    refuse(number(page, "/limit", least=1, most=MOST_ON_A_PAGE))

    def parse(reply: Reply) -> Page[CollectionInfo]:
        content = reply.json()
        found = [collection_info(each) for each in content["collections"]]
        return Page(found, content["next_cursor"])

    def ask(cursor: str | None, at_once: int) -> Call[Page[CollectionInfo]]:
        query = [("prefix", prefix), ("limit", str(at_once)), *([] if cursor is None else [("cursor", cursor)])]
        return Call("GET", "/v1/collections", parse, tuple(query))

    return Paging(ask, page)


def models(known: Known) -> Call[list[Model]]:
    """The models that encode and trace."""
    return Call("GET", "/v1/models", lambda reply: [Model.read(each) for each in reply.json()["data"]])


def model(known: Known, id: str) -> Call[Model]:  # noqa: A002  # the wire's name
    """One of them."""
    if not isinstance(id, str):
        raise flawed("", f"path.id: wanted a text, got {came(id)}")
    return Call("GET", f"/v1/models/{quote(id, safe='')}", lambda reply: Model.read(reply.json()))


def alive(known: Known) -> Call[bool]:
    """Whether the process answers."""
    return Call("GET", "/livez", lambda reply: reply.json()["status"] == "alive")


def ready(known: Known) -> Call[Readiness]:
    """Whether everything is loaded, and what still loads; it answers before, only slower."""

    def parse(reply: Reply) -> Readiness:
        content: Mapping[str, Any] = reply.json()
        return Readiness.read(content)

    return Call("GET", "/readyz", parse, expected=(503,))


def metrics(known: Known) -> Call[str]:
    """What it has counted, in the text that Prometheus reads."""
    return Call("GET", "/metrics", lambda reply: reply.content.decode())
