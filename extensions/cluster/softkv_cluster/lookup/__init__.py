"""Rows on other machines: a view without rows, the messages that its shard sends, and the responses of the hosts.

A place is the row's number here, so any message may go to any replica. One message carries what most answers need,
values too, because both sides weigh rows by the same code. `view.py` is the place to start reading.
"""

from __future__ import annotations

from softkv_cluster.lookup.host import SCANNING_CALLS, respond
from softkv_cluster.lookup.sample import SAMPLE_ROWS, SampleKeys
from softkv_cluster.lookup.shard import RemoteShard
from softkv_cluster.lookup.view import (
    BIAS_ADDENDS,
    BIAS_DOCUMENTS,
    DocumentArrays,
    Message,
    RemoteBias,
    RemoteMask,
    RemoteView,
    ShardHosts,
)
from softkv_cluster.lookup.wire import join_statistics, of_bytes, to_bytes, unpack_messages

__all__ = [
    "BIAS_ADDENDS",
    "BIAS_DOCUMENTS",
    "SAMPLE_ROWS",
    "SCANNING_CALLS",
    "DocumentArrays",
    "Message",
    "RemoteBias",
    "RemoteMask",
    "RemoteShard",
    "RemoteView",
    "SampleKeys",
    "ShardHosts",
    "join_statistics",
    "of_bytes",
    "respond",
    "to_bytes",
    "unpack_messages",
]
