"""Tests of both clients.

`fixtures` has stories of calls in the words of the wire. `over_http.py` sends each over plain HTTP, `python/asked.py`
and `typescript/asked.mts` through the clients, each to a service without these collections. The results are compared:
every number, and of a problem its class, code, status, sentence and pointers. A new call or problem is a line there.
"""
