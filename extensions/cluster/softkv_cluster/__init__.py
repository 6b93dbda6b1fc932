"""Collections whose keys are sharded over several machines: which servers hold which shards, and queries to them.

A shard is a range of row numbers. A shard server is a process (`server/`): it holds replicas of shards, follows the
store, and answers from exactly the version in the request. Servers are Ray actors, which Ray places and restarts
(`ray_cluster.py`, the only file that imports Ray). The store's plan names the servers and says how many of them hold
each shard. Servers and coordinators compute the same placement from it (`placement.py`).

In a coordinator, `roster.py` knows which servers have which shards ready, and `router.py` sends one message to all
servers concerned. If a server is lost or slow, the router asks another replica. `metadata.py` caches the statistics of
each shard at one version. `collection.py` is a collection whose view is a `RemoteView` over all shards; `lookup/` has
that view, and the messages by which servers answer for their rows. `command.py` is `softkv cluster`,
and `service.py` is what it and a service use.
"""
