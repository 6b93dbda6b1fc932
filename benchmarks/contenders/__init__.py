"""The servers in the comparison, each in its own process: their data, their start and their protocols.

`documents.py` has the common documents and the right answers; `store.py` the interface of a server; then one file each.
"""
