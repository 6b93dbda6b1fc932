"""Tests of both clients.

`fixtures` has stories of calls in the words of the wire. `python/asked.py` and `typescript/asked.mts` send each through
the clients, to a service without these collections. The results are compared: every number, and of a problem its class,
code, status, sentence and pointers. A new call or problem is a line there.
"""
