"""Information about the service, parsed to records."""

from __future__ import annotations

import pytest

from softkv import ServerInfo, ServiceInfo, ShardsInfo
from softkv.answers.service import parse_service_info

ALONE = {"version": "1", "encoder": None, "keys_required": False, "limits": {"queries": 64}}
SERVER = {
    "name": "softkv-0",
    "machine": None,
    "leaving": False,
    "ranges": 2,
    "keys": 7,
    "coming": 0,
    "lag": None,
    "trouble": None,
}


@pytest.mark.parametrize("more", [{}, {"shards": None}], ids=["an older service", "one without"])
def test_a_service_that_holds_its_keys_has_no_shards(more):
    assert parse_service_info(ALONE | more) == ServiceInfo("1", None, keys_required=False, limits={"queries": 64})


def test_servers_are_records():
    servers = [SERVER, SERVER | {"of a later one": 1}]
    shards = {"copies": 2, "ranges": 3, "whole": None, "unheld": 0, "servers": servers}
    cluster = parse_service_info(ALONE | {"shards": shards}).shards
    assert cluster == ShardsInfo(2, 3, None, 0, [ServerInfo(**SERVER)] * 2)
